"""Interaction plot of a two-factor design: a line per level of the second factor."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.patterns import Grid
from orchestrator.report.plots import svg
from orchestrator.report.plots.dose import CAPTION
from orchestrator.report.plots.panel import (
    WIDTH,
    Panel,
    linear_axis,
    mean_text,
    name_axis,
    with_unit,
)
from orchestrator.report.plots.plot import Plot, PlotData
from orchestrator.report.wording.notes import interval_over


def plots(data: PlotData) -> Iterator[Plot]:
    """Draw the levels of the first factor across, unless the sweep is a dose series."""
    grid, interval = data.summary.grid, interval_over(data.summary)
    if grid is None or data.summary.doses:
        return
    levels = svg.styles(grid.levels[1], grid.levels[1][0])
    yield Plot(
        section="pattern",
        drawings=(_drawing(data, grid, levels),),
        caption=f"Point, mean; bar, its 95 % {interval}; lines, levels of {grid.factors[1]}. "
        f"{CAPTION}",
        legend=levels,
    )


def _drawing(data: PlotData, grid: Grid, levels: dict[str, svg.Style]) -> str:
    metric, (one, two) = data.summary.metric, grid.levels
    room = (WIDTH - 66) / len(one)
    means = {pair: arm.measures[metric.key].interval for pair, arm in grid.arms.items()}
    panel = Panel(
        240,
        x=name_axis(one, room),
        y=linear_axis([v for i in means.values() for v in (i.low, i.mean, i.high)]),
        spoken=f"{metric.title} over {grid.factors[0]} and {grid.factors[1]}",
        title=with_unit(metric),
        caption=grid.factors[0],
    )
    for j, second in enumerate(two):
        # 8 pixels apart, so that no bar hides another.
        aside = 8 / room * (j - (len(two) - 1) / 2)
        line = [(i + aside, means[first, second]) for i, first in enumerate(one)]
        panel.line([(x, mean.mean) for x, mean in line], color=levels[second].color)
        for first, (x, mean) in zip(one, line, strict=True):
            title = f"{first}, {second}: {mean_text(mean, metric)}, n {mean.n}"
            ends = mean.low, mean.high
            panel.point(x, mean.mean, levels[second], title=title, y_ends=ends)
    return str(panel)
