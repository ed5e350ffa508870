"""Searchers for Tune: a plan's trials in order, or points suggested by Optuna."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import optuna
from ray.tune.search import Searcher

from orchestrator.analysis.search import Objective
from orchestrator.design.factors import Trial
from orchestrator.design.search_space import Choice, LogUniform, Point, Search, Uniform
from orchestrator.execution.progress import SweepProgress
from orchestrator.metrics.catalog import lookup
from orchestrator.records import Status, TrialRecord
from orchestrator.store import Store

OBJECTIVE = "objective"

PART_BEFORE_PRUNING = 9
"""No point is left before a ninth of its epochs; ASHA keeps a third after 1/9 and after 1/3."""


class NotPickled:
    """Pickles as an empty object: Tune saves callbacks and searchers, which are never restored."""

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return type(None), ()


class _Driven(NotPickled, Searcher):
    def set_search_properties(self, *args: Any, **spec: Any) -> bool:
        """Accept Tune's search properties, which have no effect here."""
        return True


class QueueSearcher(_Driven):
    """Suggests trials in order, until it is stopped."""

    def __init__(self, trials: Sequence[Trial]):
        super().__init__()
        self._waiting = deque(trials)

    def stop(self) -> None:
        """Suggest no more trials."""
        self._waiting.clear()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next trial, or `FINISHED`."""
        if not self._waiting:
            return Searcher.FINISHED
        return {"trials": (self._waiting.popleft(),)}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Do nothing; the store has the result."""


class PointSearcher(_Driven):
    """Asks Optuna's TPE for points, until it is stopped; every point becomes trials of the plan.

    Points of earlier runs whose trials have no outcome yet come first.
    """

    def __init__(
        self,
        search: Search,
        points: Sequence[Point],
        *,
        objective: Objective,
        store: Store,
        progress: SweepProgress,
        on_point: Callable[[Point], None],
    ):
        super().__init__()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._search, self._progress, self._on_point = search, progress, on_point
        self._space = {path: _distribution(values) for path, values in search.space.items()}
        # The seed includes the number of earlier points, so that a new run repeats none of them.
        sampler = optuna.samplers.TPESampler(seed=search.sampler_seed + len(points))
        direction = "maximize" if lookup(objective.metric).sign > 0 else "minimize"
        self._study = optuna.create_study(
            direction=direction, sampler=sampler, pruner=_pruner(search)
        )
        self.prune: Callable[[str], None] = lambda trial_id: None
        self._objective = objective
        self._asked: dict[str, optuna.trial.Trial | None] = {}
        self._trials: dict[str, tuple[Trial, ...]] = {}
        self._again: deque[Point] = deque()
        self._new = max(0, search.num_points - len(points))
        for point in points:
            trials = trials_of(search, point)
            records = store.read_records([trial.id for trial in trials])
            if any(
                trial.id not in progress.done and not self._has_outcome(records.get(trial.id))
                for trial in trials
            ):
                self._again.append(point)
            elif len(records) == len(trials) and search.has(point):
                self._learn(point, trials, records)

    @property
    def num_left(self) -> int:
        """Number of points that are still to be suggested."""
        return len(self._again) + self._new

    def stop(self) -> None:
        """Suggest no more points."""
        self._again.clear()
        self._new = 0

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the trials of an earlier point, or ask the sampler for a new one."""
        if self._again:
            point = self._again.popleft()
            suggestion = None
            if self._search.has(point):
                self._study.enqueue_trial(dict(point))
                suggestion = self._study.ask(self._space)
        elif self._new:
            self._new -= 1
            suggestion = self._study.ask(self._space)
            space = self._search.space
            point = {path: space[path].round(value) for path, value in suggestion.params.items()}
            self._on_point(point)
        else:
            return Searcher.FINISHED
        self._asked[trial_id] = suggestion
        trials = self._trials[trial_id] = trials_of(self._search, point)
        for trial in trials:
            self._progress.add(trial)
        return {"trials": trials}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Have a trial left whose point falls behind those that came as far."""
        suggestion, value = self._asked.get(trial_id), result.get(self._objective.key)
        if suggestion is None or "epoch" not in result or value is None or not self._search.pruner:
            return
        trials = self._trials[trial_id]
        step = _steps_before(trials, result["id"]) + result["epoch"]
        suggestion.report(value, step)
        if step < sum(trial.experiment.epochs for trial in trials) and suggestion.should_prune():
            self.prune(result["id"])

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the sampler the result of a point."""
        suggestion = self._asked.pop(trial_id, None)
        if suggestion is not None:
            found = {} if error or result is None else result
            pruned = found.get("status") == Status.PRUNED
            self._tell(suggestion, found.get(OBJECTIVE), pruned=pruned)

    def _has_outcome(self, record: TrialRecord | None) -> bool:
        if record is None:
            return False
        pruned = bool(self._search.pruner) and record.status is Status.PRUNED
        return pruned or record.status.is_final

    def _learn(
        self, point: Point, trials: Sequence[Trial], records: Mapping[str, TrialRecord]
    ) -> None:
        """Tell sampler and pruner of an earlier point all that they were told when it trained."""
        self._study.enqueue_trial(dict(point))
        suggestion = self._study.ask(self._space)
        for trial in trials if self._search.pruner else ():
            for epoch in records[trial.id].epochs:
                if (value := epoch.metrics.get(self._objective.key)) is not None:
                    suggestion.report(value, _steps_before(trials, trial.id) + epoch.epoch)
                    suggestion.should_prune()  # which notes how far the point came
        pruned = any(record.status is Status.PRUNED for record in records.values())
        value = self._objective.value(records.values())
        self._tell(suggestion, value, pruned=pruned)

    def _tell(self, suggestion: optuna.trial.Trial, value: float | None, *, pruned: bool) -> None:
        states = optuna.trial.TrialState
        if pruned:
            self._study.tell(suggestion, state=states.PRUNED)
        elif value is None:
            self._study.tell(suggestion, state=states.FAIL)
        else:
            self._study.tell(suggestion, value)


def _steps_before(trials: Sequence[Trial], trial_id: str) -> int:
    """Return the number of epochs of a point's trials before one of them."""
    ids = [trial.id for trial in trials]
    return sum(trial.experiment.epochs for trial in trials[: ids.index(trial_id)])


def _pruner(search: Search) -> optuna.pruners.BasePruner:
    first = max(1, search.plan.base.epochs // PART_BEFORE_PRUNING)
    if search.pruner == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=3)
    if search.pruner == "median":
        return optuna.pruners.MedianPruner(n_warmup_steps=first)
    return optuna.pruners.NopPruner()


def trials_of(search: Search, point: Point) -> tuple[Trial, ...]:
    """Return the trials of a point, one per block."""
    plan = replace(search.with_points([point]), baseline="")
    arm = search.arm(point).name
    return tuple(trial for trial in plan.trials() if trial.arm == arm)


def _distribution(values: LogUniform | Uniform | Choice) -> Any:
    match values:
        case Choice():
            return optuna.distributions.CategoricalDistribution(values.values)
        case Uniform():
            return optuna.distributions.FloatDistribution(values.low, values.high)
        case LogUniform():
            return optuna.distributions.FloatDistribution(values.low, values.high, log=True)
