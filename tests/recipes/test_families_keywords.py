"""The families of TALNet, the keyword models, ERANN and AudioSet's early systems."""

import dataclasses
import warnings

import pytest
import torch

from models.registry import create
from models.zoo.cards import default_parts
from orchestrator import recipes
from orchestrator.experiment.config import Component, complete
from orchestrator.recipes.families import KEYWORDS

BASES = {
    "full": recipes.datar_tiny(),
    "laptop": recipes.datar_laptop(),
    "htsat full": recipes.htsat_tiny(),
}


def at_rate(base, rate):
    return dataclasses.replace(base, dataset=base.dataset.replace(sample_rate=rate))


@pytest.mark.parametrize("family", KEYWORDS, ids=lambda family: family.name)
def test_front_end_at_its_papers_rate_is_the_models_own(family):
    (name, arguments), _ = default_parts(family.full.name)
    rate = arguments.get("sample_rate", 44100 if family.name == "ERANN" else 16000)
    base = at_rate(BASES["full"], rate)
    own = dataclasses.replace(base, frontend=Component(name, **arguments))
    told = complete(family.experiment(base)).frontend.arguments
    differing = {k for k, v in complete(own).frontend.arguments.items() if told[k] != v}
    # As long as the base's clips, where the model's own is for words; AST's ends at 8 kHz.
    assert differing <= {"num_frames", "f_max"}


@pytest.mark.parametrize("rate", [16000, 22050, 32000, 44100, 48000])
@pytest.mark.parametrize("family", KEYWORDS, ids=lambda family: family.name)
def test_front_end_can_be_built_at_any_rate(family, rate):
    told = family.frontend(at_rate(BASES["full"], rate))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        front = create("frontend", told.name, **told.arguments)
    assert front.sample_rate == rate
    assert front(torch.zeros(1, rate)).shape[:2] == (1, 1)
