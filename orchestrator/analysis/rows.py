"""Cells and rows of a study's table, and the number of each trial, in the metric's unit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from orchestrator.analysis.datasets import num_folds
from orchestrator.metrics import Metric, lookup
from orchestrator.metrics.predictions import Loader
from orchestrator.records import (
    EARLIER_BEST,
    ArmRecord,
    PlanRecord,
    Status,
    TrialKey,
    TrialRecord,
)
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
        id: Id of the experiment.
        arm: Row of the cell.
        seed: Seed of the block.
        fold: Fold of the block.
        status: Status of the trial; missing without a record.
        reason: Why it has no value; empty if it has one.
        value: Primary metric in its unit; None if the trial cannot be counted.
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
        """Block of the trial."""
        return self.seed, self.fold


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A metric over an arm's finished trials, in the metric's unit.

    Attributes:
        metric: The metric.
        values: Values of the single trials.
        interval: Mean with its interval over replicates.
    """

    metric: Metric
    values: Mapping[Block, float]
    interval: CrossedInterval


@dataclass(frozen=True, kw_only=True)
class ArmCost:
    """Cost of an arm: medians over finished trials, totals over all trials with a record.

    `num_trained` is 0 where it is not known.
    """

    seconds: float
    set_up_s: float
    total_s: float
    peak_memory_mb: float
    num_params: int
    num_trained: int
    macs: int
    clips_per_s: float
    attempts: int
    num_trials: int
    devices: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ArmSummary:
    """A row of the table.

    Attributes:
        record: Arm as planned.
        cells: Planned trials, block by block.
        measures: Metric key -> numbers, without metrics that no finished trial has.
        cost: Cost of the arm; None if no trial has a record.
        to_baseline: Arm minus baseline, declared or not; None for the baseline, if no block
            finished in both, and if their trials are `mixed`.
        mixed: Differences in code, data or epochs that prevent a comparison with the baseline.
    """

    record: ArmRecord
    cells: tuple[Cell, ...]
    measures: Mapping[str, Measure]
    cost: ArmCost | None
    to_baseline: PairedDifference | None = None
    mixed: str = ""

    @property
    def name(self) -> str:
        """Name of the arm."""
        return self.record.name

    def counted(self, key: str) -> tuple[int, int]:
        """Return the counted replicates of a metric's interval, and the planned ones."""
        measure = self.measures.get(key)
        if measure is None or not measure.interval.reason:
            return len(measure.values) if measure else 0, len(self.cells)
        by_seed = measure.interval.replicate == "seed"
        return measure.interval.n, len({c.seed if by_seed else c.fold for c in self.cells})


def value_of(record: TrialRecord, selection: str, key: str) -> float | None:
    """Return a metric at the selected epoch, as stored; None if it is not finite.

    A number whose epoch was chosen on its own clips by an earlier version is none: no paper's
    protocol asked for it, as `best_on_test` says of others.
    """
    if selection == EARLIER_BEST:
        return None
    value = record.metrics_at(selection).get(key)
    return value if value is not None and math.isfinite(value) else None


def finished_trials(
    plan: PlanRecord, records: Mapping[str, TrialRecord]
) -> list[tuple[TrialKey, TrialRecord]]:
    """Return the finished planned trials, each with its record."""
    recorded = ((trial, records[trial.id]) for trial in plan.trials if trial.id in records)
    return [(trial, record) for trial, record in recorded if record.status is Status.FINISHED]


def with_scores(
    plan: PlanRecord, records: Mapping[str, TrialRecord], keys: Iterable[str], load: Loader
) -> dict[str, TrialRecord]:
    """Return records with metrics that their trials did not compute, from stored predictions.

    These are metrics that are newer than a trial, that only the report computes, and a user's own,
    which is computed again even where it is stored, because its function may have changed.

    Args:
        plan: Study as declared.
        records: Trial id -> record.
        keys: Keys of the wanted metrics.
        load: Function that reads a trial's predictions at the plan's epoch.
    """
    wanted = [metric for metric in map(lookup, dict.fromkeys(keys)) if metric.compute is not None]
    scored = dict(records)
    for trial, record in dict(finished_trials(plan, records)).items():
        stored = record.metrics_at(plan.selection_of(trial.arm))
        missing = [metric for metric in wanted if metric.is_own or metric.key not in stored]
        made = load(trial.id) if missing else None
        if made is None:
            continue
        values = {m.key: m.compute(made) for m in missing if m.compute and made.fit(m)}
        epochs = tuple(
            replace(epoch, metrics={**epoch.metrics, **values})
            if epoch.epoch == made.epoch
            else epoch
            for epoch in record.epochs
        )
        scored[trial.id] = replace(record, epochs=epochs)
    return scored


def finished_values(
    plan: PlanRecord, records: Mapping[str, TrialRecord], metric: Metric
) -> dict[str, dict[Block, float]]:
    """Return arm -> block -> value in the metric's unit, for finished trials with a value."""
    values: dict[str, dict[Block, float]] = {}
    for trial, record in finished_trials(plan, records):
        value = value_of(record, plan.selection_of(trial.arm), metric.key)
        if value is not None:
            values.setdefault(trial.arm, {})[trial.seed, trial.fold] = metric.scale * value
    return values


def plan_replicates(plan: PlanRecord, values: Mapping[Block, float]) -> Replicates:
    """Return the replicates of values by block; the whole report uses this rule.

    Args:
        plan: Plan that gives the number of folds.
        values: Values of an arm, or differences of two arms.
    """
    return replicates_of(values, num_folds=num_folds(plan))


def plan_interval(
    plan: PlanRecord, values: Mapping[Block, float], *, within: tuple[float, float]
) -> CrossedInterval:
    """Return the mean of values by block with its interval and n; see `plan_replicates`.

    Args:
        plan: Plan that gives the number of folds.
        values: Values of an arm.
        within: Smallest and largest value that a mean can have (`Metric.shown_bounds`).
    """
    return replicate_interval(plan_replicates(plan, values), within=within)


def plan_test(
    plan: PlanRecord,
    differences: Mapping[Block, float],
    *,
    tie_break: Mapping[Block, float] | None = None,
) -> PairedDifference:
    """Test differences by block over the replicates of `plan_replicates`.

    Args:
        plan: Plan that gives the number of folds.
        differences: Block -> difference.
        tie_break: Block -> difference of a second metric, oriented as the first; None for none.
    """
    return crossed_test(differences, tie_break=tie_break, num_folds=num_folds(plan))
