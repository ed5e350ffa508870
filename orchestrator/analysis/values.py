"""The number that a trial counts with, and what the trials of a plan show together."""

from __future__ import annotations

import math
from collections.abc import Mapping

from orchestrator.analysis.datasets import num_folds
from orchestrator.analysis.rows import Block
from orchestrator.metrics import Metric
from orchestrator.records import PlanRecord, Status, TrialRecord
from orchestrator.stats import (
    CrossedInterval,
    PairedDifference,
    Replicates,
    crossed_test,
    replicate_interval,
    replicates_of,
)


def value_of(record: TrialRecord, selection: str, key: str) -> float | None:
    """Return a stored metric at the selected epoch, as stored; None where it is not finite."""
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


def plan_replicates(plan: PlanRecord, values: Mapping[Block, float]) -> Replicates:
    """Return what counts as a replicate of values by block: the one rule of a whole report.

    Args:
        plan: says into how many folds the clips were split and how much was declared.
        values: of an arm, or differences of two.
    """
    return replicates_of(values, num_folds=num_folds(plan), num_contrasts=plan.num_declared)


def plan_interval(plan: PlanRecord, values: Mapping[Block, float]) -> CrossedInterval:
    """Return the mean of values by block with its interval and n; see `plan_replicates`."""
    return replicate_interval(plan_replicates(plan, values))


def plan_test(plan: PlanRecord, differences: Mapping[Block, float]) -> PairedDifference:
    """Test differences by block over the replicates of `plan_replicates`."""
    return crossed_test(differences, num_folds=num_folds(plan), num_contrasts=plan.num_declared)
