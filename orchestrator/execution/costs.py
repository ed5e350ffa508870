"""How long trials take, from those that are finished."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.design.factors import Trial
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


@dataclass(frozen=True, kw_only=True)
class Spending:
    """How far a budget is expected to reach.

    Attributes:
        stops_before: number of the block, from 1, that no longer begins; 0 where all of them do.
        num_blocks: of the plan.
        num_trials: that are trained.
        seconds: of a device that they take.
    """

    stops_before: int
    num_blocks: int
    num_trials: int
    seconds: float


def spending(
    trials: Sequence[Trial],
    records: Mapping[str, TrialRecord],
    *,
    budget_s: float,
    num_workers: int = 1,
) -> Spending:
    """Foresee where a launch stops for its budget, by the rule of `orchestrator.execution.stages`.

    A block begins if it is expected to fit into what is left; the first one always does.

    Args:
        trials: of the plan, block by block.
        records: id -> record; at least one of these trials is finished.
        budget_s: device-seconds of this launch.
        num_workers: devices that a trial holds.
    """
    seconds = seconds_by_arm(trials, records)
    blocks: dict[tuple[int, int], list[Trial]] = {}
    for trial in trials:
        blocks.setdefault((trial.fold, trial.seed), []).append(trial)
    spent, count = 0.0, 0
    for number, block in enumerate(blocks.values(), start=1):
        missing = unfinished(block, records)
        next_s = num_workers * sum(seconds[trial.arm] for trial in missing)
        if missing and spent > 0 and spent + next_s > budget_s:
            return Spending(
                stops_before=number, num_blocks=len(blocks), num_trials=count, seconds=spent
            )
        spent, count = spent + next_s, count + len(missing)
    return Spending(stops_before=0, num_blocks=len(blocks), num_trials=count, seconds=spent)
