"""A report's files: the page, and the table in every form."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
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
from orchestrator.terminal import markdown_text

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
"""What is written besides where a study has a paper's table."""


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Where a report's files are; `paper` are those of a paper's table, where there is one."""

    html: Path
    markdown: Path
    latex: Path
    numbers: Path
    csv: Path
    json: Path
    paper: tuple[Path, ...] = ()

    @property
    def every(self) -> tuple[Path, ...]:
        """All of them."""
        return (*(getattr(self, form) for form in NAMES), *self.paper)


class PageParts(TypedDict, total=False):
    """What the page shows besides a study's numbers.

    Attributes:
        predictions: reads a trial's predictions at the plan's epoch.
        links: trial id -> address of its run in the tracking server.
        pictures: folder of `orchestrator.figures`.
        paper: the study in a paper's table.
    """

    predictions: Loader | None
    links: Mapping[str, str] | None
    pictures: Path | None
    paper: Table | None


def report_folder(store: Store, sweep: str) -> Path:
    """Return where a sweep's report lies: beside its plan, or here if the store is remote."""
    root = store.local_path
    return Path("report") / sweep if root is None else root / "sweeps" / sweep / "report"


def write_report(
    summary: Summary,
    records: Mapping[str, TrialRecord],
    out_dir: str | Path,
    **parts: Unpack[PageParts],
) -> Paths:
    """Write a sweep's report, each file whole or not at all.

    Args:
        summary: of the plan and its records.
        records: id -> record of the plan's trials that have one.
        out_dir: made if it is not there.
        parts: of the page; without a paper's table that of the published numbers, if any.

    Raises:
        StoreError: a file cannot be written.
    """
    folder = Path(out_dir)
    study = Study(summary=summary, predictions=parts.get("predictions") or no_predictions)
    paper = parts["paper"] = parts.get("paper") or own_paper_table(study)
    for form, name in NAMES.items():
        write(folder / name, render(form, summary, records, **parts))
    if paper:
        for form, name in PAPER_NAMES.items():
            write(folder / name, render_paper_table(form, paper, summary))
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
    """Return the report in one of the forms of `NAMES`; only the page shows its parts."""
    if form != "html":
        return RENDERERS[form](summary)
    from orchestrator.report.render.page import render_page  # jinja2 is not needed for a table

    return render_page(summary, records, **parts)


def render_paper_table(form: str, table: Table, summary: Summary) -> str:
    """Return a paper's table in one of the forms of `PAPER_NAMES`."""
    if form == "latex":
        return latex_table(table, summary, caption=table.title)
    if form == "csv":
        return csv_table(table)
    return f"**{markdown_text(table.title)}**\n\n{markdown_table(table)}"


def render_aggregate(aggregated: Aggregated, form: str = "text", *, width: int = 120) -> str:
    """Return what several sweeps show together.

    Args:
        aggregated: the numbers.
        form: `text`, `markdown`, `csv` or `json`.
        width: of the text, in columns of a terminal.
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
    """Write a text file whole or not at all.

    Raises:
        StoreError: it cannot be written.
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
