"""Text as LaTeX prints it, how wide that is, and where it may break."""

from __future__ import annotations

import itertools
import unicodedata
from functools import lru_cache

from orchestrator.report.render.latex_glyphs import glyph, is_code_point
from orchestrator.report.wording.numbers import DIGIT_SPACE, POINT_SPACE

LIGATURES = ("--", "``", "''", "?`", "!`", ",,")
"""Neighbours that TeX would join."""
BREAKS = "_/=,+:"
LONG_WORD = 14
"""Characters from which on a word may be broken, for a narrow column must hold it."""
_WIDTHS = (
    ("0123456789" + DIGIT_SPACE, 4.25),
    (" .,:;'|!()[]/-ijltfrI\u00a0" + POINT_SPACE, 2.9),
    ("mwMW%@—", 7.0),
    ("±×+−=<>≤≥→ΔλOQGDHNUAVKXY", 6.4),
)
_WIDTH = {character: width for characters, width in _WIDTHS for character in characters}
_OTHER_WIDTH = 4.4


def escape(text: str) -> str:
    """Return text that LaTeX prints as it is, as far as pdflatex can; see `glyph`."""
    return "".join(printed for _, printed in _glyphs(text))


def breakable(text: str) -> str:
    """Return text that LaTeX prints as it is, in which long words may end at a line's end."""
    said, word = [], []
    for character, printed in _glyphs(text):
        if character.isspace():
            said += [*_word(word), printed]
            word = []
        else:
            word.append((character, printed))
    return "".join([*said, *_word(word)])


def code_points(text: str) -> list[str]:
    """Return the characters that are printed by their code points."""
    return [character for character, printed in _glyphs(text) if is_code_point(printed)]


def comment(text: str) -> str:
    """Return text on one line, as a comment needs it."""
    return " ".join(text.split())


@lru_cache(maxsize=65_536)
def width_pt(text: str) -> float:
    """Estimate how wide a line is in Computer Modern at 8 pt, on the safe side."""
    return sum(map(_wide, text))


def _wide(character: str) -> float:
    if character in _WIDTH:
        return _WIDTH[character]
    printed = glyph(character)
    if is_code_point(printed):
        return 5.5 * len(printed)
    # Greek letters, signs and fractions.
    return 8.5 if "$" in printed or "/" in printed else _OTHER_WIDTH


def _glyphs(text: str) -> list[tuple[str, str]]:
    """Return every character with what prints it, none of which melts into the next."""
    pairs = [(character, glyph(character)) for character in unicodedata.normalize("NFC", text)]
    for i, (one, two) in enumerate(itertools.pairwise(found for found, _ in pairs)):
        if one + two in LIGATURES:
            pairs[i] = (one, f"{one}{{}}")
    return pairs


def _word(word: list[tuple[str, str]]) -> list[str]:
    """Return a word's pieces: break points in a long one, and around every code point."""
    long = len(word) >= LONG_WORD
    said, since = [], 0
    for i, (character, printed) in enumerate(word):
        said.append(printed)
        since += 1
        if i + 1 == len(word):
            break
        following = word[i + 1]
        ends = character in BREAKS and following[0] not in BREAKS
        if is_code_point(printed) or (long and ends):
            said.append(r"\allowbreak{}")
            since = 0
        elif (
            long
            and since >= LONG_WORD - 2
            and character not in BREAKS
            and following[0] not in BREAKS
        ):
            said.append(r"\-")
            since = 0
    return said
