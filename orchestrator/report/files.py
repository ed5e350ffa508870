"""A report's files: the page, and the table in every form."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.records import TrialRecord
from orchestrator.report.effects import effects_to_latex
from orchestrator.report.formats import to_csv, to_json, to_markdown
from orchestrator.report.latex import to_latex
from orchestrator.report.latex_numbers import to_numbers
from orchestrator.report.outcomes import Loader
from orchestrator.report.rows import Summary
from orchestrator.store import Store

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
    "latex": lambda summary: to_latex(summary) + effects_to_latex(summary),
    "numbers": to_numbers,
    "csv": to_csv,
    "json": to_json,
}


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Where a report's files are."""

    html: Path
    markdown: Path
    latex: Path
    numbers: Path
    csv: Path
    json: Path


def report_folder(store: Store, sweep: str) -> Path:
    """Return where a sweep's report lies: beside its plan, or here if the store is remote."""
    root = store.local_path
    return Path("report") / sweep if root is None else root / "sweeps" / sweep / "report"


def write_report(
    summary: Summary,
    records: Mapping[str, TrialRecord],
    out_dir: str | Path,
    *,
    predictions: Loader | None = None,
    links: Mapping[str, str] | None = None,
    pictures: Path | None = None,
) -> Paths:
    """Write a sweep's report, each file whole or not at all.

    Args:
        summary: of the plan and its records.
        records: id -> record of the plan's trials that have one.
        out_dir: made if it is not there.
        predictions: reads a trial's predictions at the plan's epoch.
        links: trial id -> address of its run in the tracking server.
        pictures: folder of `orchestrator.pictures`, for the page.

    Raises:
        StoreError: a file cannot be written.
    """
    folder = Path(out_dir)
    paths = Paths(**{form: folder / name for form, name in NAMES.items()})
    for form in NAMES:
        said = render(
            form, summary, records, predictions=predictions, links=links, pictures=pictures
        )
        write(getattr(paths, form), said)
    return paths


def render(
    form: str,
    summary: Summary,
    records: Mapping[str, TrialRecord],
    *,
    predictions: Loader | None = None,
    links: Mapping[str, str] | None = None,
    pictures: Path | None = None,
) -> str:
    """Return the report in one of the forms of `NAMES`."""
    if form != "html":
        return RENDERERS[form](summary)
    from orchestrator.report.page import render_page  # jinja2 is not needed for a table

    return render_page(summary, records, predictions=predictions, links=links, pictures=pictures)


def write(path: Path, said: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        StoreError: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(said, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise StoreError(
            f"cannot write {str(path)!r} ({error.strerror or error}); choose a place with --out"
        ) from None
