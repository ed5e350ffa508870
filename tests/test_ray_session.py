"""A cluster that is away, wrong or busy is said at once; a head of one CPU stands in for it."""

import functools
import io
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import ray
from ray.cluster_utils import Cluster
from rich.console import Console

from orchestrator.design.factors import Trial
from orchestrator.errors import ConfigError
from orchestrator.execution import tune
from orchestrator.execution.options import parse
from orchestrator.execution.progress import SweepProgress
from orchestrator.execution.ray_session import ray_session, require_resources, terminal
from orchestrator.experiment.config import Component, Runtime
from orchestrator.records import Status
from orchestrator.terminal.waiting import waiting
from tests import tiny
from tests.commands import ROOT, environment


@contextmanager
def listener(answer: bytes | None) -> Iterator[str]:
    """A port where somebody listens who is no Ray: says `answer` and hangs up, or nothing ever."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)

        def serve() -> None:
            connection, _ = server.accept()
            if answer is not None:
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)
            else:
                kept.append(connection)

        kept: list[socket.socket] = []
        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        for connection in kept:
            connection.close()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(None, "timed out", marks=pytest.mark.slow, id="silent"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", "is no Ray", id="http"),
        pytest.param(b"", "is no Ray", id="hangs up"),
    ],
)
def test_address_where_no_ray_answers_is_refused_soon(answer, words):
    started = time.monotonic()
    with listener(answer) as address, pytest.raises(ConfigError, match=words) as caught:
        require_resources(Runtime(address=address))
    assert time.monotonic() - started < 12
    assert f"no Ray cluster answers at '{address}'" in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "nonsense",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:70000",
        "127.0.0.1:²",
        ":6379",
        "http://127.0.0.1:6379",
        "me@host:6379",
        "a host:6379",
        "::1:6379",
    ],
)
def test_address_that_is_none_is_refused_with_the_valid_forms(address):
    with pytest.raises(ConfigError, match=r"no address of a Ray cluster \(valid: auto, HOST:PORT"):
        require_resources(Runtime(address=address))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:1", f"{'a' * 70}.invalid:1"])
def test_address_where_nobody_listens_is_refused(address):
    with pytest.raises(ConfigError, match="no Ray cluster answers at"):
        require_resources(Runtime(address=address))


def test_auto_leads_to_the_address_of_the_environment(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"no Ray cluster answers at '127\.0\.0\.1:1'"):
        require_resources(Runtime(address="auto"))


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "ray://127.0.0.1"])
def test_address_of_the_ray_client_names_the_ways_into_a_cluster(address):
    with pytest.raises(ConfigError, match=r"for Ray's client.*--address auto.*ray job submit"):
        require_resources(Runtime(address=address))


def test_workers_that_share_a_card_are_refused():
    with pytest.raises(ConfigError, match=r"2 workers of 0\.5 GPUs .* --gpus-per-worker 1"):
        require_resources(Runtime(num_workers=2, gpus_per_worker=0.5, address="auto"))


def test_share_of_a_card_from_the_environment_is_refused_for_several_workers(monkeypatch):
    monkeypatch.setenv("ORCHESTRATOR_GPUS_PER_WORKER", "0.25")
    options = parse(["--num-workers", "3", "--address", "auto"], description="?")
    with pytest.raises(ConfigError, match=r"3 workers of 0\.25 GPUs .* --gpus-per-worker 1"):
        require_resources(options.runtime)


def test_worker_of_several_cards_is_refused():
    with pytest.raises(ConfigError, match=r"--gpus-per-worker 1 --num-workers 8"):
        require_resources(Runtime(num_workers=2, gpus_per_worker=4, address="auto"))


def test_wait_is_said_at_intervals_and_not_where_there_is_none():
    said: list[str] = []
    heard = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        if len(said) == 2:
            heard.set()

    with waiting("waiting for the moon", say=say, after_s=0.01, every_s=0.01):
        assert heard.wait(10)
    assert said[0].startswith("waiting for the moon (0 s")
    with waiting("waiting for nothing", say=say):
        pass
    assert not any("nothing" in text for text in said)


def test_log_that_cannot_be_written_is_one_message(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=r"cannot write the log .* XDG_CACHE_HOME"):
        with terminal(tmp_path / "file" / "logs" / "a.log"):
            pass


def test_terminal_comes_back_where_the_disk_of_the_log_is_full():
    code = (
        "from pathlib import Path\n"
        "from orchestrator.execution.ray_session import terminal\n"
        "with terminal(Path('/dev/full')):\n"
        "    print('for the log')\n"
        "print('back')"
    )
    buffered = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=buffered, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("back\n", "")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        yield started
    finally:
        ray.shutdown()
        started.shutdown()


@pytest.mark.slow
def test_cluster_of_another_ray_is_one_message_with_both_versions(cluster, monkeypatch):
    monkeypatch.setattr(ray, "__version__", "2.59.0")
    with pytest.raises(ConfigError) as caught, ray_session(Runtime(address=cluster.address)):
        pass
    here = platform.python_version()
    text = (
        f"runs Ray {version('ray')} on Python {here}, and this command Ray 2.59.0 on Python {here}"
    )
    assert text in str(caught.value)


@pytest.mark.slow
def test_nodes_with_other_versions_are_one_message_with_all_that_differs(cluster, monkeypatch):
    place = "orchestrator.execution.ray_session"
    monkeypatch.setattr(f"{place}.platform", SimpleNamespace(python_version=lambda: "3.9.0"))
    monkeypatch.setattr(f"{place}.source_digest", lambda: "old")
    node, here = cluster.address.split(":")[0], platform.python_version()
    with pytest.raises(ConfigError) as caught, ray_session(Runtime(address=cluster.address)):
        pass
    text = str(caught.value)
    assert f"1 of 1 nodes of the cluster differ from this command: node {node} has " in text
    assert f"has Python {here} instead of 3.9.0, code of this package " in text
    assert "instead of old. Install" in text
    assert not ray.is_initialized()


SERVE = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""
JOIN = """
import sys
from orchestrator.errors import ConfigError
from orchestrator.execution.ray_session import ray_session
from orchestrator.experiment.config import Runtime
try:
    with ray_session(Runtime(address=sys.argv[1])):
        print("joined")
except ConfigError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """The address of a cluster that asks for a token, and a home that has it."""
    home = tmp_path_factory.mktemp("home")
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text("a" * 32)
    env = environment(HOME=str(home), RAY_AUTH_MODE="token")
    code = [sys.executable, "-c", SERVE]
    with subprocess.Popen(
        code, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip(), home
        server.communicate("")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("token", "mode", "words"),
    [
        ("a" * 32, "", "joined"),
        ("a" * 32, "disabled", "RAY_AUTH_MODE is 'disabled' here; set it to token"),
        ("b" * 32, "", "refuses the token that is here"),
        ("", "", "asks for a token, and there is none here"),
        ("", "token", "asks for a token, and there is none here"),
    ],
)
def test_token_that_is_missing_or_wrong_is_told_from_a_missing_cluster(
    guarded, token, mode, words, tmp_path
):
    address, _ = guarded
    (tmp_path / ".ray").mkdir()
    if token:
        (tmp_path / ".ray" / "auth_token").write_text(token)
    env = environment(HOME=str(tmp_path), **({"RAY_AUTH_MODE": mode} if mode else {}))
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", JOIN, address], env=env, cwd=ROOT, capture_output=True, text=True
    )
    assert words in done.stdout, done.stdout + done.stderr
    assert "token" not in done.stdout or f"the Ray cluster at '{address}'" in done.stdout
    assert time.monotonic() - started < 15  # Ray by itself tries for 20 s
    assert "a" * 32 not in done.stdout + done.stderr


ALONE = """
import os, pathlib, psutil, ray
from orchestrator.execution.ray_session import ray_session
from orchestrator.experiment.config import Runtime
with ray_session(Runtime()):
    ray.get(ray.remote(lambda: 1).remote())
    me = psutil.Process()
    family = me.children(recursive=True)
    assert os.getsid(0) not in {os.getsid(one.pid) for one in family}  # a signal is for me alone
    for one in [me, *family]:
        for connection in one.net_connections(kind="inet"):
            if connection.status == psutil.CONN_LISTEN:
                print(one.name(), connection.laddr.ip)
    print(os.environ["RAY_AUTH_MODE"])
    print(oct(pathlib.Path("~/.ray/auth_token").expanduser().stat().st_mode & 0o777))
"""


@pytest.mark.slow
def test_ray_on_this_machine_listens_on_loopback_and_asks_for_a_token(tmp_path):
    env = environment(HOME=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", ALONE], env=env, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *listening, mode, rights = done.stdout.splitlines()
    assert len(listening) >= 4, done.stdout + done.stderr
    assert [line for line in listening if not line.endswith("127.0.0.1")] == []
    assert (mode, rights) == ("token", "0o600")


KILLED = """
import psutil, sys, time
from orchestrator.execution.ray_session import ray_session
from orchestrator.experiment.config import Runtime
with ray_session(Runtime()):
    family = psutil.Process().children(recursive=True)
    print(*(one.pid for one in family), flush=True)
    (one,) = [one for one in family if one.name() == sys.argv[1]]
    one.kill()
    time.sleep(60)
"""


@pytest.mark.slow
def test_command_whose_ray_dies_says_so_and_ends_at_once(tmp_path):
    names = {"raylet": "the raylet", "gcs_server": "the GCS"}
    started = {
        name: subprocess.Popen(
            [sys.executable, "-c", KILLED, name],
            env=environment(HOME=str(tmp_path)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for name in names
    }
    for name, process in started.items():
        family, said = process.communicate(timeout=50)
        assert process.returncode == 1
        text = f"{names[name]} of Ray died on this machine, and this command ends with it"
        assert said.splitlines().count(text) == 1, said
        left = [psutil.Process(int(pid)) for pid in family.split() if psutil.pid_exists(int(pid))]
        assert psutil.wait_procs(left, timeout=15)[1] == []


class Impatient(SweepProgress):
    """Helps once it has been said twice what is waited for."""

    def __init__(self, trials, help_it):
        super().__init__(Console(file=io.StringIO()), trials)
        self.help_it, self.said = help_it, []

    def say(self, text: str) -> None:
        self.said.append(text)
        if len(self.said) == 2:
            self.help_it()


class Guest:
    """Somebody else's work, which takes the whole cluster."""

    def here(self) -> bool:
        return True


@pytest.mark.slow
def test_busy_cluster_is_waited_for_with_words(cluster, tmp_path, monkeypatch):
    with ray_session(Runtime(address=cluster.address)):
        guest = ray.remote(Guest).options(num_cpus=1).remote()
        ray.get(guest.here.remote())
        record, said = run(cluster, tmp_path, monkeypatch, 1, lambda: ray.kill(guest))
    assert (
        said[:2]
        == ["waiting for the cluster: a trial asks for 1 CPU; it has 1 CPUs, of which 0 are free"]
        * 2
    )
    assert record.status is Status.FINISHED, record.error


@pytest.mark.slow
def test_cluster_that_is_too_small_is_waited_for_until_it_grows(cluster, tmp_path, monkeypatch):
    with ray_session(Runtime(address=cluster.address)):
        grow = functools.partial(cluster.add_node, num_cpus=2)
        record, said = run(cluster, tmp_path, monkeypatch, 2, grow)
    assert "asks for 2 workers of 1 CPU each; it has 1 CPUs, of which 1 are free" in said[0]
    assert "no autoscaler is known that adds any: start larger ones with `ray start" in said[0]
    assert record.status is Status.FINISHED, record.error


def run(cluster, path, monkeypatch, num_workers, help_it):
    """Run a tiny trial on the cluster; return its record, and what was said meanwhile."""
    monkeypatch.setattr(tune, "AFTER_S", 0.5)
    monkeypatch.setattr(tune, "EVERY_S", 0.5)
    experiment = tiny.experiment(epochs=1)
    store = tiny.store_with_pack(path, experiment)
    runtime = Runtime(address=cluster.address, num_workers=num_workers, store=store.uri)
    require_resources(runtime)
    trial = Trial(arm="arm", seed=0, fold=1, experiment=experiment, id=experiment.id)
    with Impatient([trial], help_it) as progress:
        tune.run_trials([trial], runtime=runtime, store=store, progress=progress)
    return store.read_record(trial.id), progress.said


class Interrupting(SweepProgress):
    """Presses Ctrl-C when it hears of an epoch; or when workers begin, and once more."""

    def __init__(self, trials, *, twice: bool):
        self.out = io.StringIO()
        super().__init__(Console(file=self.out, width=250), trials)
        self.twice, self.pressed_at = twice, 0.0

    def epoch(self, trial_id, epoch, metrics):
        super().epoch(trial_id, epoch, metrics)
        if epoch == 1 and not self.twice:
            self.press()

    def note(self, trial_id, text):
        if text == "epochs" and self.twice:
            self.press()

    def say(self, text):
        super().say(text)
        if text.startswith("stopping: ") and self.twice:
            self.press()

    def press(self):
        self.pressed_at = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)


def in_use() -> list[object]:
    """What launches hold of the cluster: placement groups, and CPUs."""
    groups = ray.util.placement_group_table().values()
    held = ray.cluster_resources()["CPU"] - ray.available_resources().get("CPU", 0)
    return [group for group in groups if group["state"] != "REMOVED"] + [held] * bool(held)


@pytest.mark.slow
def test_two_workers_save_a_step_and_a_second_interrupt_stops_them_at_once(cluster, tmp_path):
    cluster.add_node(num_cpus=2)
    model = Component("tests.own_parts:Doomed", does="dawdles", seconds=0.3)
    stopped = tiny.experiment(model=model, batch_size=1, epochs=2)
    calm = tiny.experiment(model=model.replace(does="nothing"), batch_size=1, epochs=2)
    store = tiny.store_with_pack(tmp_path, stopped)
    trials = [Trial(arm="arm", seed=0, fold=1, experiment=e, id=e.id) for e in (stopped, calm)]
    runtime = Runtime(address=cluster.address, num_workers=2, store=store.uri)
    for twice in (False, True):
        with (
            pytest.raises(KeyboardInterrupt),
            ray_session(runtime),
            Interrupting(trials[:1], twice=twice) as progress,
        ):
            tune.run_trials(trials[:1], runtime=runtime, store=store, progress=progress)
        assert (": saved" in progress.out.getvalue()) is not twice
        _, facts = store.load_checkpoint(stopped.id, "last")
        assert len(facts["epochs"]) == 1 and len(facts["losses_so_far"]) == 10
    assert time.monotonic() - progress.pressed_at < 10  # the session has ended, too
    with ray_session(runtime), SweepProgress(Console(file=io.StringIO()), trials) as progress:
        deadline = time.monotonic() + 15
        while busy := in_use():
            assert time.monotonic() < deadline, busy
            time.sleep(0.1)
        # One worker goes on from what two have saved, to the losses of an undisturbed one.
        alone = replace(runtime, num_workers=1)
        tune.run_trials(trials, runtime=alone, store=store, progress=progress)
    assert set(progress.done.values()) == {Status.FINISHED}
    records = store.read_records([stopped.id, calm.id])
    losses = [[one.metrics["train/loss"] for one in record.epochs] for record in records.values()]
    np.testing.assert_allclose(*losses, rtol=2e-4)


@pytest.mark.slow
def test_worker_that_ray_ends_for_lack_of_memory_trains_alone_before_it_fails(tmp_path):
    experiment = tiny.experiment(epochs=1)
    store = tiny.store_with_pack(tmp_path, experiment)
    trial = Trial(arm="arm", seed=0, fold=1, experiment=experiment, id=experiment.id)
    low = {"memory_usage_threshold": 0.01, "memory_monitor_refresh_ms": 100}
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "_system_config": low})
    try:
        runtime = Runtime(address=started.address, store=store.uri, retries=1)
        with ray_session(runtime), Interrupting([trial], twice=False) as progress:
            alone = tune.run_trials([trial], runtime=runtime, store=store, progress=progress)
            tune.fail_stale_trials([trial], store, reasons=progress.lost)
    finally:
        started.shutdown()
    said, record = progress.out.getvalue(), store.read_record(trial.id)
    assert said.count("out of memory; it and what is left train 1 at a time") == 1
    assert alone.max_concurrent == 1 and record.status is Status.FAILED
    assert record.error.startswith(
        "lost 2 workers in a row without finishing another epoch; last, out of memory on its host"
    )
