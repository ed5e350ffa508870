"""What a search found: its points, the best of them, and their order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.metrics import Metric
from orchestrator.metrics.catalog import lookup, selection_key
from orchestrator.records import PlanRecord, Status, TrialKey, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What the points of a search are compared by: the plan's metric.

    It is that of the validation clips where trials have any, which a search may choose by.

    Attributes:
        metric: Key of the metric.
        selection: The epoch that is read.
    """

    metric: str
    selection: str

    @property
    def on_validation(self) -> bool:
        """Whether points are compared on clips that are not reported."""
        return self.selection == "best_on_validation"

    @property
    def key(self) -> str:
        """Key of the number in an epoch's record."""
        return selection_key(self.metric) if self.on_validation else self.metric

    def value(self, records: Iterable[TrialRecord]) -> float | None:
        """Return the mean over the records of a point; None if one has no finite number."""
        values = [record.metrics_at(self.selection).get(self.key) for record in records]
        known = [value for value in values if value is not None and math.isfinite(value)]
        return sum(known) / len(known) if known and len(known) == len(values) else None


@dataclass(frozen=True, kw_only=True)
class SearchedPoint:
    """A point of a search.

    Attributes:
        arm: Its arm.
        settings: Setting -> value.
        value: The objective in the metric's unit; None if it has none.
    """

    arm: str
    settings: Mapping[str, Any]
    value: float | None


@dataclass(frozen=True, kw_only=True)
class SearchResults:
    """The points of a search in the order of suggestion.

    Attributes:
        metric: Metric that they are compared by.
        on_validation: Whether it is of clips that are not reported.
        num_planned: Number of points that the search ends with.
        points: Points so far.
    """

    metric: Metric
    on_validation: bool
    num_planned: int
    points: tuple[SearchedPoint, ...]

    @property
    def ranked(self) -> list[SearchedPoint]:
        """The points with a value, the best first, the earlier of equals first."""
        return sorted(
            (point for point in self.points if point.value is not None),
            key=lambda point: -self.metric.sign * (point.value or 0.0),
        )


def search_results(plan: PlanRecord, records: Mapping[str, TrialRecord]) -> SearchResults | None:
    """Return what a search found so far; None for a plan of no search.

    Args:
        plan: Plan over the control and the points.
        records: Trial id -> record.
    """
    if plan.search is None:
        return None
    metric = lookup(plan.metric)
    objective = Objective(metric=plan.metric, selection=plan.selection)
    trials: dict[str, list[TrialKey]] = {}
    for trial in plan.trials:
        trials.setdefault(trial.arm, []).append(trial)

    def point(arm: str, settings: Mapping[str, Any]) -> SearchedPoint:
        found = [records[trial.id] for trial in trials.get(arm, ()) if trial.id in records]
        done = [record for record in found if record.status is Status.FINISHED]
        value = objective.value(done) if len(done) == len(trials.get(arm, ())) else None
        scaled = None if value is None else metric.scale * value
        return SearchedPoint(arm=arm, settings=settings, value=scaled)

    return SearchResults(
        metric=metric,
        on_validation=objective.on_validation,
        num_planned=plan.search.num_points,
        points=tuple(point(arm, at) for arm, at in plan.search.points.items()),
    )
