"""In which stages a plan is run: all at once, block by block within a budget, or until decided.

Everything is derived from the plan and the store, so the same command after a kill goes on
from where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.analysis.comparisons import decisions
from orchestrator.design.factors import Trial
from orchestrator.design.plan import Plan
from orchestrator.execution.costs import seconds_by_arm, unfinished
from orchestrator.records import TrialRecord
from orchestrator.stats import all_decided, pairs_needed
from orchestrator.store import Store


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Trials that may run side by side.

    Attributes:
        plan: what is declared by then; a study until decided grows by blocks.
        trials: what the store does not hold of it, prerequisites in a stage of their own.
    """

    plan: Plan
    trials: tuple[Trial, ...]


class Stages:
    """The stages of one launch.

    Attributes:
        plan: what is declared by now.
        reason: why the stages ended before the plan's last block; empty while it has not.
    """

    def __init__(
        self, plan: Plan, store: Store, *, budget_hours: float = 0.0, num_workers: int = 1
    ):
        """Prepare the stages; nothing is read yet.

        Args:
            plan: with a cap if it is to run until decided.
            store: what is done already.
            budget_hours: device-hours that this launch may take; 0 sets no limit.
            num_workers: devices that a trial holds.
        """
        self.plan = plan.take(pairs_needed(plan.num_declared)) if plan.cap else plan
        self.reason = ""
        self._whole = plan
        self._store = store
        self._budget_s = 3600.0 * budget_hours
        self._num_workers = num_workers
        self._before: dict[str, float] = {}

    @property
    def cap(self) -> int:
        """Blocks at most of a study until decided; 0 for another."""
        return self._whole.cap

    def missing(self) -> list[Trial]:
        """Return what is declared by now and not in the store, prerequisites first."""
        return self._missing([*self.plan.prerequisite_trials(), *self.plan.trials()])

    def __iter__(self) -> Iterator[Stage]:
        """Yield what is to be trained next; the caller trains it before it asks again."""
        first = self._missing(self.plan.prerequisite_trials())
        if first:
            yield self._stage(first)
        if self._whole.cap:
            yield from self._until_decided()
        else:
            yield from self._within_budget(self.plan.trials())

    def _until_decided(self) -> Iterator[Stage]:
        while True:
            before = self.reason
            yield from self._within_budget(self.plan.trials())
            if self.reason != before:
                return
            if missing := self._missing(self.plan.trials()):
                gaps = {(trial.fold, trial.seed) for trial in missing}
                first = next(i for i, block in enumerate(self.plan.blocks, 1) if block in gaps)
                self.reason = (
                    f"block {first} is not whole, so nothing from there on can be judged: see the "
                    "failures; the same command tries again"
                )
                return
            n = self.plan.num_blocks
            found = decisions(self.plan.record(), self._records(self.plan.trials()))
            if all_decided(found):
                if n < self._whole.cap:
                    self.reason = (
                        f"decided after {n} of at most {self._whole.cap} blocks: every declared "
                        "contrast is called"
                    )
                return
            self.plan = self._whole.take(n + 1)

    def _within_budget(self, trials: Sequence[Trial]) -> Iterator[Stage]:
        """Yield block by block while the budget lasts; without one, everything at once."""
        if not self._budget_s:
            if missing := self._missing(trials):
                yield self._stage(missing)
            return
        blocks: dict[tuple[int, int], list[Trial]] = {}
        for trial in trials:
            blocks.setdefault((trial.fold, trial.seed), []).append(trial)
        for number, block in enumerate(blocks.values(), start=1):
            missing = self._missing(block)
            if not missing:
                continue
            spent, next_s = self._spent_s(), self._expected_s(missing, trials)
            if spent + next_s > self._budget_s and spent > 0:
                self.reason = (
                    f"stopped before block {number} of {len(blocks)}: it would take about "
                    f"{_hours(next_s)} device-hours, and {_hours(spent)} of "
                    f"{_hours(self._budget_s)} are spent; the same command goes on from here"
                )
                return
            yield self._stage(missing)

    def _stage(self, trials: Sequence[Trial]) -> Stage:
        known = self._records(trials)
        for trial in trials:
            earlier = known.get(trial.id)
            self._before[trial.id] = earlier.cost.seconds if earlier else 0.0
        return Stage(plan=self.plan, trials=tuple(trials))

    def _missing(self, trials: Sequence[Trial]) -> list[Trial]:
        return unfinished(trials, self._records(trials))

    def _records(self, trials: Sequence[Trial]) -> Mapping[str, TrialRecord]:
        return self._store.read_records(trial.id for trial in trials)

    def _spent_s(self) -> float:
        records = self._store.read_records(self._before)
        own = (r.cost.seconds - self._before[id_] for id_, r in records.items())
        return self._num_workers * sum(own)

    def _expected_s(self, block: Sequence[Trial], trials: Sequence[Trial]) -> float:
        """Estimate a block from its arms' finished trials, or from any where an arm has none."""
        seconds = seconds_by_arm(trials, self._records(trials))
        return self._num_workers * sum(seconds.get(trial.arm, 0.0) for trial in block)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.3g}"
