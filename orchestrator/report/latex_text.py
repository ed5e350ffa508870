"""Text as LaTeX prints it, how wide that is, and where it may break."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from orchestrator.report.digits import DIGIT_SPACE, HARD_SPACE, POINT_SPACE

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "−": "$-$",
    "+": "$+$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "→": r"$\to$",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "§": r"\S{}",
    "¶": r"\P{}",
    "‖": r"$\|$",
    "—": "---",
    "–": "--",
    "…": r"\dots{}",
    "Δ": r"$\Delta$",
    "µ": r"$\mu$",
    HARD_SPACE: "~",
    DIGIT_SPACE: r"\phantom{0}",
    POINT_SPACE: r"\phantom{.}",
}


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
    """Return text that LaTeX prints as it is; Greek letters become mathematics."""
    return "".join(_character(character) for character in text)


def breakable(text: str) -> str:
    """Return text that LaTeX prints as it is, in which long words may end at a line's end."""
    return "".join(_word(part) for part in re.split(r"(\s+)", text))


def comment(text: str) -> str:
    """Return text on one line, as a comment needs it."""
    return " ".join(text.split())


@lru_cache(maxsize=65_536)
def width_pt(text: str) -> float:
    """Estimate how wide a line is in Computer Modern at 8 pt, on the safe side."""
    return sum(_WIDTH.get(character, _OTHER_WIDTH) for character in text)


def _word(word: str) -> str:
    if len(word) < LONG_WORD or word.isspace():
        return escape(word)
    pieces = re.findall(rf"[^_/=,+:]{{1,{LONG_WORD - 2}}}[_/=,+:]*|[_/=,+:]+", word)
    joined = []
    for piece in pieces:
        joined.append(escape(piece))
        joined.append(r"\allowbreak{}" if piece[-1] in "_/=,+:" else r"\-")
    return "".join(joined[:-1])


def _character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if ord(character) < 128:
        return character
    name = unicodedata.name(character, "")
    if name.startswith("GREEK ") and " LETTER " in name:
        letter = name.rsplit(" ", 1)[1].lower().replace("lamda", "lambda")
        if letter == "omicron":
            return "o"
        # Capitals that look Latin have no command of their own.
        if "CAPITAL" in name:
            known = {
                "gamma",
                "delta",
                "theta",
                "lambda",
                "xi",
                "pi",
                "sigma",
                "phi",
                "psi",
                "omega",
            }
            return rf"$\{letter.capitalize()}$" if letter in known else letter[0].upper()
        return rf"$\{letter}$"
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or "?"
