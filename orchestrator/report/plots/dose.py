"""The dose curve: the metric over the setting that is dosed, log axis, zero and control apart."""

from __future__ import annotations

import math
from collections.abc import Mapping

from orchestrator.analysis.patterns import Dose
from orchestrator.analysis.summary import Summary
from orchestrator.report.plots import svg
from orchestrator.report.plots.scale import ticks


def dose_plot(summary: Summary, colours: Mapping[str, str]) -> str:
    """Draw the dose curve; empty where the sweep is no dose series."""
    items = summary.doses
    return svg.both(lambda width: _draw(items, summary, colours, width)) if items else ""


def _draw(items: tuple[Dose, ...], summary: Summary, colours: Mapping[str, str], width: int) -> str:
    height, top, bottom, left = 310, 14, 246, 52
    metric = summary.metric
    values = [v for item in items for v in item.values]
    values += [v for i in items for v in (i.interval.low, i.interval.high) if v is not None]
    marks = ticks(min(values), max(values))
    y = svg.Axis(marks[0], marks[-1], bottom, top)
    apart = [item for item in items if not item.dose or item.dose < 0]
    curve = [item for item in items if item.dose and item.dose > 0]
    gap = 56 if width == svg.NARROW else 84
    places = {item.arm: left + gap * (i + 0.5) for i, item in enumerate(apart)}
    begin = left + gap * len(apart) + (26 if apart else 0)
    logs = [math.log10(item.dose) for item in curve if item.dose]
    low, high = min(logs, default=0.0), max(logs, default=1.0)
    x = svg.Axis(low, high if high > low else low + 1, begin + 10, width - 34)
    places |= {item.arm: x(math.log10(item.dose)) for item in curve if item.dose}

    parts = []
    for mark in marks:
        parts.append(svg.line(left, y(mark), width - 6, y(mark), kind="grid"))
        said = svg.tick_text(mark, marks[1] - marks[0])
        parts.append(svg.text(left - 6, y(mark) + 4, said, anchor="end", kind="tick"))
    if apart and curve:
        middle = begin - 13
        parts.append(svg.line(middle - 5, bottom + 5, middle - 1, bottom - 5, kind="zero"))
        parts.append(svg.line(middle + 1, bottom + 5, middle + 5, bottom - 5, kind="zero"))
    parts.append(
        svg.polyline(((places[i.arm], y(i.interval.mean)) for i in curve), colour="var(--muted)")
    )
    last = -1e9
    for item in items:
        at, colour = places[item.arm], colours.get(item.arm, svg.BASELINE)
        parts.append(_point(item, at, y, colour, metric.unit))
        said = svg.clip(item.arm if item.dose is None else f"{item.dose:.3g}", gap - 2)
        if at - last > len(said) * svg.CHARACTER + 4:
            parts.append(svg.text(at, bottom + 18, said, anchor="middle", kind="tick"))
            last = at
    title = f"{summary.plan.dose} (log axis{'; none and zero apart' if apart else ''})"
    for i, said in enumerate(svg.wrap(title, width)):
        parts.append(svg.text(width / 2, height - 22 + 16 * i, said, anchor="middle", kind="axis"))
    parts.append(svg.text(left + 4, top + 2, f"{metric.title}, {metric.unit}", kind="axis halo"))
    spoken = "; ".join(f"{i.arm} {i.interval.mean:.4g} {metric.unit}" for i in items)
    return svg.figure(width, height, parts, label=f"{metric.title} over {title}: {spoken}")


def _point(item: Dose, x: float, y: svg.Axis, colour: str, unit: str) -> str:
    low, high = item.interval.low, item.interval.high
    body = [svg.dot(x, y(v), radius=3, colour=colour, kind="faint") for v in item.values]
    if low is not None and high is not None:
        body.append(svg.line(x, y(low), x, y(high), kind="interval", colour=colour))
    body.append(svg.dot(x, y(item.interval.mean), radius=5, colour=colour))
    return svg.group(
        body, title=f"{item.arm}: {item.interval.mean:.4g} {unit}, n {item.interval.n}"
    )
