"""Verify that a report reads what was measured: records against plan and predictions.

Reading a record checks its digest and its form; this checks what takes two files. The store notes
verified trials by the names, sizes and times of both files, since recomputing the metrics of 10,000
trials takes seconds. Later reads still check the digests.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Literal, get_args

from orchestrator.errors import StoreError
from orchestrator.metrics import METRICS
from orchestrator.metrics.catalog import selection_key
from orchestrator.metrics.postprocessing import Validation
from orchestrator.metrics.predictions import Loader, Predictions
from orchestrator.records import (
    VALIDATION_PART,
    PlanRecord,
    Status,
    TrialKey,
    TrialRecord,
    best_epoch,
)
from orchestrator.store import Store, forms
from orchestrator.store.store import Made

TOLERANCE = 1e-9
"""Largest difference from a stored metric, relative above 1: other processors round otherwise."""

NAMED = 10
"""More trials than this are counted in a refusal, not named."""

_THREADS = 4
_RULE = 3
"""Raised when more is checked, so that what was remembered is checked again."""

WAY_OUT = (
    "A report is made of what was measured alone. Put the files back from a copy; or run the sweep "
    "again, which sets them aside and trains each trial that was named as far as its checkpoints "
    "do not hold it."
)


def loader(store: Store, plan: PlanRecord, records: Mapping[str, TrialRecord]) -> Loader:
    """Return a loader of a trial's predictions that checks the digest in its record."""
    read = plan.epochs_read()

    def load(trial_id: str) -> Predictions | None:
        record, which = records.get(trial_id), read[trial_id]
        digests = record.predictions if record else {}
        made = store.read_predictions(trial_id, which, digest=digests.get(which, ""))
        of_validation = f"{which}{VALIDATION_PART}"
        if made is None or of_validation not in digests:
            return made

        def validation() -> Predictions | None:
            name: Any = of_validation
            return store.read_predictions(trial_id, name, digest=digests[name])

        return replace(made, validation=Validation(validation))

    return load


def verify_stored(
    store: Store,
    plan: PlanRecord,
    records: Mapping[str, TrialRecord],
    *,
    remember: bool = True,
) -> None:
    """Verify a stored sweep, each trial once as long as its files do not change.

    Args:
        store: Store that holds the records.
        plan: The plan as declared.
        records: Id -> record, of the plan's trials that have one.
        remember: Note in the store which trials were verified.

    Raises:
        StoreError: Something was edited or damaged; names every trial.
    """
    versions, new = _unverified(store, plan, records)
    verify(plan, records, loader(store, plan, records), trials=new)
    if new and remember:
        _remember(store, plan, versions)


def doubtful(store: Store, plan: PlanRecord) -> dict[str, str]:
    """Return the trials of a plan whose record or predictions cannot be believed, and why.

    The others are noted in the store as verified.

    Raises:
        NewerVersion: A newer version of this package wrote a record.
    """
    ids = dict.fromkeys(trial.id for trial in plan.all_trials)
    doubts: dict[str, str] = {}
    try:
        records = store.read_records(ids)
    except StoreError:
        records = {}
        for trial in ids:
            try:
                record = store.read_record(trial)
            except forms.NewerVersion:
                raise
            except StoreError as error:
                doubts[trial] = str(error).partition(";")[0]
                continue
            if record is not None:
                records[trial] = record
    versions, new = _unverified(store, plan, records)
    read = plan.epochs_read()
    for trial, mistakes in _by_trial(plan, records, loader(store, plan, records), new).items():
        mistakes += mistakes_of_unread(store, records[trial], read=read[trial])
        if mistakes:
            doubts[trial] = mistakes[0].partition(";")[0]
    if new:
        _remember(store, plan, {t: version for t, version in versions.items() if t not in doubts})
    return doubts


def mistakes_of_unread(store: Store, record: TrialRecord, *, read: str) -> list[str]:
    """Return a message for each damaged file of predictions that a plan itself does not read.

    Another plan may read the other epoch, and metrics read the predictions of validation clips.

    Args:
        store: Store that holds the predictions.
        record: The trial.
        read: What the plan reads: `last` or `best`.
    """
    mistakes = []
    for name in get_args(Made):
        if name not in record.predictions or name == read:
            continue
        try:
            made = store.read_predictions(record.id, name, digest=record.predictions[name])
        except StoreError as error:
            mistakes.append(f"trial {record.id}: {error}")
            continue
        if made is None:
            mistakes.append(f"trial {record.id}: the predictions {name!r} of its record are gone")
    return mistakes


def _unverified(
    store: Store, plan: PlanRecord, records: Mapping[str, TrialRecord]
) -> tuple[dict[str, str], list[str]]:
    """Return a text per finished trial that changes with its files, and the trials with a new one.

    Args:
        store: Store that holds the records.
        plan: The plan as declared.
        records: Id -> record.
    """
    finished = _finished(plan, records)
    read = plan.epochs_read()
    kept = {trial: sorted({read[trial], *records[trial].predictions}) for trial in finished}
    paths = {
        trial: [forms.record_path(trial), *(forms.predictions_path(trial, name) for name in names)]
        for trial, names in kept.items()
    }
    texts = iter(store.files.versions([path for of_trial in paths.values() for path in of_trial]))
    versions = {
        trial: " ".join([read[trial], *itertools.islice(texts, len(of_trial))])
        for trial, of_trial in paths.items()
    }
    known = _remembered(store.files.read(_note_path(plan)))
    return versions, [trial for trial, version in versions.items() if known.get(trial) != version]


def _note_path(plan: PlanRecord) -> str:
    return f"{forms.sweep_folder(plan.sweep)}/verified.json"


def _remember(store: Store, plan: PlanRecord, versions: Mapping[str, str]) -> None:
    note = json.dumps({"rule": _RULE, "trials": versions}).encode()
    with contextlib.suppress(StoreError):  # a read-only store is verified anew every time
        store.files.write(_note_path(plan), note)


def verify(
    plan: PlanRecord,
    records: Mapping[str, TrialRecord],
    load: Loader,
    *,
    trials: Iterable[str] | None = None,
) -> None:
    """Check records against the cells of their plan, and their metrics against predictions.

    Args:
        plan: The plan as declared.
        records: Id -> record.
        load: Function that reads predictions; called from several threads.
        trials: Trials whose metrics are recomputed; None means every finished one.

    Raises:
        StoreError: Something was edited or damaged; names every trial.
    """
    mistakes = _mistakes_of_cells(plan, records)
    chosen = _finished(plan, records) if trials is None else list(trials)
    mistakes += itertools.chain(*_by_trial(plan, records, load, chosen).values())
    if mistakes:
        more = [f"and {len(mistakes) - NAMED} more"] if len(mistakes) > NAMED else []
        listed = "\n".join(f"  - {mistake}" for mistake in mistakes[:NAMED] + more)
        count = "a record" if len(mistakes) == 1 else f"{len(mistakes)} records"
        raise StoreError(f"{count} of {plan.sweep} cannot be believed:\n{listed}\n{WAY_OUT}")


def _by_trial(
    plan: PlanRecord, records: Mapping[str, TrialRecord], load: Loader, trials: Sequence[str]
) -> dict[str, list[str]]:
    """Return a message for what is wrong with the predictions or metrics of each trial."""
    read = plan.epochs_read()

    def check(trial: str) -> list[str]:
        return _mistakes_of_predictions(plan, records[trial], load, which=read[trial])

    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(zip(trials, pool.map(check, trials), strict=True))


def _finished(plan: PlanRecord, records: Mapping[str, TrialRecord]) -> list[str]:
    ids = dict.fromkeys(trial.id for trial in plan.trials)
    return [i for i in ids if i in records and records[i].status is Status.FINISHED]


def _mistakes_of_cells(plan: PlanRecord, records: Mapping[str, TrialRecord]) -> list[str]:
    """Return a message for every experiment whose seed or fold differs from its cell's."""
    return [
        f"trial {cell.id} ({cell.arm}) is planned with {name} {getattr(cell, name)}, and its "
        f"record's experiment has {name} {records[cell.id].experiment[name]!r}"
        for cell in plan.all_trials
        if cell.id in records
        for name in ("seed", "fold")
        if records[cell.id].experiment.get(name, getattr(cell, name)) != getattr(cell, name)
    ]


def _mistakes_of_predictions(
    plan: PlanRecord, record: TrialRecord, load: Loader, *, which: Literal["last", "best"]
) -> list[str]:
    """Return a message for what is wrong with a trial's predictions, or with its metrics."""
    try:
        predictions = load(record.id)
    except StoreError as error:
        return [f"trial {record.id}: {error}"]
    if predictions is None:
        lost = which in record.predictions
        return [f"trial {record.id}: the predictions of its record are gone"] * lost
    mistakes = _mistakes_of_scores(plan, record, predictions, which=which)
    return mistakes + _mistakes_of_choice(plan, record)


def _mistakes_of_scores(
    plan: PlanRecord,
    record: TrialRecord,
    predictions: Predictions,
    *,
    which: Literal["last", "best"],
) -> list[str]:
    """Return a message for every stored metric that differs from the stored predictions."""
    if not len(predictions) or not record.epochs:
        return []
    if not record.has_digest and record.cost.attempts > 1 and record.cost.device != "cpu":
        return []  # schema 1 kept numbers from before a resume beside predictions from after it
    epoch = record.best_epoch if which == "best" else record.epochs[-1].epoch
    who = f"trial {record.id} ({_arm_of(plan, record.id)})"
    if predictions.epoch != epoch:
        return [
            f"{who}: its {which} epoch is {epoch}, and its predictions are of {predictions.epoch}"
        ]
    stored = record.metrics_at(which)
    return [
        f"{who}: {key} of epoch {epoch} is stored as {stored.get(key, 'nothing')!r}, and its "
        f"predictions give {value!r}"
        for key, value in predictions.scores().items()
        if not (key not in stored and record.has_digest)  # a later version's metric
        and not METRICS[key].is_own  # always scored again, by the function as it is now
        and not _same(key, stored.get(key), value, predictions)
    ]


def _mistakes_of_choice(plan: PlanRecord, record: TrialRecord) -> list[str]:
    """Return a message if the best epoch is not the one that its validation clips chose."""
    if not record.chose_on_validation or not record.epochs:
        return []
    key = selection_key(record.chosen_by)
    if not any(key in epoch.metrics for epoch in record.epochs):
        return []
    chosen = best_epoch(record.epochs, key)
    return [
        f"trial {record.id} ({_arm_of(plan, record.id)}): its best epoch is {record.best_epoch}, "
        f"and {key} of its epochs chooses {chosen}"
    ] * (chosen != record.best_epoch)


def _same(key: str, stored: float | None, value: float, predictions: Predictions) -> bool:
    if stored is None:
        return False
    near = TOLERANCE * max(1.0, abs(value))
    if stored == value or abs(stored - value) <= near or (math.isnan(stored) and math.isnan(value)):
        return True
    rounding = METRICS[key].rounding
    if rounding is None or math.isnan(value):
        return False
    lowest, highest = rounding(predictions)
    return lowest - near <= stored <= highest + near


def _arm_of(plan: PlanRecord, trial_id: str) -> str:
    cells: Iterable[TrialKey] = (trial for trial in plan.trials if trial.id == trial_id)
    return ", ".join(dict.fromkeys(cell.arm for cell in cells))


def _remembered(data: bytes | None) -> dict[str, str]:
    try:
        note = json.loads(data or b"{}")
        return note["trials"] if note["rule"] == _RULE and isinstance(note["trials"], dict) else {}
    except (ValueError, KeyError, TypeError):
        return {}
