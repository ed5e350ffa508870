"""Output of `--dry-run`: arms, trials, stored results and what n blocks can show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from models.own_source import own_source
from orchestrator.cli.power import power_analysis
from orchestrator.design.plan import Plan
from orchestrator.execution.prepare import (
    LaunchPlan,
    clips_by_purpose,
    existing_store,
    made_up,
    of_kind,
    set_apart,
    without_tf32,
)
from orchestrator.experiment.config import COMPONENTS
from orchestrator.experiment.overrides import departures
from orchestrator.metrics import lookup
from orchestrator.metrics.predictions import Loader
from orchestrator.records import Status, TrialRecord
from orchestrator.report.sources import recordings_of
from orchestrator.store.verification import loader, verify_stored
from orchestrator.terminal.text import grid, laid_out, terminal_width, visible


def print_listing(prepared: LaunchPlan) -> None:
    """Print a plan without running it."""
    plan = prepared.plan
    print(f"{plan.sweep}: {visible(plan.question)}")
    print(f"metric {plan.metric} ({lookup(plan.metric).direction.value}), {_data(prepared)}")
    for line in clips_by_purpose(prepared):
        print(visible(line))
    if kind := of_kind(prepared):
        print(kind)
    if apart := set_apart(prepared):
        print(apart)
    if text := made_up(prepared):
        print(f"a launch will be refused: {text}")
    if text := without_tf32(prepared):
        print(text)
    print()
    print(f"{_count(len(plan.arms), 'arm')}:")
    baseline = plan.experiment(next(a for a in plan.arms if a.name == plan.baseline_arm))
    rows = []
    for arm in plan.arms:
        changed = departures(baseline, plan.experiment(arm))
        changes = ", ".join(f"{path}={value}" for path, value in changed.items())
        rows.append((arm.name, "the baseline" if arm.name == plan.baseline_arm else changes))
    _print_rows(rows)
    for effect in plan.record().effects:
        mixed = f", not told from {' or '.join(effect.aliases)}" if effect.aliases else ""
        print(f"declared effect: {effect.name}{mixed}")
    if prepared.search is not None:
        print(f"and {prepared.search.num_points} points of the search, over")
        for path, values in prepared.search.space.items():
            print(f"  {path}: {values}")
    if tuning := prepared.tuning:
        print(
            f"first, {tuning.num_trials} trials of every arm tune {tuning.path} on validation "
            "clips; the plan then runs at the shared setting and at each arm's own"
        )
    _print_own_sources(plan)
    trials = plan.trials()
    for trial in plan.prerequisite_trials():
        print(f"first {trial.id}, whose weights arms start from")
    print()
    most = "at most " if plan.cap else ""
    print(
        f"{most}{_count(len(trials), 'trial')} "
        f"({_count(len(plan.arms), 'arm')} x {_blocks(prepared)}), block by block:"
    )
    records = _stored(prepared) if prepared.data is not None else {}
    statuses = [records[t.id].status if t.id in records else Status.MISSING for t in trials]
    _print_rows(
        (
            trial.id if prepared.data is not None else "-" * 16,
            trial.arm,
            f"seed {trial.seed}",
            f"fold {trial.fold}",
            status.value,
        )
        for trial, status in zip(trials, statuses, strict=True)
    )
    counts = Counter(statuses)
    print()
    print(", ".join(f"{count} {status.value}" for status, count in counts.items()))
    if prepared.data is None:
        print("the data set is not packed yet: trials have their ids once it is")
    options = prepared.options
    for sentence in power_analysis(
        plan,
        records,
        wanted=options.detect,
        num_workers=options.runtime.num_workers,
        price_per_hour=options.price_per_hour,
        budget_hours=options.budget_hours,
        **_predictions(prepared, records),
    ):
        print(sentence)


class _Predictions(TypedDict, total=False):
    """What planning for other recordings needs."""

    predictions: Loader
    recordings: Mapping[str, str]


def _predictions(prepared: LaunchPlan, records: Mapping[str, TrialRecord]) -> _Predictions:
    """Return the stored predictions and the recordings of their clips; empty without any."""
    store = existing_store(prepared.options.runtime.store)
    if store is None or prepared.data is None or not records:
        return {}
    record = prepared.plan.record(fingerprint=prepared.data.fingerprint)
    return {
        "predictions": loader(store, record, records),
        "recordings": recordings_of(store, record),
    }


def _print_rows(rows: Iterable[Sequence[str]]) -> None:
    print(laid_out(grid(rows, indent=2), width=terminal_width()), end="")


def _print_own_sources(plan: Plan) -> None:
    """List the files that decide the ids of arms with the user's own parts."""
    experiments = [plan.experiment(arm) for arm in plan.arms]
    parts = [getattr(one, kind) for one in experiments for kind in COMPONENTS]
    names = dict.fromkeys(part.name for part in parts if ":" in part.name)
    for name in names:
        files = own_source(name.partition(":")[0]).files
        listed = ", ".join(_place(module, file) for module, file in files.items())
        print(f"source of {name}, part of the ids: {listed}")


def _place(module: str, file: Path) -> str:
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else module


def _data(prepared: LaunchPlan) -> str:
    dataset = prepared.plan.base.dataset
    if prepared.data is None:
        return f"data {dataset.name}, not packed yet"
    data = prepared.data
    return (
        f"data {data.name} {data.fingerprint[:12]}: {data.num_clips} clips, "
        f"{data.num_classes} classes"
    )


def _blocks(prepared: LaunchPlan) -> str:
    seeds, folds = len(prepared.plan.seeds), len(prepared.plan.folds)
    return _count(seeds, "seed") + (f" x {folds} folds" if folds > 1 else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _stored(prepared: LaunchPlan) -> dict[str, TrialRecord]:
    store = existing_store(prepared.options.runtime.store)
    if store is None:
        return {}
    plan = prepared.plan
    records = store.read_records([t.id for t in (*plan.prerequisite_trials(), *plan.trials())])
    verify_stored(store, plan.record(), records, remember=False)
    return records
