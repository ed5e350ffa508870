"""Cost estimates from the times of finished trials, in numbers and in sentences."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping

from orchestrator.design.factors import Trial
from orchestrator.design.plan import Plan
from orchestrator.records import Status, TrialKey, TrialRecord


def unfinished(
    trials: Iterable[Trial], records: Mapping[str, TrialRecord], *, prunes: bool = False
) -> list[Trial]:
    """Return the trials without a finished record, without duplicates.

    Args:
        trials: Trials of a plan.
        records: Trial id -> record.
        prunes: Whether the plan is that of a search that leaves trials early, which then count.
    """
    unique = {trial.id: trial for trial in trials}
    done = {Status.FINISHED, *([Status.PRUNED] if prunes else [])}
    return [
        trial
        for trial in unique.values()
        if trial.id not in records or records[trial.id].status not in done
    ]


def untrained(
    trials: Iterable[Trial], records: Mapping[str, TrialRecord], *, prunes: bool = False
) -> list[Trial]:
    """Return the trials that have no outcome yet, without duplicates; see `unfinished`."""
    return [
        trial
        for trial in unfinished(trials, records, prunes=prunes)
        if trial.id not in records or not records[trial.id].status.is_final
    ]


def seconds_by_arm(
    trials: Iterable[Trial | TrialKey], records: Mapping[str, TrialRecord]
) -> dict[str, float]:
    """Return the median seconds of each arm's finished trials.

    An arm without any gets the median of all arms; empty if no trial is finished.
    """
    by_arm: dict[str, list[float]] = {}
    for trial in trials:
        record = records.get(trial.id)
        seconds = by_arm.setdefault(trial.arm, [])
        if record is not None and record.status is Status.FINISHED:
            seconds.append(record.cost.seconds)
    every = [value for values in by_arm.values() for value in values]
    if not every:
        return {}
    return {arm: statistics.median(values or every) for arm, values in by_arm.items()}


def blocks_of(trials: Iterable[Trial]) -> list[list[Trial]]:
    """Return trials by block (fold and seed), in the order of the blocks' first trials."""
    blocks: dict[tuple[int, int], list[Trial]] = {}
    for trial in trials:
        blocks.setdefault((trial.fold, trial.seed), []).append(trial)
    return list(blocks.values())


def is_over_budget(spent_s: float, next_s: float, *, limit_s: float) -> bool:
    """Whether a launch stops before a block: it does not fit and is not the first one.

    Args:
        spent_s: Device-seconds spent by this launch.
        next_s: Expected device-seconds of the block.
        limit_s: Budget of this launch in device-seconds.
    """
    return spent_s > 0 and spent_s + next_s > limit_s


class CostEstimate:
    """Device time of blocks, from the finished trials of the same arms.

    Args:
        plan: Plan with any number of blocks.
        records: Trial id -> record, for the plan's trials and prerequisites.
        num_workers: Devices per trial.
        price: Price of one device-hour; 0 leaves money out.
    """

    def __init__(
        self, plan: Plan, records: Mapping[str, TrialRecord], *, num_workers: int, price: float
    ):
        self._price = price
        self._factor = num_workers
        self._folds = len(plan.folds)
        self._at_most = "at most " if plan.cap else ""
        self._trials = plan.trials()
        self._first = untrained(plan.prerequisite_trials(), records)
        self._records = records
        self._missing = [trial.arm for trial in untrained(self._trials, records)]
        self._of_arm = seconds_by_arm(self._trials, records)

    def of_blocks(self, count: int) -> str:
        """Describe the cost of a number of seeds on all folds; empty if no trial is stored."""
        of_seed = self._folds * sum(self._of_arm.values())
        return self._say(count * of_seed, " in all") if self._of_arm else ""

    def of_missing(self) -> str:
        """Describe what is left to train."""
        if not self._missing:
            return ""
        trials = f"{self._at_most}{_trials(len(self._missing))} to train"
        if not self._of_arm:
            return f"{trials}; what they take is known once one of this plan is in the store"
        return f"{trials}: {self._say(sum(self._of_arm[arm] for arm in self._missing))}"

    def of_budget(self, hours: float) -> str:
        """Describe where a launch with this budget stops; empty without a budget."""
        if not hours or not self._missing:
            return ""
        budget = f"a budget of {hours:g} device-hours"
        if not self._of_arm:
            return (
                f"{budget} begins no block that would not fit; which that is is known once a "
                "trial of this plan is in the store"
            )
        sooner = ", if nothing is decided sooner" if self._at_most else ""
        first = f"; {_trials(len(self._first))} to train first not counted" if self._first else ""
        blocks, spent_s, num_trials = blocks_of(self._trials), 0.0, 0
        for number, block in enumerate(blocks, start=1):
            missing = untrained(block, self._records)
            next_s = self._factor * sum(self._of_arm[trial.arm] for trial in missing)
            if missing and is_over_budget(spent_s, next_s, limit_s=3600 * hours):
                return (
                    f"{budget} stops a launch before block {number} of {len(blocks)}{sooner}: "
                    f"after {_trials(num_trials)}, about {duration(spent_s)} of device time; the "
                    f"same command goes on from there{first}"
                )
            spent_s, num_trials = spent_s + next_s, num_trials + len(missing)
        return f"{budget} is enough for what is left{first}"

    def _say(self, seconds: float, of: str = "") -> str:
        device_s = self._factor * seconds
        money = f", {device_s / 3600 * self._price:.2f} at the price given" if self._price else ""
        return f"about {duration(device_s)} of device time{of}{money}"


def _trials(count: int) -> str:
    return f"{count} trial{'s' if count > 1 else ''}"


def duration(seconds: float) -> str:
    """Return seconds as `45 s`, `3 min 05 s` or `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
