"""A paper's recipe on one of its data sets: the experiment, its sources, and its quirks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.experiment.config import Experiment
from orchestrator.experiment.identity import complete

TRAINING = (
    *("waveform_augmentation", "augmentation", "loss", "optimizer", "schedule"),
    *("class_weights", "sampler", "mixup", "averaging"),
    *("epochs", "batch_size", "clip_norm", "precision", "selection"),
)
"""Fields that say how a model is trained, whatever model and clips."""


@dataclass(frozen=True)
class Figure:
    """A published figure of a recipe's data or first epoch.

    Attributes:
        value: The figure.
        tolerance: How far a healthy run may be from it, where its authors measured it otherwise;
            None for the rule of its fact.
    """

    value: Any
    tolerance: float | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a paper, or its authors' code, does on a data set.

    Attributes:
        build: Function that returns the experiment.
        data: The data set.
        source: Paper, and repository with the commit and files that the values are from.
        weights: Name of the published weights that the paper starts from, for
            `File.read`; empty for none. The experiment starts from scratch.
        published: The paper's number, in words.
        quirks: What is odd or easily missed -> changes that undo it; for
            `orchestrator.leave_one_out`.
        differs: What is different here from the authors' code.
        log: Key of `orchestrator.doctor.facts` -> what was published of it.
    """

    build: Callable[[], Experiment]
    data: str
    source: str
    weights: str = ""
    published: str = ""
    quirks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    differs: str = ""
    log: Mapping[str, Figure] = field(default_factory=dict[str, Figure])

    @property
    def name(self) -> str:
        """The function's name."""
        return self.build.__name__

    @property
    def training(self) -> dict[str, Any]:
        """Path -> value of all that says how to train, to lay the recipe over another base.

        `Arm(name="as AST", changes=recipes.PAPERS["ast_esc50"].training)` trains the base's model
        on the base's clips in this recipe's way.
        """
        made = complete(self.build())
        return {name: getattr(made, name) for name in TRAINING}
