"""The recipes of the keyword models are complete, and the parts that they need do what they say."""

import pytest
import torch

from models.registry import create
from orchestrator import recipes
from orchestrator.experiment.config import complete
from orchestrator.training.evaluate import build
from orchestrator.training.losses import build_loss

RECIPES = ("talnet", "kwt_1", "kwt_2", "kwt_3", "res15", "res15_triplet", "erann_2_5")


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_is_complete_and_named_after_its_model(name):
    recipe = complete(getattr(recipes, name)())
    assert recipe.model.name == name
    assert recipe.dataset.arguments["sample_rate"] == recipe.frontend.arguments["sample_rate"]


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


def test_steps_multiply_the_rate_at_the_stated_shares():
    rate = create("schedule", "steps", 10, 0.1, fractions=(0.2, 0.4), factor=0.1)
    assert [round(rate(step), 6) for step in (0, 1, 2, 3, 4, 9)] == [
        *(0.1, 0.1),
        *(0.01, 0.01),
        *(0.001, 0.001),
    ]


def test_sgd_keeps_its_momentum_and_leaves_out_what_is_frozen():
    weight = torch.nn.Parameter(torch.ones(2))
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    pairs = [("weight", weight), ("frozen", frozen)]
    optimizer = create("optimizer", "sgd", pairs, learning_rate=0.5, momentum=0.5, weight_decay=0.0)
    for _ in range(2):
        weight.grad = torch.ones(2)
        optimizer.step()
    # 1 - 0.5 - 0.5 (1 + 0.5)
    torch.testing.assert_close(weight.data, torch.full((2,), -0.25))
    assert torch.equal(frozen, torch.ones(2))


def test_binary_cross_entropy_is_the_mean_over_classes():
    logits, labels = torch.randn(3, 4), torch.tensor([0, 3, 1])
    p = logits.sigmoid()
    yes = torch.nn.functional.one_hot(labels, 4)
    expected = -(yes * p.log() + (1 - yes) * (1 - p).log()).mean(dim=1)
    torch.testing.assert_close(create("loss", "binary_cross_entropy")(logits, labels), expected)
