r"""Tables as LaTeX: booktabs, notes below, names in UTF-8.

A table wider than the text is centered on it; in a two-column paper, change `table` to `table*` to
span both columns. pdflatex handles the signs and Greek letters of `SPECIAL` and Western letters;
other letters need LuaLaTeX or XeLaTeX and a suitable font.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Iterator

from orchestrator.analysis.summary import Summary
from orchestrator.report.tables import all_tables
from orchestrator.report.tables.table import Column, Table
from orchestrator.report.wording.notes import cautions, chance_sentence, headline
from orchestrator.report.wording.numbers import (
    DIGIT_SPACE,
    HARD_SPACE,
    NONE,
    POINT_SPACE,
    digit_spaces,
)
from orchestrator.terminal.text import visible

LONG_NAME = 32
"""Length from which a table's names wrap in a column of a third of the text width."""

LONG_WORD = 14
"""Length from which a word may be broken to fit a narrow column."""

_MATHS = r"""
− - ± \pm × \times → \to ≤ \le ≥ \ge ≠ \neq ≈ \approx < < > >
α \alpha β \beta γ \gamma δ \delta ε \varepsilon ζ \zeta η \eta θ \theta ι \iota κ \kappa λ \lambda
μ \mu ν \nu ξ \xi π \pi ρ \rho σ \sigma τ \tau υ \upsilon φ \varphi χ \chi ψ \psi ω \omega
Γ \Gamma Δ \Delta Θ \Theta Λ \Lambda Ξ \Xi Π \Pi Σ \Sigma Φ \Phi Ψ \Psi Ω \Omega
""".split()
SPECIAL = {character: rf"\{character}" for character in "{}$&#%_"} | {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "|": r"\textbar{}",
    HARD_SPACE: "~",
    DIGIT_SPACE: r"\phantom{0}",
    POINT_SPACE: r"\phantom{.}",
    **{
        sign: rf"\ensuremath{{{command}}}"
        for sign, command in zip(_MATHS[::2], _MATHS[1::2], strict=True)
    },
}
"""Characters with a meaning in LaTeX, and signs that pdflatex has only in math mode."""


def escape(text: str) -> str:
    """Return text on one line that LaTeX prints verbatim."""
    text = unicodedata.normalize("NFC", visible(text)).translate(str.maketrans(SPECIAL))
    # TeX would join these neighbors.
    return re.sub(r"(?<=[-`'?!,])(?=[-`',])", "{}", text)


def to_latex(summary: Summary) -> str:
    """Return every table of the report as a `table`; the main one has question and cautions."""
    main, *others = all_tables(summary)
    care = (chance_sentence(summary), *cautions(summary))
    main = dataclasses.replace(main, notes=(*filter(None, care), *main.notes))
    tables = [latex_table(main, summary, caption=summary.plan.question)]
    sweep = summary.plan.sweep
    tables += [latex_table(t, summary, caption=f"{t.title} of {sweep}.") for t in others]
    return "\n".join(tables)


def latex_table(table: Table, summary: Summary, *, caption: str) -> str:
    """Return a `table` environment; its first line lists the required packages.

    Spaces as wide as digits pad the cells to align decimal points.

    Args:
        table: Table to lay out.
        summary: Study, for label and completeness.
        caption: Caption above the table.
    """
    notes = [*([] if summary.complete else [headline(summary)]), *table.notes]
    label = re.sub("[^A-Za-z0-9]", "-", "-".join(filter(None, (summary.plan.sweep, table.key))))
    wraps = any(len(row[0]) > LONG_NAME for row in table.rows)
    columns = (r"p{.33\linewidth}" if wraps else "l") + "r" * len(table.columns[1:])
    lines = [
        r"% needs \usepackage{booktabs}",
        f"% {visible(headline(summary))}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{breakable(caption)}}}",
        rf"\label{{tab:{label}}}",
        r"\smallskip",
        r"\footnotesize",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\makebox[\linewidth]{{\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        *_heads(table.columns),
        r"\midrule",
        *_rows(table, r"\raggedright\hspace{0pt}" if wraps else "{}"),
        r"\bottomrule",
        r"\end{tabular}}",
        "",
        r"\smallskip",
        rf"\parbox{{\linewidth}}{{\raggedright {' '.join(map(breakable, notes))}}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def breakable(text: str) -> str:
    """Return text that LaTeX prints verbatim, with line breaks allowed in long words."""
    return "".join(
        _broken(word) if len(word) >= LONG_WORD else escape(word)
        for word in re.split(r"(\s+)", text)
    )


def _broken(word: str) -> str:
    """Return a word that may break after `_`, `/` and `=`, and with a hyphen in long parts."""
    first, *others = re.findall("[^_/=]{1,12}[_/=]*|[_/=]+", word)
    text, last = escape(first), first[-1]
    for part in others:
        text += (r"\allowbreak{}" if last in "_/=" else r"\-") + escape(part)
        last = part[-1]
    return text


def _heads(columns: tuple[Column, ...]) -> Iterator[str]:
    """Yield titles above units; a title of two words takes two lines."""
    heads = [(c.title, "", c.unit) if c.unit else c.title.partition(" ") for c in columns]
    yield " & ".join(escape(first) for first, _, _ in heads) + r" \\"
    if any(second for _, _, second in heads):
        yield " & ".join(escape(second) for _, _, second in heads) + r" \\"


def _rows(table: Table, before: str) -> Iterator[str]:
    r"""Yield the rows; `before` keeps `\\` from parsing a name's `*` or `[`."""
    for i, row in enumerate(table.rows):
        if i in table.headings:
            if i:
                yield r"\midrule"
            heading = rf"\emph{{{escape(table.headings[i])}}}"
            yield rf"\multicolumn{{{len(table.columns)}}}{{@{{}}l@{{}}}}{{{heading}}} \\"
        cells = [before + breakable(row[0])]
        for column, text in zip(table.columns[1:], row[1:], strict=True):
            bold = i == table.best and column.key == "mean"
            cells.append(rf"\textbf{{{_cell(text)}}}" if bold else _cell(text))
        yield " & ".join(cells) + r" \\"
        if i == table.baseline and i == 0 and len(table.rows) > 1:
            yield r"\midrule"


def _cell(text: str) -> str:
    """Keep the padding of a plain number; a number with a unit needs none."""
    plain = not any(character.isalpha() for character in text) and text.strip() != NONE
    return escape(digit_spaces(text) if plain else HARD_SPACE.join(text.split()))
