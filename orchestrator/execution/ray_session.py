"""Start or join Ray, keep it quiet, and leave nothing behind.

Ray writes to standard error from Python and from C++. While a session is open, both standard
streams of this process go to a log file; messages to the user go through `terminal`, which holds
the real stream.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib.metadata
import io
import logging
import os
import platform
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator.errors import ConfigError
from orchestrator.experiment.config import Runtime
from orchestrator.store.provenance import source_digest
from orchestrator.terminal.waiting import to_terminal, waiting

CONNECT_S = 5.0
VERSIONS_S = 30.0
_ASK_EVERY_S = 5.0
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_TOKEN_PLACES = "~/.ray/auth_token, RAY_AUTH_TOKEN_PATH, RAY_AUTH_TOKEN"
_SETTINGS = 4
# HTTP/2 preface and an empty SETTINGS frame; a server answers with its own (RFC 9113).
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0])
_interrupted = threading.Event()
_gentle = threading.Event()
_stopping = threading.Event()

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Everything that matters is in the store; Tune's own state is never restored.
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S_AUTOSCALER": "600",
}


def require_resources(runtime: Runtime) -> None:
    """Raise a `ConfigError` if a launch would wait, perhaps forever, for missing resources.

    An address must be valid, with a Ray cluster answering there. Without an address, this machine
    must have the CPUs and GPUs of one trial; a cluster may grow.
    """
    if runtime.num_workers > 1 and 0 < runtime.gpus_per_worker < 1:
        raise ConfigError(
            f"{runtime.num_workers} workers of {runtime.gpus_per_worker:g} GPUs each may meet on "
            "one card, where NCCL connects no two; give --gpus-per-worker 1 or --num-workers 1"
        )
    if runtime.gpus_per_worker > 1:
        raise ConfigError(
            f"a worker of {runtime.gpus_per_worker:g} GPUs would train on one of them; give "
            f"--gpus-per-worker 1 --num-workers {runtime.num_workers * runtime.gpus_per_worker:g}"
        )
    if not runtime.address:
        _require_here(runtime)
        return
    address = _cluster_here() if runtime.address == "auto" else runtime.address
    host, port = _host_and_port(address)
    try:
        with waiting(f"waiting for an answer of {address}"):
            _greet(host, port)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"no Ray cluster answers at {address!r} ({error}); start one with `ray up`, or leave "
            "--address out to use this machine alone"
        ) from None


def _host_and_port(address: str) -> tuple[str, int]:
    if address.startswith("ray://"):
        raise ConfigError(
            f"{address!r} is for Ray's client, and a sweep needs a driver inside the cluster "
            "(valid: auto, HOST:PORT); run the command on a host of the cluster with --address "
            "auto, by `ray submit` or by `ray job submit`"
        )
    host, _, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    valid = host and not re.search(r"[/@\s]", host) and (bracketed or ":" not in host)
    if not valid or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise ConfigError(
            f"{address!r} is no address of a Ray cluster (valid: auto, HOST:PORT); "
            "leave --address out to use this machine alone"
        )
    return host.strip("[]"), int(port)


def _cluster_here() -> str:
    """Return the address that `auto` stands for: RAY_ADDRESS, or the cluster of this host."""
    from ray._private.services import get_ray_address_from_environment

    try:
        address = get_ray_address_from_environment("auto", None)
    except ConnectionError:
        address = None
    if address is None or address in ("auto", "local"):
        raise ConfigError(
            "--address auto found no Ray cluster on this host; start one with `ray start --head`, "
            "give the address of one as HOST:PORT, or leave --address out to use this machine "
            "alone"
        )
    return address


def _greet(host: str, port: int) -> None:
    """Raise an `OSError` unless an HTTP/2 server, like every Ray port, answers.

    Ray itself retries for more than a minute if nothing, or something else, listens there.
    """
    with socket.create_connection((host, port), CONNECT_S) as connection:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
            return
        connection.settimeout(CONNECT_S)
        connection.sendall(_HELLO)
        head = connection.recv(9, socket.MSG_WAITALL)
    if len(head) < 9 or head[3] != _SETTINGS:
        raise OSError("what listens there is no Ray")


def _require_here(runtime: Runtime) -> None:
    cpus, gpus = os.cpu_count() or 1, 0
    if runtime.gpus_per_worker > 0:
        import torch

        gpus = torch.cuda.device_count()
    workers = runtime.num_workers
    for kind, wanted, here, flags in (
        ("GPUs", workers * runtime.gpus_per_worker, gpus, "--num-workers or --gpus-per-worker"),
        (
            "CPUs",
            workers * max(1, runtime.cpus_per_worker),
            cpus,
            "--num-workers or --cpus-per-worker",
        ),
    ):
        if wanted > here:
            raise ConfigError(
                f"one trial asks for {wanted:g} {kind} and this machine has {here}; lower "
                f"{flags}, or name a cluster with --address"
            )


@contextlib.contextmanager
def ray_session(
    runtime: Runtime,
    *,
    say: Callable[[str], None] = to_terminal,
    last_word: Callable[[str], None] = to_terminal,
) -> Iterator[None]:
    """Connect to the cluster of `runtime.address`, or start a local one.

    On exit, the connection closes; a cluster started here shuts down with all its processes, even
    after an interrupt. Should a process of Ray die on which everything depends, this process ends
    at once, with exit code 1; Ray would end it without a word, after a minute.

    Args:
        runtime: Address and resources.
        say: Function that writes one line to the terminal if the cluster is slow to answer, or no
            longer answers.
        last_word: Function that writes the line with which this process ends, and leaves the
            terminal as it should be.

    Raises:
        ConfigError: No cluster answers at the address, or none can be started here.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray
    from ray.exceptions import RayError

    place = f"the Ray cluster at {runtime.address}" if runtime.address else "Ray to start"
    try:
        with waiting(f"waiting for {place}", say=say):
            if runtime.address:
                _join(runtime.address)
            else:
                _start_here()
    except (OSError, RuntimeError, ValueError, RayError) as error:
        if isinstance(error, ConfigError):
            raise
        reason = " ".join(str(error).split())
        if runtime.address:
            raise ConfigError(
                f"cannot join the Ray cluster at {runtime.address!r} ({reason}); leave --address "
                "out to use this machine alone"
            ) from error
        raise ConfigError(
            f"Ray does not start on this machine ({reason}); it needs space in /tmp (or in "
            "RAY_TMPDIR) and in /dev/shm"
        ) from error
    guardian = None if runtime.address else _guardian()
    if threading.current_thread() is threading.main_thread():
        for event in (_interrupted, _gentle, _stopping):
            event.clear()
        # Ray's C++ handler would abort the process with a stack trace.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _interrupt)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as after nohup
            signal.signal(signal.SIGHUP, _interrupt)
    try:
        with _watched(runtime.address, say=say, last_word=last_word):
            yield
    finally:
        # Collecting a handle during the shutdown, in any thread, would kill this process.
        gc.collect()
        ray.shutdown()
        if guardian is not None:
            guardian.kill()
            guardian.communicate()


@contextlib.contextmanager
def _watched(
    address: str, *, say: Callable[[str], None], last_word: Callable[[str], None]
) -> Iterator[None]:
    """Watch what everything depends on: Ray's processes here, and the head of a cluster joined."""
    watched = {os.pidfd_open(pid): name for pid, name in _indispensable(address).items()}
    over, end = os.pipe()
    asked = _head() if address else None

    def watch() -> None:
        unanswered = 0
        while True:
            ready, _, _ = select.select([over, *watched], [], [], _ASK_EVERY_S if asked else None)
            if over in ready:
                return
            if ready:
                names = " and ".join(watched[number] for number in ready)
                last_word(f"{names} of Ray died on this machine, and this command ends with it")
                os._exit(1)
            assert asked is not None
            try:
                _greet(*asked)
                unanswered = 0
            except OSError:
                unanswered += 1
            if unanswered == 2:
                say(
                    f"the head of the Ray cluster at {address} does not answer; if it stays away "
                    "for a minute, this command ends, and the same command goes on from here"
                )

    thread = threading.Thread(target=watch, name="watch of Ray", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.close(end)
        thread.join()
        for number in (over, *watched):
            os.close(number)


def _indispensable(address: str) -> dict[int, str]:
    """Return process id -> name of the processes on this host that no launch outlives."""
    if not hasattr(os, "pidfd_open"):
        return {}  # Linux only
    from ray._private.worker import _global_node

    assert _global_node is not None, "Ray is connected"
    if not address:
        kinds = {"raylet": "the raylet", "gcs_server": "the GCS"}
        started = _global_node.all_processes
        return {started[kind][0].process.pid: name for kind, name in kinds.items()}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(_global_node.raylet_socket_name)
        size = struct.calcsize("3i")  # process, user, group
        facts = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    pid = struct.unpack("3i", facts)[0]
    return {pid: "the raylet"} if pid else {}  # 0 for a process outside of this container


def _head() -> tuple[str, int]:
    import ray

    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    return host.strip("[]"), int(port)


def _guardian() -> subprocess.Popen[bytes] | None:
    """Start a process that ends what this process has started, should this one be killed.

    Two helpers of Ray notice only after minutes that nobody needs them anymore. Workers, which come
    and go, end by themselves.
    """
    if not Path("/proc/self/stat").exists():
        return None  # Linux only
    pids = [name for name in os.listdir("/proc") if name.isdecimal()]
    facts = {pid: _facts(pid) for pid in pids}
    family = [str(os.getpid())]
    for member in family:
        family += [pid for pid, (parent, _) in facts.items() if parent == member]
    return subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", _GUARDIAN]
        + [f"{pid}:{facts[pid][1]}" for pid in family[1:]],
        stdin=subprocess.PIPE,
        start_new_session=True,  # an interrupt from the terminal does not end it
    )


def _facts(pid: str) -> tuple[str, str]:
    """Return the parent of a process and its start in ticks; empty if it has ended."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return fields[1], fields[19]
    return "", ""


_GUARDIAN = """
import os, sys, time
sys.stdin.read()  # ends when the other process does
time.sleep(3)  # most end by themselves
for child in sys.argv[1:]:
    pid, born = child.split(":")
    try:
        with open(f"/proc/{pid}/stat") as file:
            if file.read().rpartition(")")[2].split()[19] == born:
                os.kill(int(pid), 9)
    except OSError:
        pass
"""


def _join(address: str) -> None:
    """Connect to a cluster with this machine's token.

    Raises:
        ConfigError: The cluster asks for another token, or has other versions than this process.
    """
    import ray

    _require_token(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
    except RuntimeError as error:
        if "Version mismatch" not in str(error):
            raise
        found = re.findall(r"Ray: (\S+)\s+Python: (\S+)", str(error))
        there, here = [" on Python ".join(one) for one in found] or ("another", "this one")
        raise ConfigError(
            f"the cluster at {address!r} runs Ray {there}, and this command Ray {here}; install "
            "the packages of one requirements.lock, and one Python, on both"
        ) from None
    try:
        _require_same_versions()
    except BaseException:
        ray.shutdown()
        raise


def _require_token(address: str) -> None:
    """Raise a `ConfigError` if a cluster refuses this machine's token, or the lack of one.

    Ray itself tries for 20 seconds, and then only says that it failed to connect.
    """
    from ray._private.authentication.authentication_token_setup import (
        maybe_enable_token_auth_if_token_available,
    )
    from ray._private.services import canonicalize_bootstrap_address
    from ray._raylet import AuthenticationTokenLoader, GcsClient  # type: ignore
    from ray.exceptions import AuthenticationError

    def is_admitted() -> bool:
        try:
            GcsClient(address=canonicalize_bootstrap_address(address))
        except AuthenticationError:
            return False
        return True

    # First without: a process that has read its token gets no worker of a cluster that asks for
    # none.
    if "RAY_AUTH_MODE" not in os.environ and is_admitted():
        return
    enabled = maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    has_token = AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True)
    if (has_token or not enabled) and is_admitted():
        return
    if not has_token:
        problem = f"asks for a token, and there is none here ({_TOKEN_PLACES})"
    elif not enabled:
        problem = f"asks for a token, and RAY_AUTH_MODE is {os.environ['RAY_AUTH_MODE']!r} here"
    else:
        problem = f"refuses the token that is here ({_TOKEN_PLACES})"
    way_out = "set it to token" if has_token and not enabled else "copy the token of its head here"
    raise ConfigError(f"the Ray cluster at {address!r} {problem}; {way_out}")


def _versions() -> dict[str, str]:
    """Return what must be the same on all nodes of a cluster."""
    packages = {name: importlib.metadata.version(name) for name in ("ray", "torch")}
    return {
        "Python": platform.python_version(),
        **packages,
        "code of this package": source_digest(),
    }


def _require_same_versions() -> None:
    """Raise a `ConfigError` that names every node with other versions than this process.

    Nodes that are too busy to answer soon are believed. Ray itself refuses one that joins later
    with another Ray or Python.
    """
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(num_cpus=0, max_retries=0)(_versions)
    asked = {}
    for node in ray.nodes():
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked[ask.options(scheduling_strategy=there).remote()] = node["NodeManagerAddress"]
    here, differ = _versions(), []
    answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=VERSIONS_S)
    for answer in answered:
        try:
            there = ray.get(answer)
        except RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, ImportError):  # else it left meanwhile
                differ.append(f"{asked[answer]} lacks what this command needs ({cause})")
            continue
        others = [
            f"{name} {there.get(name)} instead of {version}"
            for name, version in here.items()
            if there.get(name) != version
        ]
        if others:
            differ.append(f"{asked[answer]} has {', '.join(others)}")
    if differ:
        raise ConfigError(
            f"{len(differ)} of {len(asked)} nodes of the cluster differ from this command: node "
            f"{'; node '.join(sorted(differ))}. Install the packages of one requirements.lock and "
            "the same code of this package on every node and here, as `ray up` does"
        )


def _start_here() -> None:
    """Start Ray on this machine, behind a token and on its loopback address alone."""
    import ray
    from ray._private import ray_constants, services

    # A signal to the process group of this command, from a terminal or a scheduler, is for this
    # process alone: without their raylet, its workers could not save the step at which they are.
    popen, services.ConsolePopen = services.ConsolePopen, _NewSession  # type: ignore
    # Where Ray takes no other hosts, its servers listen on loopback, like on macOS and Windows. The
    # variable is for Ray's processes, and this process has read it already.
    given, taken = os.environ.get(_LOOPBACK), ray_constants.ENABLE_RAY_CLUSTER
    if given is None:
        os.environ[_LOOPBACK], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    finally:
        services.ConsolePopen = popen
        if given is None:
            os.environ.pop(_LOOPBACK, None)
            ray_constants.ENABLE_RAY_CLUSTER = taken
    with contextlib.suppress(OSError):  # Ray makes it readable to all
        (Path.home() / ".ray" / "auth_token").chmod(0o600)


class _NewSession(subprocess.Popen[bytes]):
    """A process in a session of its own; the kernel still ends it with the one that started it."""

    def __init__(self, *arguments: Any, **settings: Any):
        super().__init__(*arguments, **settings, start_new_session=True)


def raise_if_interrupted() -> None:
    """Raise an interrupt swallowed by other code.

    Ray's callbacks from C++ ignore exceptions, including interrupts.
    """
    if _interrupted.is_set():
        raise KeyboardInterrupt


@contextlib.contextmanager
def first_interrupt_noted() -> Iterator[None]:
    """Let the first interrupt only set `is_stopping`; the second is raised as ever."""
    _stopping.clear()
    _gentle.set()
    try:
        yield
    finally:
        _gentle.clear()


def is_stopping() -> bool:
    """Whether an interrupt was noted."""
    return _stopping.is_set()


def _interrupt(number: int, frame: object) -> None:
    if _gentle.is_set() and not _stopping.is_set():
        _stopping.set()
        return
    _interrupted.set()
    raise KeyboardInterrupt


class _Screen(io.FileIO):
    """A terminal that may hang up while trials save what they have."""

    def write(self, data: Any, /) -> int:
        """Write, or say that it was written where nobody can read it anymore."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return len(data)


@contextlib.contextmanager
def terminal(log: Path) -> Iterator[Console]:
    """Send this process's standard output and error to a file, and yield the real terminal.

    Args:
        log: File to append to; its folder is created.

    Raises:
        ConfigError: The log cannot be written.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = open(log, "ab", 0)
    except OSError as error:
        raise ConfigError(
            f"cannot write the log {log} ({error.strerror}); make room for it there, or name "
            "another --store, and another XDG_CACHE_HOME for a store that is on no disk"
        ) from error
    sys.stdout.flush()
    sys.stderr.flush()
    saved_out, saved_err = os.dup(1), os.dup(2)
    stream = io.TextIOWrapper(_Screen(os.dup(saved_err), "wb"), write_through=True)
    with file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield Console(file=stream, width=None if stream.isatty() else 100)
    finally:
        for number, buffered in ((1, sys.stdout), (2, sys.stderr)):
            try:
                buffered.flush()
            except OSError:  # disk of the log is full; its lines do not belong on the terminal
                with open(os.devnull, "wb") as nowhere:
                    os.dup2(nowhere.fileno(), number)
                buffered.flush()
        os.dup2(saved_out, 1)
        os.dup2(saved_err, 2)
        for descriptor in (saved_out, saved_err):
            os.close(descriptor)
        stream.close()
