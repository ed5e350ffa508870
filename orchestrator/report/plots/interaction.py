"""The interaction plot of a two-factor design, and the interaction itself where it is 2 x 2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.analysis.rows import ArmSummary, Summary
from orchestrator.analysis.values import plan_test
from orchestrator.report.plots import svg
from orchestrator.report.plots.scale import ticks
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.numbers import decimals, number, p_text


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A full two-factor design: `arms[first level, second level]`."""

    factors: tuple[str, str]
    levels: tuple[tuple[str, ...], tuple[str, ...]]
    arms: Mapping[tuple[str, str], ArmSummary]


def grid(summary: Summary) -> Grid | None:
    """Return the design if it is two factors, every combination, all with numbers."""
    factors = list(dict.fromkeys(f for arm in summary.arms for f in arm.record.levels))
    if len(factors) != 2 or any(len(arm.record.levels) != 2 for arm in summary.arms):
        return None
    first, second = factors
    one = tuple(dict.fromkeys(arm.record.levels[first] for arm in summary.arms))
    two = tuple(dict.fromkeys(arm.record.levels[second] for arm in summary.arms))
    arms = {(a.record.levels[first], a.record.levels[second]): a for a in summary.arms}
    full = len(arms) == len(summary.arms) == len(one) * len(two) and min(len(one), len(two)) > 1
    measured = all(summary.metric.key in arm.measures for arm in summary.arms)
    return (
        Grid(factors=(first, second), levels=(one, two), arms=arms) if full and measured else None
    )


def interaction_sentence(summary: Summary) -> str:
    """Say how much the effects of a 2 x 2 design depend on one another; empty otherwise."""
    found = grid(summary)
    if found is None or [len(levels) for levels in found.levels] != [2, 2]:
        return ""
    (a, b), (c, d) = found.levels
    values = {key: arm.measures[summary.metric.key].values for key, arm in found.arms.items()}
    blocks = [k for k in values[a, c] if all(k in values[pair] for pair in values)]
    if not blocks:
        return ""
    changed = plan_test(
        summary.plan,
        {
            at: (values[b, d][at] - values[b, c][at]) - (values[a, d][at] - values[a, c][at])
            for at in blocks
        },
    )
    places, unit = decimals(changed.half_width), unit_of_difference(summary.metric)
    evidence = ""
    if changed.n > 1:
        low, high = number(changed.low, places), number(changed.high, places)
        evidence = (
            f", 95 % {changed.interval_method} {low} to {high}, "
            f"p {p_text(changed.p_value)} uncorrected"
        )
    return (
        f"Interaction: going from {c} to {d} changes {summary.metric.title} by "
        f"{number(changed.mean, places, signed=True)} {unit} more under {b} than under {a}"
        f"{evidence} (n {changed.n}{f' {changed.replicate}s' if changed.reason else ''})."
    )


def interaction_plot(summary: Summary, colours: Mapping[str, str]) -> str:
    """Draw a line per level of the second factor, points in the arms' colours; empty otherwise."""
    found = grid(summary)
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
