"""How long trials take, from those that are finished, in numbers and in sentences."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.design.factors import Trial
from orchestrator.design.plan import Plan
from orchestrator.execution.progress import duration
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


class CostEstimate:
    """Device time of blocks, from the finished trials of the same arms.

    Args:
        plan: over any number of blocks.
        records: id -> record, of the plan's trials and prerequisites that have one.
        num_workers: devices that a trial holds.
        price: of one device for an hour; 0 leaves money out.
    """

    def __init__(
        self, plan: Plan, records: Mapping[str, TrialRecord], num_workers: int, price: float
    ):
        self._price = price
        self._factor = num_workers
        self._folds = len(plan.folds)
        self._at_most = "at most " if plan.cap else ""
        self._trials = plan.trials()
        self._first = unfinished(plan.prerequisite_trials(), records)
        self._records = records
        self._missing = [trial.arm for trial in unfinished(self._trials, records)]
        self._of_arm = seconds_by_arm(self._trials, records)

    def of_blocks(self, count: int) -> str:
        """Say what so many seeds take on all folds; empty where no trial is stored."""
        of_seed = self._folds * sum(self._of_arm.values())
        return self._say(count * of_seed, " in all") if self._of_arm else ""

    def of_missing(self) -> str:
        """Say what is left to train."""
        if not self._missing:
            return ""
        trials = f"{self._at_most}{_trials(len(self._missing))} to train"
        if not self._of_arm:
            return f"{trials}; what they take is known once one of this plan is in the store"
        return f"{trials}: {self._say(sum(self._of_arm[arm] for arm in self._missing))}"

    def of_budget(self, hours: float) -> str:
        """Say where a launch with such a budget stops; empty without one."""
        if not hours or not self._missing:
            return ""
        budget = f"a budget of {hours:g} device-hours"
        if not self._of_arm:
            return (
                f"{budget} begins no block that would not fit; which that is is known once a "
                "trial of this plan is in the store"
            )
        found = spending(
            self._trials, self._records, budget_s=3600 * hours, num_workers=self._factor
        )
        sooner = ", if nothing is decided sooner" if self._at_most else ""
        first = f"; {_trials(len(self._first))} to train first not counted" if self._first else ""
        if not found.stops_before:
            return f"{budget} is enough for what is left{first}"
        return (
            f"{budget} stops a launch before block {found.stops_before} of {found.num_blocks}"
            f"{sooner}: after {_trials(found.num_trials)}, about {duration(found.seconds)} of "
            f"device time; the same command goes on from there{first}"
        )

    def _say(self, seconds: float, of: str = "") -> str:
        device_s = self._factor * seconds
        money = f", {device_s / 3600 * self._price:.2f} at the price given" if self._price else ""
        return f"about {duration(device_s)} of device time{of}{money}"


def _trials(count: int) -> str:
    return f"{count} trial{'s' if count > 1 else ''}"
