"""Recipes of the convolution nets: complete, and each family stands on its own recipe."""

import pytest

from orchestrator import baselines
from orchestrator.config import complete
from orchestrator.families import PSLA, SLOWFAST, VGGSOUND

RECIPES = {
    "PSLA": (PSLA, baselines.psla),
    "SlowFast": (SLOWFAST, baselines.slowfast),
    "VGGSound": (VGGSOUND, baselines.vggsound_resnet),
}


@pytest.mark.parametrize("name", RECIPES)
def test_family_on_its_own_recipe_changes_nothing(name):
    family, recipe = RECIPES[name]
    base = complete(recipe())
    assert family.experiment(base) == base
    assert base.model.name == family.full.name
