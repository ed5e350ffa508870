"""A report's files: the page, and the table in every format."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from orchestrator.analysis.aggregate import Aggregated
from orchestrator.analysis.outcomes import Loader, no_predictions
from orchestrator.analysis.summary import Summary
from orchestrator.errors import StoreError
from orchestrator.records import TrialRecord
from orchestrator.report.render.formats import (
    aggregate_json,
    csv_records,
    csv_table,
    markdown_table,
    to_csv,
    to_json,
    to_markdown,
)
from orchestrator.report.render.latex import latex_table, to_latex
from orchestrator.report.render.latex_numbers import to_numbers
from orchestrator.report.render.text import table_text
from orchestrator.report.tables.aggregate import FIELDS, aggregate_table
from orchestrator.report.tables.paper import Study, own_paper_table
from orchestrator.report.tables.table import Table
from orchestrator.store import Store
from orchestrator.terminal.text import markdown_text

NAMES = {
    "html": "report.html",
    "markdown": "table.md",
    "latex": "table.tex",
    "numbers": "numbers.tex",
    "csv": "table.csv",
    "json": "report.json",
}
PICTURES = "pictures"
RENDERERS: Mapping[str, Callable[[Summary], str]] = {
    "markdown": to_markdown,
    "latex": to_latex,
    "numbers": to_numbers,
    "csv": to_csv,
    "json": to_json,
}
PAPER_NAMES = {"latex": "paper.tex", "markdown": "paper.md", "csv": "paper.csv"}
"""Additional files for a study with a paper's table."""


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Paths of a report's files; `paper` holds those of a paper's table, if any."""

    html: Path
    markdown: Path
    latex: Path
    numbers: Path
    csv: Path
    json: Path
    paper: tuple[Path, ...] = ()

    @property
    def every(self) -> tuple[Path, ...]:
        """All paths."""
        return (*(getattr(self, form) for form in NAMES), *self.paper)


class PageParts(TypedDict, total=False):
    """Parts of the page besides a study's numbers.

    Attributes:
        predictions: Function that reads a trial's predictions at the plan's epoch.
        links: Trial id -> address of its run in the tracking server.
        pictures: Folder of `orchestrator.predict.figures`.
        paper: Paper's table with the study.
        sounds: Function that reads clips to listen to, as Ogg Opus files.
    """

    predictions: Loader | None
    links: Mapping[str, str] | None
    pictures: Path | None
    paper: Table | None
    sounds: Callable[[Iterable[str]], Mapping[str, bytes]] | None


def report_folder(store: Store, sweep: str) -> Path:
    """Return a sweep's report folder: next to its plan, or here if the store is remote."""
    root = store.local_path
    return Path("report") / sweep if root is None else root / "sweeps" / sweep / "report"


def write_report(
    summary: Summary,
    records: Mapping[str, TrialRecord],
    out_dir: str | Path,
    **parts: Unpack[PageParts],
) -> Paths:
    """Write a sweep's report, each file atomically.

    Args:
        summary: Summary of the plan and its records.
        records: Trial id -> record, for the plan's trials that have one.
        out_dir: Output folder, created if missing.
        parts: Parts of the page; the default paper's table is that of the published numbers, if
            any.

    Raises:
        StoreError: A file cannot be written.
    """
    folder = Path(out_dir)
    study = Study(summary=summary, predictions=parts.get("predictions") or no_predictions)
    paper = parts["paper"] = parts.get("paper") or own_paper_table(study)
    for form, name in NAMES.items():
        write(folder / name, render(form, summary, records, **parts))
    if paper:
        for form, name in PAPER_NAMES.items():
            write(folder / name, render_table(form, paper, summary))
    return Paths(
        **{form: folder / name for form, name in NAMES.items()},
        paper=tuple(folder / name for name in PAPER_NAMES.values()) if paper else (),
    )


def render(
    form: str,
    summary: Summary,
    records: Mapping[str, TrialRecord],
    **parts: Unpack[PageParts],
) -> str:
    """Return the report in one of the formats of `NAMES`; only the page uses `parts`."""
    if form != "html":
        return RENDERERS[form](summary)
    from orchestrator.report.render.page import render_page  # tables do not need jinja2

    return render_page(summary, records, **parts)


def render_table(form: str, table: Table, summary: Summary) -> str:
    """Return a table alone, as a paper's is, in one of the formats of `PAPER_NAMES`."""
    if form == "latex":
        return latex_table(table, summary, caption=table.title)
    if form == "csv":
        return csv_table(table)
    return f"**{markdown_text(table.title)}**\n\n{markdown_table(table)}"


def render_aggregate(aggregated: Aggregated, form: str = "text", *, width: int = 120) -> str:
    """Return several aggregated sweeps in a format.

    Args:
        aggregated: Aggregated sweeps.
        form: `text`, `markdown`, `csv` or `json`.
        width: Width of the text in columns.
    """
    if form == "json":
        return aggregate_json(aggregated)
    table = aggregate_table(aggregated)
    if form == "csv":
        return csv_records(table.records, FIELDS)
    if form == "markdown":
        return f"{markdown_text(table.title)}\n\n{markdown_table(table)}"
    return table_text(table, width)


def write(path: Path, text: str) -> None:
    """Write a text file atomically.

    Raises:
        StoreError: The file cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise StoreError(
            f"cannot write {str(path)!r} ({error.strerror or error}); choose a place with --out"
        ) from None
