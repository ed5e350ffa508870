"""Continuous searches: a space of settings, whose points become trials like any other."""

# Sweep files are not type-checked, so types are checked when they run.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.design.factors import Arm, Contrast, hold_types, is_texts
from orchestrator.design.plan import Plan
from orchestrator.design.validation import MAX_TRIALS, mistakes_of_changes
from orchestrator.errors import PlanError, unknown
from orchestrator.experiment.identity import canonical
from orchestrator.experiment.overrides import mistakes_of
from orchestrator.metrics.catalog import METRICS
from orchestrator.records import PlanRecord, SearchRecord

CONFIRMED = "confirmed"
"""Ending of the name of a search's confirmation."""
PRUNERS = ("asha", "median")
COSTS = ("macs", "num_params")

Point = Mapping[str, Any]
"""Override path -> value."""


@dataclass(frozen=True)
class LogUniform:
    """Values between two bounds, uniform on a log scale.

    Rounded to three significant digits, so that a point reads well and can be found again.
    """

    low: float
    high: float

    def round(self, value: float) -> float:
        """Return the value as trained."""
        return min(max(float(f"{value:.3g}"), self.low), self.high)

    def has(self, value: Any) -> bool:
        """Whether a value is within the bounds."""
        return _are_numbers(value) and self.low <= value <= self.high

    def mistakes(self) -> list[str]:
        """Return what is wrong with the bounds."""
        if not _are_numbers(self.low, self.high):
            return [f"LogUniform({self.low!r}, {self.high!r}): the bounds must be numbers"]
        if 0 < self.low < self.high and math.isfinite(self.high):
            return []
        return [f"LogUniform({self.low}, {self.high}): the bounds must rise and be above zero"]


@dataclass(frozen=True)
class Uniform(LogUniform):
    """Values between two bounds, uniform; rounded to three significant digits."""

    def mistakes(self) -> list[str]:
        """Return what is wrong with the bounds."""
        if not _are_numbers(self.low, self.high):
            return [f"Uniform({self.low!r}, {self.high!r}): the bounds must be numbers"]
        if self.low < self.high and math.isfinite(self.high - self.low):
            return []
        return [f"Uniform({self.low}, {self.high}): the bounds must rise"]


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    values: tuple[Any, ...]

    def round(self, value: Any) -> Any:
        """Return the value as trained."""
        return value

    def has(self, value: Any) -> bool:
        """Whether a value is one of these."""
        return value in self.values

    def mistakes(self) -> list[str]:
        """Return what is wrong with the values."""
        if not isinstance(self.values, tuple | list):
            return [f"Choice({self.values!r}): the values must be a tuple"]
        try:
            set(self.values)
        except TypeError:
            return [f"Choice({self.values!r}): the values must be numbers, strings or tuples"]
        return [] if len(set(self.values)) > 1 else ["Choice needs at least two different values"]


@dataclass(frozen=True, kw_only=True)
class Search:
    """A question with a continuous answer.

    The best of many points is an optimistic number: a search proposes, and its best points decide
    on fresh seeds, as an ablation against the control.

    Attributes:
        plan: The question, the base and one arm, the control; points become its further arms.
        space: Override path -> the values it may take.
        symbols: Override path -> its name in a row.
        shared: Further changes that every point needs, for example the component itself.
        num_points: Total number of points, those of earlier runs included.
        demo_points: Total number of points with `--demo`.
        confirm: Number of the best points that are confirmed on fresh seeds; 0 confirms none.
        confirm_seeds: Number of these seeds, which follow the largest of the plan's. Eight can call
            three contrasts after correction.
        pruner: Rule that leaves points early that fall behind at equal epochs: `asha` (successive
            halving by thirds, arXiv 1810.05934), `median`, or empty for none. No other kind of
            sweep ever leaves a trial early.
        costs: Costs to make small beside the metric, `macs` or `num_params`: the search then looks
            for the front on which neither gets better without the other getting worse.
        sampler_seed: Seed of the search's own draws.
    """

    plan: Plan
    space: Mapping[str, LogUniform | Uniform | Choice]
    symbols: Mapping[str, str] = field(default_factory=dict[str, str])
    shared: Mapping[str, Any] = field(default_factory=dict[str, Any])
    num_points: int = 30
    demo_points: int = 8
    confirm: int = 0
    confirm_seeds: int = 8
    pruner: str = ""
    costs: tuple[str, ...] = ()
    sampler_seed: int = 0

    def arm(self, point: Point) -> Arm:
        """Return the arm of a point."""
        levels = {path: _short(value) for path, value in point.items()}
        name = ", ".join(f"{self.symbols.get(path, path)}={v}" for path, v in levels.items())
        return Arm(name=name, changes={**self.shared, **point}, levels=levels)

    def has(self, point: Point) -> bool:
        """Whether a point lies in the space, which may have changed since it was tried."""
        return point.keys() == self.space.keys() and all(
            self.space[path].has(value) for path, value in point.items()
        )

    def with_points(self, points: Sequence[Point]) -> Plan:
        """Return the plan over the control and these points; equal points share one arm."""
        arms = {arm.name: arm for arm in map(self.arm, points)}
        return dataclasses.replace(
            self.plan, arms=(*self.plan.arms, *arms.values()), contrasts=(), effects=()
        )

    def confirmation(self, points: Sequence[Point]) -> Plan:
        """Return the ablation of points against the control, on seeds that the search never saw."""
        control = self.plan.baseline_arm
        arms = {arm.name: arm for arm in map(self.arm, points)}
        first = max(self.plan.seeds) + 1
        return dataclasses.replace(
            self.plan,
            arms=(*self.plan.arms, *arms.values()),
            contrasts=tuple(Contrast(name, control) for name in arms),
            effects=(),
            seeds=tuple(range(first, first + self.confirm_seeds)),
            num_blocks=0,
            variant=(*self.plan.variant, CONFIRMED),
        )

    def describe(
        self,
        record: PlanRecord,
        points: Sequence[Point],
        *,
        importances: Mapping[str, float] | None = None,
    ) -> PlanRecord:
        """Return the stored form of the plan over these points with that of the search.

        Args:
            record: Stored form of the plan.
            points: Points so far.
            importances: Setting -> importance, if they are known.
        """
        tried = {self.arm(point).name: canonical(dict(point)) for point in points}
        return dataclasses.replace(
            record,
            search=SearchRecord(
                points=tried,
                num_points=self.num_points,
                pruner=self.pruner,
                costs=self.costs,
                importances=importances or {},
            ),
            followed_by=self.confirmation(()).sweep if self.confirm else "",
        )

    def with_plan(self, plan: Plan) -> Search:
        """Return the search over another base, other seeds or other folds."""
        return dataclasses.replace(self, plan=plan)

    def check(self) -> None:
        """Raise a `PlanError` that names every mistake of the plan and the space at once."""
        self.check_types()
        mistakes: list[str] = []
        try:
            self.plan.check()
        except PlanError as error:
            mistakes += error.mistakes
        for path, values in self.space.items():
            mistakes += [f"space {path!r}: {mistake}" for mistake in values.mistakes()]
        mistakes += mistakes_of_changes("the search", {**self.shared, **self.space})
        if not mistakes:
            mistakes += [f"space: {m}" for m in mistakes_of(self.plan.base, self._any_point())]
        if self.confirm > self.num_points:
            mistakes.append(
                f"confirm is {self.confirm}, and the search has {self.num_points} points; confirm "
                "that many at most"
            )
        if self.pruner and self.pruner not in PRUNERS:
            mistakes.append(unknown("pruner", self.pruner, PRUNERS, hint="Or leave it out."))
        mistakes += [unknown("cost", cost, COSTS) for cost in self.costs if cost not in COSTS]
        if self.pruner and self.costs:
            mistakes.append(
                f"pruner {self.pruner!r} compares points by one number, and the search has "
                f"{1 + len(self.costs)} objectives; leave out the pruner or the costs"
            )
        metric = METRICS.get(self.plan.metric)
        if self.pruner and metric is not None and metric.at_report:
            mistakes.append(
                f"pruner {self.pruner!r} compares points after every epoch, and {metric.key} is "
                "computed by the report alone; leave out one of them"
            )
        if self.confirm and self.confirm_seeds < 2:
            mistakes.append(f"confirm_seeds is {self.confirm_seeds}; a contrast needs at least 2")
        if mistakes:
            raise PlanError(mistakes)

    def check_types(self) -> None:
        """Raise a `PlanError` that names every field of the wrong type."""
        kinds = (LogUniform, Uniform, Choice)
        space = isinstance(self.space, Mapping) and all(
            isinstance(path, str) and isinstance(values, kinds)
            for path, values in self.space.items()
        )
        values = (
            "a mapping from path to LogUniform(low, high), Uniform(low, high) or Choice(values)"
        )
        hold_types(
            "search",
            (isinstance(self.plan, Plan), "plan", self.plan, "a Plan"),
            (space and len(self.space) > 0, "space", self.space, values),
            (isinstance(self.symbols, Mapping), "symbols", self.symbols, "a mapping"),
            (isinstance(self.shared, Mapping), "shared", self.shared, "a mapping"),
            (isinstance(self.pruner, str), "pruner", self.pruner, "a string"),
            (is_texts(self.costs), "costs", self.costs, "a tuple of strings"),
            *(
                (
                    isinstance(value := getattr(self, name), int)
                    and not isinstance(value, bool)
                    and 0 <= value <= MAX_TRIALS,
                    name,
                    value,
                    f"a whole number from 0 to {MAX_TRIALS:,}",
                )
                for name in (
                    *("num_points", "demo_points", "confirm", "confirm_seeds", "sampler_seed"),
                )
            ),
        )
        self.plan.check_types()

    def _any_point(self) -> dict[str, Any]:
        point = dict(self.shared)
        for path, values in self.space.items():
            point[path] = values.values[0] if isinstance(values, Choice) else values.low
        return point


def _are_numbers(*values: object) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
