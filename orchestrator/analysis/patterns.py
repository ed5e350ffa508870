"""Patterns of a whole design: a trend along doses, or the interaction of two factors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from orchestrator.analysis.evidence import possible
from orchestrator.analysis.rows import ArmSummary, Block, plan_test
from orchestrator.metrics import Metric
from orchestrator.records import PlanRecord
from orchestrator.stats import MeanInterval, PairedDifference, Trend, dose_trend


@dataclass(frozen=True, kw_only=True)
class Dose:
    """An arm on the dose axis; `dose` is None for an arm without the dosed setting."""

    arm: str
    dose: float | None
    interval: MeanInterval
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class DoseTrend:
    """Trend of the metric along the doses, in even steps from none to the largest.

    Attributes:
        doses: Doses of the steps, lowest first; None for arms without the setting.
        trend: Change per step, with its interval and test.
        by_fold: Whether a block is a seed's mean over several folds.
    """

    doses: tuple[float | None, ...]
    trend: Trend
    by_fold: bool


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A full two-factor design: `arms[first level, second level]`."""

    factors: tuple[str, str]
    levels: tuple[tuple[str, ...], tuple[str, ...]]
    arms: Mapping[tuple[str, str], ArmSummary]


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """How much the effects of a 2 x 2 design depend on each other.

    Attributes:
        first: Levels of the first factor.
        second: Levels of the second factor.
        difference: Effect of the second factor at the second level of the first, minus its effect
            at the first level.
    """

    first: tuple[str, str]
    second: tuple[str, str]
    difference: PairedDifference


def dose_series(plan: PlanRecord, arms: Sequence[ArmSummary], metric: Metric) -> tuple[Dose, ...]:
    """Return the measured arms of a dose series, those without the setting first."""
    if not plan.dose:
        return ()
    doses = [
        Dose(
            arm=arm.name,
            dose=_dose(arm, plan),
            interval=arm.measures[metric.key].interval,
            values=tuple(arm.measures[metric.key].values.values()),
        )
        for arm in arms
        if metric.key in arm.measures
    ]
    doses.sort(key=lambda item: -1.0 if item.dose is None else item.dose)
    return tuple(doses) if sum(item.dose is not None for item in doses) > 1 else ()


def trend_over_doses(
    plan: PlanRecord, arms: Sequence[ArmSummary], metric: Metric
) -> DoseTrend | None:
    """Test whether the metric rises or falls along the doses; the permutations take a while.

    On several folds, a block is a seed's mean over all of them, because folds share training clips.

    Returns:
        The trend; None if the sweep has fewer than three doses or two complete blocks.
    """
    by_name = {arm.name: arm for arm in arms}
    items = dose_series(plan, arms, metric)
    values = [by_name[item.arm].measures[metric.key].values for item in items]
    common = set[Block].intersection(*map(set, values)) if values else set[Block]()
    folds = {cell.fold for arm in arms for cell in arm.cells}
    whole = [s for s in dict.fromkeys(s for s, _ in common) if all((s, f) in common for f in folds)]
    if len(items) < 3 or len(whole) < 2:
        return None
    trend = dose_trend(
        [{s: fmean(by_block[s, f] for f in folds) for s in sorted(whole)} for by_block in values]
    )
    return DoseTrend(doses=tuple(i.dose for i in items), trend=trend, by_fold=len(folds) > 1)


def two_factor_grid(arms: Sequence[ArmSummary], metric: Metric) -> Grid | None:
    """Return the design if it has two factors with all combinations measured."""
    factors = list(dict.fromkeys(f for arm in arms for f in arm.record.levels))
    if len(factors) != 2 or any(len(arm.record.levels) != 2 for arm in arms):
        return None
    first, second = factors
    first_levels = tuple(dict.fromkeys(arm.record.levels[first] for arm in arms))
    second_levels = tuple(dict.fromkeys(arm.record.levels[second] for arm in arms))
    by_level = {(a.record.levels[first], a.record.levels[second]): a for a in arms}
    full = (
        len(by_level) == len(arms) == len(first_levels) * len(second_levels)
        and min(len(first_levels), len(second_levels)) > 1
    )
    measured = all(metric.key in arm.measures for arm in arms)
    if not (full and measured):
        return None
    return Grid(factors=(first, second), levels=(first_levels, second_levels), arms=by_level)


def two_by_two_interaction(
    plan: PlanRecord, arms: Sequence[ArmSummary], metric: Metric
) -> Interaction | None:
    """Return the interaction of a 2 x 2 design; None for other designs or without a full block."""
    grid = two_factor_grid(arms, metric)
    if grid is None or [len(levels) for levels in grid.levels] != [2, 2]:
        return None
    (a, b), (c, d) = grid.levels
    values = {key: arm.measures[metric.key].values for key, arm in grid.arms.items()}
    blocks = [k for k in values[a, c] if all(k in values[pair] for pair in values)]
    if not blocks:
        return None
    difference = plan_test(
        plan,
        {
            at: (values[b, d][at] - values[b, c][at]) - (values[a, d][at] - values[a, c][at])
            for at in blocks
        },
    )
    difference = possible(difference, metric=metric, weights=(1, -1, -1, 1))
    return Interaction(first=(a, b), second=(c, d), difference=difference)


def _dose(arm: ArmSummary, plan: PlanRecord) -> float | None:
    """Return an arm's value of the dosed setting; None if it does not have the setting."""
    setting = arm.record.changes.get(plan.dose, plan.settings.get(plan.dose))
    try:
        value = float(str(setting))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
