"""Families in two sizes: every arm can be built, on clips of the base's rate."""

import dataclasses
import warnings

import pytest
import torch

from models.registry import create
from models.zoo.cards import default_parts
from orchestrator import recipes
from orchestrator.experiment.config import Component
from orchestrator.experiment.identity import complete
from orchestrator.experiment.overrides import departures, override
from orchestrator.recipes.families import AST, FAMILIES, HTSAT, PRETRAINED
from orchestrator.recipes.initial_weights import trained_first
from orchestrator.training.evaluate import build

BASES = {
    "full": recipes.datar_tiny(),
    "laptop": recipes.datar_laptop(),
    "htsat full": recipes.htsat_tiny(),
    "htsat laptop": recipes.htsat_laptop(),
}


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_family_stands_on_any_base_and_keeps_its_recipe(family, base):
    experiment = complete(family.experiment(BASES[base]))
    departed = set(departures(BASES[base], experiment))
    assert {path.partition(".")[0] for path in departed} <= {"model", "frontend"}
    assert experiment.model.name.endswith("_laptop") == ("laptop" in base)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an empty mel filter would warn
        if experiment.model.name.endswith("_laptop"):
            chain = build(experiment, num_classes=3).eval()
            clips = torch.zeros(1, 4 * chain.frontend.sample_rate)
            assert chain(clips).clip_logits.shape == (1, 3)


@pytest.mark.parametrize("rate", [16000, 22050, 32000, 44100, 48000])
def test_log_mel_of_a_family_keeps_its_windows_in_time_at_any_rate(rate):
    base = recipes.htsat_tiny()
    base = dataclasses.replace(base, dataset=base.dataset.replace(sample_rate=rate))
    told = HTSAT.frontend(base).arguments
    assert told["win_length"] / rate == pytest.approx(0.032, rel=1e-3)
    assert told["hop_length"] / rate == pytest.approx(0.010, rel=3e-3)
    assert told["n_fft"] >= told["win_length"] and told["f_max"] <= rate / 2


def test_families_front_ends_at_their_own_rate_are_the_published_ones():
    log_mel = HTSAT.frontend(recipes.htsat_tiny())
    assert override(recipes.htsat_tiny(), {"frontend": log_mel}) == override(
        recipes.htsat_tiny(), {"frontend": Component("log_mel")}
    )
    sixteen = dataclasses.replace(
        recipes.datar_tiny(), dataset=Component("synthetic", sample_rate=16000)
    )
    told = AST.experiment(sixteen).frontend.arguments
    assert (told["sample_rate"], told["f_max"], told["num_frames"]) == (16000, 8000.0, 1024)


def test_departures_name_a_swapped_part_once_with_what_it_states():
    base = recipes.datar_laptop()
    said = departures(base, HTSAT.experiment(base))
    assert list(said) == ["frontend", "model"]
    assert said["model"] == "htsat_laptop(drop_path_rate=0.0)"
    adaptor = override(base, {"transform": Component("adaptor"), "epochs": 3})
    assert departures(base, adaptor) == {
        "transform": "adaptor(kernel_size=3, strength=0.005)",
        "epochs": "3",
    }


def test_laptop_trains_one_start_per_family_and_the_full_size_none():
    ids = {experiment.id for experiment in trained_first(BASES["laptop"])}
    assert len(ids) == len(PRETRAINED)
    assert trained_first(BASES["full"]) == ()


def test_names_are_told_apart():
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)


def at_rate(base, rate):
    return dataclasses.replace(base, dataset=base.dataset.replace(sample_rate=rate))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_front_end_at_its_papers_rate_is_the_models_own(family):
    (name, arguments), _ = default_parts(family.full.name)
    front = dataclasses.replace(recipes.datar_tiny(), frontend=Component(name, **arguments))
    own = complete(front).frontend.arguments
    base = at_rate(recipes.htsat_tiny(), own["sample_rate"])
    told = complete(family.experiment(base)).frontend.arguments
    differing = {argument for argument, value in own.items() if told[argument] != value}
    # As long as the base's clips, where the model's own is for words; AST's ends at 8 kHz.
    assert differing <= {"num_frames", "f_max"}


@pytest.mark.parametrize("rate", [16000, 22050, 32000, 44100, 48000])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_front_end_can_be_built_at_any_rate(family, rate):
    told = family.frontend(at_rate(recipes.datar_tiny(), rate))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        front = create("frontend", told.name, **told.arguments)
    assert front.sample_rate == rate
    assert front(torch.zeros(1, rate)).shape[:2] == (1, 1)
