"""Text laid out in the columns of a terminal, where some characters are two wide.

Layout counts characters, so every wide one gets a filler behind it, which `printed` takes out.
"""

from __future__ import annotations

import unicodedata

FILLER = "\ue0fe"
"""Of Unicode's private use area; it never reaches a reader."""


def visible(text: str) -> str:
    """Return text on one line in which nothing moves a cursor or turns the reading direction.

    Line ends and tabs become spaces, other control characters their pictures (`␛`), and marks that
    steer the direction, or have no width, `�`; those that join letters and emoji stay.
    """
    return "".join(map(_visible, text))


def visible_lines(text: str) -> str:
    """Return text of several lines, each of them `visible`."""
    return "\n".join(map(visible, text.split("\n")))


def filled(text: str) -> str:
    """Return text with as many characters as it takes columns; marks join their letters."""
    joined = unicodedata.normalize("NFC", visible(text)).replace(FILLER, "")
    return "".join(_filled(character) for character in joined)


def printed(text: str) -> str:
    """Return laid out text as a terminal gets it."""
    return text.replace(FILLER, "")


def cut(text: str, width: int) -> str:
    """Shorten filled text to a width, never through a wide character."""
    if len(text) <= width:
        return text
    kept = text[: width - 1]
    if kept and text[width - 1] == FILLER:
        kept = f"{kept[:-1]} "
    return f"{kept}…"


def _visible(character: str) -> str:
    kind = unicodedata.category(character)
    if character in "\t\n\r\v\f\x85" or kind in ("Zl", "Zp"):
        return " "
    if character < " " or character == "\x7f":
        return chr(0x2400 + ord(character)) if character < " " else "\u2421"
    joiner = character in "\u200c\u200d"
    return "\ufffd" if kind in ("Cc", "Cf", "Cs") and not joiner else character


def _filled(character: str) -> str:
    wide = unicodedata.east_asian_width(character) in "WF"
    return character + FILLER if wide else character
