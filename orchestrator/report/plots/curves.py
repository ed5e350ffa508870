"""Learning curves: the mean over replicates with its interval, a small panel per arm, one scale."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.analysis.curves import Curve, curves
from orchestrator.metrics import METRICS, Metric
from orchestrator.report.plots import svg
from orchestrator.report.plots.panel import Axis, Panel, linear_axis, with_unit
from orchestrator.report.plots.plot import Plot, PlotData
from orchestrator.report.tables.curves import curve_table
from orchestrator.report.wording.notes import interval_over


def plots(data: PlotData) -> list[Plot]:
    """Draw the study's metric by epoch, an arm a panel, and the training loss folded below."""
    summary, loss = data.summary, METRICS["train/loss"]
    learned, fitted = (curves(summary, data.records, key) for key in (summary.metric, loss))
    if not learned:
        return []
    curve_plot = Plot(
        section="curves",
        drawings=_panels(data, learned, summary.metric),
        caption=f"Line, mean over finished trials; band, 95 % {interval_over(summary)}; gray "
        f"line, {summary.plan.baseline}; tick on the axis, median best epoch. One scale for all "
        "panels; the vertical axis starts where the data do, and a band is cut at the frame.",
        layout="panels",
        table=curve_table(learned, summary.metric),
    )
    drawings = _panels(data, fitted, loss)
    loss_plot = Plot(section="curves", drawings=drawings, folded="Training loss", layout="panels")
    return [curve_plot, loss_plot] if fitted else [curve_plot]


def _panels(data: PlotData, found: Sequence[Curve], metric: Metric) -> tuple[str, ...]:
    if not found:
        return ()
    epochs = sorted({epoch for curve in found for epoch in curve.epochs})
    first, last = epochs[0], epochs[-1]
    texts = {float(epoch): str(epoch) for epoch in sorted({first, (first + last) // 2, last})}
    # A single epoch stands in the middle.
    edge = 0 if last > first else 1
    x = Axis(low=first - edge, high=last + edge, ticks=texts)
    y = linear_axis((i.mean for curve in found for i in curve.epochs.values()), max_ticks=5)
    behind = next((c for c in found if c.arm == data.summary.plan.baseline), None)
    return tuple(str(_panel(c, behind, metric, data.styles[c.arm], x, y)) for c in found)


def _panel(
    curve: Curve, behind: Curve | None, metric: Metric, style: svg.Style, x: Axis, y: Axis
) -> Panel:
    *_, end = curve.epochs.values()
    over = f"{len(curve.epochs)} epochs, mean of {end.n} {end.replicate}{'s' * (end.n > 1)}"
    panel = Panel(
        270,
        108,
        x=x,
        y=y,
        spoken=f"{curve.arm}: {with_unit(metric)} over {over}, ends at {end.mean:.4g}; "
        f"best epoch {curve.best_epoch:g} (median)",
        title=curve.arm,
        caption=f"{with_unit(metric)}, by epoch",
        left=44,
    )
    if behind is not None and behind is not curve:
        panel.line(_means(behind), color=svg.BASELINE.color, kind="curve thin")
    lows = [(e, max(i.low, y.low)) for e, i in curve.epochs.items() if i.low is not None]
    highs = [(e, min(i.high, y.high)) for e, i in curve.epochs.items() if i.high is not None]
    if lows:
        panel.area([*lows, *reversed(highs)], color=style.color)
    panel.line(_means(curve), color=style.color)
    if len(curve.epochs) == 1:
        panel.point(*_means(curve)[0], style, title=f"{end.mean:.4g}")
    if curve.best_epoch:
        best = curve.best_epoch
        panel.line(((best, y.low), (best, y.low + 0.08 * (y.high - y.low))), kind="zero")
    return panel


def _means(curve: Curve) -> list[tuple[float, float]]:
    return [(epoch, interval.mean) for epoch, interval in curve.epochs.items()]
