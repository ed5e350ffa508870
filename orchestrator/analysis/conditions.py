"""The conditions under which a study's trials ran, as far as they bound what its numbers mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.analysis.confounds import code_of, mixed_epochs
from orchestrator.records import PlanRecord, Status, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What trials have in common and what not.

    Attributes:
        num_folds: over which trials were planned.
        num_twice: trials that were planned more than once.
        unplanned: arms without a planned trial, where others have some.
        devices: of the finished trials.
        code_versions: that trials ran; an empty one was not recorded.
        fingerprints: of the data that trials saw.
        num_records: trials with a record.
        num_unsigned: those whose record has no digest of its content.
        epochs: numbers of epochs of trials that were planned alike; empty where there is one.
        mixed: whether trials of different code, data or epochs were compared.
    """

    num_folds: int
    num_twice: int
    unplanned: tuple[str, ...]
    devices: frozenset[str]
    code_versions: frozenset[str]
    fingerprints: frozenset[str]
    num_records: int
    num_unsigned: int
    epochs: str
    mixed: bool


def conditions(
    plan: PlanRecord, records: Mapping[str, TrialRecord], *, mixed: bool = False
) -> Conditions:
    """Return the conditions of a study's trials.

    Args:
        plan: as declared.
        records: id -> record.
        mixed: whether trials of different code, data or epochs were compared.
    """
    planned = Counter((trial.arm, trial.seed, trial.fold) for trial in plan.trials)
    with_trials = {arm for arm, _, _ in planned}
    found = [records[trial.id] for trial in plan.trials if trial.id in records]
    finished = [record for record in found if record.status is Status.FINISHED]
    by_id = {record.id: record for record in found}
    trained = [
        trial
        for trial in plan.trials
        if trial.id in records
        and records[trial.id].epochs
        and records[trial.id].status is Status.FINISHED
    ]
    return Conditions(
        num_folds=len({trial.fold for trial in plan.trials}),
        num_twice=sum(count > 1 for count in planned.values()),
        unplanned=tuple(a.name for a in plan.arms if planned and a.name not in with_trials),
        devices=frozenset(record.cost.device for record in finished),
        code_versions=frozenset(
            code_of(r) for r in found if r.status is Status.FINISHED or code_of(r)
        ),
        fingerprints=frozenset(str(r.data.get("fingerprint", "")) for r in found) - {""},
        num_records=len(by_id),
        num_unsigned=sum(not record.has_digest for record in by_id.values()),
        epochs=mixed_epochs(plan, records, trained),
        mixed=mixed,
    )


def chosen_by(plan: PlanRecord, records: Mapping[str, TrialRecord]) -> tuple[str, ...]:
    """Return the metrics by which finished trials' best epochs were chosen; none if not read."""
    if plan.selection != "best":
        return ()
    found = [records[t.id] for t in plan.trials if t.id in records]
    return tuple(sorted({r.chosen_by for r in found if r.status is Status.FINISHED}))
