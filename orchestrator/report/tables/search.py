"""Tables of a search: its front of metric and costs, and how much each setting matters."""

from __future__ import annotations

from orchestrator.analysis.search import SearchResults
from orchestrator.analysis.summary import Summary
from orchestrator.report.tables.table import Column, Table
from orchestrator.report.wording.contrasts import places_of_level
from orchestrator.report.wording.numbers import align, number, quantity
from orchestrator.report.wording.search import COST_TITLES


def tables(summary: Summary) -> list[Table]:
    """Return the tables that the search has numbers for; none for other studies."""
    found = summary.search
    if found is None:
        return []
    made = (front_table(found), importance_table(found))
    return [table for table in made if table.rows]


def front_table(found: SearchResults) -> Table:
    """Return a row per point that no other beats in the metric and in every cost."""
    front, metric = found.front, found.metric
    costs = " and ".join(COST_TITLES[cost] for cost in found.costs)
    places = places_of_level(None, metric)
    return Table.of(
        [
            Column(key="point", title="point", texts=[point.arm for point in front]),
            Column(
                key="value",
                title=metric.title,
                unit=metric.unit,
                texts=align([number(point.value, places) for point in front]),
            ),
            *(
                Column(
                    key=cost,
                    title=COST_TITLES[cost],
                    texts=align([quantity(point.costs[i]) for point in front]),
                )
                for i, cost in enumerate(found.costs)
            ),
        ],
        key="front",
        title=f"The front of {metric.title} and {costs}",
        notes=(
            "Points that no other beats: none scores as well for less, or better for as much. "
            "Their scores are optimistic, too.",
        ),
    )


def importance_table(found: SearchResults) -> Table:
    """Return a row per setting, the most important first."""
    shares = dict(sorted(found.importances.items(), key=lambda item: -item[1]))
    return Table.of(
        [
            Column(key="setting", title="setting", texts=list(shares)),
            Column(
                key="importance",
                title="importance",
                unit="%",
                texts=align([number(100 * share, 0) for share in shares.values()]),
            ),
        ],
        key="importance",
        title="How much each setting matters",
        notes=(
            "Importance: share of the settings in what makes a point one of the best quarter of "
            "the finished ones (PED-ANOVA, arXiv 2304.10255), by scores that are optimistic.",
        ),
    )
