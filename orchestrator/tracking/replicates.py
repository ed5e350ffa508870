"""From a trial's record to the run that shows it."""

from __future__ import annotations

import json
from dataclasses import asdict

from orchestrator.metrics import keys
from orchestrator.records import PlanRecord, Status, TrialKey, TrialRecord
from orchestrator.store import forms
from orchestrator.tracking.views import (
    MAX_DATASET_DIGEST,
    SWEEP,
    TAG,
    Dataset,
    Key,
    Point,
    RunView,
    as_key,
    as_tags,
    as_text,
    flat_params,
    to_ms,
)

RECORD = "record.json"
"""The artifact that holds all of a trial's record."""

_STATUS = {
    Status.RUNNING: "RUNNING",
    Status.FINISHED: "FINISHED",
    Status.FAILED: "FAILED",
}


def parent_of(plan: PlanRecord, trial: TrialKey) -> Key:
    """Return the run that a trial nests in: its arm, or the sweep for a prerequisite."""
    return SWEEP if trial in plan.prerequisites else ("arm", trial.arm)


def replicate_view(
    plan: PlanRecord, trial: TrialKey, record: TrialRecord, store: str, *, over: bool
) -> RunView:
    """Show one trial as a replicate of one arm.

    Args:
        plan: the sweep.
        trial: which of its cells.
        record: what came out.
        store: its address, shown as a tag.
        over: nobody trains it now, so the record is uploaded too: a report needs nothing else.
    """
    started = started_ms(record)
    ended = ended_ms(record) if record.status is not Status.RUNNING else None
    epochs = _epochs(record, started or 0)
    last = epochs[-1][0].timestamp_ms if epochs and epochs[-1] else started or 0
    costs = {key: value for key, value in asdict(record.cost).items() if key != "device"}
    finals: dict[str, float] = {}
    if record.status is not Status.RUNNING:
        finals |= {f"cost/{key}": value for key, value in costs.items()}
    if record.status is Status.FINISHED:
        at_selection = record.metrics_at(plan.selection)
        finals |= {f"final/{k}": v for k, v in at_selection.items() if k.startswith("val/")}
        finals["final/epoch"] = record.best_epoch if plan.selection == "best" else len(epochs)
    error = record.error.strip()
    attempt = record.cost.attempts
    return RunView(
        key=("replicate", trial.arm, trial.id),
        name=f"{trial.arm} · seed {trial.seed} · fold {trial.fold}",
        parent=parent_of(plan, trial),
        status=_STATUS[record.status],
        started_ms=started,
        ended_ms=ended,
        tags=as_tags(
            {
                **own_tags("replicate", plan, store),
                TAG + "trial_id": trial.id,
                TAG + "arm": trial.arm,
                TAG + "seed": trial.seed,
                TAG + "fold": trial.fold,
                TAG + "status": record.status.value,
                TAG + "device": record.cost.device,
                TAG + "error": error.splitlines()[-1] if error else "",
                "mlflow.source.git.commit": record.provenance.get("git_commit", ""),
                "mlflow.source.name": plan.command,
                **{f"provenance.{key}": text for key, text in record.provenance.items()},
            }
        ),
        params=flat_params(record.experiment),
        epochs=epochs,
        summary=tuple(
            Point(key=as_key(key), value=float(value), step=attempt, timestamp_ms=ended or last)
            for key, value in finals.items()
        ),
        dataset=_dataset(record),
        texts={
            **({f"error-attempt-{attempt}.txt": record.error} if error else {}),
            **({RECORD: forms.copy(record).decode()} if over else {}),
        },
    )


def _epochs(record: TrialRecord, started_ms: int) -> tuple[tuple[Point, ...], ...]:
    """Date each epoch by adding up their durations, so that the date is the same every time."""
    elapsed_s = 0.0
    epochs = []
    for epoch in record.epochs:
        elapsed_s += max(0.0, epoch.metrics.get(keys.EPOCH_S, 0.0))
        at = started_ms + round(elapsed_s * 1000)
        points = [
            Point(key=as_key(key), value=float(value), step=epoch.epoch, timestamp_ms=at)
            for key, value in epoch.metrics.items()
        ]
        epochs.append(tuple(points))
    return tuple(epochs)


def _dataset(record: TrialRecord) -> Dataset | None:
    if "name" not in record.data:
        return None
    fingerprint = as_text(record.data.get("fingerprint", "unknown"))
    facts = {key: value for key, value in record.data.items() if key != "initial"}
    return Dataset(
        name=as_text(record.data["name"])[:500],
        digest=fingerprint.removeprefix("sha256:")[:MAX_DATASET_DIGEST],
        source=fingerprint,
        profile=json.dumps(facts, default=str),
    )


def own_tags(kind: str, plan: PlanRecord, store: str) -> dict[str, str]:
    """Return the tags that every run of a sweep carries."""
    return {
        TAG + "kind": kind,
        TAG + "sweep": plan.sweep,
        TAG + "store": store,
        TAG + "in_plan": "yes",
        "mlflow.source.type": "LOCAL",
    }


def started_ms(record: TrialRecord) -> int | None:
    """Return when the first attempt began, in milliseconds since 1970."""
    return to_ms(record.provenance.get("started_at"))


def ended_ms(record: TrialRecord) -> int | None:
    """Return when the last attempt ended, in milliseconds since 1970."""
    return to_ms(record.provenance.get("ended_at"))
