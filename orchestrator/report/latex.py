"""The main table as LaTeX: booktabs, notes below, a macro for every number."""

from __future__ import annotations

import unicodedata

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
}
KEYS = {
    "n": "N",
    "mean": "Mean",
    "difference": "Difference",
    "p": "P",
    "published": "Published",
    "params": "Params",
    "macs": "Macs",
    "seconds": "Time",
    "clips_per_s": "Throughput",
}


def to_latex(summary: Summary) -> str:
    r"""Return a `table` environment for a document that loads `booktabs`, under pdflatex or later.

    Every number is a macro, `\arm<letter><column>`, so that a text can quote what the table shows.
    """
    table = main_table(summary)
    lines = [r"% needs \usepackage{booktabs}", f"% {_comment(summary.headline)}"]
    for i, row in enumerate(table.rows):
        lines.append(f"% {_comment(row[0])}")
        for column, cell in zip(table.columns[1:], row[1:], strict=True):
            lines.append(rf"\newcommand{{\{_macro(i, column.key)}}}{{{escape(cell.strip())}}}")
    heads = [escape(f"{c.title} ({c.unit})" if c.unit else c.title) for c in table.columns]
    lines += [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(summary.plan.question)}}}",
        rf"\label{{tab:{_label(summary.plan.sweep)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
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


def _rows(table: Table) -> list[str]:
    lines = []
    for i, row in enumerate(table.rows):
        cells = [escape(row[0])]
        for column in table.columns[1:]:
            macro = rf"\{_macro(i, column.key)}"
            bold = i == table.best and column.key == "mean"
            cells.append(rf"\textbf{{{macro}}}" if bold else macro)
        lines.append(" & ".join(cells) + r" \\")
        if i == table.baseline and i == 0 and len(table.rows) > 1:
            lines.append(r"\midrule")
    return lines


def _all_notes(summary: Summary, table: Table) -> list[str]:
    return [*([] if summary.complete else [summary.headline]), *table.notes]


def _macro(index: int, key: str) -> str:
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"arm{letters}{KEYS[key]}"


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


def _comment(text: str) -> str:
    return " ".join(text.split())


def _label(text: str) -> str:
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in text)
