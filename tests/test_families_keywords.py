"""The families of TALNet, the keyword models, ERANN and AudioSet's early systems."""

import dataclasses
import warnings

import pytest
import torch

from models.factory import default_parts
from models.registry import create
from orchestrator import baselines
from orchestrator.config import Component, complete
from orchestrator.evaluate import build
from orchestrator.families import FAMILIES
from orchestrator.families_keywords import KEYWORDS
from orchestrator.overrides import departures

BASES = {
    "full": baselines.datar_tiny(),
    "laptop": baselines.datar_laptop(),
    "htsat full": baselines.htsat_tiny(),
}


def at_rate(base, rate):
    return dataclasses.replace(base, dataset=base.dataset.replace(sample_rate=rate))


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("family", KEYWORDS, ids=lambda family: family.name)
def test_family_stands_on_any_base_and_keeps_its_recipe(family, base):
    experiment = complete(family.experiment(BASES[base]))
    departed = set(departures(BASES[base], experiment))
    assert {path.partition(".")[0] for path in departed} <= {"model", "frontend"}
    assert experiment.model.name.endswith("_laptop") == ("laptop" in base)
    if "laptop" in base:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an empty mel filter would warn
            chain = build(experiment, num_classes=3).eval()
        seconds = torch.zeros(1, 4 * chain.frontend.sample_rate)
        assert chain(seconds).clip_logits.shape == (1, 3)


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


def test_names_are_told_apart():
    names = [family.name for family in (*FAMILIES, *KEYWORDS)]
    assert len(set(names)) == len(names)
