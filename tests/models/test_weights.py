"""The list of published weights is whole, and says what can be checked."""

import re

import pytest

from models import list_models
from models.registry import lookup
from models.zoo.cards import WEIGHTS, weights_of

# From the records of the publishers: Zenodo 3987831, and the file names of dl.fbaipublicfiles.com.
STATED = {
    "cnn6_audioset": "e25e26b8",
    "cnn10_audioset": "bfb1f1f9",
    "cnn14_audioset": "541141fa",
    "cnn14_audioset_16k": "362fc5ff",
    "cnn14_decision_level_max_audioset": "70539c43",
    "cnn14_decision_level_att_audioset": "c8281ca2",
    "resnet38_audioset": "bf12f36a",
    "deit_base384_imagenet": "d0272ac0",
}
PLAIN_LICENSES = ("Apache-2.0", "BSD-3-Clause", "MIT", "CC-BY-4.0")


@pytest.mark.parametrize("name", WEIGHTS)
def test_entry_is_whole_and_names_what_exists(name):
    weights = WEIGHTS[name]
    assert weights.name == name
    assert weights.model in list_models()
    assert set(weights.arguments) <= set(lookup("model", weights.model).arguments)
    assert weights.url.startswith(("https://", "http://"))
    assert weights.page.startswith("https://")
    assert weights.license in {*PLAIN_LICENSES, "CC-BY-NC-SA-4.0"}
    assert re.fullmatch(r"([0-9a-f]{32})?", weights.md5)
    assert re.fullmatch(r"([0-9a-f]{8,64})?", weights.sha256)
    if weights.frontend[0]:
        frontend, arguments = weights.frontend
        assert set(arguments) <= set(lookup("frontend", frontend).arguments)


def test_file_names_differ_so_that_they_share_a_folder():
    assert len({weights.filename for weights in WEIGHTS.values()}) == len(WEIGHTS)


@pytest.mark.parametrize(("name", "digits"), STATED.items())
def test_checksum_is_the_stated_one(name, digits):
    weights = WEIGHTS[name]
    assert (weights.md5 or weights.sha256).startswith(digits)


def test_weights_of_a_model_are_found_and_a_laptop_size_has_none():
    assert [weights.name for weights in weights_of("cnn14")] == [
        "cnn14_audioset",
        "cnn14_audioset_16k",
    ]
    assert weights_of("datar_laptop") == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("talnet_audioset", "chain.model.set_input_statistics(mean, std)"),
        ("res15_speech_commands_12_triplet", "chain.model.set_support(embedding, labels)"),
        ("res15_speech_commands_35_triplet", "64 log-mels of NeMo"),
        ("slowfast_epic", "24000 Hz"),
        ("dat_tiny_imagenet", "chain.set_normalization(mean, std)"),
        ("cnn14_audioset", ""),
    ],
)
def test_remark_says_what_loading_alone_leaves_undone(name, words):
    assert words in WEIGHTS[name].remark
    assert bool(words) == bool(WEIGHTS[name].remark)
