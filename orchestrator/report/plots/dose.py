"""Dose curve: the metric over the dosed setting on a log axis, with none and zero set apart."""

from __future__ import annotations

import math
from collections.abc import Iterator

from orchestrator.report.plots.panel import (
    WIDTH,
    Axis,
    Panel,
    linear_axis,
    mean_text,
    with_unit,
)
from orchestrator.report.plots.plot import Plot, PlotData
from orchestrator.report.wording.notes import interval_over

CAPTION = (
    "Bars of two arms may overlap where their paired difference is distinguishable: compare in "
    "the plot above. The vertical axis starts where the data do."
)


def plots(data: PlotData) -> Iterator[Plot]:
    """Draw the dose curve if the sweep is a dose series."""
    items, interval = data.summary.doses, interval_over(data.summary)
    if not items:
        return
    yield Plot(
        section="pattern",
        drawings=(_drawing(data),),
        caption=f"Point, mean; bar, its 95 % {interval}; faint dots, single trials, equal "
        f"ones stacked. {CAPTION}",
        legend={item.arm: data.styles[item.arm] for item in items},
    )


def _drawing(data: PlotData) -> str:
    items = data.summary.doses
    apart = [item for item in items if not item.dose or item.dose < 0]
    logs = {item.arm: math.log10(item.dose) for item in items if item.dose and item.dose > 0}
    low, high = min(logs.values(), default=0.0), max(logs.values(), default=1.0)
    # In pixels: a slot for each arm set apart, then the doses on a log scale.
    slot, room = 48, WIDTH - 66
    start = slot * len(apart) + (40 if apart else 10)
    places = {item.arm: slot * (i + 0.5) for i, item in enumerate(apart)}
    stretch = (room - 24 - start) / ((high - low) or 1)
    places |= {arm: start + stretch * (log - low) for arm, log in logs.items()}
    texts = {places[i.arm]: "none" if i.dose is None else f"{i.dose:.3g}" for i in items}
    texts |= {start - 32: "//"} if apart and logs else {}
    caption = f"{data.summary.plan.dose} (log axis{'; none and zero apart' if apart else ''})"
    metric = data.summary.metric
    panel = Panel(
        240,
        x=Axis(low=0, high=room, ticks=texts),
        y=linear_axis([v for i in items for v in (*i.values, i.interval.low, i.interval.high)]),
        spoken=f"{metric.title} over {caption}",
        title=with_unit(metric),
        caption=caption,
    )
    curve = [(places[item.arm], item.interval.mean) for item in items if item.arm in logs]
    panel.line(curve, color="var(--muted)")
    for item in items:
        x, mean = places[item.arm], item.interval
        panel.point(
            x,
            mean.mean,
            data.styles[item.arm],
            title=f"{item.arm}: {mean_text(mean, metric)}, n {mean.n}",
            y_ends=(mean.low, mean.high),
            arm=item.arm,
            faint=[(x, value) for value in item.values],
        )
    return str(panel)
