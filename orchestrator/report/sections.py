"""The tables of a report in the order of reading: every format loops over them."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.analysis.summary import Summary
from orchestrator.report.tables.arms import main_table
from orchestrator.report.tables.comparisons import effects_table, other_contrasts_table
from orchestrator.report.tables.table import Table

TABLES: tuple[Callable[[Summary], Table | None], ...] = (
    main_table,
    other_contrasts_table,
    effects_table,
)


def report_tables(summary: Summary) -> list[Table]:
    """Return the tables that a study has; the first has a row per arm."""
    return [table for make in TABLES if (table := make(summary)) is not None]
