"""A table of the report, as strings aligned on the decimal point that every format lays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.analysis.evidence import Evidence
from orchestrator.report.wording.contrasts import half_width
from orchestrator.report.wording.numbers import NONE, align, decimals, number, p_text
from orchestrator.stats import MeanInterval

CALLED_MARK = "*"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the table.

    Attributes:
        key: stable name.
        title: head, short.
        unit: what its numbers are in, empty where they carry it or have none.
        keep: columns with a small number go first where the page is narrow; 0 always stays.
        texts: its cells, for `Table.of`.
    """

    key: str
    title: str
    unit: str = ""
    keep: int = 0
    texts: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """Strings, aligned on the decimal point, ready to be laid out.

    Attributes:
        columns: left to right; the first is the arm's name.
        rows: one list of strings per arm, in the plan's order.
        key: tells the tables of a report apart, in labels of LaTeX; the main table has none.
        title: over the table; the main table stands under the question and has none.
        baseline: index of the row that is set apart, or -1.
        best: index of the row whose best value may be emphasized, or -1.
        notes: below the table.
        headings: index of a row -> what stands over it and those that follow.
        records: the numbers of the rows at full precision, by columns of the CSV.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    key: str = ""
    title: str = ""
    baseline: int = -1
    best: int = -1
    notes: tuple[str, ...] = ()
    headings: Mapping[int, str] = field(default_factory=dict)
    records: tuple[Mapping[str, object], ...] = ()

    @classmethod
    def of(cls, columns: Sequence[Column], **options: Any) -> Table:
        """Return the table whose columns hold their texts.

        Args:
            columns: with as many texts each.
            options: the other attributes.
        """
        rows = zip(*(column.texts for column in columns), strict=True)
        return cls(columns=tuple(columns), rows=tuple(rows), **options)


def p_cell(evidence: Evidence | None) -> str:
    """Write the p value that decides, marked where it calls a difference."""
    if evidence is None:
        return NONE
    return p_text(evidence.adjusted_p) + (CALLED_MARK if evidence.called else "")


def spread(intervals: list[MeanInterval | None], *, signed: bool = False) -> list[str]:
    """Write `mean ±half width` with both decimal points aligned; a dash where there is none."""
    widths = [half_width(i) for i in intervals]
    places = [decimals(width) for width in widths]
    means = align(
        [
            number(i.mean if i else None, p, signed=signed)
            for i, p in zip(intervals, places, strict=True)
        ]
    )
    halves = align([number(width, p) for width, p in zip(widths, places, strict=True)])
    return [
        f"{mean} {' ' if width is None else '±'}{half if i else ' ' * len(half)}"
        for i, width, mean, half in zip(intervals, widths, means, halves, strict=True)
    ]
