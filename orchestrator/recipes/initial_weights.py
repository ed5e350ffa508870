"""What a pretrained arm starts from: a published file, or for a laptop a trial of its own."""

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

    The same experiment on kinds of sound that no sweep uses: classes 10 to 19 of the synthetic
    ones, seed 100.
    """
    dataset = pinned(Component("synthetic", first_class=10))
    return dataclasses.replace(experiment, dataset=dataset, seed=100, fold=1)


def trained_first(base: Experiment) -> tuple[Experiment, ...]:
    """Return the trials that the families' arms of a laptop's sweep start from."""
    families = PRETRAINED if is_laptop(base) else ()
    return tuple(other_sounds(family.experiment(base)) for family in families)


def pretrained(family: Family) -> FromBase:
    """Return the initial weights of a family's pretrained arm.

    The published file is the family's, fetched once, or the one that the environment names: for
    HTS-AT `HTSAT_CHECKPOINT`, and so on. Without either, building the arm is a `ConfigError`.
    """

    def initial(base: Experiment) -> Component:
        if is_laptop(base):
            return Component("trial", id=other_sounds(family.experiment(base)).id)
        variable = f"{family.name.replace('-', '').upper()}_CHECKPOINT"
        return Component("checkpoint", file=File.read(os.environ.get(variable, family.weights)))

    return FromBase(initial)
