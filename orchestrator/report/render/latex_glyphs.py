"""Single characters as pdflatex sets them, without packages and in its default encoding."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from orchestrator.report.wording.numbers import DIGIT_SPACE, HARD_SPACE, POINT_SPACE

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
    "+": "$+$",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "§": r"\S{}",
    "¶": r"\P{}",
    "—": "---",
    "―": "---",
    "–": "--",
    "‒": "--",
    "‐": "-",
    "…": r"\dots{}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "„": ",,",
    "‚": ",",
    "¿": "?`",
    "¡": "!`",
    "•": r"\textbullet{}",
    "°": r"$^\circ$",
    "©": r"\copyright{}",
    "®": r"\textregistered{}",
    "™": r"\texttrademark{}",
    "£": r"\pounds{}",
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "ȷ": r"\j{}",
    "⁄": "/",
    HARD_SPACE: "~",
    DIGIT_SPACE: r"\phantom{0}",
    POINT_SPACE: r"\phantom{.}",
}
_SIGNS = r"""
− - ∓ \mp ± \pm × \times ÷ \div · \cdot ⋅ \cdot ∗ \ast ∘ \circ ≤ \le ≥ \ge ≪ \ll ≫ \gg « \ll » \gg
≠ \neq ≈ \approx ≃ \simeq ≅ \cong ≡ \equiv ∼ \sim ∝ \propto ∈ \in ∉ \notin ⊂ \subset ⊃ \supset
⊆ \subseteq ⊇ \supseteq ∪ \cup ∩ \cap ∅ \emptyset ∖ \setminus ∞ \infty √ \surd ∑ \sum ∏ \prod ∫ \int
∂ \partial ∇ \nabla ∀ \forall ∃ \exists ¬ \neg ∧ \wedge ∨ \vee ⊕ \oplus ⊗ \otimes ⊙ \odot ⊥ \perp
∣ \mid ∥ \parallel ‖ \| ⟨ \langle ⟩ \rangle ⌈ \lceil ⌉ \rceil ⌊ \lfloor ⌋ \rfloor ℓ \ell ℏ \hbar
→ \to ← \leftarrow ↔ \leftrightarrow ↑ \uparrow ↓ \downarrow ⇒ \Rightarrow ⇐ \Leftarrow
⋆ \star ⇔ \Leftrightarrow ↦ \mapsto ′ ^\prime ″ ^{\prime\prime} ∆ \Delta µ \mu
ε \varepsilon ϵ \epsilon θ \theta ϑ \vartheta φ \varphi ϕ \phi ς \varsigma ϖ \varpi ϱ \varrho ο o
Α \mathrm{A} Β \mathrm{B} Ε \mathrm{E} Ζ \mathrm{Z} Η \mathrm{H} Ι \mathrm{I} Κ \mathrm{K}
Μ \mathrm{M} Ν \mathrm{N} Ο \mathrm{O} Ρ \mathrm{P} Τ \mathrm{T} Χ \mathrm{X}
""".split()
"""Signs and Greek letters whose command is not their name, each in front of its own."""
MATHS = dict(zip(_SIGNS[::2], _SIGNS[1::2], strict=True)) | {
    # Those whose command is their name.
    letter: "\\" + (name.capitalize() if letter.isupper() else name)
    for letter, name in zip(
        "αβγδζηικλμνξπρστυχψωΓΔΘΛΞΠΣΥΦΨΩ",
        "alpha beta gamma delta zeta eta iota kappa lambda mu nu xi pi rho sigma tau upsilon chi "
        "psi omega gamma delta theta lambda xi pi sigma upsilon phi psi omega".split(),
        strict=True,
    )
}
ACCENTS = {
    "\u0300": ("`", "grave"),
    "\u0301": ("'", "acute"),
    "\u0302": ("^", "hat"),
    "\u0303": ("~", "tilde"),
    "\u0304": ("=", "bar"),
    "\u0306": ("u", "breve"),
    "\u0307": (".", "dot"),
    "\u0308": ('"', "ddot"),
    "\u030a": ("r", "mathring"),
    "\u030b": ("H", ""),
    "\u030c": ("v", "check"),
    "\u0323": ("d", ""),
    "\u0327": ("c", ""),
    "\u0331": ("b", ""),
}
"""Combining mark -> its command in text and in mathematics, empty where there is none."""


@lru_cache(maxsize=4096)
def glyph(character: str) -> str:
    """Return what prints a character; its code point, `U+9002`, where nothing does.

    Args:
        character: one; a combining mark counts with its letter only where Unicode joins them.
    """
    if character in SPECIAL:
        return SPECIAL[character]
    if character in MATHS:
        return f"${MATHS[character]}$"
    if character.isspace():
        return " "
    if " " < character < "\x7f":
        return character
    kind, *parts = unicodedata.decomposition(character).split() or [""]
    if not kind.startswith("<"):
        return _accented(unicodedata.normalize("NFD", character)) or code_point(character)
    pieces = [glyph(chr(int(part, 16))) for part in parts]
    if any(map(is_code_point, pieces)):
        return code_point(character)
    said = "".join(pieces)
    around = {
        "<super>": r"\textsuperscript{%s}",
        "<sub>": r"\textsubscript{%s}",
        "<circle>": r"\textcircled{%s}",
    }
    if kind == "<fraction>":
        above, _, below = said.partition("/")
        return rf"\textsuperscript{{{above}}}/\textsubscript{{{below}}}"
    return around.get(kind, "%s") % said


def code_point(character: str) -> str:
    """Name a character that pdflatex cannot set."""
    return f"U+{ord(character):04X}"


def is_code_point(printed: str) -> bool:
    """Say whether a character is printed by its code point."""
    return re.fullmatch("U\\+[0-9A-F]{4,6}", printed) is not None


def _accented(parts: str) -> str:
    """Return a letter with its marks, which only mathematics puts above one another; or nothing."""
    letter, marks = parts[0], parts[1:]
    if not marks or any(mark not in ACCENTS for mark in marks):
        return ""
    if len(marks) == 1 and letter.isascii():
        dotless = rf"\{letter}" if letter in "ij" and marks < "\u0323" else letter
        return rf"\{ACCENTS[marks][0]}{{{dotless}}}"
    said = MATHS.get(letter, "") if not letter.isascii() else rf"\mathrm{{{letter}}}"
    commands = [ACCENTS[mark][1] for mark in marks]
    if not said or not all(commands):
        return ""
    for command in commands:
        said = rf"\{command}{{{said}}}"
    return f"${said}$"
