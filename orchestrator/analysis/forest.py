"""The forest plot: paired differences with intervals, in the table's row order."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.analysis.rows import Block, plan_replicates
from orchestrator.analysis.summary import Summary
from orchestrator.metrics import Metric
from orchestrator.records import PlanRecord
from orchestrator.stats import PairedDifference, Verdict, replicate_interval


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of the forest.

    Attributes:
        label: Arm, `arm − reference` if the reference is not the baseline, or an effect.
        arm: Arm that gives the color; empty for an effect, which involves several.
        mean: Paired difference in the metric's unit; None if there is none.
        low: Lower end of the interval; None if there is none.
        high: Upper end of the interval.
        replicates: Single paired differences.
        called: Whether the adjusted test calls it.
        margin: Whether the study's margin applies; it never does for an interaction.
    """

    label: str
    arm: str
    mean: float | None
    low: float | None
    high: float | None
    replicates: tuple[float, ...]
    called: bool
    margin: bool = True


def forest_lines(summary: Summary) -> list[Line]:
    """Return a line per arm but the baseline, per contrast between other arms, and per effect."""
    lines: list[Line] = []
    for arm in summary.arms:
        if arm.name == summary.plan.baseline:
            continue
        contrast = summary.against_baseline(arm.name)
        lines.append(_line(arm.name, arm.name, arm.to_baseline, contrast and contrast.verdict))
    for contrast in summary.other_contrasts:
        label = f"{contrast.arm} − {contrast.reference}"
        lines.append(_line(label, contrast.arm, contrast.difference, contrast.verdict))
    for effect in summary.effects:
        line = _line(effect.record.name, "", effect.difference, effect.verdict)
        lines.append(dataclasses.replace(line, margin=len(effect.record.factors) == 1))
    return lines


def other_lines(summary: Summary, metric: Metric) -> list[Line]:
    """Return an untested line per arm but the baseline for a metric that is not the study's."""
    measured = {arm.name: arm.measures.get(metric.key) for arm in summary.arms}
    reference, lines = measured.get(summary.plan.baseline), list[Line]()
    low, high = metric.shown_bounds
    for arm in summary.arms:
        own = measured[arm.name]
        if arm.name == summary.plan.baseline:
            continue
        if own is None or reference is None or arm.to_baseline is None:
            lines.append(_line(arm.name, arm.name, None, None))
            continue
        plan, values = summary.plan, (own.values, reference.values)
        if values[0].keys() & values[1].keys():
            lines.append(untested_line(arm.name, arm.name, *values, plan=plan, reach=high - low))
    return lines


def untested_line(
    label: str,
    arm: str,
    one: Mapping[Block, float],
    other: Mapping[Block, float],
    *,
    plan: PlanRecord,
    reach: float = 100.0,
) -> Line:
    """Return an exploratory row: paired differences with an interval and no test.

    Seeds and folds count as in the study's tests: folds alone are not replicates.

    Args:
        label: Label of the row.
        arm: Arm that gives the color.
        one: Block -> value of the arm.
        other: Block -> value of the reference, with at least one common block.
        plan: The study as declared.
        reach: Largest possible difference.
    """
    differences = {block: value - other[block] for block, value in one.items() if block in other}
    replicates = plan_replicates(plan, differences)
    interval = replicate_interval(replicates, within=(-reach, reach))
    return Line(
        label=label,
        arm=arm,
        mean=interval.mean,
        low=interval.low,
        high=interval.high,
        replicates=tuple(replicates.values.values()),
        called=False,
    )


def _line(
    label: str, arm: str, difference: PairedDifference | None, verdict: Verdict | None
) -> Line:
    return Line(
        label=label,
        arm=arm,
        mean=difference.mean if difference else None,
        low=difference.low if difference else None,
        high=difference.high if difference else None,
        replicates=tuple(difference.differences.values()) if difference else (),
        called=verdict in (Verdict.BETTER, Verdict.WORSE),
    )
