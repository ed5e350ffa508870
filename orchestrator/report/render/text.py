"""The report in a terminal: answers, completeness, tables and forest, in that order."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from orchestrator.analysis.forest import Line, forest_lines
from orchestrator.analysis.summary import Summary
from orchestrator.records import Status
from orchestrator.report.plots.panel import ticks
from orchestrator.report.tables import all_tables
from orchestrator.report.tables.table import Table
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.notes import (
    answers,
    cautions,
    gap_text,
    headline,
    next_study_sentence,
    pattern_sentence,
)
from orchestrator.report.wording.numbers import decimals, number, tie
from orchestrator.terminal.text import HARD_SPACE, grid, laid_out, literal

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

GLYPHS = {
    Status.FINISHED: "■",
    Status.RUNNING: "▸",
    Status.FAILED: "✗",
    Status.DIVERGED: "∞",
    Status.PRUNED: "◂",
    Status.MISSING: "·",
}
WIDEST = 120
"""Default maximum width of a report in columns, for readable lines."""

MAX_SENTENCES = 12
MAX_GAPS = 12
HEAD_WIDTHS = (WIDEST, 24, 16, 8)
"""Widths at which long heads fold, tried in turn before a column is left out; the last, at which
they grow tall, only before the last column that can be."""

MAX_NAME = 32
"""Columns that a table leaves for longer names before it leaves columns out."""


def render_text(summary: Summary, width: int = 80) -> str:
    """Return the report as text.

    Args:
        summary: Study to show.
        width: Columns of the terminal, at least 60.
    """
    width = max(60, width)
    parts = [
        [_sentence(summary.plan.question or summary.plan.sweep)],
        [] if summary.complete else [_sentence(headline(summary))],
        _answers(summary),
        [_sentence(pattern)] if (pattern := pattern_sentence(summary)) else [],
        _completeness(summary, width),
        *(list(table_parts(table, width)) for table in all_tables(summary) if table.rows),
        _forest(summary, width),
        [_sentence(text)] if (text := next_study_sentence(summary)) else [],
        [_points("!", cautions(summary))] if cautions(summary) else [],
    ]
    return "\n".join(laid_out(*part, width=width) for part in parts if part)


def table_text(table: Table, width: int) -> str:
    """Return a table with title and notes as text of at most that width."""
    title = laid_out(_sentence(table.title), width=width)
    return "\n".join((title, laid_out(*table_parts(table, width), width=width)))


def table_parts(table: Table, width: int) -> Iterator[RenderableType]:
    """Yield a table and the notes below it.

    Long heads fold. Columns that do not fit then are left out, least important first, and named;
    arms' names wrap.
    """
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table as Grid
    from rich.text import Text

    columns = list(table.columns)
    texts = dict(zip((c.key for c in columns), zip(*table.rows, strict=True), strict=True))
    longest = {c.key: max(map(cell_len, (c.unit, *texts[c.key])), default=0) for c in columns}
    named = max(longest[columns[0].key], cell_len(columns[0].title))
    name = max(12, min(named, MAX_NAME))
    dropped: list[str] = []
    while True:
        droppable = sorted((c for c in columns if c.keep), key=lambda column: column.keep)
        for head_width in HEAD_WIDTHS[: -1 if len(droppable) > 1 else None]:
            heads = [_folded(c.title, max(head_width, longest[c.key])) for c in columns]
            taken = sum(
                2 + max(longest[column.key], *map(cell_len, head))
                for column, head in zip(columns[1:], heads[1:], strict=True)
            )
            if name + taken <= width:
                break
        if name + taken <= width or not droppable:
            break
        columns.remove(droppable[0])
        dropped.append(droppable[0].title)
    fits = max(12, min(name, width - taken)) + taken <= width
    deepest = max(map(len, heads))
    shown = Grid(box=box.HORIZONTALS, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    # Padding aligns the decimal points and must be kept.
    cell = _held if fits else literal
    units = any(column.unit for column in columns)
    for i, column in enumerate(columns):
        lines = [*[""] * (deepest - len(heads[i])), *heads[i], *([column.unit] if units else [])]
        shown.add_column(
            Text("\n").join(map(cell, lines)),
            justify="right" if i else "left",
            no_wrap=bool(i) and fits,
            max_width=max(named, MAX_NAME) if table.headings and not i else None,
        )
    for i, (arm, *cells) in enumerate(zip(*(texts[c.key] for c in columns), strict=True)):
        if heading := table.headings.get(i):
            if i:
                shown.add_section()
            shown.add_row(literal(heading))
        shown.add_row(literal(arm), *map(cell, cells), end_section=i == table.baseline == 0)
    yield shown
    yield from map(_sentence, table.notes)
    if dropped:
        yield _sentence(f"Left out at {width} columns: {', '.join(dropped)}.")


def _folded(title: str, width: int) -> list[str]:
    """Return the lines of a head, broken at spaces alone."""
    lines = textwrap.wrap(title, width, break_long_words=False, break_on_hyphens=False)
    return lines or [""]


def _held(text: str) -> Text:
    """Return text without line breaks."""
    return literal(text.replace(" ", HARD_SPACE))


def _sentence(text: str) -> RenderableType:
    return literal(tie(text))


def _points(mark: str, texts: Sequence[str]) -> RenderableType:
    return grid(((mark, tie(text)) for text in texts), gap=1)


def _answers(summary: Summary) -> list[RenderableType]:
    texts = [answer.text for answer in answers(summary)]
    left = len(texts) - MAX_SENTENCES
    if left > 0:
        texts[MAX_SENTENCES:] = [f"and {left} more contrasts: see the table."]
    return [_points("•", texts)] if texts else []


def _completeness(summary: Summary, width: int) -> list[RenderableType]:
    longest = max((len(arm.cells) for arm in summary.arms), default=0)
    rows = []
    for arm in summary.arms:
        counted = sum(cell.value is not None for cell in arm.cells)
        squares = "".join(GLYPHS[cell.status] for cell in arm.cells)
        # If squares leave no room for a name, the count says more.
        shown = (squares,) if longest + width // 3 + 12 <= width else ()
        rows.append((arm.name, *shown, f"{counted}/{len(arm.cells)}"))
    parts: list[RenderableType] = [
        literal(headline(summary) if summary.complete else "Trials, one square each:"),
        grid(rows, indent=2, first=max(width // 3, width - longest - 12)),
    ]
    statuses = {cell.status for cell in summary.cells}
    if statuses - {Status.FINISHED}:
        shown_always = statuses | set(Status) - {Status.DIVERGED, Status.PRUNED}
        legend = [f"{glyph} {status}" for status, glyph in GLYPHS.items() if status in shown_always]
        parts.append(grid([legend], indent=2))
    gaps = [gap_text(cell) for cell in summary.gaps]
    left = len(gaps) - MAX_GAPS
    if left > 0:
        gaps[MAX_GAPS:] = [f"and {left} more"]
    return [*parts, grid(([gap] for gap in gaps), indent=2)] if gaps else parts


def _forest(summary: Summary, width: int) -> list[RenderableType]:
    from rich.cells import cell_len

    lines = [line for line in forest_lines(summary) if line.mean is not None]
    if not lines:
        return []
    label = min(max(cell_len(line.label) for line in lines), 2 * width // 5)
    room = width - label - 4
    values = [v for line in lines for v in (line.low, line.mean, line.high) if v is not None]
    marks = ticks(min(0.0, *values), max(0.0, *values), most=max(3, room // 9))
    low, high = min(marks[0], *values), max(marks[-1], *values)

    def column(value: float) -> int:
        return round((value - low) / ((high - low) or 1.0) * (room - 1))

    places = decimals(marks[1] - marks[0]) if len(marks) > 1 else 1
    axis = [" "] * room
    for mark in marks:
        text = number(mark, places, signed=True)
        start = min(max(0, column(mark) - len(text) // 2), room - len(text))
        axis[start : start + len(text)] = text
    unit = unit_of_difference(summary.metric)
    way = "right" if summary.metric.sign > 0 else "left"
    rows = [("", "".join(axis))]
    rows += [(line.label, _draw(line, room, column(0.0), column)) for line in lines]
    return [
        literal(f"Difference from the reference{f' in {unit}' if unit else ''}; {way} is better"),
        grid(((name, drawn.replace(" ", HARD_SPACE)) for name, drawn in rows), first=label),
    ]


def _draw(line: Line, room: int, zero: int, column: Callable[[float], int]) -> str:
    cells = [" "] * room
    cells[zero] = "│"
    if line.low is not None and line.high is not None:
        first, last = column(line.low), column(line.high)
        cells[first : last + 1] = "─" * (last + 1 - first)
        if first <= zero <= last:
            cells[zero] = "┼"
        cells[first], cells[last] = "├", "┤"
    if line.mean is not None:
        cells[column(line.mean)] = "●" if line.called else "○"
    return "".join(cells)
