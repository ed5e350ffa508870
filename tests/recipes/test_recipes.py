"""Recipes are complete, take a step, and are what their family is on its own."""

import pytest
import torch

from models.registry import create
from orchestrator import recipes
from orchestrator.experiment.identity import complete
from orchestrator.recipes.families import PSLA, SLOWFAST, VGGSOUND
from orchestrator.training.evaluate import build
from orchestrator.training.losses import build_loss

RECIPES = [name for name in recipes.__all__ if name != "PAPERS"]
MODELS = {
    "psla": "psla_b2",
    "slowfast": "slowfast_r50",
    "vggsound_resnet": "vggsound_resnet18",
    **{name: recipe.build().model.name for name, recipe in recipes.PAPERS.items()},
}
OWN = {PSLA: recipes.psla, SLOWFAST: recipes.slowfast, VGGSOUND: recipes.vggsound_resnet}


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_is_complete_and_named_after_its_model(name):
    recipe = complete(getattr(recipes, name)())
    assert recipe.model.name == MODELS.get(name, name)
    rate = recipe.dataset.arguments["sample_rate"]
    # DATAR's filterbank is told another rate than its clips have, as in its paper.
    full_datar = name.startswith("datar_") and name != "datar_laptop"
    expected = 43000 if full_datar else rate
    assert recipe.frontend.arguments["sample_rate"] == expected


@pytest.mark.parametrize("name", ["talnet", "kwt_1", "res15", "res15_triplet"])
def test_recipe_takes_a_step(name):
    recipe = complete(getattr(recipes, name)())
    chain = build(recipe, num_classes=4)
    optimizer = create(
        "optimizer",
        recipe.optimizer.name,
        list(chain.named_parameters()),
        **recipe.optimizer.arguments,
    )
    before = [parameter.clone() for parameter in chain.parameters()]
    output, labels = chain(0.1 * torch.randn(3, 16000)), torch.tensor([0, 3, 0])
    build_loss(recipe.loss)(output, labels).sum().backward()
    optimizer.step()
    after = list(chain.parameters())
    assert any(not torch.equal(one, two) for one, two in zip(before, after, strict=True))


@pytest.mark.parametrize("family", OWN, ids=lambda family: family.name)
def test_family_on_its_own_recipe_changes_nothing(family):
    base = complete(OWN[family]())
    assert family.experiment(base) == base
    assert base.model.name == family.full.name
