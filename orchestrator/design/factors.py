"""The vocabulary of an ablation: factors and levels, arms, contrasts and trials."""

# Sweep files are not type-checked, so types are checked when they run.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import PlanError, shown
from orchestrator.experiment.config import Experiment
from orchestrator.experiment.identity import CompletedExperiment
from orchestrator.experiment.narrow import is_list, is_mapping
from orchestrator.records import TrialKey

_CHANGES = "a mapping from path to value, for example {'model.deformable': False}"


def wrong(what: str, name: str, value: object, wanted: str) -> str:
    """Return a message that a field of a sweep's value has the wrong type."""
    return f"{what}: {name} is {shown(value)}; it must be {wanted}"


def is_texts(value: object) -> bool:
    """Whether a value is a tuple or list of strings."""
    return is_list(value) and all(isinstance(one, str) for one in value)


def _is_changes(value: object) -> bool:
    return is_mapping(value) and all(isinstance(path, str) for path in value)


def _is_published(value: Mapping[str, float]) -> bool:
    return _is_changes(value) and all(
        isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
        for number in value.values()
    )


def hold_types(what: str, *fields: tuple[bool, str, object, str]) -> None:
    """Raise a `PlanError` that names every field whose first item is false."""
    mistakes = [
        wrong(what, name, value, wanted) for fits, name, value, wanted in fields if not fits
    ]
    if mistakes:
        raise PlanError(mistakes)


@dataclass(frozen=True)
class Level:
    """One setting of a factor.

    Attributes:
        name: Name in a table.
        changes: Override path -> value; empty keeps the baseline.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        """Raise a `PlanError` for values of other types."""
        hold_types(
            f"level {self.name!r}",
            (isinstance(self.name, str), "its name", self.name, "a string"),
            (_is_changes(self.changes), "changes", self.changes, _CHANGES),
        )


@dataclass(frozen=True)
class Factor:
    """A setting that is varied. The first level is the baseline's.

    Attributes:
        name: Name in a table.
        levels: Two or more levels.
    """

    name: str
    levels: tuple[Level, ...]

    def __post_init__(self) -> None:
        """Raise a `PlanError` for values of other types, or fewer than two levels."""
        levels = self.levels
        several = is_list(levels) and all(isinstance(x, Level) for x in levels)
        hold_types(
            f"factor {self.name!r}",
            (isinstance(self.name, str), "its name", self.name, "a string"),
            (
                several and len(levels) > 1,
                "levels",
                levels,
                "a tuple of two or more Level(name, changes), the baseline's first",
            ),
        )


@dataclass(frozen=True)
class FromBase:
    """A value that depends on the plan's base, for example a checkpoint trained like it.

    Attributes:
        value: Called with the base when the arm is built; may raise a `ConfigError`.
    """

    value: Callable[[Experiment], Any]

    def __post_init__(self) -> None:
        """Raise a `PlanError` if the value cannot be called."""
        hold_types(
            "FromBase", (callable(self.value), "value", self.value, "a function of the base")
        )


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A set of levels: one row of the table.

    Attributes:
        name: Unique name in the plan.
        changes: Override path -> value, relative to the plan's base.
        levels: Factor -> level.
        published: Metric key -> the paper's number in the metric's unit.
        conditions: Conditions of the published numbers, as in `models.card.Conditions`; empty
            leaves them to the plan's text. `with_published` sets all three.
        source: Where the numbers are printed; empty leaves it to the plan.
        null_control: Whether the arm cannot differ from the baseline, such as a strength of 0.
            Before launch it is checked to be equal, while other arms are checked to differ.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    levels: Mapping[str, str] = field(default_factory=dict[str, str])
    published: Mapping[str, float] = field(default_factory=dict[str, float])
    conditions: Mapping[str, Any] = field(default_factory=dict[str, Any])
    source: str = ""
    null_control: bool = False

    def __post_init__(self) -> None:
        """Raise a `PlanError` for values of other types."""
        levels = self.levels
        named = _is_changes(levels) and is_texts(list(levels.values()))
        published = "a mapping from metric to a finite number"
        hold_types(
            f"arm {self.name!r}",
            (isinstance(self.name, str), "its name", self.name, "a string"),
            (_is_changes(self.changes), "changes", self.changes, _CHANGES),
            (named, "levels", levels, "a mapping from factor to level, both strings"),
            (_is_published(self.published), "published", self.published, published),
            (isinstance(self.conditions, Mapping), "conditions", self.conditions, "a mapping"),
            (isinstance(self.source, str), "source", self.source, "a string"),
            (
                isinstance(self.null_control, bool),
                "null_control",
                self.null_control,
                "True or False",
            ),
        )


@dataclass(frozen=True)
class Contrast:
    """A comparison declared before anything runs: an arm against a reference arm."""

    arm: str
    reference: str

    def __post_init__(self) -> None:
        """Raise a `PlanError` for names that are not strings."""
        hold_types(
            "contrast",
            (isinstance(self.arm, str), "arm", self.arm, "the name of an arm"),
            (isinstance(self.reference, str), "reference", self.reference, "the name of an arm"),
        )


@dataclass(frozen=True)
class Effect:
    """A main effect or an interaction of two-level factors, declared before anything runs.

    One factor: the mean of the arms at its second level minus that at its first. Two: the
    difference of differences. Arms that lack one of the factors take no part.
    """

    factors: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise a `PlanError` for what is not a name of a factor."""
        factors = self.factors
        fits = is_texts(factors)
        example = "a tuple of names, for example ('input', 'attention') or ('input',)"
        hold_types("effect", (fits, "factors", factors, example))


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One experiment to train once, and its cell in the plan."""

    arm: str
    seed: int
    fold: int
    experiment: CompletedExperiment
    id: str

    @property
    def key(self) -> TrialKey:
        """The stored form of the cell."""
        return TrialKey(id=self.id, arm=self.arm, seed=self.seed, fold=self.fold)
