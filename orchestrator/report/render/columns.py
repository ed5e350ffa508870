"""Text laid out in the columns of a terminal, where some characters are two wide.

Layout counts characters, so every wide one gets a filler behind it, which `printed` takes out.
"""

from __future__ import annotations

import unicodedata

from orchestrator.text import visible

FILLER = "\ue0fe"
"""Of Unicode's private use area; it never reaches a reader."""


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


def _filled(character: str) -> str:
    wide = unicodedata.east_asian_width(character) in "WF"
    return character + FILLER if wide else character
