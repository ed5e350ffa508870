"""The interaction plot of a two-factor design."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.analysis.patterns import Grid
from orchestrator.analysis.summary import Summary
from orchestrator.report.plots import svg
from orchestrator.report.plots.scale import ticks


def interaction_plot(summary: Summary, colours: Mapping[str, str]) -> str:
    """Draw a line per level of the second factor, points in the arms' colours; empty otherwise."""
    found = summary.grid
    return svg.both(lambda width: _draw(found, summary, colours, width)) if found else ""


def _draw(found: Grid, summary: Summary, colours: Mapping[str, str], width: int) -> str:
    width = min(width, 560)
    height, top, bottom, left = 300, 24, 246, 52
    metric = summary.metric
    one, two = found.levels
    intervals = {key: arm.measures[metric.key].interval for key, arm in found.arms.items()}
    values = [v for i in intervals.values() for v in (i.low, i.mean, i.high) if v is not None]
    marks = ticks(min(values), max(values))
    y = svg.Axis(marks[0], marks[-1], bottom, top)
    ends = max(map(len, two)) * svg.CHARACTER
    right = width - min(ends, width * 0.25)
    x = svg.Axis(-0.5, len(one) - 0.5, left, right)
    parts = []
    for mark in marks:
        parts.append(svg.line(left, y(mark), width - 6, y(mark), kind="grid"))
        said = svg.tick_text(mark, marks[1] - marks[0])
        parts.append(svg.text(left - 6, y(mark) + 4, said, anchor="end", kind="tick"))
    for i, level in enumerate(one):
        said = svg.clip(level, (right - left) / len(one))
        parts.append(svg.text(x(i), bottom + 18, said, anchor="middle", kind="tick"))
    for j, level in enumerate(two):
        shift = (j - (len(two) - 1) / 2) * 8
        points = [(x(i) + shift, found.arms[first, level]) for i, first in enumerate(one)]
        line = [(at, y(arm.measures[metric.key].interval.mean)) for at, arm in points]
        kind = f"curve dash-{j % 3}"
        parts.append(svg.polyline(line, colour="var(--muted)", kind=kind))
        for at, arm in points:
            m, colour = arm.measures[metric.key].interval, colours.get(arm.name, svg.BASELINE)
            if m.low is not None and m.high is not None:
                parts.append(svg.line(at, y(m.low), at, y(m.high), kind="interval", colour=colour))
            parts.append(svg.dot(at, y(m.mean), radius=5, colour=colour))
        said = svg.clip(level, width - line[-1][0] - 12)
        parts.append(svg.text(line[-1][0] + 12, line[-1][1] + 4, said, kind="label halo"))
    middle = (left + right) / 2
    parts.append(svg.text(middle, height - 8, found.factors[0], anchor="middle", kind="axis"))
    parts.append(
        svg.text(
            left + 4,
            top - 4,
            f"{metric.title}, {metric.unit}; lines: {found.factors[1]}",
            kind="axis halo",
        )
    )
    spoken = "; ".join(f"{a}, {b}: {i.mean:.4g}" for (a, b), i in intervals.items())
    label = (
        f"{metric.title} in {metric.unit} by {found.factors[0]} and {found.factors[1]}: {spoken}"
    )
    return svg.figure(width, height, parts, label=label)
