"""Initial weights of a pretrained arm: a published file, or for a laptop a trial of its own."""

from __future__ import annotations

import dataclasses
import os

from orchestrator.data import pinned
from orchestrator.design.factors import FromBase
from orchestrator.experiment.config import Component, Experiment, File
from orchestrator.experiment.identity import CompletedExperiment
from orchestrator.recipes.families import PRETRAINED, Family, is_laptop


def other_sounds(experiment: CompletedExperiment) -> CompletedExperiment:
    """Return the trial whose weights a laptop's arm starts from.

    It is the same experiment on kinds of sound that no sweep uses: synthetic classes 10 to 19,
    seed 100.
    """
    dataset = pinned(Component("synthetic", first_class=10))
    return dataclasses.replace(experiment, dataset=dataset, seed=100, fold=1)


def trained_first(base: Experiment) -> tuple[Experiment, ...]:
    """Return the trials that a laptop sweep's pretrained arms start from."""
    families = PRETRAINED if is_laptop(base) else ()
    return tuple(other_sounds(family.experiment(base)) for family in families)


def pretrained(family: Family) -> FromBase:
    """Return the initial weights of a family's pretrained arm.

    The file is the family's published one, fetched once, or the one named by an environment
    variable such as `HTSAT_CHECKPOINT`. Without either, building the arm raises a `ConfigError`.
    """

    def initial(base: Experiment) -> Component:
        if is_laptop(base):
            return Component("trial", id=other_sounds(family.experiment(base)).id)
        variable = f"{family.name.replace('-', '').upper()}_CHECKPOINT"
        return Component("checkpoint", file=File.read(os.environ.get(variable, family.weights)))

    return FromBase(initial)
