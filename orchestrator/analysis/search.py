"""What a search found: its points, the best of them, and their order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.metrics import Metric
from orchestrator.metrics.catalog import lookup, selection_key
from orchestrator.records import PlanRecord, Status, TrialKey, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What the points of a search are compared by: the plan's metric, and costs beside it.

    It is that of the validation clips where trials have any, which a search may choose by.

    Attributes:
        metric: Key of the metric.
        selection: The epoch that is read.
        costs: Fields of `orchestrator.records.Cost` that are to be small.
    """

    metric: str
    selection: str
    costs: tuple[str, ...] = ()

    @property
    def on_validation(self) -> bool:
        """Whether points are compared on clips that are not reported."""
        return self.selection == "best_on_validation"

    @property
    def key(self) -> str:
        """Key of the number in an epoch's record."""
        return selection_key(self.metric) if self.on_validation else self.metric

    def values(self, records: Sequence[TrialRecord]) -> tuple[float, ...] | None:
        """Return the mean metric of a point and its costs; None if a record has no finite metric.

        Args:
            records: Records of the point's trials.
        """
        value = self._mean(records)
        if value is None:
            return None
        return value, *(
            max(getattr(record.cost, cost) for record in records) for cost in self.costs
        )

    def _mean(self, records: Sequence[TrialRecord]) -> float | None:
        values = [record.metrics_at(self.selection).get(self.key) for record in records]
        known = [value for value in values if value is not None and math.isfinite(value)]
        return sum(known) / len(known) if known and len(known) == len(values) else None


@dataclass(frozen=True, kw_only=True)
class SearchedPoint:
    """A point of a search.

    Attributes:
        arm: Its arm.
        settings: Setting -> value.
        value: The metric that it is compared by, in the metric's unit; None if it has none.
        costs: The costs that it is compared by, too.
        is_pruned: Whether the search left it early.
    """

    arm: str
    settings: Mapping[str, Any]
    value: float | None
    costs: tuple[float, ...] = ()
    is_pruned: bool = False


@dataclass(frozen=True, kw_only=True)
class SearchResults:
    """The points of a search in the order of suggestion.

    Attributes:
        metric: Metric that they are compared by.
        on_validation: Whether it is of clips that are not reported.
        num_planned: Number of points that the search ends with.
        points: Points so far.
        costs: Fields of `Cost` that they are compared by, too.
        importances: Setting -> its share in what makes a point one of the best.
    """

    metric: Metric
    on_validation: bool
    num_planned: int
    points: tuple[SearchedPoint, ...]
    costs: tuple[str, ...] = ()
    importances: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def ranked(self) -> list[SearchedPoint]:
        """The points with a value, the best first, the earlier of equals first.

        Where costs count, too, the points on the front come before all others.
        """
        front = [point.arm for point in self.front]
        return sorted(
            (point for point in self.points if point.value is not None),
            key=lambda point: (point.arm not in front, self._small(point)),
        )

    @property
    def front(self) -> list[SearchedPoint]:
        """The points that no other beats in the metric and in every cost, the best metric first.

        Empty without costs.
        """
        known = [point for point in self.points if point.value is not None] if self.costs else []
        return sorted(
            (p for p in known if not any(self._beats(other, p) for other in known)),
            key=self._small,
        )

    def best_so_far(self) -> list[tuple[int, float]]:
        """Return the number of each point that was better than all before it, and its value."""
        found: list[tuple[int, float]] = []
        for number, point in enumerate(self.points, start=1):
            value = point.value
            if value is not None and (
                not found or self.metric.sign * value > self.metric.sign * found[-1][1]
            ):
                found.append((number, value))
        return found

    def _small(self, point: SearchedPoint) -> tuple[float, ...]:
        """Return the objectives of a point with a value, all of them better if smaller."""
        assert point.value is not None
        return -self.metric.sign * point.value, *point.costs

    def _beats(self, one: SearchedPoint, other: SearchedPoint) -> bool:
        ours, theirs = self._small(one), self._small(other)
        return ours != theirs and all(a <= b for a, b in zip(ours, theirs, strict=True))


def search_results(plan: PlanRecord, records: Mapping[str, TrialRecord]) -> SearchResults | None:
    """Return what a search found so far; None for a plan of no search.

    Args:
        plan: Plan over the control and the points.
        records: Trial id -> record.
    """
    if plan.search is None:
        return None
    metric = lookup(plan.metric)
    searched = plan.search
    objective = Objective(metric=plan.metric, selection=plan.selection, costs=searched.costs)
    trials: dict[str, list[TrialKey]] = {}
    for trial in plan.trials:
        trials.setdefault(trial.arm, []).append(trial)

    def point(arm: str, settings: Mapping[str, Any]) -> SearchedPoint:
        found = [records[trial.id] for trial in trials.get(arm, ()) if trial.id in records]
        done = [record for record in found if record.status is Status.FINISHED]
        values = objective.values(done) if len(done) == len(trials.get(arm, ())) else None
        return SearchedPoint(
            arm=arm,
            settings=settings,
            value=metric.scale * values[0] if values else None,
            costs=values[1:] if values else (),
            is_pruned=any(record.status is Status.PRUNED for record in found),
        )

    return SearchResults(
        metric=metric,
        on_validation=objective.on_validation,
        num_planned=searched.num_points,
        points=tuple(point(arm, at) for arm, at in searched.points.items()),
        costs=searched.costs,
        importances=searched.importances,
    )
