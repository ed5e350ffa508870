"""A search: every point in the order of suggestion, and the front of metric and costs."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.search import SearchResults
from orchestrator.report.plots.panel import Axis, Panel, linear_axis, log_ticks, ticks, with_unit
from orchestrator.report.plots.plot import Plot, PlotData
from orchestrator.report.plots.svg import BASELINE, Style
from orchestrator.report.wording.numbers import quantity
from orchestrator.report.wording.search import COST_TITLES

BEST = Style("var(--arm-1)")
"""Points that were better than all before them, or that lie on the front."""


def plots(data: PlotData) -> Iterator[Plot]:
    """Draw the history of a search, and the metric against each cost that counted."""
    found = data.summary.search
    if found is None or not found.ranked:
        return
    pruned = " Hollow, on the axis: left early." if any(p.is_pruned for p in found.points) else ""
    yield Plot(
        section="pattern",
        title="The search",
        drawings=(_history(found),),
        caption="Every point of the search in the order of suggestion; line, the best so far."
        f"{pruned} All of these scores are optimistic.",
    )
    drawings = tuple(
        _front(found, number)
        for number in range(len(found.costs))
        if len({point.costs[number] for point in found.ranked}) > 1
    )
    if drawings:
        yield Plot(
            section="pattern",
            title="The front",
            drawings=drawings,
            caption="Line, the points that no other beats in the metric and in every cost.",
        )


def _history(found: SearchResults) -> str:
    count = len(found.points)
    marks = {
        mark: f"{mark:g}" for mark in ticks(1, count + 1) if 1 <= mark <= count and mark % 1 == 0
    }
    y = linear_axis([point.value for point in found.points])
    metric, best = found.metric, found.best_so_far()
    panel = Panel(
        220,
        x=Axis(low=0.5, high=count + 0.5, ticks=marks),
        y=y,
        spoken=f"{metric.title} of every point of the search",
        title=with_unit(metric),
        caption="point",
    )
    steps = [(best[0][0], best[0][1])]
    for number, value in best[1:]:
        steps += [(number, steps[-1][1]), (number, value)]
    panel.line([*steps, (count + 0.5, steps[-1][1])], color=BEST.color)
    numbers = {number for number, _ in best}
    for number, point in enumerate(found.points, start=1):
        if point.value is not None:
            style = BEST if number in numbers else BASELINE
            panel.point(number, point.value, style, title=f"{point.arm}: {point.value:.4g}")
        elif point.is_pruned:
            title = f"{point.arm}: left early"
            panel.point(number, y.low, BASELINE, title=title, hollow=True)
    return str(panel)


def _front(found: SearchResults, number: int) -> str:
    metric, title = found.metric, COST_TITLES[found.costs[number]]
    costs = [point.costs[number] for point in found.ranked]
    edge = (max(costs) / min(costs)) ** 0.08
    low, high = min(costs) / edge, max(costs) * edge
    panel = Panel(
        240,
        x=Axis(low=low, high=high, ticks={m: quantity(m) for m in log_ticks(low, high)}, log=True),
        y=linear_axis([point.value for point in found.ranked]),
        spoken=f"{metric.title} over {title}",
        title=with_unit(metric),
        caption=f"{title}, log axis (left is cheaper)",
    )
    front = sorted(found.front, key=lambda point: point.costs[number])
    panel.line([(p.costs[number], p.value) for p in front if p.value is not None], color=BEST.color)
    for point in found.ranked:
        cost = point.costs[number]
        said = f"{point.arm}: {point.value:.4g} at {quantity(cost)}"
        panel.point(cost, point.value or 0.0, BEST if point in front else BASELINE, title=said)
    return str(panel)
