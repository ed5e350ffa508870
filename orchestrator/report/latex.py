"""The main table as LaTeX: booktabs, notes below."""

from __future__ import annotations

import unicodedata

from orchestrator.report.digits import DIGIT_SPACE, HARD_SPACE, NONE, POINT_SPACE, digit_spaces
from orchestrator.report.rows import Summary
from orchestrator.report.tables import Table, main_table

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


def to_latex(summary: Summary) -> str:
    """Return a `table` environment for a document that loads `booktabs`, under pdflatex or later.

    Cells are padded by spaces as wide as digits, so that decimal points stand under one another.
    """
    table = main_table(summary)
    lines = [
        r"% needs \usepackage{booktabs}",
        f"% {comment(summary.headline)}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(summary.plan.question)}}}",
        rf"\label{{tab:{_label(summary.plan.sweep)}}}",
        r"\footnotesize",
        r"\setlength{\tabcolsep}{2.5pt}",
        rf"\begin{{tabular}}{{@{{}}l{'r' * (len(table.columns) - 1)}@{{}}}}",
        r"\toprule",
        *_heads(table),
        r"\midrule",
        *_rows(table),
        r"\bottomrule",
        r"\end{tabular}",
        "",
        r"\smallskip",
        r"\parbox{\linewidth}{\footnotesize "
        + " ".join(escape(n) for n in _all_notes(summary, table))
        + "}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Return text that LaTeX prints as it is; Greek letters become mathematics."""
    return "".join(_character(character) for character in text)


def comment(text: str) -> str:
    """Return text on one line, as a comment needs it."""
    return " ".join(text.split())


def _heads(table: Table) -> list[str]:
    """Return two lines of heads: titles above units, or a title of two words above itself."""
    upper, lower = [], []
    for column in table.columns:
        first, _, second = column.title.partition(" ")
        upper.append(column.title if column.unit else first)
        lower.append(column.unit or second)
    rows = [upper, lower] if any(lower) else [upper]
    return [" & ".join(map(escape, row)) + r" \\" for row in rows]


def _cell(text: str) -> str:
    """Keep the padding of a plain number; one with a unit of its own needs none."""
    plain = not any(character.isalpha() for character in text) and text.strip() != NONE
    return escape(digit_spaces(text) if plain else HARD_SPACE.join(text.split()))


def _rows(table: Table) -> list[str]:
    lines = []
    for i, row in enumerate(table.rows):
        cells = [escape(row[0])]
        for column, text in zip(table.columns[1:], row[1:], strict=True):
            cell = _cell(text)
            bold = i == table.best and column.key == "mean"
            cells.append(rf"\textbf{{{cell}}}" if bold else cell)
        lines.append(" & ".join(cells) + r" \\")
        if i == table.baseline and i == 0 and len(table.rows) > 1:
            lines.append(r"\midrule")
    return lines


def _all_notes(summary: Summary, table: Table) -> list[str]:
    return [*([] if summary.complete else [summary.headline]), *table.notes]


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


def _label(text: str) -> str:
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in text)
