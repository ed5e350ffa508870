"""Forest plot: differences with intervals, single replicates as faint dots, zero and margin."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.analysis.forest import Line, forest_lines, other_lines
from orchestrator.metrics import METRICS
from orchestrator.report.plots import svg
from orchestrator.report.plots.panel import LINE, WIDTH, Axis, Panel, linear_axis
from orchestrator.report.plots.plot import Plot, PlotData
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.notes import difference_interval, interval_over, paired_over
from orchestrator.report.wording.numbers import bracket, decimals, number

ROOM = 40.0
"""Room below a row's label for the interval and the replicates, in pixels."""


def plots(data: PlotData) -> Iterator[Plot]:
    """Draw every arm against the baseline, then declared contrasts and effects."""
    summary, plan, metric = data.summary, data.summary.plan, data.summary.metric
    unit, margin = unit_of_difference(metric), plan.margin_of(metric.key)
    title, rows = f"difference in {metric.title} from {plan.baseline}", ""
    kinds = ["contrasts"] * bool(summary.other_contrasts) + ["effects"] * bool(summary.effects)
    if kinds:
        title += f"; below, declared {' and '.join(kinds)}"
        rows = f"s: arms, then declared {', then declared '.join(kinds)}"
        rows = rows.replace("contrasts", "contrasts between other arms")
    paired = paired_over(summary)
    shaded = (
        f"; shaded, the margin of ±{margin:g} {unit} within which a difference was declared not "
        "to matter"
    )
    if any(len(effect.record.factors) > 1 for effect in summary.effects):
        shaded += " (no interaction is tested against it)"
    caption = (
        "Paired differences: large point, mean (filled where the adjusted test calls it); bar, "
        f"95 % {difference_interval(summary)}{f' over {paired}' if paired else ''}; faint dots, "
        f"single {'means' if paired else 'pairs'}, equal ones stacked{shaded if margin else ''}. "
        f"Rows as in the table{rows}."
    )
    lines = forest_lines(summary)
    drawing = forest(lines, data.styles, title, unit, sign=metric.sign, margin=margin)
    if not drawing:
        return
    yield Plot(section="forest", drawings=(drawing,), caption=caption, metric=metric.title)
    keys = dict.fromkeys(key for arm in summary.arms for key in arm.measures if key != metric.key)
    for other in (METRICS[key] for key in keys):
        title, unit = f"difference in {other.title} from {plan.baseline}", unit_of_difference(other)
        lines = other_lines(summary, other)
        if drawing := forest(lines, data.styles, title, unit, sign=other.sign):
            yield Plot(
                section="forest",
                drawings=(drawing,),
                caption=f"Paired differences in {other.title}, bars 95 % {interval_over(summary)}: "
                f"neither tested nor corrected, since the question was about {metric.title}.",
                metric=other.title,
                folded=other.title,
            )


def forest(
    lines: Sequence[Line],
    styles: Mapping[str, svg.Style],
    title: str,
    unit: str,
    *,
    sign: int,
    margin: float = 0.0,
) -> str:
    """Draw differences, one row each; empty without differences.

    Args:
        lines: Rows, from top to bottom.
        styles: Arm -> color and shape.
        title: Name of the differences, for the axis and for screen readers.
        unit: Unit of the differences.
        sign: +1 if larger is better, -1 if smaller is.
        margin: Declared equivalence margin, shaded on both sides of zero; 0 for none.
    """
    if not any(row.mean is not None for row in lines):
        return ""
    caption = f"{title}{f', {unit}' if unit else ''} ({'right' if sign > 0 else 'left'} is better)"
    shaded = margin if any(row.margin for row in lines) else 0.0
    within = f"margin of ±{margin:g} {unit}".rstrip()
    labels = [_label(row) for row in lines]
    edges = [0.0, *itertools.accumulate(LINE * (x.count("\n") + 1) + ROOM for x in labels)]
    values = [v for row in lines for v in (row.low, row.mean, row.high, *row.replicates)]
    panel = Panel(
        edges[-1],
        x=linear_axis([-shaded, 0.0, shaded, *values], max_ticks=7, signed=True),
        y=Axis(low=edges[-1], high=0.0, ticks={}),
        spoken=f"{caption}{f'; shaded, the {within}' if shaded else ''}",
        caption=caption,
        left=26,
        right=26,
    )
    for row, top, bottom in zip(lines, edges, edges[1:], strict=False):
        if margin and row.margin:
            ends, color = ((-margin, top), (margin, bottom)), svg.BASELINE.color
            panel.box(*ends, kind="margin", color=color, title=within)
    panel.line(((0, 0), (0, edges[-1])), kind="zero")
    for row, label, top, bottom in zip(lines, labels, edges, edges[1:], strict=False):
        panel.label((top + bottom - ROOM + 4) / 2, label)
        if row.mean is None:
            continue
        panel.point(
            row.mean,
            bottom - ROOM + 11,
            styles.get(row.arm, svg.BASELINE),
            title=f"{row.label} {_numbers(row)}, n {len(row.replicates)}",
            x_ends=(row.low, row.high),
            faint=[(v, bottom - ROOM + 20) for v in row.replicates]
            if len(row.replicates) > 1
            else (),
            hollow=not row.called,
            arm=row.arm,
        )
    return str(panel)


def _label(row: Line) -> str:
    """Write label and numbers; break a long label before a minus or after an arrow if possible."""
    room = WIDTH - 8
    whole = f"{row.label}  {_numbers(row)}"
    if len(whole) * svg.CHARACTER <= room:
        return whole
    fits = len(row.label) * svg.CHARACTER <= room
    parts = [row.label] if fits else re.split(r" (?=− )|(?<= →) ", row.label)
    return "\n".join([*(line for part in parts for line in svg.wrap(part, room)), _numbers(row)])


def _numbers(row: Line) -> str:
    if row.mean is None:
        return "not compared"
    if row.low is None or row.high is None:
        return f"{number(row.mean, 1, signed=True)}, no interval"
    places = decimals((row.high - row.low) / 2)
    ends = bracket(row.low, row.high, places, called=row.called)
    return f"{number(row.mean, places, signed=True)} {ends}"
