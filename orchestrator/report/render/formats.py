"""Tables as Markdown and CSV, and everything as JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from orchestrator.analysis.aggregate import Aggregated
from orchestrator.analysis.evidence import Evidence
from orchestrator.analysis.summary import Summary
from orchestrator.report.tables import all_tables
from orchestrator.report.tables.aggregate import aggregate_notes
from orchestrator.report.tables.table import Table
from orchestrator.report.wording.findings import finding_sentence
from orchestrator.report.wording.footnotes import published_footnotes
from orchestrator.report.wording.notes import (
    answers,
    cautions,
    chance_sentence,
    fast_sentence,
    headline,
    next_study_sentence,
)
from orchestrator.report.wording.numbers import NONE
from orchestrator.terminal.text import csv_text, markdown_text

NUMBER = re.compile(r"[+−]?\d[\d.]*(\s*±\s*[\d.]+)?[^\w\s]*$")
"""A numeric cell of a table, with an optional interval and marks."""

CSV_FIELDS = (
    "arm,n,planned,metric,unit,mean,low,high,difference,difference_low,difference_high,"
    "p,adjusted_p,verdict,published,params,macs,median_s,clips_per_s,kind,"
    "trials,trials_planned,reference,chance,beats_chance"
).split(",")
"""Columns of the CSV; append new ones at the end, so that users' scripts keep working."""


def to_markdown(summary: Summary) -> str:
    """Return question, completeness, sentences, cautions, tables and notes as GitHub Markdown."""
    lines = [f"**{markdown_text(summary.plan.question)}**", "", headline(summary), ""]
    lines += [f"- {markdown_text(answer.text)}" for answer in answers(summary)]
    if care := cautions(summary):
        lines += ["", "Read with care:", "", *(f"- {markdown_text(text)}" for text in care)]
    return "\n".join([*lines, "", *map(markdown_table, all_tables(summary))])


def markdown_table(table: Table) -> str:
    """Return a table and its notes as GitHub Markdown."""
    heads = [f"{c.title} ({c.unit})" if c.unit else c.title for c in table.columns]
    lines = ["| " + " | ".join(map(markdown_text, heads)) + " |"]
    lines.append("| :-- |" + " --: |" * (len(heads) - 1))
    for i, row in enumerate(table.rows):
        if i in table.headings:
            lines.append(f"| **{markdown_text(table.headings[i])}** |" + " |" * (len(heads) - 1))
        cells = [markdown_text(cell.strip()) for cell in row]
        if i == table.best:
            cells = [
                f"**{cell}**" if c.key == "mean" else cell
                for c, cell in zip(table.columns, cells, strict=True)
            ]
        if i == table.baseline:
            cells[0] = f"*{cells[0]}*"
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *(f"{markdown_text(note)}  " for note in table.notes)]
    return (
        "\n".join(line.rstrip(" ") if not line.endswith(".  ") else line for line in lines) + "\n"
    )


def csv_table(table: Table) -> str:
    """Return a table's cells as shown, with the heading of each row in front."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    heads = [f"{c.title} ({c.unit})" if c.unit else c.title for c in table.columns]
    writer.writerow([*(["rows"] if table.headings else []), *map(csv_text, heads)])
    heading = ""
    for i, row in enumerate(table.rows):
        heading = table.headings.get(i, heading)
        cells = [cell.strip() for cell in row]
        cells = ["" if cell == NONE else cell for cell in cells]
        cells = [cell if NUMBER.match(cell) else csv_text(cell) for cell in cells]
        writer.writerow([*([csv_text(heading)] if table.headings else []), *cells])
    return stream.getvalue()


def to_csv(summary: Summary) -> str:
    """Return one row per arm with every number at full precision.

    n counts what the interval counts. Contrasts with a reference other than the baseline follow as
    rows of the kind `contrast`, declared effects as `effect` with their size as the difference.
    Every row of an arm has the study's cautions, so that none is read without them.
    """
    records = [record for table in all_tables(summary) for record in table.records]
    if care := " ".join(cautions(summary)):
        records = [r | {"cautions": care} if r.get("kind") == "arm" else r for r in records]
    # What a new table alone records follows what users' scripts know.
    fields = dict.fromkeys([*CSV_FIELDS, *(key for record in records for key in record)])
    return csv_records(records, list(fields))


def csv_records(records: Iterable[Mapping[str, object]], fields: Sequence[str]) -> str:
    """Return records as CSV, with text escaped so that no spreadsheet reads it as a formula."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fields, lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow(
            {key: csv_text(v) if isinstance(v, str) else v for key, v in record.items()}
        )
    return stream.getvalue()


def aggregate_json(aggregated: Aggregated) -> str:
    """Return all numbers of an aggregate at full precision."""
    shown = {
        "sweeps": aggregated.sweeps,
        "metric": aggregated.metric,
        "baseline": aggregated.baseline,
        "arms": aggregated.arms,
        "notes": aggregate_notes(aggregated),
        "scales": aggregated.scales,
    }
    return _json(shown)


def to_json(summary: Summary) -> str:
    """Return all numbers of the report at full precision, with blocks named `seed/fold`."""
    shown = {
        "plan": summary.plan,
        "metric": summary.metric,
        "headline": headline(summary),
        "complete": summary.complete,
        "answers": answers(summary),
        "arms": summary.arms,
        "contrasts": [
            {**_evidence(c), "arm": c.arm, "reference": c.reference} for c in summary.contrasts
        ],
        "cautions": cautions(summary),
        "next_study": next_study_sentence(summary),
        **({"fast": fast} if (fast := fast_sentence(summary)) else {}),
        "footnotes": published_footnotes(summary.plan, summary.comparability),
        "effects": [{**_evidence(effect), "record": effect.record} for effect in summary.effects],
        "chosen_by": summary.chosen_by,
        "chance": summary.chance,
        "at_chance": summary.at_chance,
        "chance_sentence": chance_sentence(summary),
    }
    return _json(shown)


def _json(shown: Mapping[str, object]) -> str:
    return json.dumps(_plain(shown), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _evidence(evidence: Evidence) -> dict[str, object]:
    return {
        "difference": evidence.difference,
        "adjusted_p": evidence.adjusted_p,
        "smallest_adjusted_p": evidence.smallest_adjusted_p,
        "verdict": evidence.verdict,
        "over_recordings": evidence.over_recordings,
        "sentence": finding_sentence(evidence),
    }


def _plain(value: Any) -> Any:
    """Return the JSON form of a report's value without functions; null if not finite."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # Skip a metric's functions.
        shown = [f.name for f in dataclasses.fields(value) if f.repr]
        return {name: _plain(getattr(value, name)) for name in shown}
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, Mapping):
        return {_block(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _block(key: object) -> str:
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)
