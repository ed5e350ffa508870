"""Recipes of the convolution nets: complete, and each family stands on its own recipe."""

import pytest

from orchestrator import recipes
from orchestrator.experiment.identity import complete
from orchestrator.recipes.families import PSLA, SLOWFAST, VGGSOUND

RECIPES = {
    "PSLA": (PSLA, recipes.psla),
    "SlowFast": (SLOWFAST, recipes.slowfast),
    "VGGSound": (VGGSOUND, recipes.vggsound_resnet),
}


@pytest.mark.parametrize("name", RECIPES)
def test_family_on_its_own_recipe_changes_nothing(name):
    family, recipe = RECIPES[name]
    base = complete(recipe())
    assert family.experiment(base) == base
    assert base.model.name == family.full.name
