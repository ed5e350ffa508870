"""Conditions of trials that limit a result or forbid a comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.analysis.evidence import TrainedEpochs
from orchestrator.analysis.rows import ArmSummary, Cell, finished_trials
from orchestrator.errors import ConfigError
from orchestrator.records import PlanRecord, Status, TrialKey, TrialRecord

CODE = ("code", "code_version")
"""Path of the code version in a trial's provenance."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Conditions of a study's trials.

    Attributes:
        num_folds: Folds in the plan.
        num_twice: Trials planned more than once.
        unplanned: Arms without a planned trial, if others have some.
        devices: Devices of the finished trials.
        code_versions: Code versions of the trials; empty text for a missing version.
        fingerprints: Fingerprints of the data.
        num_records: Trials with a record.
        num_unsigned: Trials whose record has no digest of its content.
        epochs: Different numbers of epochs among trials planned alike; empty if there is only one.
        fast_by_arm: Arm -> finished trials whose operations do not repeat to the bit.
        num_finished: Finished trials.
        mixed: Whether trials of different code, data or epochs were compared.
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
    fast_by_arm: Mapping[str, int]
    num_finished: int
    mixed: bool

    @property
    def num_fast(self) -> int:
        """Finished trials of all arms whose operations do not repeat to the bit."""
        return sum(self.fast_by_arm.values())


def code_of(record: TrialRecord) -> str:
    """Return a trial's code version; empty if it recorded none."""
    return next((record.provenance[key] for key in CODE if record.provenance.get(key)), "")


def mixed_code(records: Iterable[TrialRecord]) -> str:
    """Describe several code versions or missing ones; empty if there is just one."""
    versions = [code_of(record) for record in records]
    unknown = versions.count("")
    mixed = [_several("versions of the code", sorted(set(versions) - {""}))]
    if unknown:
        mixed.append(f"code whose version {unknown} of {len(versions)} trials did not record")
    return _joined(mixed)


def mixed_in(
    plan: PlanRecord, records: Mapping[str, TrialRecord], trials: Iterable[TrialKey | Cell]
) -> str:
    """Describe what makes trials incomparable; empty for one code, pack and number of epochs.

    Best epochs chosen by different metrics are incomparable too.

    Arms may differ in their epochs if the plan says so; the trials of an arm may not.

    Args:
        plan: The study as declared.
        records: Trial id -> record.
        trials: Trials to compare, each with a record.
    """
    compared = list(trials)
    recorded = [records[trial.id] for trial in compared]
    chosen = {
        record.chosen_by
        for trial, record in zip(compared, recorded, strict=True)
        if plan.selection_of(trial.arm) != "last"
    }
    packs = {str(record.data.get("fingerprint", "")) for record in recorded} - {""}
    return _joined(
        [
            mixed_code(recorded),
            _several("packs of the data", sorted(packs)),
            mixed_epochs(plan, records, compared),
            _several("metrics that chose the best epoch", sorted(chosen)),
        ]
    )


def mixed_epochs(
    plan: PlanRecord, records: Mapping[str, TrialRecord], trials: Sequence[TrialKey | Cell]
) -> str:
    """Describe different numbers of epochs among trials planned alike; empty if there are none."""
    trained = [(trial.arm, epochs_of(records[trial.id])) for trial in trials]
    if len({epochs for _, epochs in trained}) < 2:
        return ""
    epochs_of_arm = _declared_epochs(plan)
    return _joined(
        _several(
            "numbers of epochs",
            map(str, sorted({epochs for arm, epochs in trained if epochs_of_arm[arm] == declared})),
        )
        for declared in dict.fromkeys(epochs_of_arm[arm] for arm, _ in trained)
    )


def refuse_mixed(
    plan: PlanRecord, records: Mapping[str, TrialRecord], trials: Sequence[TrialKey]
) -> None:
    """Refuse to compare trials of different code, data or epochs.

    Raises:
        ConfigError: The trials are mixed.
    """
    if mixed := mixed_in(plan, records, trials):
        raise ConfigError(f"the trials come from {mixed}; --allow-mixed compares them all the same")


def trained_epochs(
    plan: PlanRecord, records: Mapping[str, TrialRecord], arms: Sequence[ArmSummary]
) -> TrainedEpochs | None:
    """Return the epochs of arms; None if all have the same number."""
    trained = {
        arm.name: tuple(
            sorted({epochs_of(records[c.id]) for c in arm.cells if c.value is not None})
        )
        for arm in arms
    }
    if len({n for epochs in trained.values() for n in epochs}) < 2:
        return None
    epochs_of_arm = _declared_epochs(plan)
    return TrainedEpochs(
        by_arm=trained, declared=len({epochs_of_arm[arm.name] for arm in arms}) > 1
    )


def conditions(
    plan: PlanRecord, records: Mapping[str, TrialRecord], *, mixed: bool = False
) -> Conditions:
    """Return the conditions of a study's trials."""
    planned = Counter((trial.arm, trial.seed, trial.fold) for trial in plan.trials)
    with_trials = {arm for arm, _, _ in planned}
    by_id = {trial.id: records[trial.id] for trial in plan.trials if trial.id in records}
    finished = finished_trials(plan, records)
    return Conditions(
        num_folds=len({trial.fold for trial in plan.trials}),
        num_twice=sum(count > 1 for count in planned.values()),
        unplanned=tuple(a.name for a in plan.arms if planned and a.name not in with_trials),
        devices=frozenset(record.cost.device for _, record in finished),
        code_versions=frozenset(
            code_of(r) for r in by_id.values() if r.status is Status.FINISHED or code_of(r)
        ),
        fingerprints=frozenset(str(r.data.get("fingerprint", "")) for r in by_id.values()) - {""},
        num_records=len(by_id),
        num_unsigned=sum(not record.has_digest for record in by_id.values()),
        epochs=mixed_epochs(plan, records, [t for t, record in finished if record.epochs]),
        fast_by_arm=Counter(
            trial.arm
            for trial, record in finished
            if record.provenance.get("deterministic") == "no"
        ),
        num_finished=len(finished),
        mixed=mixed,
    )


def chosen_by(plan: PlanRecord, records: Mapping[str, TrialRecord]) -> tuple[str, ...]:
    """Return the metrics that chose the best epochs of finished trials; empty for last epochs."""
    read = plan.epochs_read()
    finished = finished_trials(plan, records)
    return tuple(
        sorted({record.chosen_by for trial, record in finished if read[trial.id] == "best"})
    )


@dataclass(frozen=True, kw_only=True)
class ChosenOn:
    """The clips that chose the best epochs of some trials.

    Attributes:
        selection: How those trials' epochs were chosen.
        arms: The arms that they are of; empty if they are of all.
        num_clips: Least and largest number of validation clips; zeros where the test clips chose,
            or none is recorded.
        rules: How the validation clips were taken.
    """

    selection: str
    arms: tuple[str, ...]
    num_clips: tuple[int, int]
    rules: tuple[str, ...]


def chosen_on(plan: PlanRecord, records: Mapping[str, TrialRecord]) -> tuple[ChosenOn, ...]:
    """Return the clips that chose the best epochs of finished trials, one per selection."""
    finished = finished_trials(plan, records)
    of_arm = {arm.name: plan.selection_of(arm.name) for arm in plan.arms}
    every = list(dict.fromkeys(of_arm.values()))
    found: list[ChosenOn] = []
    for selection in every:
        mine = [r for trial, r in finished if of_arm.get(trial.arm, plan.selection) == selection]
        if selection == "last" or not mine:
            continue
        counts = [int(record.data.get("num_validation") or 0) for record in mine]
        rules = (str(record.data.get("validation_rule") or "") for record in mine)
        arms = tuple(name for name, other in of_arm.items() if other == selection)
        found.append(
            ChosenOn(
                selection=selection,
                arms=arms if len(every) > 1 else (),
                num_clips=(min(counts), max(counts)),
                rules=tuple(dict.fromkeys(rule for rule in rules if rule)),
            )
        )
    return tuple(found)


def epochs_of(record: TrialRecord) -> int:
    """Return a trial's number of trained epochs."""
    return record.epochs[-1].epoch if record.epochs else 0


def _declared_epochs(plan: PlanRecord) -> dict[str, str]:
    return {
        arm.name: str(arm.changes.get("epochs", plan.settings.get("epochs"))) for arm in plan.arms
    }


def _several(what: str, values: Iterable[str]) -> str:
    listed = list(values)
    return f"{len(listed)} {what} ({', '.join(listed)})" if len(listed) > 1 else ""


def _joined(parts: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(part for part in parts if part))
