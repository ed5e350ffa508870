"""A table of the report: strings aligned on the decimal point, for every output format."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.analysis.evidence import Evidence
from orchestrator.metrics import Metric
from orchestrator.report.wording.contrasts import half_width, places_of, places_of_level
from orchestrator.report.wording.numbers import NONE, align, bracket, number, p_text
from orchestrator.stats import CrossedInterval, PairedDifference

CALLED_MARK = "*"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        key: Stable name.
        title: Short heading.
        unit: Unit of the numbers; empty if the texts include it or there is none.
        keep: Rank on narrow pages: columns with a small number are dropped first, 0 always stays.
        texts: Cells, for `Table.of`.
    """

    key: str
    title: str
    unit: str = ""
    keep: int = 0
    texts: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of strings, aligned on the decimal point.

    Attributes:
        columns: Columns from left to right; the first is the arm's name.
        rows: One list of strings per arm, in the plan's order.
        key: Distinguishes the tables of a report in LaTeX labels; empty for the main table.
        title: Title above the table; empty for the main table, which follows the question.
        baseline: Index of the row that is set apart, or -1.
        best: Index of the row whose best value may be emphasized, or -1.
        notes: Notes below the table.
        headings: Index of a row -> heading above it and the following rows.
        records: Numbers of the rows at full precision, keyed by CSV column.
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
        """Build a table from columns that hold their texts."""
        rows = zip(*(column.texts for column in columns), strict=True)
        return cls(columns=tuple(columns), rows=tuple(rows), **options)


def recordings_record(evidence: Evidence) -> dict[str, object]:
    """Return the CSV columns of a comparison's interval over other recordings; none if unknown."""
    found = evidence.over_recordings
    if found is None:
        return {}
    return {
        "difference_low_recordings": found.low,
        "difference_high_recordings": found.high,
        "recordings": found.num_recordings,
        "narrowed_by": " or ".join(found.narrowed_by),
    }


def p_cell(evidence: Evidence | None) -> str:
    """Write the deciding p value, marked if it calls a difference."""
    if evidence is None:
        return NONE
    return p_text(evidence.adjusted_p) + (CALLED_MARK if evidence.called else "")


def differences(
    found: Sequence[PairedDifference | None], called: Sequence[bool], *, least: int = 0
) -> list[str]:
    """Write `difference [low, high]` with the decimal points of the differences aligned.

    Args:
        found: Differences; None for a dash.
        called: Whether each was called.
        least: Fewest decimals, for differences of listed values (`listed_places`).
    """
    spread_out = (d for d in found if d and len(set(d.differences.values())) > 1)
    places = common_places([places_of(d) for d in spread_out], places_of(None))
    places = max(places, least)
    shown = [d.mean for d, own in zip(found, called, strict=True) if own and d and d.mean]
    while any(not float(f"{mean:.{places}f}") for mean in shown):
        places += 1  # a difference that was called never reads as 0
    means = align([number(d.mean if d else None, places, signed=True) for d in found])
    ends = [
        bracket(d.low, d.high, places, called=own)
        if d and half_width(d) is not None and d.low is not None and d.high is not None
        else ""
        for d, own in zip(found, called, strict=True)
    ]
    longest = max(map(len, ends), default=0)
    return [f"{mean} {end.ljust(longest)}" for mean, end in zip(means, ends, strict=True)]


def spread(intervals: Sequence[CrossedInterval | None], metric: Metric) -> list[str]:
    """Write `mean ±half width` with both decimal points aligned; a dash for None.

    `[low, high]` stands for an interval that a bound of the metric cuts, and `(first, second)` for
    two values, which have none: see `spread_notes`.
    """
    spread_out = (i for i in intervals if i and i.n > 1 and not i.is_flat)
    places = common_places(
        [places_of_level(i, metric) for i in spread_out], places_of_level(None, metric)
    )
    means = align([number(i.mean if i else None, places) for i in intervals])
    even = [half_width(i) if i and (i.is_even or i.is_flat) else None for i in intervals]
    halves = align([number(width, places) for width in even])
    ends = [
        f"±{half}" if width is not None else _ends(i, places, len(half))
        for i, width, half in zip(intervals, even, halves, strict=True)
    ]
    longest = max(map(len, ends), default=0)
    return [f"{mean} {end.ljust(longest)}" for mean, end in zip(means, ends, strict=True)]


def listed_places(levels: Sequence[CrossedInterval], metric: Metric) -> int:
    """Return the decimals of arms that list two values in place of an interval; 0 without any.

    Differences have them, too, so that they are those of the means beside them.
    """
    listed = [level for level in levels if level.n == 2 and not level.is_flat]
    return common_places([places_of_level(level, metric) for level in listed], 0)


def common_places(places: Sequence[int], default: int) -> int:
    """Return one number of decimals for a column: that of its middle interval.

    The widest interval would hide the differences of all other arms.
    """
    return statistics.median_high(places) if places else default


def _ends(interval: CrossedInterval | None, places: int, width: int) -> str:
    """Write what stands beside a mean without a half width, a dash if its replicates are equal."""
    if interval is None:
        return ""
    if interval.n == 2 and not interval.is_flat:
        return f"({', '.join(number(value, places) for value in interval.values)})"
    if half_width(interval) is None or interval.low is None or interval.high is None:
        return f" {NONE.rjust(width)}"
    return bracket(interval.low, interval.high, places, called=False)
