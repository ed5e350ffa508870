"""Made-up plans and records; none of these numbers was measured."""

import dataclasses
import itertools

import numpy as np

from orchestrator.analysis.outcomes import Outcomes, no_predictions
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
)
from orchestrator.report.plots.plot import PlotData
from orchestrator.report.plots.svg import styles

CLASSES = ("dog", "rooster", "rain", "sea waves", "crackling fire", "siren", "clock tick", "cat")


def make_plan(
    arms=("no adaptor", "λ=0.001", "λ=0.01", "λ=0.1"), *, seeds=8, folds=(1,), **overrides
):
    """A dose series; pass `ArmRecord`s for another shape."""
    made = []
    for arm in arms:
        if isinstance(arm, str):
            dosed = "=" in arm
            changes = {"transform": "adaptor", "transform.strength": arm[2:]} if dosed else {}
            arm = ArmRecord(name=arm, levels={"λ": arm.removeprefix("λ=")}, changes=changes)
        made.append(arm)
    trials = tuple(
        TrialKey(id=f"{i:04d}-{seed}-{fold}", arm=arm.name, seed=seed, fold=fold)
        for fold, seed in itertools.product(folds, range(seeds))
        for i, arm in enumerate(made)
    )
    values = {
        "sweep": "adaptor_lambda-demo",
        "question": "Does the adaptor help, and at which λ?",
        "metric": "val/top1",
        "selection": "last",
        "baseline": made[0].name,
        "arms": tuple(made),
        "contrasts": tuple(
            ContrastRecord(arm=arm.name, reference=made[0].name) for arm in made[1:]
        ),
        "trials": trials,
        "settings": {"transform": "identity", "model": "datar_tiny", "epochs": 20, "seed": 0},
        "dose": "transform.strength",
        "dataset": {"name": "esc50", "fingerprint": "sha256:12ab", "class_names": CLASSES},
        "command": "python sweeps/adaptor_lambda.py --demo",
        "declared_at": "2026-01-05T12:00:00Z",
    }
    return PlanRecord(**{**values, **overrides})


def make_record(trial_id, *, top1=0.6, epochs=20, status=Status.FINISHED, error="", **cost):
    """A trial whose validation top-1 rises to `top1` at its last epoch."""
    made = tuple(
        EpochRecord(
            epoch=epoch,
            metrics={
                "train/loss": 3.5 * np.exp(-epoch / 8) + 0.2,
                "val/top1": top1 * (1 - np.exp(-epoch / 4)) / (1 - np.exp(-epochs / 4)),
                "val/top5": min(1.0, top1 + 0.25),
                "val/loss": 3.5 * np.exp(-epoch / 10) + 1 - top1,
                "time/epoch_s": 2.1,
            },
        )
        for epoch in range(1, epochs + 1)
    )
    values = {
        "seconds": 42.0,
        "set_up_s": 1.5,
        "peak_memory_mb": 812.0,
        "num_params": 2_140_000,
        "macs": 361_000_000,
        "clips_per_s": 540.0,
    }
    return TrialRecord(
        id=trial_id,
        status=status,
        experiment={},
        epochs=made,
        best_epoch=epochs,
        cost=Cost(**{**values, **cost}),
        data={
            "name": "esc50",
            "fingerprint": "sha256:12ab",
            "num_clips": 1998,
            "dropped": {"1-1234-A-0": "silent", "5-777-B-1": "truncated"},
            "mean": -4.27,
            "std": 4.57,
        },
        provenance={
            "code": "0.1.0+ef9af3d",
            "torch": "2.11.0",
            "host": "node-1",
            "started_at": "2026-01-05T12:01:00Z",
        },
        error=error,
    )


def make_records(plan, effects=(), *, spread=0.012, seed=0, level=0.6):
    """Records for every trial; `effects` are added to the arms after the baseline."""
    rng = np.random.default_rng(seed)
    gains = dict(zip([arm.name for arm in plan.arms], [0.0, *effects], strict=False))
    block = {}
    records = {}
    for key in plan.trials:
        base = block.setdefault((key.seed, key.fold), rng.normal(0, 2 * spread))
        top1 = level + base + gains.get(key.arm, 0.0) + rng.normal(0, spread)
        i = [arm.name for arm in plan.arms].index(key.arm)
        records[key.id] = make_record(
            key.id,
            top1=round(top1 * 400) / 400,
            seconds=42.0 + i + rng.normal(0, 0.4),
            num_params=2_140_000 + 100_352 * (i > 0),
        )
    return records


def write_scored(store, record, *, clips=80):
    """Write a trial's made-up predictions, and its record with the metrics that they give."""
    made = make_predictions(record.id, clips=clips)
    *before, last = record.epochs
    scored = dataclasses.replace(
        record,
        epochs=(*before, EpochRecord(epoch=20, metrics={**last.metrics, **made.scores()})),
        predictions={"last": store.write_predictions(record.id, "last", made)},
    )
    store.write_record(scored)
    return scored


def make_predictions(trial_id, *, clips=80):
    """Predictions whose accuracy differs by class and arm."""
    rng = np.random.default_rng(sum(map(ord, trial_id)))
    labels = np.arange(clips) % len(CLASSES)
    logits = rng.normal(size=(clips, len(CLASSES))).astype(np.float32)
    gain = 1.0 + 0.3 * labels + 0.8 * (trial_id[3] != "0") * (labels == 2)
    logits[np.arange(clips), labels] += gain.astype(np.float32)
    names = tuple(f"clip-{i}" for i in range(clips))
    targets = Targets.of_labels(labels, num_classes=len(CLASSES))
    return Predictions(epoch=20, clip_ids=names, targets=targets, logits=logits)


def data_of(summary, outcomes=None, records=()):
    """What the plots of a study are made from."""
    return PlotData(
        summary=summary,
        records=dict(records),
        outcomes=outcomes or Outcomes(summary, no_predictions),
        styles=styles([arm.name for arm in summary.arms], summary.plan.baseline),
    )
