"""Parts of somebody's own, which inherit nothing and say as much as they like."""

import copy
import pickle
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import models
from models.chain import Chain, build_chain
from models.errors import ModelError
from models.output import Output
from models.protocols import Backbone, Frontend


class PlainFrontend(nn.Module):
    def __init__(self):
        super().__init__()
        self.num_channels, self.output_size = 1, (4, 0)

    def forward(self, waveform):
        return waveform.unflatten(1, (4, -1))[:, None]


class PlainModel(nn.Module):
    def __init__(self, num_channels=1, input_size=(4, 0), num_classes=3):
        super().__init__()
        self.head = nn.Linear(input_size[0], num_classes)

    def forward(self, features):
        return SimpleNamespace(clip_logits=self.head(features.mean(dim=(1, 3))))


class StatingModel(PlainModel):
    normalizes_input = True
    head_parameters = ("head.weight", "head.bias")
    shown = None

    def set_support(self, embedding, labels):
        self.shown = embedding, labels


class Unspecified(nn.Module):
    num_channels = 1


def chain(model):
    other = models.create_model("cnn6_laptop", num_classes=3)
    return Chain(
        frontend=PlainFrontend(),
        augmentation=other.augmentation,
        transform=other.transform,
        model=model,
    )


def test_plain_parts_are_taken_for_the_defaults():
    built = chain(PlainModel())
    assert built.backbone == Backbone()
    assert built.front == Frontend(num_channels=1, output_size=(4, 0))
    output = built(torch.randn(2, 40))
    assert isinstance(output, Output)
    assert output.clip_logits.shape == (2, 3)
    assert (output.frame_logits, output.embedding) == (None, None)


def test_what_a_plain_model_says_is_read():
    built = chain(StatingModel())
    built.set_normalization(5.0, 2.0)
    waveform = torch.randn(2, 40)
    assert torch.equal(built.features(waveform), built.frontend(waveform))
    built.backbone.set_support(torch.zeros(1, 2), torch.zeros(1))
    assert built.model.shown is not None


def test_copies_speak_for_themselves():
    built = chain(StatingModel())
    for other in (copy.deepcopy(built), pickle.loads(pickle.dumps(built))):
        other.backbone.set_support(torch.zeros(1, 2), torch.zeros(1))
        assert other.model.shown is not None
    assert built.model.shown is None


def test_plain_parts_are_built_by_module_and_attribute():
    built = build_chain(
        frontend=(f"{__name__}:PlainFrontend", {}),
        augmentation=("none", {}),
        transform=("identity", {}),
        model=(f"{__name__}:PlainModel", {}),
        num_classes=3,
        seed=0,
    )
    assert built(torch.randn(2, 40)).clip_logits.shape == (2, 3)
    assert built.parts["model"]["name"] == f"{__name__}:PlainModel"


def test_front_end_that_does_not_say_its_size_is_refused():
    with pytest.raises(ModelError, match="Unspecified does not say what it makes: num_channels"):
        Frontend.of(Unspecified())


def test_compiled_chain_takes_weights_as_a_plain_one_does():
    one, other = chain(StatingModel()), chain(StatingModel())
    report = models.load_state(torch.compile(other), one.state_dict(), source="one")
    assert report.missing == () and not report.skipped
    assert torch.equal(one.model.head.weight, other.model.head.weight)
