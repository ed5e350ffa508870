"""The log of a recipe: what its authors published, and what the recipe does with the clips at hand.

Authors publish few figures of data and of a first epoch (`Recipe.log`). How clips are drawn and
mixed, and at which rates, follows from the recipe itself, once it is known on which clips.
"""

from __future__ import annotations

import math

from models.registry import create
from orchestrator.data import Pack
from orchestrator.data.partition import partition
from orchestrator.doctor.facts import Logged
from orchestrator.doctor.log import ALWAYS, Log
from orchestrator.doctor.observe import setup_facts
from orchestrator.experiment.identity import CompletedExperiment, complete
from orchestrator.recipes.recipe import Recipe
from orchestrator.training.optimizers import build_schedule


def recipe_log(recipe: Recipe, pack: Pack, target: CompletedExperiment) -> Log:
    """Return what a recipe's training looks like in its first epoch.

    Args:
        recipe: The recipe.
        pack: The clips that are compared.
        target: The experiment that is compared, whose training clips and seed are taken.
    """
    experiment = complete(recipe.build()).at(fold=target.fold, seed=target.seed)
    train = partition(pack, target).train
    targets = pack.targets.take(train)
    steps = math.ceil(len(train) / experiment.batch_size)
    sampler, mixup = (
        create("sampler", experiment.sampler.name, targets, **experiment.sampler.arguments),
        create("mixup", experiment.mixup.name, **experiment.mixup.arguments),
    )
    rate = build_schedule(
        experiment.schedule,
        num_steps=steps * experiment.epochs,
        peak=experiment.optimizer.arguments["learning_rate"],
        steps_per_epoch=steps,
    )
    settings = setup_facts(
        sampler,
        mixup,
        rate,
        targets=targets,
        class_names=pack.class_names,
        experiment=experiment,
        steps=steps,
    )
    published = {
        key: Logged(values=(figure.value,), tolerance=figure.tolerance)
        for key, figure in recipe.log.items()
    }
    given = {key: Logged(values=(value,)) for key, value in settings.items()}
    return Log(of=f"recipe {recipe.name} ({recipe.source})", facts={**ALWAYS, **given, **published})
