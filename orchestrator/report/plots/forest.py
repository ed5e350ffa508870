"""The forest as SVG: points with intervals, single replicates as faint dots, zero and margin."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from orchestrator.analysis.forest import Line
from orchestrator.report.plots import svg
from orchestrator.report.plots.scale import ticks
from orchestrator.report.wording.numbers import decimals, number


def forest_plot(
    lines: Sequence[Line],
    *,
    colours: Mapping[str, str],
    title: str,
    unit: str,
    sign: int,
    margin: float = 0.0,
) -> str:
    """Draw differences, one row each, from top to bottom; empty without any difference.

    Args:
        lines: rows.
        colours: arm -> colour.
        title: what is different from what, for the axis and the text alternative.
        unit: of the differences.
        sign: +1 where larger is better.
        margin: the difference declared not to matter, shaded on either side of zero; 0 is none.
    """
    if not any(row.mean is not None for row in lines):
        return ""
    return svg.both(lambda width: _draw(lines, width, colours, title, unit, sign, margin))


def _draw(
    lines: Sequence[Line],
    width: int,
    colours: Mapping[str, str],
    title: str,
    unit: str,
    sign: int,
    margin: float,
) -> str:
    narrow = width == svg.NARROW
    longest = max(len(row.label) for row in lines) * svg.CHARACTER
    label = 0.0 if narrow else min(longest + 16, width * 0.33)
    numbers = 0.0 if narrow else 170.0
    labels = _labels(lines, narrow, width - 8 if narrow else label)
    heights = [34 + 16 * len(said) if narrow else max(34, 16 * len(said) + 6) for said in labels]
    top = 30
    starts = [top + sum(heights[:i]) for i in range(len(lines))]
    shaded = margin if any(row.margin for row in lines) else 0.0
    values = [-shaded, 0.0, shaded]
    for row in lines:
        values += [v for v in (row.low, row.mean, row.high, *row.replicates) if v is not None]
    marks = ticks(min(values), max(values), most=7 if narrow else 9)
    x = svg.Axis(marks[0], marks[-1], label + 20, width - numbers - 20)
    bottom = top + sum(heights)
    parts = []
    if shaded:
        parts += _margin(lines, [*starts, bottom], x, margin, unit)
    for mark in marks:
        parts.append(svg.line(x(mark), top - 6, x(mark), bottom, kind="grid"))
        said = svg.tick_text(mark, marks[1] - marks[0], signed=True)
        parts.append(svg.text(x(mark), top - 12, said, anchor="middle", kind="tick"))
    parts.append(svg.line(x(0), top - 6, x(0), bottom, kind="zero"))
    for row, said, start, height in zip(lines, labels, starts, heights, strict=True):
        y = start + (height - 19 if narrow else height * 0.45)
        parts.append(_row(row, x, y, colours.get(row.arm, svg.BASELINE)))
        # Beside the row its lines stand around its middle, in a narrow plot above it.
        first = y - 14 - 16 * (len(said) - 1) if narrow else y + 4 - 8 * (len(said) - 1)
        for i, part in enumerate(said):
            at = (4, "start", "label halo") if narrow else (label, "end", "label")
            parts.append(svg.text(at[0], first + 16 * i, part, anchor=at[1], kind=at[2]))
        if not narrow:
            parts.append(svg.text(width - 4, y + 4, _numbers(row), anchor="end", kind="tick"))
    way = "right" if sign > 0 else "left"
    caption = f"{title}{f', {unit}' if unit else ''} ({way} is better)"
    middle = width / 2 if narrow else (x.start + x.end) / 2
    said = svg.wrap(caption, width if narrow else x.end - x.start)
    for i, part in enumerate(said):
        parts.append(svg.text(middle, bottom + 20 + 16 * i, part, anchor="middle", kind="axis"))
    spoken = "; ".join(f"{row.label} {_numbers(row)}" for row in lines)
    if shaded:
        spoken += f"; shaded, the margin of ±{margin:g} {unit}".rstrip()
    return svg.figure(width, bottom + 14 + 16 * len(said), parts, label=f"{caption}. {spoken}")


def _margin(
    lines: Sequence[Line], edges: Sequence[float], x: svg.Axis, margin: float, unit: str
) -> list[str]:
    """Shade the margin behind the rows that have one, in as few pieces as there are gaps."""
    pieces, first = [], 0
    for own, rows in itertools.groupby(lines, key=lambda row: row.margin):
        last = first + len(list(rows))
        top, bottom = edges[first] - (6 if first == 0 else 0), edges[last]
        ends = [
            (x(at), y)
            for y, way in ((top, 1), (bottom, -1))
            for at in (-way * margin, way * margin)
        ]
        pieces += [svg.polygon(ends, colour=svg.BASELINE, kind="margin")] if own else []
        first = last
    return [svg.group(pieces, title=f"margin of ±{margin:g} {unit}".rstrip())]


def _labels(lines: Sequence[Line], narrow: bool, width: float) -> list[list[str]]:
    """Return each row's label in one line or two, in a narrow plot with its numbers behind."""
    parts = [_parts(row.label, width) for row in lines]
    firsts = svg.apart([first for first, _ in parts], width)
    seconds = svg.apart([second for _, second in parts], width)
    found = [list(filter(None, pair)) for pair in zip(firsts, seconds, strict=True)]
    for said, row in zip(found if narrow else (), lines, strict=False):
        joined = f"{said[-1]}  {_numbers(row)}"
        fits = len(joined) * svg.CHARACTER <= width
        said[-1:] = [joined] if fits else [said[-1], _numbers(row)]
    return found


def _parts(label: str, width: float) -> tuple[str, str]:
    """Break a label that is too long: before a minus, behind an arrow, else between words."""
    if len(label) * svg.CHARACTER <= width:
        return label, ""
    one, minus, other = label.partition(" − ")
    if minus:
        return one, f"− {other}"
    one, arrow, other = label.partition(" → ")
    if arrow:
        return f"{one} →", other
    first, *rest = svg.wrap(label, width)
    return first, " ".join(rest)


def _row(row: Line, x: svg.Axis, y: float, colour: str) -> str:
    if row.mean is None:
        return svg.text(x(0) + 8, y + 4, "nothing to compare yet", kind="tick")
    body = [
        svg.dot(x(value), y + 9, radius=2.6, colour=colour, kind="faint")
        for value in row.replicates
        if len(row.replicates) > 1
    ]
    if row.low is not None and row.high is not None:
        body.append(svg.line(x(row.low), y, x(row.high), y, kind="interval", colour=colour))
    kind = "point" if row.called else "point hollow"
    body.append(svg.dot(x(row.mean), y, radius=5.5, colour=colour, kind=kind))
    return svg.group(body, title=f"{row.label} {_numbers(row)}, n {len(row.replicates)}")


def _numbers(row: Line) -> str:
    if row.mean is None:
        return "—"
    if row.low is None or row.high is None:
        return f"{number(row.mean, 1, signed=True)}, no interval"
    places = decimals((row.high - row.low) / 2)
    low, high = number(row.low, places), number(row.high, places)
    return f"{number(row.mean, places, signed=True)} [{low}, {high}]"
