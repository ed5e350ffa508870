"""How many workers share a host, and what each of them gets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.experiment.config import Runtime

USABLE_MEMORY = 0.9
"""Share of a device's memory that trials may plan for; fragments and other steps take the rest."""

MAX_TRIALS = 100
"""Most trials that a pilot puts on one GPU."""

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

    def holds(self, runtime: Runtime) -> int:
        """Return how many workers of a runtime its CPUs and GPUs hold."""
        by_cpus = int(self.cpus // max(1, runtime.cpus_per_worker))
        if runtime.gpus_per_worker <= 0:
            return by_cpus
        return min(by_cpus, self.workers(runtime.gpus_per_worker))

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs" + (f" and {self.gpus:g} GPUs" if self.gpus else "")


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


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a trial takes of a device that it has to itself.

    Attributes:
        arm: Arm that was measured.
        peak_mb: Memory at its peak, with what the device's runtime takes for a process.
        total_mb: Memory of the device.
        busy: Share of the time in which the device computes, from 0 to 1.
        has_mps: Whether kernels of several processes run side by side (NVIDIA's Multi-Process
            Service); otherwise they take turns.
    """

    arm: str
    peak_mb: float
    total_mb: float
    busy: float
    has_mps: bool = False

    def trials_per_gpu(self, cpus_per_gpu: float) -> int:
        """Return how many trials keep a GPU busy without filling its memory.

        Each needs a CPU of its own, since the device waits for the Python of small trials.

        Args:
            cpus_per_gpu: CPUs of the host for each of its GPUs.
        """
        by_memory = int(USABLE_MEMORY * self.total_mb / self.peak_mb)
        by_time = math.ceil(1 / max(self.busy, 1 / MAX_TRIALS))
        return max(1, min(by_memory, by_time, int(cpus_per_gpu)))


def share_of_gpu(trials: int) -> float:
    """Return the GPUs of one worker where that many share one, in Ray's steps of 1/10,000."""
    return 10_000 // trials / 10_000


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
