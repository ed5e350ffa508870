"""Learning curves: the mean over replicates with its interval, a small panel per arm, one scale."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.analysis.rows import Block, plan_interval
from orchestrator.analysis.summary import Summary
from orchestrator.metrics import Metric
from orchestrator.records import Status, TrialRecord
from orchestrator.report.plots import svg
from orchestrator.report.plots.scale import ticks
from orchestrator.report.tables.arms import Column, Table, spread
from orchestrator.stats import CONFIDENCE, CrossedInterval

WIDTH, HEIGHT = 270, 170
MOST_ROWS = 50


@dataclass(frozen=True, kw_only=True)
class Curve:
    """An arm's curve over its finished trials.

    Attributes:
        arm: name.
        epochs: epoch -> mean with interval, in the metric's unit.
        best_epoch: median over the trials of the best epoch; 0 where unknown.
    """

    arm: str
    epochs: Mapping[int, CrossedInterval]
    best_epoch: float


def curves(summary: Summary, records: Mapping[str, TrialRecord], metric: Metric) -> list[Curve]:
    """Return a curve per arm that has one, in the plan's order."""
    found = []
    for arm in summary.arms:
        values: defaultdict[int, dict[Block, float]] = defaultdict(dict)
        best = []
        for cell in arm.cells:
            record = records.get(cell.id)
            if record is None or record.status is not Status.FINISHED:
                continue
            best += [record.best_epoch] if record.best_epoch else []
            for epoch in record.epochs:
                value = epoch.metrics.get(metric.key)
                if value is not None and math.isfinite(value):
                    values[epoch.epoch][cell.block] = value * metric.scale
        if values:
            means = {e: plan_interval(summary.plan, values[e]) for e in sorted(values)}
            middle = statistics.median(best) if best else 0
            found.append(Curve(arm=arm.name, epochs=means, best_epoch=middle))
    return found


def curve_panels(
    found: Sequence[Curve], summary: Summary, metric: Metric, colours: Mapping[str, str]
) -> list[str]:
    """Draw one panel per arm on one scale, the baseline's mean in grey behind each."""
    if not found:
        return []
    means = [i.mean for curve in found for i in curve.epochs.values()]
    marks = ticks(min(means), max(means), most=5)
    last = max(epoch for curve in found for epoch in curve.epochs)
    first = min(epoch for curve in found for epoch in curve.epochs)
    x = svg.Axis(first, max(last, first + 1), 40, WIDTH - 10)
    y = svg.Axis(marks[0], marks[-1], HEIGHT - 34, 28)
    baseline = next((c for c in found if c.arm == summary.plan.baseline), None)
    titles = svg.apart([curve.arm for curve in found], WIDTH - 8)
    return [
        _panel(curve, title, baseline, metric, colours[curve.arm], marks, x, y)
        for curve, title in zip(found, titles, strict=True)
    ]


def curve_table(found: Sequence[Curve], metric: Metric) -> Table:
    """Return the numbers behind the panels: epochs down, arms across."""
    epochs = sorted({epoch for curve in found for epoch in curve.epochs})
    stride = -(-len(epochs) // MOST_ROWS) or 1
    chosen = sorted({*epochs[::stride], *epochs[-1:]})
    texts = [spread([curve.epochs.get(epoch) for epoch in chosen]) for curve in found]
    methods = dict.fromkeys(i.interval_method for curve in found for i in curve.epochs.values())
    over = " or ".join(methods) or "t interval"
    notes = [f"{metric.title}: mean ± half width of the {100 * CONFIDENCE:g} % {over}."]
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


def _panel(
    curve: Curve,
    title: str,
    baseline: Curve | None,
    metric: Metric,
    colour: str,
    marks: list[float],
    x: svg.Axis,
    y: svg.Axis,
) -> str:
    parts = [svg.text(4, 14, title, kind="label")]
    unit = f"{metric.title}, {metric.unit}" if metric.unit else metric.title
    for mark in marks:
        parts.append(svg.line(x.start, y(mark), x.end, y(mark), kind="grid"))
        said = svg.tick_text(mark, marks[1] - marks[0])
        parts.append(svg.text(x.start - 5, y(mark) + 4, said, anchor="end", kind="tick"))
    for epoch in sorted({int(x.low), int((x.low + x.high) / 2), int(x.high)}):
        parts.append(svg.text(x(epoch), HEIGHT - 18, str(epoch), anchor="middle", kind="tick"))
    middle = (x.start + x.end) / 2
    parts.append(svg.text(middle, HEIGHT - 4, f"{unit}, by epoch", anchor="middle", kind="tick"))
    if baseline is not None and baseline is not curve:
        points = [(x(e), y(i.mean)) for e, i in baseline.epochs.items()]
        parts.append(svg.polyline(points, colour=svg.BASELINE, kind="curve thin"))
    spread = [(e, i.low, i.high) for e, i in curve.epochs.items() if i.low is not None]
    band = [(x(e), _inside(y, low)) for e, low, _ in spread if low is not None]
    band += [(x(e), _inside(y, high)) for e, _, high in reversed(spread) if high is not None]
    if band:
        parts.append(svg.polygon(band, colour=colour))
    points = [(x(e), y(i.mean)) for e, i in curve.epochs.items()]
    parts.append(svg.polyline(points, colour=colour))
    if len(points) == 1:
        parts.append(svg.dot(*points[0], radius=3, colour=colour))
    if curve.best_epoch:
        at = x(curve.best_epoch)
        parts.append(svg.line(at, y.start, at, y.start - 8, kind="zero"))
    end = list(curve.epochs.values())[-1]
    label = (
        f"{curve.arm}: {unit} over {len(curve.epochs)} epochs, mean of {end.n} "
        f"{end.replicate}{'s' * (end.n > 1)}, "
        f"ends at {end.mean:.4g}; best epoch {curve.best_epoch:g} (median)"
    )
    return svg.figure(WIDTH, HEIGHT, parts, label=label)


def _inside(y: svg.Axis, value: float) -> float:
    return y(min(max(value, y.low), y.high))
