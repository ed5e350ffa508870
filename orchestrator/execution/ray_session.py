"""Start or join Ray, keep it quiet, and leave nothing behind.

Ray writes to standard error from Python and from C++. While a session is open, both standard
streams of this process go to a log file; messages to the user go through `terminal`, which holds
the real stream.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import io
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from orchestrator.errors import ConfigError
from orchestrator.execution.packing import Host, cpu_share
from orchestrator.experiment.config import Runtime
from orchestrator.waiting import to_terminal, waiting

CONNECT_S = 5.0
_SETTINGS = 4
# HTTP/2 preface and an empty SETTINGS frame; a server answers with its own (RFC 9113).
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0])
_interrupted = threading.Event()

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
    if address.startswith("ray://") and importlib.util.find_spec("grpc") is None:
        raise ConfigError(
            f"{address!r} needs packages that are not installed; install 'ray[client]' in the "
            "version of the cluster, or run the command on a host of the cluster with "
            "--address auto"
        )
    try:
        with waiting(f"waiting for an answer of {address}"):
            _greet(host, port)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"no Ray cluster answers at {address!r} ({error}); start one with `ray up`, or leave "
            "--address out to use this machine alone"
        ) from None


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    valid = host and not re.search(r"[/@\s]", host) and (bracketed or ":" not in host)
    if not valid or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise ConfigError(
            f"{address!r} is no address of a Ray cluster (valid: auto, HOST:PORT, "
            "ray://HOST:PORT); leave --address out to use this machine alone"
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
def ray_session(runtime: Runtime, *, say: Callable[[str], None] = to_terminal) -> Iterator[None]:
    """Connect to the cluster of `runtime.address`, or start a local one.

    On exit, the connection closes; a cluster started here shuts down with all its processes, even
    after an interrupt.

    Args:
        runtime: Address and resources.
        say: Function that writes one line to the terminal if the cluster is slow to answer.

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
            ray.init(
                address=runtime.address or "local",
                include_dashboard=False if not runtime.address else None,
                log_to_driver=False,
                logging_level=logging.WARNING,
            )
    except (OSError, RuntimeError, ValueError, RayError) as error:
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
        _interrupted.clear()
        # Ray's C++ handler would abort the process with a stack trace.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
    try:
        yield
    finally:
        # Collecting a handle during the shutdown, in any thread, would kill this process.
        gc.collect()
        ray.shutdown()
        if guardian is not None:
            guardian.kill()
            guardian.communicate()


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


def with_cpu_share(runtime: Runtime) -> Runtime:
    """Fill in the CPUs of a worker from the hosts of the connected Ray cluster."""
    if runtime.cpus_per_worker:
        return runtime
    return replace(runtime, cpus_per_worker=cpu_share(hosts(), runtime.gpus_per_worker))


def hosts() -> list[Host]:
    """Return the hosts of the connected Ray cluster."""
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Host(cpus=has.get("CPU", 0), gpus=has.get("GPU", 0)) for has in alive]


def raise_if_interrupted() -> None:
    """Raise an interrupt swallowed by other code.

    Ray's callbacks from C++ ignore exceptions, including interrupts.
    """
    if _interrupted.is_set():
        raise KeyboardInterrupt


def _interrupt(number: int, frame: object) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


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
    stream = io.TextIOWrapper(os.fdopen(os.dup(saved_err), "wb", 0), write_through=True)
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
