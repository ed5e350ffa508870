"""The number that a trial counts with."""

from __future__ import annotations

import math
from collections.abc import Mapping

from orchestrator.metrics import Metric
from orchestrator.records import PlanRecord, Status, TrialRecord
from orchestrator.report.rows import Block


def value_of(record: TrialRecord, selection: str, key: str) -> float | None:
    """Return a stored metric at the selected epoch, as stored; None where it is not finite."""
    if selection == "best" and not any(e.epoch == record.best_epoch for e in record.epochs):
        return None
    value = record.metrics_at(selection).get(key)
    return value if value is not None and math.isfinite(value) else None


def finished_values(
    plan: PlanRecord, records: Mapping[str, TrialRecord], metric: Metric
) -> dict[str, dict[Block, float]]:
    """Return arm -> block -> value in the metric's unit, of the finished trials that have one."""
    values: dict[str, dict[Block, float]] = {}
    for trial in plan.trials:
        record = records.get(trial.id)
        if record is None or record.status is not Status.FINISHED:
            continue
        value = value_of(record, plan.selection, metric.key)
        if value is not None:
            values.setdefault(trial.arm, {})[trial.seed, trial.fold] = metric.scale * value
    return values
