"""The metric against its cost, one point per arm, log axis of cost."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator

from orchestrator.analysis.cost import CostPoint, against_macs, against_seconds, several_devices
from orchestrator.report.plots.panel import (
    Axis,
    Panel,
    linear_axis,
    log_ticks,
    mean_text,
    with_unit,
)
from orchestrator.report.plots.plot import Plot, PlotData
from orchestrator.report.wording.notes import interval_over
from orchestrator.report.wording.numbers import duration, quantity


def plots(data: PlotData) -> Iterator[Plot]:
    """Draw the metric against MACs and device time, each only if arms differ in it by 5 %."""
    summary, metric = data.summary, data.summary.metric
    by_macs, timed = against_macs(summary), against_seconds(summary, data.records)
    unit, seconds = _time_unit([item.cost for item in timed])
    kinds = (
        (by_macs, "multiply-accumulates per clip (MACs)", 1.0, quantity),
        (timed, f"device time per trial, {unit}", seconds, duration),
    )
    drawn = {item.arm for item in (*by_macs, *timed)}
    if drawn:
        yield Plot(
            section="pattern",
            drawings=tuple(_drawing(data, *kind) for kind in kinds if kind[0]),
            caption=f"Point, an arm's mean; bars, each a 95 % {interval_over(summary)} (MACs are "
            f"exact; of times, over n trials). An arm {'up' if metric.sign > 0 else 'down'} and "
            "to the left of another is better for less. Shown only for costs in which arms "
            "differ by 5 % or more, and by more than noise; both axes start where the data do.",
            legend={arm: style for arm, style in data.styles.items() if arm in drawn},
        )
    if devices := several_devices(summary, data.records):
        yield Plot(
            section="pattern",
            caption=f"{metric.title} is not drawn against device time: the trials ran on "
            f"{len(devices)} kinds of device ({', '.join(devices)}), whose seconds cannot be "
            "compared. The table's trial times mix them too.",
        )


def _drawing(
    data: PlotData,
    items: list[CostPoint],
    title: str,
    unit: float,
    words: Callable[[float], str],
) -> str:
    costs = [v for i in items for v in (i.low, i.cost, i.high) if v is not None]
    edge = (max(costs) / min(costs)) ** 0.08
    low, high = min(costs) / edge, max(costs) * edge
    marks = log_ticks(low / unit, high / unit)
    metric, means = data.summary.metric, [item.interval for item in items]
    panel = Panel(
        240,
        x=Axis(low=low, high=high, ticks={mark * unit: _short(mark) for mark in marks}, log=True),
        y=linear_axis([v for mean in means for v in (mean.low, mean.mean, mean.high)]),
        spoken=f"{metric.title} over {title}",
        title=with_unit(metric),
        caption=f"{title}, log axis (left is cheaper)",
    )
    for item, mean in zip(items, means, strict=True):
        panel.point(
            item.cost,
            mean.mean,
            data.styles[item.arm],
            title=f"{item.arm}: {mean_text(mean, metric)} at {words(item.cost)}, n {mean.n}",
            x_ends=(item.low, item.high),
            y_ends=(mean.low, mean.high),
            arm=item.arm,
        )
    return str(panel)


def _time_unit(costs: list[float]) -> tuple[str, float]:
    """Return the best unit for most of the times, and its seconds."""
    middle = statistics.median(costs) if costs else 1.0
    units = (("days", 86_400.0), ("hours", 3_600.0), ("min", 60.0))
    return next((unit for unit in units if middle >= 2 * unit[1]), ("s", 1.0))


def _short(value: float) -> str:
    """Write a round value with k, M, G or T, without extra digits."""
    power = min(4, max(0, math.floor(math.log10(value) / 3 + 1e-9)))
    return f"{value / 1000**power:.6g} {('', 'k', 'M', 'G', 'T')[power]}".strip()
