"""What a study is made of: cells and rows, and the number that a trial counts with.

Numbers are in the metric's unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.analysis.datasets import num_folds
from orchestrator.metrics import Metric
from orchestrator.records import ArmRecord, PlanRecord, Status, TrialKey, TrialRecord
from orchestrator.stats import (
    CrossedInterval,
    PairedDifference,
    Replicates,
    crossed_test,
    replicate_interval,
    replicates_of,
)

Block = tuple[int, int]
"""A block: (seed, fold)."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One planned trial.

    Attributes:
        id: id of the experiment.
        arm: the row it stands in.
        seed: seed of the block.
        fold: fold of the block.
        status: missing where no record exists.
        reason: why it has no value; empty where it has one.
        value: the primary metric in its unit; None where the trial cannot be counted.
    """

    id: str
    arm: str
    seed: int
    fold: int
    status: Status
    reason: str
    value: float | None

    @property
    def block(self) -> Block:
        """The pair that it belongs to."""
        return self.seed, self.fold


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A metric over an arm's finished trials, in the metric's unit.

    Attributes:
        metric: the metric.
        values: values of the single trials.
        interval: their mean with its interval, over what counts as a replicate.
    """

    metric: Metric
    values: Mapping[Block, float]
    interval: CrossedInterval


@dataclass(frozen=True, kw_only=True)
class ArmCost:
    """What an arm took: medians over its finished trials, totals over all that have a record."""

    seconds: float
    set_up_s: float
    total_s: float
    peak_memory_mb: float
    num_params: int
    macs: int
    clips_per_s: float
    attempts: int
    num_trials: int
    devices: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ArmSummary:
    """A row of the table.

    Attributes:
        record: the arm as planned.
        cells: its planned trials, block by block.
        measures: metric key -> numbers; a metric that no finished trial has is not there.
        cost: None where no trial has a record.
        to_baseline: arm minus baseline, declared or not; None for the baseline itself and where
            no block has finished in both.
    """

    record: ArmRecord
    cells: tuple[Cell, ...]
    measures: Mapping[str, Measure]
    cost: ArmCost | None
    to_baseline: PairedDifference | None = None

    @property
    def name(self) -> str:
        """As the row says it."""
        return self.record.name

    def counted(self, key: str) -> tuple[int, int]:
        """Return how many replicates a metric's interval counts, and how many are planned."""
        measure = self.measures.get(key)
        if measure is None or not measure.interval.reason:
            return len(measure.values) if measure else 0, len(self.cells)
        by_seed = measure.interval.replicate == "seed"
        return measure.interval.n, len({c.seed if by_seed else c.fold for c in self.cells})


def value_of(record: TrialRecord, selection: str, key: str) -> float | None:
    """Return a stored metric at the selected epoch, as stored; None where it is not finite."""
    value = record.metrics_at(selection).get(key)
    return value if value is not None and math.isfinite(value) else None


def finished_trials(
    plan: PlanRecord, records: Mapping[str, TrialRecord]
) -> list[tuple[TrialKey, TrialRecord]]:
    """Return the planned trials that have finished, each with its record."""
    recorded = ((trial, records[trial.id]) for trial in plan.trials if trial.id in records)
    return [(trial, record) for trial, record in recorded if record.status is Status.FINISHED]


def finished_values(
    plan: PlanRecord, records: Mapping[str, TrialRecord], metric: Metric
) -> dict[str, dict[Block, float]]:
    """Return arm -> block -> value in the metric's unit, of the finished trials that have one."""
    values: dict[str, dict[Block, float]] = {}
    for trial, record in finished_trials(plan, records):
        value = value_of(record, plan.selection, metric.key)
        if value is not None:
            values.setdefault(trial.arm, {})[trial.seed, trial.fold] = metric.scale * value
    return values


def plan_replicates(plan: PlanRecord, values: Mapping[Block, float]) -> Replicates:
    """Return what counts as a replicate of values by block: the one rule of a whole report.

    Args:
        plan: says into how many folds the clips were split and how much was declared.
        values: values of an arm, or differences of two.
    """
    return replicates_of(values, num_folds=num_folds(plan), num_contrasts=plan.num_declared)


def plan_interval(plan: PlanRecord, values: Mapping[Block, float]) -> CrossedInterval:
    """Return the mean of values by block with its interval and n; see `plan_replicates`."""
    return replicate_interval(plan_replicates(plan, values))


def plan_test(plan: PlanRecord, differences: Mapping[Block, float]) -> PairedDifference:
    """Test differences by block over the replicates of `plan_replicates`."""
    return crossed_test(differences, num_folds=num_folds(plan), num_contrasts=plan.num_declared)
