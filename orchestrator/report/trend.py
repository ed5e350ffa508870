"""What a design shows as a whole: along a dose series, one test over all doses."""

from __future__ import annotations

from orchestrator.report.digits import decimals, number, p_text
from orchestrator.report.dose_plot import doses
from orchestrator.report.interaction_plot import interaction_sentence
from orchestrator.report.rows import Summary
from orchestrator.report.words import unit_of_difference
from orchestrator.stats import dose_trend


def pattern_sentence(summary: Summary) -> str:
    """Say what the design shows as a whole: an interaction, or a trend; empty for other designs.

    An interaction that was declared is answered and corrected with what else was declared.
    """
    declared = any(len(effect.record.factors) > 1 for effect in summary.effects)
    return ("" if declared else interaction_sentence(summary)) or trend_sentence(summary)


def trend_sentence(summary: Summary) -> str:
    """Say how the metric moves along the doses, in even steps from none to the largest.

    Empty where the sweep is no series of three doses or more, where a block lacks one of them, or
    where folds would count as blocks.
    """
    arms = {arm.name: arm for arm in summary.arms}
    items = doses(summary)
    values = [arms[item.arm].measures[summary.metric.key].values for item in items]
    common = set.intersection(*(set(v) for v in values)) if values else set()
    if len(items) < 3 or len(common) < 2 or len({fold for _, fold in common}) > 1:
        return ""
    found = dose_trend(values)
    places, unit = decimals(found.half_width), unit_of_difference(summary.metric)
    low, high = number(found.low, places), number(found.high, places)
    steps = " < ".join("none" if i.dose is None else f"{i.dose:g}" for i in items)
    return (
        f"Trend over {summary.plan.dose} ({steps}): {number(found.mean, places, signed=True)} "
        f"{unit} of {summary.metric.title} a step (95 % t interval {low} to {high}, "
        f"{found.test_method.partition(',')[0]}, p {p_text(found.p_value)} uncorrected, "
        f"n {found.n})."
    )
