"""The table as Markdown and CSV, and everything as JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from orchestrator.analysis.evidence import Evidence
from orchestrator.analysis.summary import Summary
from orchestrator.report.tables.arms import main_table
from orchestrator.report.tables.comparisons import effects_table, other_contrasts_table
from orchestrator.report.tables.table import Table
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.findings import finding_sentence
from orchestrator.report.wording.footnotes import published_footnotes
from orchestrator.report.wording.notes import answers, cautions, chance_sentence, headline
from orchestrator.report.wording.numbers import NONE
from orchestrator.text import csv_text, markdown_text

NUMBER = re.compile(r"[+−]?\d[\d.]*(\s*±\s*[\d.]+)?[^\w\s]*$")
"""A cell of numbers as tables show them, an interval and marks behind it."""


def to_markdown(summary: Summary) -> str:
    """Return question, completeness, sentences, table and notes as GitHub's Markdown."""
    lines = [f"**{markdown_text(summary.plan.question)}**", "", headline(summary), ""]
    lines += [f"- {markdown_text(answer.text)}" for answer in answers(summary)]
    more = other_contrasts_table(summary), effects_table(summary)
    tables = filter(None, (main_table(summary), *more))
    return "\n".join([*lines, "", *map(markdown_table, tables)])


def markdown_table(table: Table) -> str:
    """Return a table and its notes as GitHub's Markdown."""
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
    """Return a table's cells as they are shown, the heading over each row in front of it."""
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
    """Return one row per arm with every number at full precision and no unit conversion lost.

    n counts what the interval counts. Contrasts with another reference than the baseline follow as
    rows of the kind `contrast`, declared effects as `effect`, their size as the difference.
    """
    key = summary.metric.key
    fields = (
        "arm,n,planned,metric,unit,mean,low,high,difference,difference_low,difference_high,"
        "p,adjusted_p,verdict,published,params,macs,median_s,clips_per_s,kind,"
        "trials,trials_planned,reference,chance,beats_chance"
    ).split(",")
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(fields)
    for arm in summary.arms:
        measure, contrast, cost = (
            arm.measures.get(key),
            summary.against_baseline(arm.name),
            arm.cost,
        )
        mean, delta = (measure.interval if measure else None), arm.to_baseline
        writer.writerow(
            [
                *(
                    csv_text(arm.name),
                    *arm.counted(key),
                    key,
                    summary.metric.unit,
                ),
                *((mean.mean, mean.low, mean.high) if mean else (None,) * 3),
                *((delta.mean, delta.low, delta.high) if delta else (None,) * 3),
                contrast.difference.p_value if contrast and contrast.difference else None,
                contrast.adjusted_p if contrast else None,
                contrast.verdict if contrast else None,
                arm.record.published.get(key),
                *(
                    (cost.num_params, cost.macs, cost.seconds, cost.clips_per_s)
                    if cost
                    else (None,) * 4
                ),
                "arm",
                len(measure.values) if measure else 0,
                len(arm.cells),
                csv_text(summary.plan.baseline) if delta else None,
                summary.chance.value if summary.chance else None,
                arm.name not in summary.at_chance if summary.chance and measure else None,
            ]
        )
    for contrast in summary.other_contrasts:
        own = {"arm": csv_text(contrast.arm), "reference": csv_text(contrast.reference)}
        own["kind"] = "contrast"
        row = own | _finding(contrast, summary)
        writer.writerow([row.get(name) for name in fields])
    for effect in summary.effects:
        row = {"arm": csv_text(effect.record.name), "kind": "effect"} | _finding(effect, summary)
        writer.writerow([row.get(name) for name in fields])
    return stream.getvalue()


def _finding(found: Evidence, summary: Summary) -> dict[str, object]:
    size = found.difference
    return {
        "n": size.n if size else 0,
        "metric": summary.metric.key,
        "unit": unit_of_difference(summary.metric),
        "difference": size.mean if size else None,
        "difference_low": size.low if size else None,
        "difference_high": size.high if size else None,
        "p": size.p_value if size else None,
        "adjusted_p": found.adjusted_p,
        "verdict": found.verdict,
    }


def to_json(summary: Summary) -> str:
    """Return everything that the report shows, at full precision, blocks named `seed/fold`."""
    return (
        json.dumps(plain(_everything(summary)), indent=1, ensure_ascii=False, allow_nan=False)
        + "\n"
    )


def _everything(summary: Summary) -> dict[str, object]:
    """Return the numbers of a report beside what is said of them."""
    return {
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
        "footnotes": published_footnotes(summary.plan, summary.comparability),
        "effects": [{**_evidence(effect), "record": effect.record} for effect in summary.effects],
        "chosen_by": summary.chosen_by,
        "chance": summary.chance,
        "at_chance": summary.at_chance,
        "chance_sentence": chance_sentence(summary),
    }


def _evidence(found: Evidence) -> dict[str, object]:
    return {
        "difference": found.difference,
        "adjusted_p": found.adjusted_p,
        "smallest_adjusted_p": found.smallest_adjusted_p,
        "verdict": found.verdict,
        "sentence": finding_sentence(found),
    }


def plain(value: Any) -> Any:
    """Return the JSON form of what a report holds, without functions; null is not finite."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = [
            f.name for f in dataclasses.fields(value) if f.repr
        ]  # a metric's functions are not
        return {name: plain(getattr(value, name)) for name in shown}
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, Mapping):
        return {_block(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _block(key: object) -> str:
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)
