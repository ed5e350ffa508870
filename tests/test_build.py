"""What an experiment's chain is built from, and what is refused."""

import pytest
import torch

import models
from orchestrator.errors import ConfigError
from orchestrator.experiment.config import Component
from orchestrator.training.evaluate import build
from tests import tiny


def two_headed(*heads: int):
    return tiny.experiment(model=Component("slowfast_laptop", heads=heads))


def test_build_refuses_a_model_of_several_heads_and_names_the_way_out():
    with pytest.raises(ConfigError) as caught:
        build(two_headed(4, 6), num_classes=10)
    words = str(caught.value)
    assert "'slowfast_laptop' has heads of (4, 6) classes" in words
    assert "the clips have one class each" in words and "set model.heads to ()" in words


@pytest.mark.parametrize("heads", [(), (10,)], ids=str)
def test_build_takes_a_model_of_one_head(heads):
    chain = build(two_headed(*heads), num_classes=10)
    assert chain.eval()(torch.zeros(1, 8000)).clip_logits.shape == (1, 10)


def test_model_of_several_heads_can_be_made_and_run():
    model = models.create_model("slowfast_laptop", num_classes=10, heads=(4, 6)).eval()
    assert model(torch.zeros(1, 16000)).clip_logits.shape == (1, 10)
