"""Start or join Ray, keep it quiet, and leave nothing behind.

Ray writes from Python and from C++ to whatever is the standard error. While a session is open,
both standard streams of this process go to a log file; a person's lines go through `terminal`,
which holds the real one.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from orchestrator.config import Runtime
from orchestrator.errors import ConfigError

CONNECT_S = 10.0
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
    """Raise a `ConfigError` at once for what would otherwise be waited for, perhaps for ever.

    An address must be one, and something must listen there. Without an address, this machine must
    have the CPUs and GPUs that one trial asks for; a cluster may grow.
    """
    if not runtime.address:
        _require_here(runtime)
        return
    host, _, port = runtime.address.removeprefix("ray://").rpartition(":")
    if runtime.address == "auto":
        return
    if not host or not port.isdecimal():
        raise ConfigError(
            f"{runtime.address!r} is no address of a Ray cluster (valid: auto, HOST:PORT, "
            "ray://HOST:PORT); leave --address out to use this machine alone"
        )
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except OSError as error:
        raise _no_cluster(runtime.address, error) from None


def _require_here(runtime: Runtime) -> None:
    cpus, gpus = os.cpu_count() or 1, 0
    if runtime.gpus_per_worker > 0:
        import torch

        gpus = torch.cuda.device_count()
    workers = runtime.num_workers
    for kind, wanted, here, flags in (
        ("GPUs", workers * runtime.gpus_per_worker, gpus, "--num-workers or --gpus-per-worker"),
        ("CPUs", workers * runtime.cpus_per_worker, cpus, "--num-workers"),
    ):
        if wanted > here:
            raise ConfigError(
                f"one trial asks for {wanted:g} {kind} and this machine has {here}; lower "
                f"{flags}, or name a cluster with --address"
            )


def _no_cluster(address: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"no Ray cluster answers at {address!r} ({error}); start one with `ray up`, or leave "
        "--address out to use this machine alone"
    )


@contextlib.contextmanager
def ray_session(runtime: Runtime) -> Iterator[None]:
    """Connect to the cluster of `runtime.address`, or start one on this machine alone.

    On the way out the connection ends; a cluster that was started here ends with all its
    processes, also after an interrupt.

    Raises:
        ConfigError: no cluster answers at the address.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    try:
        ray.init(
            address=runtime.address or "local",
            include_dashboard=False if not runtime.address else None,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_cluster(runtime.address, error) from error
    if threading.current_thread() is threading.main_thread():
        _interrupted.clear()
        # Ray's own handler of the C++ side would abort the process, with its stack.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
    try:
        yield
    finally:
        ray.shutdown()


def raise_if_interrupted() -> None:
    """Raise the interrupt that was asked for, if somebody's code swallowed it on its way.

    Ray's callbacks from C++ ignore what is raised in them, an interrupt among it.
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
        log: appended to; its folder is made.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved_out, saved_err = os.dup(1), os.dup(2)
    stream = io.TextIOWrapper(os.fdopen(os.dup(saved_err), "wb", 0), write_through=True)
    with open(log, "ab", 0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield Console(file=stream, width=None if stream.isatty() else 100)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(saved_out, 1)
        os.dup2(saved_err, 2)
        for descriptor in (saved_out, saved_err):
            os.close(descriptor)
        stream.close()
