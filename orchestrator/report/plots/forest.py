"""The forest: differences with intervals, single replicates as faint dots, zero and margin."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

from orchestrator.analysis.forest import Line, forest_lines
from orchestrator.report.plots import svg
from orchestrator.report.plots.panel import LINE, NARROW, Axis, Panel, both, linear_axis
from orchestrator.report.plots.plot import Plot, PlotData
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.notes import interval_over, paired_over
from orchestrator.report.wording.numbers import decimals, number


def plots(data: PlotData) -> list[Plot]:
    """Draw every arm against the baseline, then declared contrasts and effects."""
    summary, plan, metric = data.summary, data.summary.plan, data.summary.metric
    unit, margin = unit_of_difference(metric), plan.margin_of(metric.key)
    title, rows = f"difference in {metric.title} from {plan.baseline}", ["s: arms"]
    others = [("contrasts", summary.other_contrasts), ("effects", summary.effects)]
    kinds = [kind for kind, found in others if found]
    if kinds:
        title += f"; below, declared {' and '.join(kinds)}"
    between = {"contrasts": "contrasts between other arms"}
    rows += [f"declared {between.get(kind, kind)}" for kind in kinds]
    paired = paired_over(summary)
    shaded = (
        f"; shaded, the margin of ±{margin:g} {unit} within which a difference was declared not "
        "to matter"
    )
    if any(len(effect.record.factors) > 1 for effect in summary.effects):
        shaded += " (no interaction is tested against it)"
    caption = (
        "Paired differences: large point, mean (filled where the adjusted test calls it); bar, "
        f"95 % {f'interval over {paired}' if paired else interval_over(summary)}; faint dots, "
        f"single {'means' if paired else 'pairs'}{shaded if margin else ''}. Rows as in the table"
        f"{', then '.join(rows) if kinds else ''}."
    )
    lines = forest_lines(summary)
    drawing = forest(lines, data.styles, title, unit, sign=metric.sign, margin=margin)
    return [Plot(section="forest", drawings=(drawing,), caption=caption)] if drawing else []


def forest(
    lines: Sequence[Line],
    styles: Mapping[str, svg.Style],
    title: str,
    unit: str,
    *,
    sign: int,
    margin: float = 0.0,
) -> str:
    """Draw differences, one row each, from top to bottom; empty without any difference.

    Args:
        lines: rows.
        styles: arm -> color and shape.
        title: what is different from what, for the axis and for screen readers.
        unit: of the differences.
        sign: +1 where larger is better.
        margin: the difference declared not to matter, shaded on either side of zero; 0 is none.
    """
    caption = f"{title}{f', {unit}' if unit else ''} ({'right' if sign > 0 else 'left'} is better)"
    shaded = margin if any(row.margin for row in lines) else 0.0
    within = f"margin of ±{margin:g} {unit}".rstrip()
    values = [v for row in lines for v in (row.low, row.mean, row.high, *row.replicates)]

    def draw(width: int) -> Panel:
        # A narrow panel has label and numbers above the row, a wide one on either side of it.
        narrow = width == NARROW
        longest = max(len(row.label) for row in lines) * svg.CHARACTER
        room = width - 8 if narrow else min(longest, width * 0.33)
        labels = [_label(row, room, numbers=narrow) for row in lines]
        tall = [LINE * (label.count("\n") + 1) for label in labels]
        edges = [0.0, *itertools.accumulate(h + (34 if narrow else 18) for h in tall)]
        panel = Panel(
            width,
            edges[-1],
            x=linear_axis([-shaded, 0, shaded, *values], max_ticks=7 if narrow else 9, signed=True),
            y=Axis(low=edges[-1], high=0.0, ticks={}),
            spoken=f"{caption}{f'; shaded, the {within}' if shaded else ''}",
            caption=caption,
            left=20 if narrow else room + 30,
            right=20 if narrow else 190,
        )
        for row, top, bottom in zip(lines, edges, edges[1:], strict=False):
            if margin and row.margin:
                color = svg.BASELINE.color
                panel.box(
                    (-margin, top), (margin, bottom), kind="margin", color=color, title=within
                )
        panel.line(((0, 0), (0, edges[-1])), kind="zero")
        for row, label, height, top, bottom in zip(
            lines, labels, tall, edges, edges[1:], strict=False
        ):
            y = bottom - 19 if narrow else (top + bottom) / 2 - 2
            if narrow:
                panel.text(4, top + 4 + height / 2, label, kind="label halo")
            else:
                panel.text(room + 10, y, label, anchor="end")
                panel.text(width - 4, y, _numbers(row), anchor="end", kind="tick")
            if row.mean is None:
                panel.text(panel.at(0, y)[0] + 8, y, "nothing to compare yet", kind="tick")
                continue
            panel.point(
                row.mean,
                y,
                styles.get(row.arm, svg.BASELINE),
                title=f"{row.label} {_numbers(row)}, n {len(row.replicates)}",
                x_ends=(row.low, row.high),
                faint=[(v, y + 9) for v in row.replicates] if len(row.replicates) > 1 else (),
                hollow=not row.called,
            )
        return panel

    return both(draw) if any(row.mean is not None for row in lines) else ""


def _label(row: Line, room: float, *, numbers: bool) -> str:
    """Break a label that is too long: before a minus or behind an arrow first, then anywhere."""
    whole = f"{row.label}  {_numbers(row)}" if numbers else row.label
    if len(whole) * svg.CHARACTER <= room:
        return whole
    fits = len(row.label) * svg.CHARACTER <= room
    parts = [row.label] if fits else re.split(r" (?=− )|(?<= →) ", row.label)
    lines = [line for part in parts for line in svg.wrap(part, room)]
    return "\n".join([*lines, _numbers(row)] if numbers else lines)


def _numbers(row: Line) -> str:
    if row.mean is None:
        return "—"
    if row.low is None or row.high is None:
        return f"{number(row.mean, 1, signed=True)}, no interval"
    places = decimals((row.high - row.low) / 2)
    low, high = number(row.low, places), number(row.high, places)
    return f"{number(row.mean, places, signed=True)} [{low}, {high}]"
