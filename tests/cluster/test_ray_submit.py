"""`ray up`, `ray submit` as typed, faults, and `ray down`, on four real hosts of a bed.

Three hosts are one cluster and the fourth is another; both keep their trials in one store. The
tests share the clusters and use them in this order.
"""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hosts
import pytest

pytestmark = pytest.mark.slow

RAY = str(Path(sys.executable).with_name("ray"))
SWEEP = "sweeps/adaptor_lambda.py"
SMALL = ("--demo", "--dataset", "synthetic:clips_per_class=10")
CPUS = ("--cpus-per-worker", str(os.cpu_count()))
"""A worker takes all CPUs of a host, so that trials at a time are on as many hosts."""
NINE = (*SMALL, "--seeds", "3", "--arms", "1,2,3", "--epochs", "12", *CPUS)
HANGS_AFTER_S = 1200
"""Longer than anything here takes on a slow machine that runs other tests beside it."""
NOT_OF_THE_CLOCK = re.compile(r"(train|val)/")


@dataclasses.dataclass
class Up:
    """A bed with two clusters: three hosts, and one."""

    bed: hosts.Bed
    large: Path
    small: Path
    commands: list[subprocess.Popen[str]] = dataclasses.field(default_factory=list)

    @property
    def store(self) -> Path:
        return self.bed.shared / "store"

    def records(self) -> dict[str, dict[str, Any]]:
        found = {}
        for path in self.store.glob("trials/*/record.json"):
            record = json.loads(path.read_text())
            found[record["id"]] = record
        return found

    def at_work(self) -> set[str]:
        return {record["provenance"]["host"] for record in self.records().values()}

    def finished(self) -> int:
        return sum(record["status"] == "finished" for record in self.records().values())

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        command = subprocess.Popen(
            [RAY, *map(str, arguments)],
            cwd=hosts.REPOSITORY,
            env=self.bed.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",  # what is cut off may end inside a letter
            start_new_session=True,
        )
        self.commands.append(command)
        return command

    def ray(self, *arguments: str | Path) -> str:
        return output(self.start(*arguments))


def drop(command: subprocess.Popen[str]) -> None:
    """End a command and its SSH connection, as when the machine that they were typed on is off."""
    os.killpg(command.pid, signal.SIGKILL)
    command.communicate()


def output(process: subprocess.Popen[str]) -> str:
    try:
        said, _ = process.communicate(timeout=HANGS_AFTER_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        raise AssertionError(f"no end after {HANGS_AFTER_S} s:\n{said[-6000:]}") from None
    assert process.returncode == 0, said[-6000:]
    return said


def until(true: Callable[[], Any], *, what: Callable[[], Any] = lambda: "") -> None:
    end = time.monotonic() + HANGS_AFTER_S
    while not true():
        assert time.monotonic() < end, f"no end after {HANGS_AFTER_S} s {what()}"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    if reason := hosts.missing():
        pytest.skip(reason)
    with hosts.Bed(4) as bed:
        template = hosts.REPOSITORY / "cluster" / "onprem.yaml"
        clusters = bed.fill_in(template, bed.hosts[:3]), bed.fill_in(template, bed.hosts[3:])
        started = Up(bed, *clusters)
        started.ray("get-auth-token", "--generate")
        with ThreadPoolExecutor(2) as both:
            ups = [both.submit(started.ray, "up", "-y", "--no-config-cache", c) for c in clusters]
        assert all(one.result() for one in ups)
        yield started
        for command in started.commands:
            if command.poll() is None:
                drop(command)


def test_open_ports_of_every_host_are_those_of_the_table(up: Up) -> None:
    head, *workers = up.bed.hosts[:3]
    until(lambda: all("raylet" in up.bed.on(one, "ps -eo comm").stdout for one in workers))
    table = (hosts.REPOSITORY / "cluster" / "README.md").read_text().partition("## Ports")[2]
    rows = re.findall(r"(?m)^\| \d+(?:-\d+)? \| (\d+)(?:-(\d+))? \|", table)
    explained = {22, *(port for a, b in rows for port in range(int(a), int(b or a) + 1))}
    for host in (head, *workers):
        listening = up.bed.on(host, "ss -Hltn").stdout
        ports = {int(port) for port in re.findall(r"^\S+ +\d+ +\d+ +\S*:(\d+)", listening, re.M)}
        assert {22, 6400, 6401} <= ports and (6399 in ports) == (host is head), listening
        assert ports <= explained, listening


def test_client_without_the_token_is_refused(up: Up, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from orchestrator.execution.ray_session import ray_session\n"
        "from orchestrator.experiment.config import Runtime\n"
        "with ray_session(Runtime(address=sys.argv[1])): pass\n"
    )
    env = up.bed.environment | {"HOME": str(tmp_path)}
    address = f"{up.bed.hosts[0].address}:6399"
    command = [sys.executable, "-c", code, address]
    done = subprocess.run(command, env=env, cwd=hosts.REPOSITORY, capture_output=True, text=True)
    assert done.returncode != 0
    assert f"the Ray cluster at '{address}' asks for a token, and there is none" in done.stderr


def test_two_launches_and_faults_train_every_trial_once_to_the_same_bits(
    up: Up, tmp_path: Path
) -> None:
    _, cut, killed, _ = up.bed.hosts
    large, other = (up.start("submit", c, SWEEP, "--", *NINE) for c in (up.large, up.small))
    everywhere = {host.name for host in up.bed.hosts}
    until(lambda: up.at_work() == everywhere, what=up.at_work)
    cut.cut()
    up.bed.on(killed, "pkill -KILL -x raylet")
    time.sleep(5)
    killed.kill()
    until(lambda: up.finished() >= 1)
    drop(large)
    cut.mend()
    killed.boot()
    said = [output(up.start("submit", up.large, SWEEP, "--", *NINE)), output(other)]
    records = up.records()
    assert [one["status"] for one in records.values()] == ["finished"] * 9, said
    assert "Traceback" not in "".join(said)
    assert "all 9 trials are in the store" in up.ray("submit", up.large, SWEEP, "--", *NINE)

    undisturbed = tmp_path / "store"
    words = [sys.executable, SWEEP, *NINE, "--store", str(undisturbed)]
    subprocess.run(words, cwd=hosts.REPOSITORY, env=up.bed.environment, check=True)
    for trial, record in records.items():
        wanted = json.loads((undisturbed / "trials" / trial / "record.json").read_text())
        assert numbers(record) == numbers(wanted), trial


def numbers(record: dict[str, Any]) -> list[dict[str, float]]:
    return [
        {key: value for key, value in epoch["metrics"].items() if NOT_OF_THE_CLOCK.match(key)}
        for epoch in record["epochs"]
    ]


def test_one_trial_trains_over_two_hosts(up: Up) -> None:
    before = set(up.records())
    one = (*SMALL, "--seeds", "1", "--arms", "1", "--epochs", "2", "--num-workers", "2")
    up.ray("submit", up.large, SWEEP, "--", *one, *CPUS)
    (trial,) = set(up.records()) - before
    record = up.records()[trial]
    assert record["status"] == "finished" and record["cost"]["num_workers"] == 2, record


def test_ray_down_leaves_no_process(up: Up) -> None:
    for cluster in (up.large, up.small):
        up.ray("down", "-y", cluster)

    def left() -> list[str]:
        lines = [up.bed.on(one, "ps -eo args").stdout.splitlines() for one in up.bed.hosts]
        return [line for lines in lines for line in lines if re.search("ray|python|node.sh", line)]

    until(lambda: not left(), what=left)
