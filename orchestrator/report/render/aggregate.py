"""What several sweeps show together, as text, Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json

from orchestrator.analysis.aggregate import Aggregated
from orchestrator.report.render.formats import plain
from orchestrator.report.wording.aggregate import aggregate_notes
from orchestrator.report.wording.numbers import NONE, decimals, number
from orchestrator.stats import Aggregate
from orchestrator.text import csv_text, markdown_text, visible


def aggregate_text(found: Aggregated, form: str = "text") -> str:
    """Return the aggregate as text, Markdown, CSV or JSON.

    Args:
        found: the aggregate.
        form: `text`, `markdown`, `csv` or `json`.
    """
    if form == "json":
        return _json(found)
    if form == "csv":
        return _csv(found)
    heads = ["arm", "n", f"{found.metric.title} score", "Δ score", "P(better) (%)"]
    rows = [
        [
            visible(own.arm),
            str(own.mean.num_runs),
            _cell(own.mean),
            _cell(own.difference, signed=True),
            _cell(own.improvement, scale=100.0),
        ]
        for own in found.arms
    ]
    over = ", ".join(f"{dataset} ({sweep})" for dataset, sweep in found.sweeps.items())
    title = f"{len(found.sweeps)} data sets: {over}; baseline {found.baseline}."
    if form == "markdown":
        table = ["| " + " | ".join(map(markdown_text, row)) + " |" for row in (heads, *rows)]
        table.insert(1, "| :-- |" + " --: |" * (len(heads) - 1))
    else:
        widths = [max(len(row[k]) for row in (heads, *rows)) for k in range(len(heads))]
        table = [
            "  ".join(
                cell.rjust(width) if k else cell.ljust(width)
                for k, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in (heads, *rows)
        ]
    clean = markdown_text if form == "markdown" else visible
    lines = [clean(title), "", *table, "", *map(clean, aggregate_notes(found))]
    return "\n".join(lines) + "\n"


def _cell(found: Aggregate | None, *, scale: float = 1.0, signed: bool = False) -> str:
    if found is None:
        return NONE
    places = decimals(scale * (found.high - found.low) / 2)
    value, low, high = (
        number(scale * v, places, signed=signed) for v in (found.value, found.low, found.high)
    )
    return f"{value} ({low} to {high})"


def _json(found: Aggregated) -> str:
    shown = {
        "sweeps": found.sweeps,
        "metric": found.metric,
        "baseline": found.baseline,
        "arms": found.arms,
        "notes": aggregate_notes(found),
        "scales": found.scales,
    }
    return json.dumps(plain(shown), indent=1, ensure_ascii=False) + "\n"


def _csv(found: Aggregated) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    kinds = ("mean", "difference", "improvement")
    writer.writerow(
        ["arm", "n", *(f"{kind}{end}" for kind in kinds for end in ("", "_low", "_high"))]
    )
    for own in found.arms:
        numbers = (getattr(own, kind) for kind in kinds)
        cells = [(a.value, a.low, a.high) if a else (None,) * 3 for a in numbers]
        writer.writerow(
            [csv_text(own.arm), own.mean.num_runs, *(v for cell in cells for v in cell)]
        )
    return stream.getvalue()
