"""The words of an ablation: factors and levels, arms, contrasts and trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.config import Experiment
from orchestrator.records import TrialKey


@dataclass(frozen=True)
class Level:
    """One setting of a factor.

    Attributes:
        name: as a table says it.
        changes: override path -> value; empty leaves the baseline as it is.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Factor:
    """Something that is varied. The first level is the baseline's.

    Attributes:
        name: as a table says it.
        levels: at least two.
    """

    name: str
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class FromBase:
    """A value that depends on the plan's base, for example a checkpoint trained like it.

    Attributes:
        value: called with the base when the arm is built; may raise a `ConfigError`.
    """

    value: Callable[[Experiment], Any]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A set of levels: one row of the table.

    Attributes:
        name: unique in the plan.
        changes: override path -> value against the plan's base.
        levels: factor -> level.
        published: metric key -> the paper's number in the metric's unit.
        conditions: what they were measured under, as in `models.published.Conditions`; empty
            leaves it to the plan's text. `orchestrator.literature.beside` fills in all three.
        source: where they are printed; empty leaves it to the plan.
        void: a control that cannot differ from the baseline, such as a strength of 0. Before
            launch it is proved to be equal, where other arms are proved to differ.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    levels: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[str, float] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    void: bool = False


@dataclass(frozen=True)
class Contrast:
    """A comparison declared before anything runs: an arm against a reference arm."""

    arm: str
    reference: str


@dataclass(frozen=True)
class Effect:
    """A main effect or an interaction of two-level factors, declared before anything runs.

    One factor: the mean of the arms at its second level minus that at its first. Two: the
    difference of differences. Arms that lack one of the factors take no part.
    """

    factors: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One experiment to be trained once, and the cell of the plan it stands in."""

    arm: str
    seed: int
    fold: int
    experiment: Experiment
    id: str

    @property
    def key(self) -> TrialKey:
        """The stored form of the cell."""
        return TrialKey(id=self.id, arm=self.arm, seed=self.seed, fold=self.fold)
