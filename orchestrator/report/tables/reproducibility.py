"""Facts for reproducing the numbers: data, code, environment, settings, failures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.analysis.rows import Cell
from orchestrator.analysis.summary import Summary
from orchestrator.records import EPOCHS, Status, TrialRecord

PER_RUN = (
    "host",
    "pid",
    "started_at",
    "ended_at",
    "finished_at",
    "features",
    "out_of_memory",
    "failed_at",
    "damaged_checkpoints",
)
"""Provenance that naturally differs between trials."""

MAX_VALUES = 4


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A setting or a circumstance; `mixed` if the trials disagree."""

    name: str
    value: str
    mixed: bool = False


def data_facts(summary: Summary, records: Mapping[str, TrialRecord]) -> list[Fact]:
    """Return the facts about the data, as planned and as used by the trials."""
    planned = {f"planned {k}": _short(v) for k, v in summary.plan.dataset.items()}
    mine = [record.data for record in _mine(summary, records)]
    clips = _common({"clips": _by_purpose(data)} for data in mine)
    return [Fact(name=k, value=v) for k, v in planned.items()] + clips + _common(mine)


def _by_purpose(data: Mapping[str, Any]) -> str:
    """Say how many clips train, choose the epoch and are reported; empty if not recorded."""
    if "num_train" not in data or "num_val" not in data:
        return ""
    choose = ""
    if data.get("num_validation"):
        choose = f"{data['num_validation']} choose the epoch ({data.get('chosen_on')}), "
    return f"{data['num_train']} train, {choose}{data['num_val']} are reported"


def environment_facts(summary: Summary, records: Mapping[str, TrialRecord]) -> list[Fact]:
    """Return the code versions, packages and machines of the trials."""
    mine = _mine(summary, records)
    facts = _common((r.provenance for r in mine), ignore=PER_RUN)
    facts += _common({"device": r.cost.device, "workers": r.cost.num_workers} for r in mine)
    hosts = Counter(r.provenance["host"] for r in mine if "host" in r.provenance)
    if hosts:
        listed = ", ".join(f"{host} ({count} trials)" for host, count in sorted(hosts.items()))
        facts.append(Fact(name="hosts", value=listed))
    if starved := sum("out_of_memory" in record.provenance for record in mine):
        value = f"{starved} of {len(mine)} trials, which then trained with fewer beside them"
        facts.append(Fact(name="ran out of memory", value=value))
    if damaged := sum("damaged_checkpoints" in record.provenance for record in mine):
        value = f"of {damaged} of {len(mine)} trials, which trained again from the one before"
        facts.append(Fact(name="damaged checkpoints", value=value))
    starts = sorted(r.provenance["started_at"] for r in mine if "started_at" in r.provenance)
    if starts:
        facts.append(Fact(name="first and last start", value=f"{starts[0]} and {starts[-1]}"))
    return facts


def plan_facts(summary: Summary) -> list[Fact]:
    """Return the declared settings and the time of declaration."""
    plan = summary.plan
    cells = summary.cells
    values = {
        "declared": plan.declared_at,
        "command": plan.command,
        "metric": f"{plan.metric} at {EPOCHS.get(plan.selection, plan.selection)}",
        "seeds": ", ".join(map(str, sorted({cell.seed for cell in cells}))),
        "folds": ", ".join(map(str, sorted({cell.fold for cell in cells}))),
        "published numbers": ". ".join(part for part in (plan.source, plan.conditions) if part),
    }
    return [Fact(name=name, value=value) for name, value in values.items() if value]


def failures(summary: Summary, records: Mapping[str, TrialRecord]) -> list[tuple[Cell, str]]:
    """Return every failed or diverged trial with its full error text, arm by arm."""
    ended = (Status.FAILED, Status.DIVERGED)
    failed = [cell for cell in summary.cells if cell.status in ended]
    return [
        (cell, records[cell.id].error.strip() or "no error text was recorded") for cell in failed
    ]


def _mine(summary: Summary, records: Mapping[str, TrialRecord]) -> list[TrialRecord]:
    return [records[cell.id] for cell in summary.cells if cell.id in records]


def _common(mappings: Iterable[Mapping[str, Any]], ignore: Iterable[str] = ()) -> list[Fact]:
    """Return every key with its value, or the most frequent of several values."""
    values: dict[str, Counter[str]] = {}
    for mapping in mappings:
        for key, value in mapping.items():
            if key not in ignore and value not in ("", None):
                values.setdefault(key, Counter())[_short(value)] += 1
    facts = []
    for key, counts in values.items():
        if len(counts) == 1:
            facts.append(Fact(name=key, value=next(iter(counts))))
            continue
        listed = [f"{value} ({count} trials)" for value, count in counts.most_common(MAX_VALUES)]
        more = f", and {len(counts) - MAX_VALUES} more" if len(counts) > MAX_VALUES else ""
        facts.append(Fact(name=key, value=", ".join(listed) + more, mixed=True))
    return facts


def _short(value: Any) -> str:
    """Write a value on one line, abbreviating a long list or mapping to its count and beginning."""
    if isinstance(value, Mapping):
        if not value:
            return "none"
        items = [f"{key}: {_short(item)}" for key, item in value.items()]
        shown = ", ".join(items[:MAX_VALUES])
        return f"{len(items)} ({shown}{', …' if len(items) > MAX_VALUES else ''})"
    if isinstance(value, list | tuple):
        shown = ", ".join(map(_short, value[:MAX_VALUES]))
        return f"{len(value)} ({shown}, …)" if len(value) > MAX_VALUES else shown or "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, default=str)
