"""Searchers for Tune: a plan's trials in order, or points suggested by Optuna."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import optuna
from ray.tune.search import Searcher

from orchestrator.design.factors import Trial
from orchestrator.design.search_space import Choice, LogUniform, Point, Search, Uniform
from orchestrator.execution.progress import SweepProgress
from orchestrator.metrics.catalog import load, selection_key
from orchestrator.records import TrialRecord
from orchestrator.store import Store

OBJECTIVE = "objective"


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Objective of a search: the plan's metric, signed so that larger is better.

    It is that of the validation clips where trials have any, which a search may choose by.
    """

    metric: str
    selection: str

    def value(self, records: Iterable[TrialRecord]) -> float | None:
        """Return the mean over the records, or None if a record lacks the metric."""
        metric, key = load(self.metric), self.metric
        if self.selection == "best_on_validation":
            key = selection_key(key)
        values = [r.metrics_at(self.selection).get(key) for r in records]
        if not values or any(value is None for value in values):
            return None
        return metric.sign * sum(value for value in values if value is not None) / len(values)


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


class TpeSearcher(_Driven):
    """Asks Optuna for points, until it is stopped; every point becomes trials of the plan."""

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
        self._left = search.num_points - len(points)
        self._space = {path: _distribution(values) for path, values in search.space.items()}
        # The seed includes the number of earlier points, so that a new run repeats none of them.
        sampler = optuna.samplers.TPESampler(seed=search.sampler_seed + len(points))
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._asked: dict[str, Any] = {}
        for point in points:
            trials = trials_of(search, point)
            records = store.read_records([trial.id for trial in trials])
            value = objective.value(records.values()) if len(records) == len(trials) else None
            if value is not None:
                with suppress(ValueError):  # a point that the sweep file's space no longer has
                    self._study.add_trial(
                        optuna.trial.create_trial(
                            params=dict(point), distributions=self._space, value=value
                        )
                    )

    def stop(self) -> None:
        """Suggest no more points."""
        self._left = 0

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Ask the sampler for a point and return its trials, one per block."""
        if self._left <= 0:
            return Searcher.FINISHED
        self._left -= 1
        suggestion = self._study.ask(self._space)
        point = {path: self._search.space[path].round(v) for path, v in suggestion.params.items()}
        self._asked[trial_id] = suggestion
        self._on_point(point)
        trials = trials_of(self._search, point)
        for trial in trials:
            self._progress.add(trial)
        return {"trials": trials}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the sampler the result of a point."""
        suggestion = self._asked.pop(trial_id, None)
        value = (result or {}).get(OBJECTIVE)
        if suggestion is not None:
            failed = error or value is None
            state = optuna.trial.TrialState.FAIL if failed else None
            self._study.tell(suggestion, None if failed else value, state=state)


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
