"""What a sweep costs besides the training of its trials.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.execution.bench_sweep

Prints the tables of `sweep.md`, all measured in one run on this machine's cores, on Ray:

- busy: the seconds of all epochs of a real sweep (`sweeps/adaptor_lambda.py --demo`, 36 trials)
  over the seconds from the first step of any trial to the end of the last one, times the slots;
- overhead: the wall seconds of a sweep of tiny trials on a Ray that has started, times the slots,
  less the seconds of all epochs, per trial;
- nested: the same, for the pattern that Ray documents for trials of Ray Train: a Tuner over a
  function that fits a TorchTrainer of one worker, which does nothing but report once.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator.design.factors import Trial
from orchestrator.execution.options import parse
from orchestrator.execution.prepare import prepare
from orchestrator.execution.progress import SweepProgress
from orchestrator.execution.ray_session import ray_session
from orchestrator.execution.tune import run_trials
from orchestrator.experiment.config import Runtime
from orchestrator.records import Status, TrialRecord
from orchestrator.store import Store
from tests import tiny

ROOT = Path(__file__).resolve().parents[3]
SLOTS = os.cpu_count() or 1


def demo(place: Path) -> tuple[list[TrialRecord], float]:
    """Run the demo sweep by its command; return its records and the whole seconds."""
    store = str(place / "demo")
    sweep = ROOT / "sweeps" / "adaptor_lambda.py"
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, str(sweep), "--demo", "--store", store],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - started
    spec = importlib.util.spec_from_file_location("sweep", sweep)
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    plan = prepare(module.PLAN, parse(["--demo", "--store", store], description="")).plan
    records = Store.open(store).read_records(trial.id for trial in plan.trials())
    return list(records.values()), seconds


def tiny_sweep(place: Path, count: int) -> tuple[list[TrialRecord], float]:
    """Train tiny trials on a Ray that has started; return their records and the seconds."""
    experiments = [tiny.experiment(seed=seed, epochs=1) for seed in range(count)]
    store = tiny.store_with_pack(place / "tiny", experiments[0])
    trials = [
        Trial(arm="tiny", seed=one.seed, fold=one.fold, experiment=one, id=one.id)
        for one in experiments
    ]
    progress = SweepProgress(Console(file=io.StringIO()), trials)
    started = time.perf_counter()
    run_trials(trials, runtime=Runtime(store=store.uri), store=store, progress=progress)
    seconds = time.perf_counter() - started
    return list(store.read_records(trial.id for trial in trials).values()), seconds


def nested(place: Path, count: int) -> float:
    """Fit a Tuner over TorchTrainers that report once; return the seconds."""
    import ray.train
    from ray import tune
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    storage = str(place / "nested")

    def work(config: dict[str, Any]) -> None:
        ray.train.report({"loss": 1.0})

    def drive(config: dict[str, Any]) -> None:
        TorchTrainer(
            work,
            scaling_config=ray.train.ScalingConfig(num_workers=1, resources_per_worker={"CPU": 1}),
            run_config=ray.train.RunConfig(
                name=f"nested-{config['number']}",
                storage_path=storage,
                callbacks=[TuneReportCallback()],
            ),
        ).fit()

    tuner = tune.Tuner(
        tune.with_resources(drive, {"cpu": 0, "node:__internal_head__": 0.001}),
        param_space={"number": tune.grid_search(list(range(count)))},
        tune_config=tune.TuneConfig(max_concurrent_trials=SLOTS),
        run_config=tune.RunConfig(storage_path=storage, verbose=0),
    )
    started = time.perf_counter()
    results = tuner.fit()
    seconds = time.perf_counter() - started
    assert not results.errors, results.errors
    return seconds


def _trained_s(records: Iterable[TrialRecord]) -> float:
    records = list(records)
    assert all(record.status is Status.FINISHED for record in records)
    return sum(epoch.metrics["time/epoch_s"] for record in records for epoch in record.epochs)


def _span_s(records: Iterable[TrialRecord]) -> float:
    def at(record: TrialRecord, key: str) -> float:
        return datetime.fromisoformat(record.provenance[key]).timestamp()

    records = list(records)
    first_step = min(at(record, "started_at") + record.cost.set_up_s for record in records)
    return max(at(record, "ended_at") for record in records) - first_step


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", type=int, default=100, help="tiny trials (%(default)s)")
    parser.add_argument("--nested", type=int, default=6, help="nested trials (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        records, whole_s = demo(place)
        trained, span = _trained_s(records), _span_s(records)
        print("| sweep | trials | slots | epochs s | span s | busy | command s |")
        print("|:--|--:|--:|--:|--:|--:|--:|")
        print(
            f"| adaptor_lambda --demo | {len(records)} | {SLOTS} | {trained:.0f} | {span:.0f} "
            f"| {100 * trained / span / SLOTS:.1f} % | {whole_s:.0f} |\n",
            flush=True,
        )
        print("| pattern | trials | wall s | overhead per trial s |")
        print("|:--|--:|--:|--:|")
        with ray_session(Runtime()), contextlib.redirect_stdout(io.StringIO()):
            records, wall = tiny_sweep(place, options.tiny)
            nested_wall = nested(place, options.nested)
        ours = (wall * SLOTS - _trained_s(records)) / options.tiny
        theirs = nested_wall * SLOTS / options.nested
        print(f"| this program | {options.tiny} | {wall:.1f} | {ours:.2f} |")
        print(f"| nested | {options.nested} | {nested_wall:.1f} | {theirs:.2f} |")
        print(f"\nThe nested pattern takes {theirs / ours:.0f} times as much.")


if __name__ == "__main__":
    main()
