"""What a family of models is: two sizes, and a front end of its own kind at the base's rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.design.factors import FromBase, Level
from orchestrator.experiment.config import Component, Experiment
from orchestrator.experiment.identity import CompletedExperiment
from orchestrator.experiment.overrides import override


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of models.

    Attributes:
        name: as a table says it.
        full: the published size.
        laptop: the size that two CPU cores train in seconds.
        frontend: from the base to the family's front end.
        weights: name of the published weights that its paper's numbers start from; empty where
            none can be read.
    """

    name: str
    full: Component
    laptop: Component
    frontend: Callable[[Experiment], Component]
    weights: str

    def model(self, base: Experiment) -> Component:
        """Return the family's model in the base's size."""
        return self.laptop if is_laptop(base) else self.full

    @property
    def changes(self) -> Mapping[str, Any]:
        """Path -> value, to put the family in place of the base's model."""
        return {"model": FromBase(self.model), "frontend": FromBase(self.frontend)}

    @property
    def level(self) -> Level:
        """Return the family as a level of a factor."""
        return Level(self.name, self.changes)

    def experiment(self, base: Experiment) -> CompletedExperiment:
        """Return the base with the family's model and front end."""
        return override(base, {"model": self.model(base), "frontend": self.frontend(base)})


def is_laptop(base: Experiment) -> bool:
    """Whether an experiment is in laptop size."""
    return base.model.name.endswith("_laptop")


def sample_rate(base: Experiment) -> int:
    """Return the rate of the base's clips in Hz."""
    return base.dataset.arguments.get("sample_rate", 16000)
