"""Stages of a plan: all at once, block by block within a budget, or until decided.

Everything follows from the plan and the store, so the same command resumes after a kill.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.analysis.comparisons import decisions
from orchestrator.design.factors import Trial
from orchestrator.design.plan import Plan
from orchestrator.execution.costs import (
    blocks_of,
    is_over_budget,
    seconds_by_arm,
    unfinished,
    untrained,
)
from orchestrator.records import TrialRecord
from orchestrator.stats import all_decided, pairs_needed
from orchestrator.store import Store


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Trials that may run in parallel.

    Attributes:
        plan: Plan declared so far; a study until decided grows by blocks.
        trials: Trials missing from the store; prerequisites have their own stage, and so have
            teachers whose students are in the same block.
    """

    plan: Plan
    trials: tuple[Trial, ...]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The end of a launch.

    Attributes:
        plan: Plan as finally declared.
        reason: Reason for ending before the plan's last block; empty otherwise.
    """

    plan: Plan
    reason: str = ""


def stages(
    plan: Plan, store: Store, *, budget_hours: float = 0.0, num_workers: int = 1
) -> Iterator[Stage | Ended]:
    """Yield stages, then `Ended`; the caller trains each stage before taking the next.

    Args:
        plan: Plan, with a cap if it runs until decided.
        store: Store with the results so far.
        budget_hours: Budget of this launch in device-hours; 0 sets no limit.
        num_workers: Devices per trial.
    """
    declared = plan.take(pairs_needed(plan.num_declared)) if plan.cap else plan
    budget = _Budget(store=store, limit_s=3600.0 * budget_hours, num_workers=num_workers)
    for first in _teachers_first(missing_trials(declared.prerequisite_trials(), store)):
        yield budget.begin(declared, first)
    while True:
        reason = yield from _within_budget(declared, budget)
        if not reason and plan.cap:
            reason = _verdict(declared, store)
        if reason is not None:
            yield Ended(plan=declared, reason=reason)
            return
        declared = plan.take(declared.num_blocks + 1)


def missing_trials(trials: Sequence[Trial], store: Store, *, prunes: bool = False) -> list[Trial]:
    """Return the trials without an outcome in the store, without duplicates.

    Args:
        trials: Trials of a plan.
        store: Store with the results so far.
        prunes: Whether a trial that a search left early has one.
    """
    return untrained(trials, _records(trials, store), prunes=prunes)


def _within_budget(plan: Plan, budget: _Budget) -> Generator[Stage, None, str]:
    """Yield block by block while the budget lasts, or all blocks at once without a budget.

    Returns:
        The reason if the budget stops the launch; otherwise empty.
    """
    trials = plan.trials()
    if not budget.limit_s:
        for missing in _teachers_first(missing_trials(trials, budget.store)):
            yield budget.begin(plan, missing)
        return ""
    blocks = blocks_of(trials)
    for number, block in enumerate(blocks, start=1):
        missing = missing_trials(block, budget.store)
        if not missing:
            continue
        spent_s, next_s = budget.spent_s(), budget.expected_s(missing, trials)
        if is_over_budget(spent_s, next_s, limit_s=budget.limit_s):
            return (
                f"stopped before block {number} of {len(blocks)}: it would take about "
                f"{_hours(next_s)} device-hours, and {_hours(spent_s)} of "
                f"{_hours(budget.limit_s)} are spent; the same command goes on from here"
            )
        for stage in _teachers_first(missing):
            yield budget.begin(plan, stage)
    return ""


def _teachers_first(trials: Sequence[Trial]) -> Iterator[list[Trial]]:
    """Yield the trials so that a teacher's stage is before its students'."""
    left = list(trials)
    while left:
        ids = {trial.id for trial in left}
        ready = [t for t in left if t.experiment.distillation.arguments.get("teacher") not in ids]
        yield ready
        left = [t for t in left if t.experiment.distillation.arguments.get("teacher") in ids]


def _verdict(declared: Plan, store: Store) -> str | None:
    """Judge a study until decided after its declared blocks.

    Returns:
        The reason for ending here, empty at its cap; None if it needs another block.
    """
    trials = declared.trials()
    records = _records(trials, store)
    if missing := unfinished(trials, records):
        gaps = {(trial.fold, trial.seed) for trial in missing}
        first = next(i for i, block in enumerate(declared.blocks, 1) if block in gaps)
        again = "; the same command tries again" if untrained(missing, records) else ""
        return (
            f"block {first} is not whole, so nothing from there on can be judged: see the "
            f"failures{again}"
        )
    if not all_decided(decisions(declared.record(), records)):
        return None
    if declared.num_blocks >= declared.cap:
        return ""
    return (
        f"decided after {declared.num_blocks} of at most {declared.cap} blocks: every declared "
        "contrast is called"
    )


@dataclass(frozen=True, kw_only=True)
class _Budget:
    """Device-time budget of this launch, and the time its trials have taken.

    Attributes:
        store: Store with the trials' records.
        limit_s: Budget in device-seconds; 0 sets no limit.
        num_workers: Devices per trial.
        before_s: Id of a trial of this launch -> its seconds in earlier launches.
    """

    store: Store
    limit_s: float
    num_workers: int
    before_s: dict[str, float] = field(default_factory=dict)

    def begin(self, plan: Plan, trials: Sequence[Trial]) -> Stage:
        """Return the trials as a stage, and start counting their time."""
        known = _records(trials, self.store)
        for trial in trials:
            self.before_s[trial.id] = known[trial.id].cost.seconds if trial.id in known else 0.0
        return Stage(plan=plan, trials=tuple(trials))

    def spent_s(self) -> float:
        """Return the device-seconds spent by this launch."""
        records = self.store.read_records(self.before_s)
        taken = (record.cost.seconds - self.before_s[id_] for id_, record in records.items())
        return self.num_workers * sum(taken)

    def expected_s(self, block: Sequence[Trial], trials: Sequence[Trial]) -> float:
        """Estimate a block from its arms' finished trials, or from all arms if an arm has none."""
        seconds = seconds_by_arm(trials, _records(trials, self.store))
        return self.num_workers * sum(seconds.get(trial.arm, 0.0) for trial in block)


def _records(trials: Sequence[Trial], store: Store) -> Mapping[str, TrialRecord]:
    return store.read_records([trial.id for trial in trials])


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.3g}"
