"""Text from elsewhere, safe to show in a terminal, in Markdown and in CSV."""

from __future__ import annotations

import io
import shutil
import unicodedata
from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from orchestrator.errors import is_control

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

FORMULA = "=+-@＝＋－＠"
"""What begins a formula in a spreadsheet."""

HARD_SPACE = "\u00a0"
"""A space at which no line ends."""

FOLDED = 16
"""Terminal columns of a folding cell beside names; the longest word of a verdict has 15."""

_HELD = "\ue0fe"
"""Stands for a hard space while rich lays out; of Unicode's private use, it reaches no reader."""


def visible(text: str) -> str:
    """Return text on one line, without characters that move a cursor or turn the reading direction.

    Line ends and tabs become spaces, other control characters their pictures (`␛`), and marks that
    steer the direction or have no width become `�`; joiners of letters and emoji stay.
    """
    return "".join(map(_visible, text))


def markdown_text(text: str) -> str:
    """Return text on one line that Markdown shows as it is: no emphasis, link, tag or cell."""
    text = visible(text)
    for mark in "\\|*_<>[]`&~$":
        text = text.replace(mark, f"\\{mark}")
    return text


def _visible(character: str) -> str:
    kind = unicodedata.category(character)
    if character in "\t\n\r\v\f\x85" or kind in ("Zl", "Zp"):
        return " "
    if character < " " or character == "\x7f":
        return chr(0x2400 + ord(character)) if character < " " else "\u2421"
    return "\ufffd" if is_control(character) else character


def csv_text(text: str) -> str:
    """Return a text cell, on one line, that no spreadsheet takes for a formula.

    Text that begins with `=`, `+`, `-` or `@`, also in full width or after spaces or quotes, gets a
    single quote in front (OWASP, CSV injection). Removing one quote before such a beginning
    restores the text; a tab or a line end becomes a space, as everywhere in a report.
    """
    text = visible(text)
    first = text.lstrip("' ")[:1]
    return f"'{text}" if first and first in FORMULA else text


def local_time(time_utc: str) -> str:
    """Return an ISO 8601 time by this machine's clock, to the minute; empty without a time."""
    if not time_utc:
        return ""
    return datetime.fromisoformat(time_utc).astimezone().strftime("%Y-%m-%d %H:%M")


def terminal_width(*, widest: int = 10_000) -> int:
    """Return the columns of the terminal, at most `widest`; 120 if there is none."""
    return min(shutil.get_terminal_size((120, 24)).columns, widest)


def literal(text: str) -> Text:
    """Return text that rich prints as it is, without markup; long words fold."""
    from rich.text import Text

    shown = unicodedata.normalize("NFC", visible(text))
    return Text(shown.replace(_HELD, " ").replace(HARD_SPACE, _HELD), overflow="fold")


def grid(
    rows: Iterable[Sequence[str]],
    *,
    heads: Sequence[str] = (),
    right: Container[int] = (),
    whole: Container[int] = (),
    first: int | None = None,
    indent: int = 0,
    gap: int = 2,
) -> RenderableType:
    """Return rows in columns without lines; cells fold if the terminal is narrow.

    Args:
        rows: Rows of literal text.
        heads: Heads of the columns.
        right: Indices of the right-aligned columns.
        whole: Indices of the columns that do not fold while another can.
        first: Largest width of the first column, in terminal columns.
        indent: Free terminal columns on the left.
        gap: Terminal columns between two columns.
    """
    from rich.padding import Padding
    from rich.table import Table

    rows = list(rows)
    table = Table(box=None, show_header=bool(heads), padding=(0, gap, 0, 0), pad_edge=False)
    for i, head in enumerate(heads or (rows[0] if rows else ())):
        justify = "right" if i in right else "left"
        table.add_column(
            literal(head), justify=justify, max_width=None if i else first, no_wrap=i in whole
        )
    for row in rows:
        table.add_row(*map(literal, row))
    return Padding(table, (0, 0, 0, indent), expand=False)


def name_table(
    rows: Sequence[Sequence[str]],
    *,
    heads: Sequence[str],
    width: int,
    right: Container[int] = (),
    folds: int | None = None,
) -> RenderableType:
    """Return rows whose first cell is a name that can be copied: it is never broken.

    Columns without a cell are left out. If the others do not fit beside the names, they stand
    below them, with their heads.

    Args:
        rows: Rows of literal text.
        heads: Heads of the columns.
        width: Width in terminal columns.
        right: Indices of the right-aligned columns.
        folds: Index of a column whose cells may fold, to 16 terminal columns at least.
    """
    from rich.cells import cell_len
    from rich.console import Group
    from rich.padding import Padding

    kept = [i for i in range(len(heads)) if not i or any(row[i] for row in rows)]
    widths = {i: max(cell_len(row[i]) for row in (heads, *rows)) for i in kept}
    least = sum(min(w, FOLDED) if i == folds else w for i, w in widths.items())
    if least + 2 * (len(kept) - 1) <= width:
        return grid(
            ([row[i] for i in kept] for row in rows),
            heads=[heads[i] for i in kept],
            right={place for place, i in enumerate(kept) if i in right},
            whole={place for place, i in enumerate(kept) if i != folds},
        )
    parts: list[RenderableType] = []
    for row in rows:
        name = literal(row[0])
        name.no_wrap, name.overflow = True, "ignore"
        facts = ", ".join(f"{heads[i]} {row[i]}" for i in kept[1:] if row[i])
        parts += [name, Padding(literal(facts), (0, 0, 0, 2))]
    return Group(*parts)


def laid_out(*parts: RenderableType, width: int) -> str:
    """Lay out parts with rich as plain lines, never colored.

    Args:
        parts: Parts, one below another.
        width: Width in terminal columns.
    """
    from rich.console import Console

    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
    )
    for part in parts:
        console.print(part, crop=False)  # a name may be wider than the terminal
    lines = stream.getvalue().replace(_HELD, " ").split("\n")
    return "\n".join(line.rstrip() for line in lines)
