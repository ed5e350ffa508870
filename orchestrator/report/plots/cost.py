"""The metric against what it costs, one point per arm, log axis of cost."""

from __future__ import annotations

import itertools
import math
import re
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.analysis.rows import ArmSummary
from orchestrator.analysis.summary import Summary
from orchestrator.records import Status, TrialRecord
from orchestrator.report.plots import svg
from orchestrator.report.plots.label_places import Box, place_labels
from orchestrator.report.plots.scale import log_ticks, ticks
from orchestrator.report.wording.numbers import duration, quantity
from orchestrator.stats import CONFIDENCE, MeanInterval, mean_interval

MOST_LABELS = 30
"""More do not fit beside their points; every point has a tooltip and is in the spoken text."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """An arm in the plane of cost and metric.

    Attributes:
        arm: name.
        cost: geometric mean over its finished trials, in the plot's unit.
        low: lower end of the cost's 95 % interval; None where it is exact or there is none.
        high: upper end likewise.
        interval: of the metric, in its unit.
    """

    arm: str
    cost: float
    low: float | None = None
    high: float | None = None
    interval: MeanInterval


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


def against_macs(summary: Summary) -> list[Spent]:
    """Return the arms over multiply-accumulates per clip; empty where all have the same."""
    found = [
        Spent(arm=arm.name, cost=arm.cost.macs, interval=arm.measures[summary.metric.key].interval)
        for arm in _with_numbers(summary)
        if arm.cost and arm.cost.macs
    ]
    return found if len({item.cost for item in found}) > 1 else []


def against_seconds(summary: Summary, records: Mapping[str, TrialRecord]) -> list[Spent]:
    """Return the arms over device-seconds per trial; empty where they differ by noise alone.

    Times are compared as logarithms. They differ by more than noise where the t intervals of two
    arms are apart, at 95 % for all arms together (Bonferroni), which needs two finished trials in
    each. Seconds on several kinds of device are not comparable, so the result is then empty too;
    `several_devices` says so.
    """
    if several_devices(summary, records):
        return []
    found, certain = [], []
    arms = _with_numbers(summary)
    for arm in arms:
        mine = [records[cell.id].cost for cell in arm.cells if _finished(records.get(cell.id))]
        logs = [math.log(c.seconds * c.num_workers) for c in mine if c.seconds > 0]
        if not logs:
            continue
        spread = mean_interval(logs)
        certain.append(mean_interval(logs, confidence=1 - (1 - CONFIDENCE) / len(arms)))
        found.append(
            Spent(
                arm=arm.name,
                cost=math.exp(spread.mean),
                low=None if spread.low is None else math.exp(spread.low),
                high=None if spread.high is None else math.exp(spread.high),
                interval=arm.measures[summary.metric.key].interval,
            )
        )
    lowest = min((item.high for item in certain if item.high is not None), default=math.inf)
    highest = max((item.low for item in certain if item.low is not None), default=-math.inf)
    return found if lowest < highest else []


def several_devices(summary: Summary, records: Mapping[str, TrialRecord]) -> list[str]:
    """Return the kinds of device of the finished trials where there are several; else nothing."""
    cells = (cell for arm in _with_numbers(summary) for cell in arm.cells)
    devices = {records[c.id].cost.device for c in cells if _finished(records.get(c.id))}
    return sorted(devices) if len(devices) > 1 else []


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


def _with_numbers(summary: Summary) -> list[ArmSummary]:
    return [arm for arm in summary.arms if summary.metric.key in arm.measures]


def _finished(record: TrialRecord | None) -> bool:
    return record is not None and record.status is Status.FINISHED
