"""Searchers for Tune: a plan's trials in order, or points suggested by Optuna."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend
from ray.tune.search import Searcher

from orchestrator.analysis.search import Objective
from orchestrator.design.factors import Trial
from orchestrator.design.search_space import Choice, LogUniform, Point, Search, Uniform
from orchestrator.execution.costs import untrained
from orchestrator.execution.progress import SweepProgress
from orchestrator.experiment.identity import complete
from orchestrator.metrics.catalog import lookup
from orchestrator.records import Status
from orchestrator.store import Store

OBJECTIVE = "objective"

MIN_FOR_IMPORTANCES = 8
"""Finished points; the best quarter of fewer is one point."""

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
        self._search, self._progress, self._on_point = search, progress, on_point
        self._objective = objective
        self._study, self._again = replayed(
            search, points, objective=objective, store=store, over=progress.done
        )
        self._new = max(0, search.num_points - len(points))
        self._space = _distributions(search)
        self._journal = _journal(self._study, store, search.plan.sweep)
        self._asked: dict[str, optuna.trial.Trial | None] = {}
        self._trials: dict[str, tuple[Trial, ...]] = {}
        self.prune: Callable[[str], None] = lambda trial_id: None

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
            trials = trials_of(self._search, point)
            if self._search.has(point):
                self._study.enqueue_trial(dict(point))
                suggestion = self._study.ask(self._space)
        elif self._new:
            self._new -= 1
            suggestion = self._study.ask(self._space)
            space = self._search.space
            point = {path: space[path].round(value) for path, value in suggestion.params.items()}
            trials = trials_of(self._search, point)
            self._on_point(point)
        else:
            return Searcher.FINISHED
        if suggestion is not None:
            _name(suggestion, self._search.arm(point).name, trials)
        self._asked[trial_id] = suggestion
        self._trials[trial_id] = trials
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
            _tell(self._study, suggestion, found.get(OBJECTIVE), pruned=pruned)
            told = self._study.get_trials(deepcopy=False)[suggestion.number]
            _copy([told], self._journal)


def replayed(
    search: Search,
    points: Sequence[Point],
    *,
    objective: Objective,
    store: Store,
    over: Container[str] = (),
) -> tuple[optuna.Study, deque[Point]]:
    """Tell sampler and pruner of earlier points all that they were told when these trained.

    Args:
        search: Search space and rules.
        points: Points of earlier runs.
        objective: What they are compared by.
        store: Store with the records of their trials.
        over: Ids of trials that this run does not try again.

    Returns:
        The study, and the points whose trials have no outcome yet.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    metric = "maximize" if lookup(objective.metric).sign > 0 else "minimize"
    study = optuna.create_study(
        directions=[metric, *("minimize" for _ in objective.costs)],
        # The seed includes the number of earlier points, so that a new run repeats none of them.
        sampler=optuna.samplers.TPESampler(seed=search.sampler_seed + len(points)),
        pruner=_pruner(search),
    )
    space, again = _distributions(search), deque[Point]()
    for point in points:
        trials = trials_of(search, point)
        records = store.read_records([trial.id for trial in trials])
        missing = untrained(trials, records, prunes=bool(search.pruner))
        if any(trial.id not in over for trial in missing):
            again.append(point)
            continue
        if len(records) < len(trials) or not search.has(point):
            continue  # the sweep file's space may have become smaller
        study.enqueue_trial(dict(point))
        suggestion = study.ask(space)
        _name(suggestion, search.arm(point).name, trials)
        for trial in trials if search.pruner else ():
            for epoch in records[trial.id].epochs:
                if (value := epoch.metrics.get(objective.key)) is not None:
                    suggestion.report(value, _steps_before(trials, trial.id) + epoch.epoch)
                    suggestion.should_prune()  # which notes how far the point came
        pruned = any(record.status is Status.PRUNED for record in records.values())
        _tell(study, suggestion, objective.values([*records.values()]), pruned=pruned)
    return study, again


def importances(search: Search, points: Sequence[Point], store: Store) -> dict[str, float]:
    """Return the share of each setting in what makes a point one of the best quarter.

    By PED-ANOVA (arXiv 2304.10255); of several objectives, the best are those closest to the front.

    Returns:
        Setting -> share, the largest first; empty for one setting, or fewer than
        `MIN_FOR_IMPORTANCES` finished points.
    """
    study, _ = replayed(search, points, objective=objective_of(search), store=store)
    done = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
    if len(search.space) < 2 or len(done) < MIN_FOR_IMPORTANCES:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of equal points
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {path: round(float(share), 6) for path, share in found.items()}


def journal_path(store: Store, sweep: str) -> Path | None:
    """Return where a copy of a search's study lies; None if the store is on no disk."""
    root = store.local_path
    return None if root is None else root / "sweeps" / sweep / "optuna.log"


def _journal(study: optuna.Study, store: Store, sweep: str) -> optuna.Study | None:
    """Copy the study to a file beside the plan, for optuna-dashboard; None without a disk.

    The store stays the truth: the copy is made anew from it, and nothing is read from it.
    """
    path = journal_path(store, sweep)
    if path is None:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    backend = JournalFileBackend(str(path))
    copy = optuna.create_study(
        study_name=sweep,
        directions=study.directions,
        storage=optuna.storages.JournalStorage(backend),
        load_if_exists=True,  # another launch of the same search may have made it meanwhile
    )
    _copy(study.trials, copy)
    return copy


def _copy(trials: Sequence[optuna.trial.FrozenTrial], to: optuna.Study | None) -> None:
    if to is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # choices that are tuples become lists
            to.add_trials(trials)


def _name(suggestion: optuna.trial.Trial, arm: str, trials: Sequence[Trial]) -> None:
    """Note arm and trials of a point, which optuna-dashboard shows."""
    suggestion.set_user_attr("arm", arm)
    suggestion.set_user_attr("trials", [trial.id for trial in trials])


def _tell(
    study: optuna.Study,
    suggestion: optuna.trial.Trial,
    values: Sequence[float] | None,
    *,
    pruned: bool,
) -> None:
    states = optuna.trial.TrialState
    if pruned:
        study.tell(suggestion, state=states.PRUNED)
    elif values is None:
        study.tell(suggestion, state=states.FAIL)
    else:
        study.tell(suggestion, list(values))


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


def objective_of(search: Search) -> Objective:
    """Return what the points of a search are compared by."""
    selection = complete(search.plan.base).selection
    return Objective(metric=search.plan.metric, selection=selection, costs=search.costs)


def trials_of(search: Search, point: Point) -> tuple[Trial, ...]:
    """Return the trials of a point, one per block."""
    plan = replace(search.with_points([point]), baseline="")
    arm = search.arm(point).name
    return tuple(trial for trial in plan.trials() if trial.arm == arm)


def _distributions(search: Search) -> dict[str, Any]:
    return {path: _distribution(values) for path, values in search.space.items()}


def _distribution(values: LogUniform | Uniform | Choice) -> Any:
    match values:
        case Choice():
            return optuna.distributions.CategoricalDistribution(values.values)
        case Uniform():
            return optuna.distributions.FloatDistribution(values.low, values.high)
        case LogUniform():
            return optuna.distributions.FloatDistribution(values.low, values.high, log=True)
