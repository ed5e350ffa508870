"""What a design shows as a whole: along a dose series, one test over all doses."""

from __future__ import annotations

from statistics import fmean

from orchestrator.analysis.rows import Summary
from orchestrator.report.plots.dose import doses
from orchestrator.report.plots.interaction import interaction_sentence
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.numbers import decimals, number, p_text
from orchestrator.stats import dose_trend


def pattern_sentence(summary: Summary) -> str:
    """Say what the design shows as a whole: an interaction, or a trend; empty for other designs.

    An interaction that was declared is answered and corrected with what else was declared.
    """
    declared = any(len(effect.record.factors) > 1 for effect in summary.effects)
    return ("" if declared else interaction_sentence(summary)) or trend_sentence(summary)


def trend_sentence(summary: Summary) -> str:
    """Say how the metric moves along the doses, in even steps from none to the largest.

    On several folds a block is a seed's mean over all of them, since folds share training clips.
    Empty where the sweep is no series of three doses or more, or fewer than two blocks have all.
    """
    arms = {arm.name: arm for arm in summary.arms}
    items = doses(summary)
    values = [arms[item.arm].measures[summary.metric.key].values for item in items]
    common = set.intersection(*(set(v) for v in values)) if values else set()
    folds = {cell.fold for cell in summary.cells}
    whole = [s for s in dict.fromkeys(s for s, _ in common) if all((s, f) in common for f in folds)]
    if len(items) < 3 or len(whole) < 2:
        return ""
    found = dose_trend(
        [{s: fmean(own[s, f] for f in folds) for s in sorted(whole)} for own in values]
    )
    places, unit = decimals(found.half_width), unit_of_difference(summary.metric)
    low, high = number(found.low, places), number(found.high, places)
    steps = " < ".join("none" if i.dose is None else f"{i.dose:g}" for i in items)
    return (
        f"Trend over {summary.plan.dose} ({steps}): {number(found.mean, places, signed=True)} "
        f"{unit} of {summary.metric.title} a step (95 % t interval {low} to {high}, "
        f"{found.test_method.partition(',')[0]}, p {p_text(found.p_value)} uncorrected, "
        f"n {found.n}{' seed means' if len(folds) > 1 else ''})."
    )
