"""Text of others on one line of a terminal or of Markdown: it steers and marks up nothing."""

from __future__ import annotations

import unicodedata

from orchestrator.errors import is_control

FORMULA = "=+-@＝＋－＠"
"""What begins a formula in a spreadsheet."""


def visible(text: str) -> str:
    """Return text on one line in which nothing moves a cursor or turns the reading direction.

    Line ends and tabs become spaces, other control characters their pictures (`␛`), and marks that
    steer the direction, or have no width, `�`; those that join letters and emoji stay.
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

    One that begins with `=`, `+`, `-` or `@`, also in full width or behind spaces or quotes, gets a
    single quote in front (OWASP, CSV injection). Whoever takes one quote away from before such a
    beginning has the text again; a tab or a line end is a space, as everywhere in a report.
    """
    text = visible(text)
    first = text.lstrip("' ")[:1]
    return f"'{text}" if first and first in FORMULA else text
