"""The metric against what it costs, one point per arm, log axis of cost."""

from __future__ import annotations

import itertools
import math
import re
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.analysis.cost import Spent, against_macs, against_seconds
from orchestrator.analysis.summary import Summary
from orchestrator.records import TrialRecord
from orchestrator.report.plots import svg
from orchestrator.report.plots.label_places import Box, place_labels
from orchestrator.report.plots.scale import log_ticks, ticks
from orchestrator.report.wording.numbers import duration, quantity

MOST_LABELS = 30
"""More do not fit beside their points; every point has a tooltip and is in the spoken text."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is paid.

    Attributes:
        title: of the axis, with the unit of its ticks.
        tick: writes a value on the axis.
        said: writes a cost elsewhere, with its unit.
        scale: a tick's unit in the unit of the costs.
    """

    title: str
    tick: Callable[[float], str]
    said: Callable[[float], str]
    scale: float = 1.0


def cost_plots(
    summary: Summary, records: Mapping[str, TrialRecord], colours: Mapping[str, str]
) -> list[str]:
    """Draw the metric against MACs and against device-seconds, each where arms differ in it."""
    spent = against_seconds(summary, records)
    unit, seconds = _time_unit([item.cost for item in spent])
    macs = Kind(title="multiply-accumulates per clip (MACs)", tick=quantity, said=quantity)
    time = Kind(
        title=f"device time per trial, {unit}",
        tick=lambda value: f"{value:g}",
        said=duration,
        scale=seconds,
    )
    asked = [(against_macs(summary), macs), (spent, time)]
    return [
        svg.both(lambda width, a=asked: _draw(*a, summary, colours, width))
        for asked in asked
        if asked[0]
    ]


def _draw(
    items: list[Spent],
    kind: Kind,
    summary: Summary,
    colours: Mapping[str, str],
    width: int,
) -> str:
    height, top, bottom, left = 340, 22, 276, 52
    metric = summary.metric
    values = [i.interval.mean for i in items]
    values += [v for i in items for v in (i.interval.low, i.interval.high) if v is not None]
    marks = ticks(min(values), max(values))
    y = svg.Axis(marks[0], marks[-1], bottom, top)
    costs = [v for i in items for v in (i.low, i.cost, i.high) if v is not None]
    edge = 0.08 * math.log10(max(costs) / min(costs))
    low, high = math.log10(min(costs)) - edge, math.log10(max(costs)) + edge
    x = svg.Axis(low, high, left, width - 14)
    parts = []
    for mark in marks:
        parts.append(svg.line(left, y(mark), width - 6, y(mark), kind="grid"))
        said = svg.tick_text(mark, marks[1] - marks[0])
        parts.append(svg.text(left - 6, y(mark) + 4, said, anchor="end", kind="tick"))
    most, unit = (5 if width == svg.NARROW else 9), kind.scale
    found = log_ticks(10**low / unit, 10**high / unit, most=most)
    for mark, said in zip(found, _tick_texts(found, kind), strict=True):
        at = x(math.log10(mark * unit))
        parts.append(svg.line(at, bottom, at, bottom + 5, kind="zero"))
        parts.append(svg.text(at, bottom + 19, said, anchor="middle", kind="tick"))
    caption = f"{kind.title}, log axis (left is cheaper)"
    for i, part in enumerate(svg.wrap(caption, width)):
        at = height - 22 + 16 * i
        parts.append(svg.text(width / 2, at, part, anchor="middle", kind="axis"))
    said = f"{metric.title}, {metric.unit}" if metric.unit else metric.title
    parts.append(svg.text(4, 12, said, kind="axis halo"))
    taken: list[Box] = []
    for item in items:
        parts.append(_point(item, x, y, colours[item.arm], kind, metric.unit))
        at, to = x(math.log10(item.cost)), y(item.interval.mean)
        taken.append(Box(at - 6, to - 6, at + 6, to + 6))
        if item.interval.low is not None and item.interval.high is not None:
            taken.append(Box(at - 2, y(item.interval.high), at + 2, y(item.interval.low)))
        if item.low is not None and item.high is not None:
            ends = x(math.log10(item.low)), x(math.log10(item.high))
            taken.append(Box(ends[0], to - 2, ends[1], to + 2))
    anchors = [(i.arm, x(math.log10(i.cost)), y(i.interval.mean)) for i in items]
    frame = Box(left + 2, 16, width - 4, bottom - 2)
    for label in place_labels(anchors[:MOST_LABELS], taken, frame):
        if label.leader:
            parts.append(svg.line(*label.leader, kind="grid"))
        parts.append(svg.text(label.x, label.y, label.text, kind="label halo"))
    spoken = "; ".join(
        f"{i.arm} {i.interval.mean:.4g} {metric.unit} at {kind.said(i.cost)}" for i in items
    )
    return svg.figure(width, height, parts, label=f"{metric.title} over {kind.title}: {spoken}")


def _point(item: Spent, x: svg.Axis, y: svg.Axis, colour: str, kind: Kind, unit: str) -> str:
    at, to = x(math.log10(item.cost)), y(item.interval.mean)
    body = []
    if item.interval.low is not None and item.interval.high is not None:
        ends = y(item.interval.low), y(item.interval.high)
        body.append(svg.line(at, ends[0], at, ends[1], kind="interval", colour=colour))
    if item.low is not None and item.high is not None:
        ends = x(math.log10(item.low)), x(math.log10(item.high))
        body.append(svg.line(ends[0], to, ends[1], to, kind="interval", colour=colour))
    body.append(svg.dot(at, to, radius=5, colour=colour))
    said = f"{item.arm}: {item.interval.mean:.4g} {unit} at {kind.said(item.cost)}"
    return svg.group(body, title=f"{said}, n {item.interval.n}")


def _time_unit(costs: list[float]) -> tuple[str, float]:
    """Return the unit of time that most of the costs are read best in, and its seconds."""
    middle = statistics.median(costs) if costs else 1.0
    units = (("days", 86_400.0), ("hours", 3_600.0), ("min", 60.0))
    return next((unit for unit in units if middle >= 2 * unit[1]), ("s", 1.0))


def _tick_texts(marks: list[float], kind: Kind) -> list[str]:
    """Write the ticks, with as many digits as it takes to tell them apart."""
    said = [_short(kind.tick(mark)) for mark in marks]
    if len(set(said)) == len(said):
        return said
    suffix = re.search(r"[^\d.]*$", said[-1])
    scale = 10.0 ** {"k": 3, "M": 6, "G": 9, "T": 12}.get(suffix[0].strip() if suffix else "", 0)
    step = min(two - one for one, two in itertools.pairwise(marks)) / scale
    shown = suffix[0] if suffix else ""
    return [f"{svg.tick_text(mark / scale, step)}{shown}" for mark in marks]


def _short(text: str) -> str:
    """Take the zeros off a round number: `20.0 M` is `20 M`."""
    return re.sub(r"\.0+(?= |$)|(?<=\.[1-9])0(?= |$)", "", text)
