"""A checkpoint that says what it was trained as goes into nothing else."""

import json
from functools import partial

import pytest
import torch
from safetensors.torch import save_file

from models.chain import build_chain
from models.checkpoints.load import load_pretrained, load_state
from models.errors import CheckpointError
from models.registry import create

datar_laptop = partial(create, "model", "datar_laptop")

FRONTEND = {"n_mels": 32, "num_frames": 32, "sample_rate": 16000}
MODEL = {"depths": (1, 1, 1, 1), "dims": (8, 8, 16, 16), "head_dim": 8, "groups": (1, 2)}
# As an experiment's canonical form has them: complete, sorted, lists for tuples.
TRAINED = {
    "trial": "0123456789abcdef",
    "experiment": {
        "frontend": {
            "name": "kaldi_fbank",
            "arguments": {
                "f_max": 0.0,
                "f_min": 20.0,
                "frame_length_ms": 25.0,
                "frame_shift_ms": 10.0,
                "n_mels": 32,
                "num_frames": 32,
                "preemphasis": 0.97,
                "sample_rate": 16000,
            },
        },
        "augmentation": {
            "name": "spec_augment",
            "arguments": {"freq_mask": 4, "time_mask": 4},
        },
        "transform": {"name": "adaptor", "arguments": {"kernel_size": 3, "strength": 0.05}},
        "model": {
            "name": "datar_laptop",
            "arguments": {
                "deformable": True,
                "depths": [1, 1, 1, 1],
                "dims": [8, 8, 16, 16],
                "drop_path_rate": 0.2,
                "groups": [1, 2],
                "head_dim": 8,
                "offset_range_factor": 2.0,
                "relative_position_bias": True,
                "resize": [],
                "stride": 1,
                "window_size": 4,
            },
        },
        "seed": 3,
    },
    "num_classes": 3,
    "class_names": ["cat", "dog", "owl"],
    "input_size": [32, 32],
    "mean": -3.0,
    "std": 2.0,
}


def chain(*, num_classes=3, seed=1, **changes):
    parts = {
        "frontend": ("kaldi_fbank", FRONTEND),
        "augmentation": ("spec_augment", {"freq_mask": 4, "time_mask": 4}),
        "transform": ("adaptor", {"strength": 0.05}),
        "model": ("datar_laptop", MODEL),
    }
    return build_chain(**(parts | changes), num_classes=num_classes, seed=seed)


@pytest.fixture
def trained():
    built = chain(seed=0)
    built.set_normalization(-3.0, 2.0)
    torch.nn.init.normal_(built.transform.conv.weight, generator=torch.Generator().manual_seed(0))
    return built.eval()


@pytest.fixture
def path(trained, tmp_path):
    save_file(trained.state_dict(), tmp_path / "x.safetensors", {"trained_as": json.dumps(TRAINED)})
    return tmp_path / "x.safetensors"


def clips():
    return 0.1 * torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))


def refused(target, path, **options):
    """The message of a refusal that changed nothing."""
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_pretrained(target, path, **options)
    assert all(torch.equal(value, before[n]) for n, value in target.state_dict().items())
    return str(caught.value)


def test_chain_built_as_the_file_says_is_restored_with_its_class_names(trained, path):
    built = chain().eval()
    report = load_pretrained(built, path)
    assert (report.missing, report.skipped, report.resized) == ((), {}, {})
    assert "trained as: trial 0123456789abcdef, datar_laptop(" in report.summary()
    assert built.class_names == ("cat", "dog", "owl")
    assert torch.equal(built(clips()).clip_logits, trained(clips()).clip_logits)


DIFFERENT = {
    "strength": (
        {"transform": ("adaptor", {"strength": 0.2})},
        ["transform.strength: 0.05 in the file, 0.2 in the chain"],
    ),
    "another part": (
        {"transform": ("identity", {})},
        ["transform: adaptor(kernel_size=3, strength=0.05) in the file, identity() in the chain"],
    ),
    "front end": (
        {"frontend": ("kaldi_fbank", FRONTEND | {"sample_rate": 22050, "preemphasis": 0.9})},
        [
            "frontend.sample_rate: 16000 in the file, 22050 in the chain",
            "frontend.preemphasis: 0.97 in the file, 0.9 in the chain",
        ],
    ),
    "augmentation": (
        {"augmentation": ("none", {})},
        ["augmentation: spec_augment(freq_mask=4, time_mask=4) in the file, none() in the chain"],
    ),
    "model": (
        {"model": ("datar_laptop", MODEL | {"offset_range_factor": 1.0})},
        ["model.offset_range_factor: 2.0 in the file, 1.0 in the chain"],
    ),
    "classes": ({"num_classes": 4}, ["num_classes: 3 in the file, 4 in the chain"]),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_chain_that_differs_anywhere_is_refused_with_all_differences(case, path):
    changes, expected = DIFFERENT[case]
    message = refused(chain(**changes), path)
    assert all(line in message for line in expected), message
    assert "take='backbone'" in message and "orchestrator.load_model" in message


def test_normalization_that_was_set_to_other_statistics_is_refused(path):
    target = chain()
    target.set_normalization(-4.0, 2.0)
    assert "mean: -3.0 in the file, -4.0 in the chain" in refused(target, path)
    target.set_normalization(-3.0, 2.0)
    load_pretrained(target, path)


def test_link_that_was_swapped_by_hand_is_refused(path):
    target = chain()
    target.transform = type(target.transform)(1, strength=0.05)
    assert "transform: adaptor(kernel_size=3, strength=0.05) in the file" in refused(target, path)


def test_backbone_alone_leaves_the_rest_of_the_chain(trained, path):
    target = chain(
        num_classes=7,
        transform=("adaptor", {"strength": 0.2}),
        model=("datar_laptop", MODEL | {"drop_path_rate": 0.0}),
    )
    target.set_normalization(-4.0, 1.0)
    before = target.transform.conv.weight.clone()
    report = load_pretrained(target, path, take="backbone")
    assert set(report.missing) == {"head.weight", "head.bias"}
    assert report.skipped["mean"] == "belongs to the chain around the model"
    assert torch.equal(target.transform.conv.weight, before)
    assert (target.mean.item(), target.std.item()) == (-4.0, 1.0)
    assert torch.equal(target.model.stem.conv.weight, trained.model.stem.conv.weight)


@pytest.mark.parametrize("whole", [True, False], ids=["of a chain", "bare"])
def test_backbone_of_another_kind_is_refused(whole, path):
    built = chain(model=("datar_laptop", MODEL | {"offset_range_factor": 1.0}))
    message = refused(built if whole else built.model, path, take="backbone")
    assert "model.offset_range_factor: 2.0 in the file, 1.0 in the model" in message
    other = chain(model=("res15_laptop", {}))
    assert "res15_laptop(" in refused(other if whole else other.model, path, take="backbone")


def test_model_built_by_hand_takes_the_backbone_and_the_report_says_what_it_is(path):
    model = datar_laptop(1, (32, 32), 3, **MODEL)
    assert "does not say how it was built: compare them" in load_pretrained(model, path).trained_as


def test_checkpoint_that_does_not_say_loads_and_the_report_says_so(trained, tmp_path):
    save_file(trained.state_dict(), tmp_path / "old")
    report = load_pretrained(chain(transform=("adaptor", {"strength": 0.2})), tmp_path / "old")
    assert "trained as: the file does not say" in report.summary()
    save_file(trained.model.state_dict(), tmp_path / "model")
    assert load_pretrained(chain(), tmp_path / "model").trained_as == ""


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        "{}",
        json.dumps(TRAINED | {"experiment": {}}),
        json.dumps(TRAINED | {"std": None}),
        json.dumps(TRAINED | {"mean": float("nan")}),
        json.dumps(TRAINED | {"class_names": [1]}),
    ],
)
def test_metadata_that_is_damaged_is_refused(text, trained, tmp_path):
    save_file(trained.state_dict(), tmp_path / "x", {"trained_as": text})
    assert "metadata 'trained_as' is damaged" in refused(chain(), tmp_path / "x")


def test_take_of_another_name_is_refused(path):
    assert "take='head': one of 'all', 'backbone'" in refused(chain(), path, take="head")


def triplet(num_classes=4):
    arguments = {"dim": 6, "depth": 4, "neighbours": 3}
    return create("model", "res15_triplet", 1, (12, 0), num_classes, **arguments).eval()


def test_model_that_has_a_support_set_is_restored_whole(tmp_path):
    one, other, features = triplet(), triplet(), torch.randn(5, 1, 12, 20)
    labels = torch.tensor([0, 1, 2, 3, 0])
    with torch.no_grad():
        one.set_support(one(features).embedding, labels)
        save_file(one.state_dict(), tmp_path / "whole")
        report = load_pretrained(other, tmp_path / "whole")
        assert (report.missing, report.skipped) == ((), {})
        assert torch.equal(other.memory_labels, labels)
        assert torch.equal(other(features).clip_logits, one(features).clip_logits)


def test_other_weights_forget_the_support_set(tmp_path):
    one, other = triplet(), triplet()
    other.set_support(torch.eye(6)[:2], torch.tensor([0, 1]))
    save_file(one.state_dict(), tmp_path / "unasked")
    load_pretrained(other, tmp_path / "unasked")
    assert len(other.memory) == len(other.memory_labels) == 0


def test_support_sets_of_other_classes_or_trainings_are_left_out():
    one = triplet()
    one.set_support(torch.eye(6)[:2], torch.tensor([0, 3]))
    for target, take in ((triplet(2), "all"), (triplet(), "backbone")):
        report = load_state(target, one.state_dict(), source="x", take=take)
        assert report.skipped.keys() >= {"memory", "memory_labels"}
        assert not len(target.memory)


@pytest.mark.parametrize(
    "damage",
    [
        {"memory": torch.zeros(2, 5)},
        {"memory": torch.zeros(3, 6)},
        {"memory_labels": torch.tensor([0, 4])},
        {"memory_labels": torch.tensor([0.0, 1.0])},
    ],
    ids=str,
)
def test_support_sets_that_fit_no_model_are_refused_and_change_nothing(damage):
    one, target = triplet(), triplet()
    one.set_support(torch.eye(6)[:2], torch.tensor([0, 3]))
    before = target.stem.weight.clone()
    with pytest.raises(CheckpointError, match="support set of shape"):
        load_state(target, {**one.state_dict(), **damage}, source="x")
    assert torch.equal(target.stem.weight, before)
