"""The tables of a report, as values for every output format, one module per subject."""

from importlib import import_module

from orchestrator.analysis.summary import Summary
from orchestrator.report.tables.table import Table

TABLES = ["arms", "search", "comparisons", "scopes"]
"""Modules with a function `tables(summary)`, in reading order."""


def all_tables(summary: Summary) -> list[Table]:
    """Return the tables of a study; the first has a row per arm."""
    modules = (import_module(f"{__name__}.{name}") for name in TABLES)
    return [table for module in modules for table in module.tables(summary)]
