"""Plans, records, and what a server shows of them."""

from dataclasses import replace

import numpy as np

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

EXPERIMENT = {
    "dataset": {"name": "esc", "arguments": {"fingerprint": "sha256:" + "ab" * 32}},
    "model": {"name": "datar_tiny", "arguments": {"depths": [2, 2], "drop": 0.1, "init": None}},
    "epochs": 3,
    "batch_size": 32,
    "seed": 0,
    "fold": 1,
}
EXPERIMENTS: dict[str, dict] = {}
"""Id -> the experiment that it is the id of."""


def make_plan(sweep: str = "lambda", arms=("base", "more"), seeds=(0, 1, 2)) -> PlanRecord:
    return PlanRecord(
        sweep=sweep,
        question="Does the adaptor help?",
        metric="val/top1",
        selection="last",
        baseline=arms[0],
        arms=tuple(
            ArmRecord(
                name=arm,
                levels={"strength": str(index)},
                changes={"transform.strength": f"{index / 10}"} if index else {},
                published={"val/top1": 80.0 + index},
            )
            for index, arm in enumerate(arms)
        ),
        contrasts=tuple(ContrastRecord(arm=arm, reference=arms[0]) for arm in arms[1:]),
        trials=tuple(
            TrialKey(id=trial_id(arm, seed), arm=arm, seed=seed, fold=1)
            for seed in seeds
            for arm in arms
        ),
        settings={"model": "datar_tiny", "transform.strength": 0.0, "epochs": 3},
        source="Table 2",
        command="python sweeps/adaptor_lambda.py",
        declared_at="2026-01-01T00:00:00.000+00:00",
    )


def trial_id(arm: str, seed: int) -> str:
    experiment = {**EXPERIMENT, "seed": seed, "note": arm}
    made = experiment_id(experiment)
    EXPERIMENTS[made] = experiment
    return made


def make_record(trial: str, *, epochs: int = 3, status: Status = Status.FINISHED) -> TrialRecord:
    start = sum(trial.encode()) % 50 / 100
    ended = {"ended_at": "2026-01-01T01:00:00.000+00:00"} if status is not Status.RUNNING else {}
    return TrialRecord(
        id=trial,
        status=status,
        experiment=EXPERIMENTS.get(trial, EXPERIMENT),
        epochs=tuple(
            EpochRecord(
                epoch=epoch,
                metrics={
                    "train/loss": 2.0 / epoch,
                    "val/top1": start + epoch / 10,
                    "val/loss": 1.0 / epoch,
                    "time/epoch_s": 60.0,
                },
            )
            for epoch in range(1, epochs + 1)
        ),
        best_epoch=epochs,
        cost=Cost(seconds=200.0, num_params=1000, macs=10**9),
        data={"name": "esc", "fingerprint": "sha256:" + "ab" * 32, "num_train": 100},
        provenance={
            "started_at": "2026-01-01T00:10:00.000+00:00",
            "git_commit": "0123456789ab",
            "code": "0.1.0+0123456",
            "torch": "2.11.0",
            **ended,
        },
        error="Traceback ...\nTrainingError: the loss is not finite" * (status is Status.FAILED),
    )


def write_all(store: Store, plan: PlanRecord, **kwargs) -> dict[str, TrialRecord]:
    store.write_plan(plan)
    records = {trial.id: make_record(trial.id, **kwargs) for trial in plan.trials}
    for record in records.values():
        store.write_record(record)
    return records


def make_predictions(trial: str, *, clips: int = 12, classes: int = 3) -> Predictions:
    """Made-up predictions, the same for the same trial."""
    rng = np.random.default_rng(sum(trial.encode()))
    return Predictions(
        epoch=3,
        clip_ids=tuple(f"clip-{i}" for i in range(clips)),
        targets=Targets.of_labels(np.arange(clips) % classes, num_classes=classes),
        logits=rng.normal(size=(clips, classes)).astype(np.float32),
    )


def write_predictions(store: Store, record: TrialRecord, *, clips: int = 12) -> TrialRecord:
    """Write a trial's predictions and the record that they give, and return that record."""
    made = make_predictions(record.id, clips=clips)
    *before, last = record.epochs
    scored = replace(
        record,
        epochs=(*before, replace(last, metrics={**last.metrics, **made.scores()})),
        predictions={"last": store.write_predictions(record.id, "last", made)},
    )
    store.write_record(scored)
    return scored


def snapshot(uri: str, sweep: str) -> dict:
    """All that a server shows of a sweep, metric histories and deleted runs included."""
    from mlflow.entities import ViewType
    from mlflow.tracking.client import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(sweep)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)
    return {
        run.info.run_id: {
            "name": run.info.run_name,
            "stage": run.info.lifecycle_stage,
            "status": run.info.status,
            "start": run.info.start_time,
            "end": run.info.end_time,
            "tags": run.data.tags,
            "params": run.data.params,
            "metrics": run.data.metrics,
            "inputs": [
                (one.dataset.name, one.dataset.digest, [(tag.key, tag.value) for tag in one.tags])
                for one in run.inputs.dataset_inputs
            ],
            "history": {
                key: [
                    (m.step, m.timestamp, m.value)
                    for m in client.get_metric_history(run.info.run_id, key)
                ]
                for key in run.data.metrics
            },
        }
        for run in runs
    }


def of_kind(shown: dict, kind: str) -> dict[str, dict]:
    """The active runs of a kind: name -> run, with its id."""
    return {
        run["name"]: {**run, "id": run_id}
        for run_id, run in shown.items()
        if run["tags"].get("orchestrator.kind") == kind and run["stage"] == "active"
    }
