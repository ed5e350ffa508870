"""The report in a terminal: answers, completeness, table and forest, in that order."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from orchestrator.analysis.forest import Line, forest_lines
from orchestrator.analysis.summary import Summary
from orchestrator.records import Status
from orchestrator.report.plots.panel import ticks
from orchestrator.report.render.columns import FILLER, cut, filled, printed
from orchestrator.report.tables.arms import Column, Table, main_table
from orchestrator.report.tables.effects import effects_table
from orchestrator.report.tables.other_contrasts import other_contrasts_table
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.notes import answers, cautions, gap_text, headline
from orchestrator.report.wording.numbers import HARD_SPACE, decimals, number, tie
from orchestrator.report.wording.trend import pattern_sentence

GLYPHS = {
    Status.FINISHED: "■",
    Status.RUNNING: "▸",
    Status.FAILED: "✗",
    Status.MISSING: "·",
}
MOST_SENTENCES = 12
MOST_GAPS = 12


def render_text(summary: Summary, width: int = 80) -> str:
    """Return the report as text.

    Args:
        summary: what to show.
        width: columns of the terminal; below 60 it is treated as 60.
    """
    width = max(60, width)
    parts = [
        _wrap(summary.plan.question or summary.plan.sweep, width),
        "" if summary.complete else _wrap(headline(summary), width),
        _answers(summary, width),
        _wrap(pattern_sentence(summary), width),
        _completeness(summary, width),
        _table(main_table(summary), width),
        _table(other_contrasts_table(summary), width),
        _table(effects_table(summary), width),
        _forest(summary, width),
        "\n".join(_wrap(f"! {caution}", width, hang=2) for caution in cautions(summary)),
    ]
    return printed("\n\n".join(part for part in parts if part) + "\n")


def _answers(summary: Summary, width: int) -> str:
    every = answers(summary)
    lines = [_wrap(f"• {a.text}", width, hang=2) for a in every[:MOST_SENTENCES]]
    left = len(every) - MOST_SENTENCES
    if left > 0:
        lines.append(f"• and {left} more contrasts: see the table.")
    return "\n".join(lines)


def _completeness(summary: Summary, width: int) -> str:
    lines = [headline(summary)] if summary.complete else ["Trials, one square each:"]
    longest = max((len(arm.cells) for arm in summary.arms), default=0)
    room = max(width // 3, width - longest - len(f"{longest}/{longest}") - 6)
    names = [filled(arm.name) for arm in summary.arms]
    label = min(_widest(names), room)
    for arm, name in zip(summary.arms, names, strict=True):
        counted = sum(cell.value is not None for cell in arm.cells)
        total = f"{counted}/{len(arm.cells)}"
        squares = "".join(GLYPHS[cell.status] for cell in arm.cells)
        if label + len(squares) + len(total) + 6 > width:
            squares = ""
        lines.append(f"  {cut(name, label).ljust(label)}  {squares}  {total}".rstrip())
    if any(cell.status is not Status.FINISHED for cell in summary.cells):
        lines.append("  " + "  ".join(f"{glyph} {status}" for status, glyph in GLYPHS.items()))
    gaps = summary.gaps
    lines += [_wrap(f"  {gap_text(cell)}", width, hang=4) for cell in gaps[:MOST_GAPS]]
    if len(gaps) > MOST_GAPS:
        lines.append(f"  and {len(gaps) - MOST_GAPS} more")
    return "\n".join(lines)


def _table(table: Table | None, width: int) -> str:
    if table is None or not table.rows:
        return ""
    names = [filled(row[0]) for row in table.rows]
    rest = list(zip(table.columns, zip(*table.rows, strict=True), strict=True))[1:]
    least = max(12, min(_widest(names), 32))
    dropped: list[str] = []
    while sum(_column_width(c, texts) + 2 for c, texts in rest) + least > width:
        spare = [c for c, _ in rest if c.keep]
        if not spare:
            break
        worst = min(spare, key=lambda column: column.keep)
        dropped.append(worst.title)
        rest = [(c, texts) for c, texts in rest if c is not worst]
    room = width - sum(_column_width(c, texts) + 2 for c, texts in rest)
    label = max(12, min(_widest(names), room))
    heads, units = table.columns[0].title.ljust(label), " " * label
    for column, texts in rest:
        wide = _column_width(column, texts)
        heads += "  " + column.title.rjust(wide)
        units += "  " + column.unit.rjust(wide)
    body = [heads.rstrip(), *([units.rstrip()] if units.strip() else []), "─" * len(heads)]
    for i, name in enumerate(names):
        lines = textwrap.wrap(name, label - (FILLER in name), subsequent_indent="  ") or [""]
        if any(line.lstrip().startswith(FILLER) for line in lines[1:2]):
            lines[0] += FILLER
        cells = "".join("  " + texts[i].rjust(_column_width(c, texts)) for c, texts in rest)
        body += [(lines[0].ljust(label) + cells).rstrip(), *lines[1:]]
        if i == table.baseline and i == 0:
            body.append("─" * len(heads))
    body += [_wrap(note, width) for note in table.notes]
    if dropped:
        body.append(_wrap(f"Left out at {width} columns: {', '.join(dropped)}.", width))
    return "\n".join(body)


def _forest(summary: Summary, width: int) -> str:
    lines = [line for line in forest_lines(summary) if line.mean is not None]
    if not lines:
        return ""
    names = [filled(line.label) for line in lines]
    label = min(_widest(names), 2 * width // 5)
    room = width - label - 4
    values = [v for line in lines for v in (line.low, line.mean, line.high) if v is not None]
    marks = ticks(min(0.0, *values), max(0.0, *values), most=max(3, room // 9))
    low, high = min(marks[0], *values), max(marks[-1], *values)

    def column(value: float) -> int:
        return round((value - low) / ((high - low) or 1.0) * (room - 1))

    places = decimals(marks[1] - marks[0]) if len(marks) > 1 else 1
    axis = [" "] * (room + 8)
    for mark in marks:
        text = number(mark, places, signed=True)
        start = min(max(0, column(mark) - len(text) // 2), room - len(text))
        axis[start : start + len(text)] = text
    unit = unit_of_difference(summary.metric)
    way = "right" if summary.metric.sign > 0 else "left"
    head = f"Difference from the reference{f' in {unit}' if unit else ''}; {way} is better"
    body = [head, (" " * (label + 2) + "".join(axis)).rstrip()]
    for line, name in zip(lines, names, strict=True):
        drawn = _draw(line, room, column(0.0), column)
        body.append(f"{cut(name, label).ljust(label)}  {drawn}".rstrip())
    return "\n".join(body)


def _draw(line: Line, room: int, zero: int, column) -> str:
    cells = [" "] * room
    cells[zero] = "│"
    if line.low is not None and line.high is not None:
        first, last = column(line.low), column(line.high)
        cells[first : last + 1] = "─" * (last + 1 - first)
        if first <= zero <= last:
            cells[zero] = "┼"
        cells[first], cells[last] = "├", "┤"
    cells[column(line.mean)] = "●" if line.called else "○"
    return "".join(cells)


def _column_width(column: Column, texts: Sequence[str]) -> int:
    return max(len(column.title), len(column.unit), _widest(texts))


def _wrap(text: str, width: int, *, hang: int = 0) -> str:
    said = filled(tie(text))
    # A break may fall between a wide character and its filler.
    room = width - (FILLER in said)
    broken = textwrap.fill(said, room, subsequent_indent=" " * hang, break_on_hyphens=False)
    return broken.replace(HARD_SPACE, " ")


def _widest(texts: Sequence[str]) -> int:
    return max(map(len, texts), default=0)
