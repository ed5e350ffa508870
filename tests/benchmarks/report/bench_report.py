"""Time of a whole report from a store: text, page and every table, over 100 and 10,000 records.

    OMP_NUM_THREADS=1 python tests/benchmarks/report/bench_report.py

The records are made up here: arms of a dose series with paired seeds and folds, 20 epochs each,
predictions over 10 classes for the smaller study. A report is a process of its own, as a user
starts it; interpreter start is a process that does nothing, and is taken off. Medians over the
repeats, of the wall clock and of the CPU time, which a machine that others use disturbs less.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator import recipes
from orchestrator.experiment.identity import canonical, complete
from orchestrator.metrics.predictions import Predictions
from orchestrator.metrics.targets import Targets
from orchestrator.records import (
    ArmRecord,
    ContrastRecord,
    Cost,
    EpochRecord,
    PlanRecord,
    Status,
    TrialKey,
    TrialRecord,
    experiment_id,
)
from orchestrator.store import Store

EPOCHS, CLASSES, CLIPS = 20, 10, 80
BASE = canonical(complete(recipes.datar_laptop()))


def main() -> None:
    """Print one JSON line per study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--studies",
        nargs="*",
        default=["5x20", "100x100", "1000x10"],
        metavar="ARMSxREPLICATES",
        help="(default: %(default)s)",
    )
    parser.add_argument("--predictions", type=int, default=1000, help="largest study with them")
    arguments = parser.parse_args()
    start = Took.median_of([sys.executable, "-c", ""], arguments.repeats)
    for study in arguments.studies:
        num_arms, num_replicates = map(int, study.split("x"))
        plan = make_plan(num_arms, num_replicates)
        with tempfile.TemporaryDirectory() as folder:
            with_predictions = len(plan.trials) <= arguments.predictions
            fill(Store.open(folder), plan, with_predictions=with_predictions)
            command = [sys.executable, "-m", "orchestrator.report", plan.sweep, "--store", folder]
            verified = Path(folder) / "sweeps" / plan.sweep / "verified.json"
            first = Took.median_of(
                [*command, "--format", "markdown"], arguments.repeats, before=verified.unlink
            )
            everything = Took.median_of(command, arguments.repeats)
            table = Took.median_of([*command, "--format", "markdown"], arguments.repeats)
            page = Path(folder) / "sweeps" / plan.sweep / "report" / "report.html"
            page_mb = page.stat().st_size / 1e6
        row = {
            "records": len(plan.trials),
            "arms": num_arms,
            "predictions": with_predictions,
            "first_markdown_s": round(first.wall_s - start.wall_s, 2),
            "first_markdown_cpu_s": round(first.cpu_s - start.cpu_s, 2),
            "all_forms_s": round(everything.wall_s - start.wall_s, 2),
            "all_forms_cpu_s": round(everything.cpu_s - start.cpu_s, 2),
            "markdown_s": round(table.wall_s - start.wall_s, 2),
            "markdown_cpu_s": round(table.cpu_s - start.cpu_s, 2),
            "interpreter_s": round(start.wall_s, 3),
            "page_mb": round(page_mb, 2),
            "cpu": platform.processor() or platform.machine(),
        }
        print(json.dumps(row), flush=True)


@dataclass(frozen=True, kw_only=True)
class Took:
    """What a process took, in seconds."""

    wall_s: float
    cpu_s: float

    @classmethod
    def median_of(
        cls, command: list[str], repeats: int, before: Callable[[], object] = lambda: None
    ) -> Took:
        """Return the medians of several runs, after one that warms the file cache."""
        walls, cpus = [], []
        for number in range(repeats + 1):
            if number:
                before()
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            walls.append(time.perf_counter() - began)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpus.append(after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime)
        return cls(wall_s=statistics.median(walls[1:]), cpu_s=statistics.median(cpus[1:]))


def make_plan(num_arms: int, num_replicates: int) -> PlanRecord:
    """Return a dose series in which every arm has a contrast with the baseline."""
    doses = [0.0, *(10 ** (-4 + 4 * i / num_arms) for i in range(1, num_arms))]
    names = ["no adaptor", *(f"λ={dose:.4g}" for dose in doses[1:])]
    arms = tuple(
        ArmRecord(name=name, levels={"λ": str(dose)}, changes={"transform.strength": str(dose)})
        for name, dose in zip(names, doses, strict=True)
    )
    return PlanRecord(
        sweep="benchmark",
        question="How long does a report take?",
        metric="val/top1",
        selection="last",
        baseline=names[0],
        arms=arms,
        contrasts=tuple(ContrastRecord(arm=name, reference=names[0]) for name in names[1:]),
        trials=tuple(
            TrialKey(id=experiment_id(experiment(name, seed)), arm=name, seed=seed, fold=1)
            for seed in range(num_replicates)
            for name in names
        ),
        settings={"model": "datar_tiny", "epochs": EPOCHS},
        dose="transform.strength",
        dataset={"name": "made up", "class_names": [f"class {i}" for i in range(CLASSES)]},
    )


def experiment(arm: str, seed: int) -> dict[str, Any]:
    """Return the canonical form of a trial's experiment."""
    return {**BASE, "note": arm, "seed": seed}


def fill(store: Store, plan: PlanRecord, *, with_predictions: bool) -> None:
    """Write a plan with a finished record for every trial."""
    rng = np.random.default_rng(0)
    store.write_plan(plan)
    base = {key.seed: rng.normal(0.6, 0.02) for key in plan.trials}
    for key in plan.trials:
        record = make_record(key, float(base[key.seed] + rng.normal(0, 0.01)), rng)
        if with_predictions:
            labels = np.arange(CLIPS) % CLASSES
            logits = rng.normal(size=(CLIPS, CLASSES)).astype(np.float32)
            logits[np.arange(CLIPS), labels] += 2
            names = tuple(f"clip-{i}" for i in range(CLIPS))
            targets = Targets.of_labels(labels, num_classes=CLASSES)
            made = Predictions(epoch=EPOCHS, clip_ids=names, targets=targets, logits=logits)
            *before, last = record.epochs
            record = replace(
                record,
                epochs=(*before, replace(last, metrics={**last.metrics, **made.scores()})),
                predictions={"last": store.write_predictions(key.id, "last", made)},
            )
        store.write_record(record)


def make_record(key: TrialKey, top1: float, rng: np.random.Generator) -> TrialRecord:
    """Return a finished trial."""
    metrics = [
        {
            "train/loss": 3.5 * float(np.exp(-epoch / 8)),
            "val/top1": top1 * float(1 - np.exp(-epoch / 4)),
            "val/top5": min(1.0, top1 + 0.2),
            "val/map": top1,
            "val/loss": 3.5 * float(np.exp(-epoch / 10)),
            "time/epoch_s": 2.0,
        }
        for epoch in range(1, EPOCHS + 1)
    ]
    return TrialRecord(
        id=key.id,
        status=Status.FINISHED,
        experiment=experiment(key.arm, key.seed),
        epochs=tuple(EpochRecord(epoch=i + 1, metrics=m) for i, m in enumerate(metrics)),
        best_epoch=EPOCHS,
        cost=Cost(seconds=40 + float(rng.normal()), num_params=2_140_000, macs=361_000_000),
        data={"name": "made up", "fingerprint": "sha256:12ab", "num_clips": 1998},
        provenance={"code": "0.1.0", "torch": "2.11.0", "host": "node-1"},
    )


if __name__ == "__main__":
    main()
