"""A table of the report, as strings aligned on the decimal point that every format lays out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.report.wording.contrasts import half_width
from orchestrator.report.wording.numbers import align, decimals, number
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
    """

    key: str
    title: str
    unit: str = ""
    keep: int = 0


@dataclass(frozen=True, kw_only=True)
class Table:
    """Strings, aligned on the decimal point, ready to be laid out.

    Attributes:
        columns: left to right; the first is the arm's name.
        rows: one list of strings per arm, in the plan's order.
        baseline: index of the row that is set apart, or -1.
        best: index of the row whose best value may be emphasised, or -1.
        notes: what stands below.
        headings: index of a row -> what stands over it and those that follow.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    baseline: int
    best: int
    notes: tuple[str, ...]
    headings: Mapping[int, str] = field(default_factory=dict)


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
