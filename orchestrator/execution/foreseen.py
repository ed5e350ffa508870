"""What a plan's trials will take, in sentences, from those of them that are finished."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.design.plan import Plan
from orchestrator.execution.costs import seconds_by_arm, spending, unfinished
from orchestrator.execution.progress import duration
from orchestrator.records import TrialRecord


class ForeseenCosts:
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
