"""How many workers share a host, and what each of them gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.experiment.config import Runtime

_ROUNDING = 1e-6  # of fractions such as 1/3


@dataclass(frozen=True, kw_only=True)
class Host:
    """The resources of one host."""

    cpus: float
    gpus: float

    def workers(self, gpus_per_worker: float) -> int:
        """Return how many workers its GPUs hold; a fraction shares a card, more take whole ones."""
        if gpus_per_worker >= 1:
            return int(self.gpus // gpus_per_worker)
        return int(self.gpus) * int(1 / gpus_per_worker + _ROUNDING)


def cpu_share(hosts: Sequence[Host], gpus_per_worker: float) -> int:
    """Return the CPUs of one worker: its host's, divided by the workers that its GPUs hold.

    Args:
        hosts: Known hosts; those whose GPUs hold no worker do not count.
        gpus_per_worker: GPUs of one worker, 0 on the CPU.

    Returns:
        The smallest share of all hosts, at least 1; 1 without GPUs, or if no host has any yet.
    """
    if gpus_per_worker <= 0:
        return 1
    shares = [host.cpus // n for host in hosts if (n := host.workers(gpus_per_worker))]
    return max(1, int(min(shares, default=1)))


def fewer_at_a_time(runtime: Runtime, *, cpus: float) -> Runtime | None:
    """Return a runtime in which half as many trials share memory; None if they share none.

    Trials on GPUs share a card by their fraction of it; others share the machine.

    Args:
        runtime: Resources of a trial whose memory ran out.
        cpus: CPUs of the cluster.
    """
    if runtime.num_workers > 1 or runtime.gpus_per_worker >= 1:
        return None
    if runtime.gpus_per_worker > 0:
        return replace(runtime, gpus_per_worker=min(1.0, 2 * runtime.gpus_per_worker))
    at_once = int(cpus // runtime.cpus_per_worker)
    at_once = min(at_once, runtime.max_concurrent or at_once)
    return replace(runtime, max_concurrent=at_once // 2) if at_once > 1 else None


def at_a_time(runtime: Runtime) -> str:
    """Say how many trials share memory, for a runtime of `fewer_at_a_time`."""
    if runtime.gpus_per_worker > 0:
        return f"{int(1 / runtime.gpus_per_worker + _ROUNDING)} on a card"
    return f"{runtime.max_concurrent} at a time"
