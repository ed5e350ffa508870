"""Learning curves: mean over replicates with interval, a small panel per arm, one scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.curves import Curve, curves
from orchestrator.metrics import METRICS, Metric
from orchestrator.report.plots import svg
from orchestrator.report.plots.panel import Axis, Panel, linear_axis, with_unit
from orchestrator.report.plots.plot import Plot, PlotData
from orchestrator.report.tables.table import Column, Table, spread
from orchestrator.report.wording.notes import interval_over, spread_notes
from orchestrator.stats import CONFIDENCE

MAX_ROWS = 50


def plots(data: PlotData) -> Iterator[Plot]:
    """Draw the study's metric by epoch, one panel per arm, and the other metrics folded below."""
    summary = data.summary
    learned = curves(summary, data.records, summary.metric)
    if learned:
        yield Plot(
            section="curves",
            drawings=_drawings(data, learned, summary.metric),
            caption=f"Line, mean over finished trials on the test clips; band, 95 % "
            f"{interval_over(summary)}; gray line, {summary.plan.baseline}; tick on the axis, "
            f"median of the epochs that are best {_chosen_on(data)}. One scale for all panels; "
            "the vertical axis starts where the data do, and a band is cut at the frame.",
            layout="small",
            table=curve_table(learned, summary.metric),
            metric=summary.metric.title,
        )
    recorded = {key for r in data.records.values() for epoch in r.epochs for key in epoch.metrics}
    for metric in (METRICS[key] for key in METRICS if key in recorded and learned):
        drawn = curves(summary, data.records, metric)
        if metric.key != summary.metric.key and drawn:
            yield Plot(
                section="curves",
                drawings=_drawings(data, drawn, metric),
                layout="small",
                metric=metric.title,
                folded=metric.title[0].upper() + metric.title[1:],
            )


def _chosen_on(data: PlotData) -> str:
    """Name the clips on which the epochs are best that the ticks show."""
    by = {record.chose_on_validation for record in data.records.values()}
    words = {True: "on the validation clips, which are not shown", False: "on these clips"}
    return " or ".join(words[one] for one in sorted(by))


def _drawings(data: PlotData, found: Sequence[Curve], metric: Metric) -> tuple[str, ...]:
    epochs = sorted({epoch for curve in found for epoch in curve.epochs})
    first, last = epochs[0], epochs[-1]
    texts = {float(epoch): str(epoch) for epoch in (first, (first + last) // 2, last)}
    # Center a single epoch.
    edge = 0 if last > first else 1
    x = Axis(low=first - edge, high=last + edge, ticks=texts)
    y = linear_axis((i.mean for curve in found for i in curve.epochs.values()), max_ticks=5)
    means = {c.arm: [(epoch, i.mean) for epoch, i in c.epochs.items()] for c in found}
    baseline, drawings = data.summary.plan.baseline, list[str]()
    for curve in found:
        *_, end = curve.epochs.values()
        best, color = curve.best_epoch, data.styles[curve.arm].color
        panel = Panel(
            108,
            x=x,
            y=y,
            spoken=f"{curve.arm}: {with_unit(metric)} over {len(curve.epochs)} epochs, mean of "
            f"{end.n} {end.replicate}{'s' * (end.n > 1)}, ends at {end.mean:.4g}; best epoch "
            f"{best:g} (median)",
            title=curve.arm,
            caption=f"{with_unit(metric)}, by epoch",
            width=270,
            left=44,
            arm=curve.arm,
            read=True,
        )
        if curve.arm != baseline:
            panel.line(means.get(baseline, ()), color=svg.BASELINE.color, kind="curve thin")
        ends = {e: i for e, i in curve.epochs.items() if i.low is not None}
        band = [(e, max(i.low or 0.0, y.low)) for e, i in ends.items()]
        band += [(e, min(i.high or 0.0, y.high)) for e, i in reversed(ends.items())]
        panel.line(band, kind="band", color=color)
        panel.line(means[curve.arm], color=color)
        if len(curve.epochs) == 1:
            panel.point(first, end.mean, data.styles[curve.arm], title=f"{end.mean:.4g}")
        if best:
            panel.line(((best, y.low), (best, y.low + 0.08 * (y.high - y.low))), kind="zero")
        drawings.append(str(panel))
    return tuple(drawings)


def curve_table(found: Sequence[Curve], metric: Metric) -> Table:
    """Return the numbers in the panels: epochs down, arms across."""
    epochs = sorted({epoch for curve in found for epoch in curve.epochs})
    stride = -(-len(epochs) // MAX_ROWS) or 1
    chosen = sorted({*epochs[::stride], *epochs[-1:]})
    shown = [[curve.epochs.get(epoch) for epoch in chosen] for curve in found]
    texts = [spread(intervals, metric) for intervals in shown]
    methods = dict.fromkeys(i.interval_method for curve in found for i in curve.epochs.values())
    over = " or ".join(methods) or "t interval"
    notes = [f"{metric.title}: mean ± half width of the {100 * CONFIDENCE:g} % {over}."]
    notes += spread_notes(interval for intervals in shown for interval in intervals)
    if stride > 1:
        notes.append(f"Every {stride}. epoch and the last.")
    return Table(
        columns=(
            Column(key="epoch", title="epoch"),
            *(Column(key=curve.arm, title=curve.arm, unit=metric.unit) for curve in found),
        ),
        rows=tuple(zip(map(str, chosen), *texts, strict=True)),
        baseline=-1,
        best=-1,
        notes=tuple(notes),
    )
