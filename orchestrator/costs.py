"""How long trials take, from those that are finished."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping

from orchestrator.ablation import Trial
from orchestrator.records import Status, TrialRecord


def unfinished(trials: Iterable[Trial], records: Mapping[str, TrialRecord]) -> list[Trial]:
    """Return the trials that have no finished record, each once."""
    unique = {trial.id: trial for trial in trials}
    return [
        trial
        for trial in unique.values()
        if trial.id not in records or records[trial.id].status is not Status.FINISHED
    ]


def seconds_by_arm(trials: Iterable[Trial], records: Mapping[str, TrialRecord]) -> dict[str, float]:
    """Return the median seconds of each arm's finished trials.

    An arm without any is given that of all arms; empty where no trial is finished.
    """
    found: dict[str, list[float]] = {}
    for trial in trials:
        record = records.get(trial.id)
        own = found.setdefault(trial.arm, [])
        if record is not None and record.status is Status.FINISHED:
            own.append(record.cost.seconds)
    every = [value for values in found.values() for value in values]
    if not every:
        return {}
    return {arm: statistics.median(values or every) for arm, values in found.items()}
