"""Trials that do not belong in one comparison: of other code, other data or other epochs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.analysis.evidence import TrainedEpochs
from orchestrator.analysis.rows import ArmSummary, Cell
from orchestrator.errors import ConfigError
from orchestrator.records import PlanRecord, TrialKey, TrialRecord

CODE = ("code", "code_version")
"""Where the provenance of a trial says which code it ran."""


def code_of(record: TrialRecord) -> str:
    """Return the version of the code that a trial ran; empty where it did not record one."""
    return next((record.provenance[key] for key in CODE if record.provenance.get(key)), "")


def mixed_code(records: Iterable[TrialRecord]) -> str:
    """Say over how many versions of the code trials are, or how many do not say; or nothing."""
    found = [code_of(record) for record in records]
    unknown = found.count("")
    said = [_several("versions of the code", sorted(set(found) - {""}))]
    if unknown:
        said.append(f"code whose version {unknown} of {len(found)} trials did not record")
    return _joined(said)


def mixed_in(
    plan: PlanRecord, records: Mapping[str, TrialRecord], trials: Iterable[TrialKey | Cell]
) -> str:
    """Say what keeps trials out of one comparison; empty for one code, pack and number of epochs.

    Best epochs that different metrics chose do not belong together either.

    Arms may differ in their epochs where the plan declares them with different ones; the trials of
    an arm may not.

    Args:
        plan: as declared.
        records: id -> record.
        trials: those compared, each with a record.
    """
    compared = list(trials)
    own = [records[trial.id] for trial in compared]
    chosen = {r.chosen_by for r in own if plan.selection == "best"}
    packs = {str(record.data.get("fingerprint", "")) for record in own} - {""}
    return _joined(
        [
            mixed_code(own),
            _several("packs of the data", sorted(packs)),
            mixed_epochs(plan, records, compared),
            _several("metrics that chose the best epoch", sorted(chosen)),
        ]
    )


def mixed_epochs(
    plan: PlanRecord, records: Mapping[str, TrialRecord], trials: Sequence[TrialKey | Cell]
) -> str:
    """Say over how many numbers of epochs trials are that were to have the same; or nothing."""
    trained = [(trial.arm, epochs_of(records[trial.id])) for trial in trials]
    if len({epochs for _, epochs in trained}) < 2:
        return ""
    asked = _declared_epochs(plan)
    return _joined(
        _several(
            "numbers of epochs",
            map(str, sorted({epochs for arm, epochs in trained if asked[arm] == declared})),
        )
        for declared in dict.fromkeys(asked[arm] for arm, _ in trained)
    )


def refuse_mixed(
    plan: PlanRecord, records: Mapping[str, TrialRecord], trials: Sequence[TrialKey]
) -> None:
    """Refuse to compare trials of different code, data or epochs.

    Raises:
        ConfigError: they are mixed.
    """
    if mixed := mixed_in(plan, records, trials):
        raise ConfigError(f"the trials come from {mixed}; --allow-mixed compares them all the same")


def trained_epochs(
    plan: PlanRecord, records: Mapping[str, TrialRecord], arms: Sequence[ArmSummary]
) -> TrainedEpochs | None:
    """Return the epochs that arms were trained for; None where it is the same number.

    Args:
        plan: as declared.
        records: id -> record.
        arms: those compared.
    """
    trained = {
        arm.name: tuple(
            sorted({epochs_of(records[c.id]) for c in arm.cells if c.value is not None})
        )
        for arm in arms
    }
    if len({n for own in trained.values() for n in own}) < 2:
        return None
    asked = _declared_epochs(plan)
    return TrainedEpochs(by_arm=trained, declared=len({asked[arm.name] for arm in arms}) > 1)


def epochs_of(record: TrialRecord) -> int:
    """Return the epochs that a trial was trained for."""
    return record.epochs[-1].epoch if record.epochs else 0


def _declared_epochs(plan: PlanRecord) -> dict[str, str]:
    return {
        arm.name: str(arm.changes.get("epochs", plan.settings.get("epochs"))) for arm in plan.arms
    }


def _several(what: str, values: Iterable[str]) -> str:
    listed = list(values)
    return f"{len(listed)} {what} ({', '.join(listed)})" if len(listed) > 1 else ""


def _joined(said: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(part for part in said if part))
