"""What a design shows as a whole, in words: an interaction, or a trend along a dose series."""

from __future__ import annotations

from orchestrator.analysis.summary import Summary
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.numbers import decimals, number, p_text


def pattern_sentence(summary: Summary) -> str:
    """Say what the design shows as a whole: an interaction, or a trend; empty for other designs.

    An interaction that was declared is answered and corrected with what else was declared.
    """
    declared = any(len(effect.record.factors) > 1 for effect in summary.effects)
    return ("" if declared else interaction_sentence(summary)) or trend_sentence(summary)


def trend_sentence(summary: Summary) -> str:
    """Say how the metric moves along the doses; empty where the study shows no trend."""
    shown = summary.trend
    if shown is None:
        return ""
    found = shown.trend
    places, unit = decimals(found.half_width), unit_of_difference(summary.metric)
    low, high = number(found.low, places), number(found.high, places)
    steps = " < ".join("none" if dose is None else f"{dose:g}" for dose in shown.doses)
    return (
        f"Trend over {summary.plan.dose} ({steps}): {number(found.mean, places, signed=True)} "
        f"{unit} of {summary.metric.title} a step (95 % t interval {low} to {high}, "
        f"{found.test_method.partition(',')[0]}, p {p_text(found.p_value)} uncorrected, "
        f"n {found.n}{' seed means' if shown.by_fold else ''})."
    )


def interaction_sentence(summary: Summary) -> str:
    """Say how much the effects of a 2 x 2 design depend on one another; empty otherwise."""
    shown = summary.interaction
    if shown is None:
        return ""
    (a, b), (c, d), changed = shown.first, shown.second, shown.difference
    places, unit = decimals(changed.half_width), unit_of_difference(summary.metric)
    evidence = ""
    if changed.n > 1:
        low, high = number(changed.low, places), number(changed.high, places)
        evidence = (
            f", 95 % {changed.interval_method} {low} to {high}, "
            f"p {p_text(changed.p_value)} uncorrected"
        )
    return (
        f"Interaction: going from {c} to {d} changes {summary.metric.title} by "
        f"{number(changed.mean, places, signed=True)} {unit} more under {b} than under {a}"
        f"{evidence} (n {changed.n}{f' {changed.replicate}s' if changed.reason else ''})."
    )
