"""Tables of a search: its best points as confirmed on fresh seeds."""

from __future__ import annotations

import dataclasses

from orchestrator.analysis.summary import Summary
from orchestrator.report.tables.arms import main_table
from orchestrator.report.tables.table import Table


def tables(summary: Summary) -> list[Table]:
    """Return the tables of a search; none for other studies."""
    if summary.search is None:
        return []
    return [confirmed_table(summary.following)] if summary.following else []


def confirmed_table(confirmed: Summary) -> Table:
    """Return the main table of the confirmation, which is the result of the search."""
    table = main_table(confirmed)
    return dataclasses.replace(
        table,
        notes=(
            f"The result: the best points on fresh seeds, {confirmed.plan.sweep}.",
            *table.notes,
        ),
        records=tuple({**record, "kind": "confirmed"} for record in table.records),
    )
