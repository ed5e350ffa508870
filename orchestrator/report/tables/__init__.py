"""The tables of a report, as values that every format lays out, each subject in its module."""

from importlib import import_module

from orchestrator.analysis.summary import Summary
from orchestrator.report.tables.table import Table

TABLES = ["arms", "comparisons"]
"""Modules with a function `tables(summary)`, in the order of reading."""


def all_tables(summary: Summary) -> list[Table]:
    """Return the tables that a study has; the first has a row per arm."""
    modules = (import_module(f"{__name__}.{name}") for name in TABLES)
    return [table for module in modules for table in module.tables(summary)]
