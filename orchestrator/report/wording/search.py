"""Sentences about a search."""

from __future__ import annotations

from orchestrator.analysis.summary import Summary
from orchestrator.report.wording.numbers import number

COST_TITLES = {"macs": "MACs", "num_params": "parameters"}
"""Cost of a search -> its name in a sentence and in a table."""


def searched(summary: Summary) -> str:
    """Say what a search found, and that its scores are optimistic; empty for other studies."""
    found, following = summary.search, summary.following
    if found is None:
        return ""
    if not found.ranked:
        return f"None of {len(found.points)} points of the search has finished yet."
    best = found.ranked[0]
    value = f"{number(best.value, 1 if found.metric.unit == '%' else 3)} {found.metric.unit}"
    of = f"{len(found.points)} points"
    if len(found.points) < found.num_planned:
        of += f" so far, of {found.num_planned} planned,"
    clips = "validation clips" if found.on_validation else "the reported clips"
    first = f"The best of {of} by {found.metric.title}"
    if found.costs:
        costs = " and ".join(COST_TITLES[cost] for cost in found.costs)
        first = f"{len(found.front)} of {of} are on the front of {found.metric.title} and {costs}; "
        first += f"the best of them by {found.metric.title}"
    text = (
        f"{first} on {clips} is {best.arm} with {value.strip()}: "
        "an optimistic number, since chance helped to choose it. No score of a search has a test."
    )
    if following is None:
        return f"{text} Confirm its best points with --confirm 3 before you quote one."
    seeds = len({cell.seed for cell in following.cells})
    text += (
        f" The result is the table on {seeds} fresh seeds, which compares the best "
        f"{len(following.arms) - 1} with {following.plan.baseline}"
    )
    if not found.on_validation:
        text += "; its clips are those that chose them, which fresh seeds do not mend"
    return f"{text}."
