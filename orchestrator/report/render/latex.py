r"""Tables as LaTeX: booktabs, notes below, as wide as a text at most.

A short table keeps its own width. A wider one is stretched to `\linewidth`, and its names wrap;
one with too many columns for an article's text stands in panels below one another, the names
repeated. `table*` for `table` spreads any of them over both columns of a paper that has two.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

from orchestrator.analysis.summary import Summary
from orchestrator.report.render.latex_text import breakable, code_points, comment, escape, width_pt
from orchestrator.report.tables.arms import main_table
from orchestrator.report.tables.comparisons import TITLE as OTHER_CONTRASTS
from orchestrator.report.tables.comparisons import effects_table, other_contrasts_table
from orchestrator.report.tables.table import Column, Table
from orchestrator.report.wording.notes import chance_sentence, headline
from orchestrator.report.wording.numbers import HARD_SPACE, NONE, digit_spaces

ARTICLE_PT = 345.0
"""`\\textwidth` of the class `article` at 10 pt."""

COLUMN_PT = 229.0
"""`\\columnwidth` of `article` in two columns: what is no wider fits in every paper."""

NAME_PT = 100.0
"""What is left at least to a name, which wraps in it."""

GAP_PT = 8.0
HEAD_TURNS_PT = 28.0
"""A head so wide is turned upright where that lets the columns stand side by side."""


def to_latex(summary: Summary) -> str:
    """Return the main table, and those of other contrasts and of effects, as `table`s."""
    sweep = summary.plan.sweep
    more = (
        (other_contrasts_table(summary), f"{OTHER_CONTRASTS} of {sweep}.", "-contrasts"),
        (effects_table(summary), f"Declared effects of {sweep}.", "-effects"),
    )
    main = main_table(summary)
    if low := chance_sentence(summary):
        main = dataclasses.replace(main, notes=(low, *main.notes))
    said = [latex_table(main, summary, caption=summary.plan.question)]
    said += [
        latex_table(table, summary, caption=caption, suffix=suffix)
        for table, caption, suffix in more
        if table is not None
    ]
    return "\n".join(said)


def latex_table(table: Table, summary: Summary, *, caption: str, suffix: str = "") -> str:
    """Return a `table` environment for pdflatex or later; its first line says what it needs.

    Cells are padded by spaces as wide as digits, so that decimal points stand under one another.

    Args:
        table: what to lay out.
        summary: the study, for label and completeness.
        caption: above the table.
        suffix: of the label, where a study has several tables.
    """
    turned = _turned(table)
    notes = [*([] if summary.complete else [headline(summary)]), *table.notes]
    shown = [
        caption,
        *notes,
        *table.headings.values(),
        *(cell for row in table.rows for cell in row),
    ]
    coded = next((found[0] for found in map(code_points, shown) if found), "")
    if coded:
        notes.append(f"{coded}: a character by its Unicode code point; it has no font here.")
    panels = [_panel(table, part, turned) for part in _parts(table, turned)]
    body = "\n\n\\medskip\n".join("\n".join(panel) for panel in panels)
    packages = ["booktabs", "tabularx", *(["graphicx"] if turned else [])]
    lines = [
        rf"% needs \usepackage{{{','.join(packages)}}}",
        f"% {comment(headline(summary))}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{breakable(caption)}}}",
        rf"\label{{tab:{_label(summary.plan.sweep + suffix)}}}",
        r"\smallskip",
        r"\footnotesize",
        rf"\setlength{{\tabcolsep}}{{{GAP_PT / 2:g}pt}}",
        body,
        "",
        r"\smallskip",
        r"\parbox{\linewidth}{\footnotesize\raggedright " + " ".join(map(breakable, notes)) + "}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _parts(table: Table, turned: bool) -> Sequence[Sequence[int]]:
    """Return which columns stand in which panel, as few and as equal as the width allows."""
    columns = range(1, len(table.columns))
    room = ARTICLE_PT - min(_widths(table, turned)[0], NAME_PT)
    for count in range(1, len(columns) + 1):
        size = math.ceil(len(columns) / count)
        parts = [columns[i : i + size] for i in range(0, len(columns), size)]
        if all(_wide(table, part, turned) <= room for part in parts):
            return parts
    return [columns[i : i + 1] for i in range(len(columns))] or [columns]


def _turned(table: Table) -> bool:
    """Say whether upright heads save a panel: many narrow columns under wide words."""
    columns = range(1, len(table.columns))
    heads = [max(width_pt(line) for line in _head(table.columns[i])) for i in columns]
    room = ARTICLE_PT - min(_widths(table, True)[0], NAME_PT)
    wide = sum(head > HEAD_TURNS_PT for head in heads) > len(heads) / 2
    return wide and _wide(table, columns, True) <= room < _wide(table, columns, False)


def _wide(table: Table, columns: Sequence[int], turned: bool) -> float:
    widths = _widths(table, turned)
    return sum(widths[i] + GAP_PT for i in columns)


def _widths(table: Table, turned: bool) -> list[float]:
    """Return how wide every column is, its head included unless that is turned."""
    cells = [max((width_pt(row[i]) for row in table.rows), default=0.0) for i in _indices(table)]
    heads = [max(width_pt(line) for line in _head(column)) for column in table.columns]
    if turned:
        heads = [heads[0], *(10.0 for _ in heads[1:])]
    return [max(pair) for pair in zip(cells, heads, strict=True)]


def _panel(table: Table, part: Sequence[int], turned: bool) -> list[str]:
    """Return one tabular with the names and some of the columns."""
    columns = [0, *part]
    own = _widths(table, turned)[0] + _wide(table, part, turned)
    if own <= COLUMN_PT and not table.headings:
        begin, end = rf"\begin{{tabular}}{{@{{}}l{'r' * len(part)}@{{}}}}", r"\end{tabular}"
    else:
        name = r">{\hangindent=1em\raggedright\arraybackslash}X"
        begin = rf"\begin{{tabularx}}{{\linewidth}}{{@{{}}{name}{'r' * len(part)}@{{}}}}"
        end = r"\end{tabularx}"
    return [
        begin,
        r"\toprule",
        *_heads([table.columns[i] for i in columns], turned),
        r"\midrule",
        *_rows(table, columns),
        r"\bottomrule",
        end,
    ]


def _heads(columns: Sequence[Column], turned: bool) -> list[str]:
    """Return two lines of heads, or one of upright ones."""
    if turned:
        said = [" ".join(filter(None, _head(column))) for column in columns]
        upright = (rf"\rotatebox{{90}}{{{escape(text)}}}" for text in said[1:])
        return [" & ".join([escape(said[0]), *upright]) + r" \\"]
    lines = list(zip(*map(_head, columns), strict=True))
    kept = lines if any(lines[1]) else lines[:1]
    return [" & ".join(map(escape, line)) + r" \\" for line in kept]


def _head(column: Column) -> tuple[str, str]:
    """Return title above unit, or a title of two words above itself."""
    first, _, second = column.title.partition(" ")
    return (column.title, column.unit) if column.unit else (first, second)


def _rows(table: Table, columns: Sequence[int]) -> Iterator[str]:
    for i, row in enumerate(table.rows):
        if i in table.headings:
            if i:
                yield r"\midrule"
            said = rf"\emph{{{breakable(table.headings[i])}}}"
            over = rf"{{@{{}}p{{\linewidth}}@{{}}}}{{\raggedright {said}}}"
            yield rf"\multicolumn{{{len(columns)}}}{over} \\"
        cells = [breakable(row[0])]
        for j in columns[1:]:
            cell = _cell(row[j])
            bold = i == table.best and table.columns[j].key == "mean"
            cells.append(rf"\textbf{{{cell}}}" if bold else cell)
        yield " & ".join(cells) + r" \\"
        if i == table.baseline and i == 0 and len(table.rows) > 1:
            yield r"\midrule"


def _cell(text: str) -> str:
    """Keep the padding of a plain number; one with a unit of its own needs none."""
    plain = not any(character.isalpha() for character in text) and text.strip() != NONE
    return escape(digit_spaces(text) if plain else HARD_SPACE.join(text.split()))


def _indices(table: Table) -> range:
    return range(len(table.columns))


def _label(text: str) -> str:
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in text)
