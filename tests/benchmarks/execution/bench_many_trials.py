"""What 500 trials on four nodes cost besides their training, and what they leave behind.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.execution.bench_many_trials

Four raylets of one CPU each stand in for four hosts. A trial is that of `tests/tiny.py` with one
epoch, 0.05 s on an idle core, so that nearly all of its time is the program's own. Prints
a row per 100 trials: wall seconds, CPU seconds of the driver, its memory, threads and open files,
and the workers and processes of Ray; then what is left once the session has ended.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import ray
from ray.cluster_utils import Cluster
from rich.console import Console

from orchestrator.design.factors import Trial
from orchestrator.execution.progress import SweepProgress
from orchestrator.execution.ray_session import ray_session
from orchestrator.execution.tune import run_trials
from orchestrator.experiment.config import Runtime
from orchestrator.records import Status
from orchestrator.store import Store
from tests import tiny

NODES = 4


class Measured(SweepProgress):
    """Prints what the driver holds after every so many trials."""

    def __init__(self, trials: list[Trial], every: int, out: Any):
        super().__init__(Console(file=io.StringIO()), trials)
        self._every, self._out = every, out
        self._me = psutil.Process()
        self._at, self._cpu = time.perf_counter(), self._cpu_s()

    def _cpu_s(self) -> float:
        used = self._me.cpu_times()
        return used.user + used.system

    def ended(self, trial_id: str, status: Status, note: str = "") -> None:
        """Count a trial, and print a row where it is time."""
        super().ended(trial_id, status, note)
        if len(self.done) % self._every:
            return
        now, cpu = time.perf_counter(), self._cpu_s()
        family = self._me.children(recursive=True)
        workers = sum(1 for one in family if _name(one).startswith("ray::"))
        print(
            f"| {len(self.done)} | {now - self._at:.0f} | {cpu - self._cpu:.1f} "
            f"| {self._me.memory_info().rss / 1e6:.0f} | {self._me.num_threads()} "
            f"| {self._me.num_fds()} | {workers} | {len(family)} |",
            file=self._out,
            flush=True,
        )
        self._at, self._cpu = now, cpu


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=500, help="trials (%(default)s)")
    parser.add_argument("--every", type=int, default=100, help="trials of a row (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        experiments = [tiny.experiment(seed=seed, epochs=1) for seed in range(options.trials)]
        store = tiny.store_with_pack(Path(folder), experiments[0])
        trials = [
            Trial(arm="no-op", seed=one.seed, fold=one.fold, experiment=one, id=one.id)
            for one in experiments
        ]
        before = {process.pid for process in psutil.process_iter()}
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        for _ in range(NODES - 1):
            cluster.add_node(num_cpus=1)
        head = ("trials", "wall s", "driver CPU s", "driver MB", "threads", "files")
        print("|", " | ".join((*head, "workers", "processes")), "|\n|" + "--:|" * 8, flush=True)
        started = time.perf_counter()
        with ray_session(Runtime(address=cluster.address)):
            progress = Measured(trials, options.every, sys.stdout)
            quiet = io.StringIO()
            with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet), progress:
                runtime = Runtime(address=cluster.address, store=store.uri)
                run_trials(trials, runtime=runtime, store=store, progress=progress)
            wall = time.perf_counter() - started
            time.sleep(10)  # the last workers end
            free, total = ray.available_resources().get("CPU"), ray.cluster_resources()["CPU"]
            groups = ray.util.placement_group_table().values()
            left = sum(group["state"] != "REMOVED" for group in groups)
        cluster.shutdown()
        _report(store, trials, wall)
        print(f"CPUs free at the end: {free:g} of {total:g}; placement groups left: {left}")
        time.sleep(5)
        mine = {process.pid for process in psutil.Process().children(recursive=True)}
        print(
            f"processes left: {len(mine - before)}; load of this machine: {os.getloadavg()[1]:.1f}"
        )


def _report(store: Store, trials: list[Trial], wall_s: float) -> None:
    records = list(store.read_records(trial.id for trial in trials).values())
    assert len(records) == len(trials) and {one.status for one in records} == {Status.FINISHED}
    hosts = {record.provenance["host"] for record in records}
    trained = sum(epoch.metrics["time/epoch_s"] for one in records for epoch in one.epochs)
    attempts = sum(record.cost.attempts for record in records)
    each = (wall_s * NODES - trained) / len(trials)
    print(
        f"\n{len(trials)} trials on {NODES} nodes ({len(hosts)} machine), {attempts} attempts: "
        f"{wall_s:.0f} s, of which a trial's epoch {trained / len(trials):.2f} s; overhead per "
        f"trial {each:.2f} s of a slot, {wall_s / len(trials):.2f} s of the sweep"
    )


if __name__ == "__main__":
    main()
