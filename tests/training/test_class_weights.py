"""Weights of classes against values by hand, and what they do to a loss."""

import math

import numpy as np
import pytest
import torch

from models.output import Output
from models.registry import create
from orchestrator.errors import ConfigError
from orchestrator.experiment.config import Component
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.targets import Targets
from orchestrator.training.class_weights import weigh_classes
from orchestrator.training.losses import build_loss

CPU = torch.device("cpu")
COUNTED = Targets.of_labels([0] + [2] * 10, num_classes=3)
"""One clip of class 0, none of class 1, ten of class 2."""


def weights_of(name: str, targets: Targets = COUNTED, **arguments) -> list[list[float]]:
    made = weigh_classes(Component(name, **arguments), targets, device=CPU)
    return [one.tolist() for one in made]


@pytest.mark.parametrize(
    ("name", "arguments", "ratio"),
    [
        ("inverse_frequency", {}, 10.0),
        ("inverse_frequency", {"power": 0.5}, 10**0.5),
        ("effective_number", {"beta": 0.0}, 1.0),
        ("effective_number", {"beta": 0.9}, 6.5132156),  # 1 + 0.9 + ... + 0.9^9
        ("effective_number", {"beta": 0.9999}, 9.9955012),
        ("tests.training.test_class_weights:squares", {}, 100.0),
    ],
)
def test_rare_class_weighs_more_by_its_ratio_and_the_mean_is_1(name, arguments, ratio):
    ((rare, absent, frequent),) = weights_of(name, **arguments)
    assert rare / frequent == pytest.approx(ratio, rel=1e-5)
    assert (rare + frequent) / 2 == pytest.approx(1) and absent == 1


def squares(counts):
    """A rule of one's own."""
    return counts**-2


def negative(counts):
    """A rule of one's own that is wrong."""
    return -counts


def test_clips_of_several_classes_count_for_each_and_heads_apart():
    many = Targets.of([(0,), (0, 1), (), (0, 1), (0,)], num_classes=2, kind=TargetKind.MULTI_LABEL)
    assert weights_of("inverse_frequency", many) == [pytest.approx([2 / 3, 4 / 3])]
    heads = {"verb": 2, "noun": 3}
    pairs = Targets.of([(0, 2), (0, 3), (1, 4)], num_classes=5, heads=heads)
    verbs, nouns = weights_of("inverse_frequency", pairs)
    assert (verbs, nouns) == (pytest.approx([2 / 3, 4 / 3]), [1, 1, 1])
    assert weights_of("none") == []


LOGITS = torch.tensor([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]])
WEIGHTS = (torch.tensor([0.5, 2.0, 0.5]),)


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "binary_cross_entropy", "binary_focal"])
def test_clip_of_one_class_counts_by_the_weight_of_its_class(name):
    loss, plain = build_loss(Component(name), class_weights=WEIGHTS), build_loss(Component(name))
    labels = torch.tensor([1, 2])
    expected = torch.tensor([2.0, 0.5]) * plain(Output(LOGITS), labels)
    torch.testing.assert_close(loss(Output(LOGITS), labels), expected)


@pytest.mark.parametrize("kind", ["multi_label", "events"])
def test_term_of_each_class_counts_by_its_weight_where_clips_have_any_number(kind):
    loss = build_loss(
        Component("binary_cross_entropy"), kind=TargetKind(kind), class_weights=WEIGHTS
    )
    made = loss(Output(torch.zeros(1, 3)), torch.tensor([[1.0, 0.0, 1.0]]))
    torch.testing.assert_close(made, torch.tensor([math.log(2) * (0.5 + 2 + 0.5) / 3]))


def test_each_head_counts_by_the_weight_of_its_own_class():
    loss = build_loss(
        Component("cross_entropy"),
        kind=TargetKind.HEADS,
        heads=(2, 3),
        class_weights=(torch.tensor([0.5, 1.5]), torch.tensor([1.0, 0.25, 1.75])),
    )
    made = loss(Output(torch.zeros(2, 5)), torch.tensor([[0, 1], [1, 2]]))
    expected = [(0.5 * math.log(2) + 0.25 * math.log(3)) / 2]
    expected += [(1.5 * math.log(2) + 1.75 * math.log(3)) / 2]
    torch.testing.assert_close(made, torch.tensor(expected))


@pytest.mark.parametrize(
    ("loss", "kind", "said"),
    [
        ("triplet", "single_label", "take cross_entropy or focal, or class_weights"),
        ("frame_binary_cross_entropy", "events", "take binary_cross_entropy or binary_focal, or"),
        ("tests.own_parts:Loss", "multi_label", "no class weights on targets of kind multi_label"),
        ("tests.training.test_losses:Whole", "heads", "on targets of kind heads"),
    ],
)
def test_loss_that_no_class_weighs_is_refused_with_those_that_are(loss, kind, said):
    heads = {"heads": (2, 1)} if kind == "heads" else {}
    with pytest.raises(ConfigError, match=said):
        build_loss(Component(loss), kind=TargetKind(kind), class_weights=WEIGHTS, **heads)
    build_loss(Component(loss), kind=TargetKind(kind), **heads)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("effective_number", {"beta": 1.0}, r"beta=1.0: it is in \[0, 1\)"),
        ("inverse_frequency", {"power": 0.0}, "power=0.0: it is above 0"),
        ("tests.training.test_class_weights:negative", {}, "one finite number above 0 is needed"),
    ],
)
def test_wrong_rule_is_refused(name, arguments, said):
    with pytest.raises(ConfigError, match=said):
        weights_of(name, **arguments)


def test_rule_of_no_clips_gets_no_counts():
    empty = Targets.of([(), ()], num_classes=2, kind=TargetKind.MULTI_LABEL)
    assert weights_of("inverse_frequency", empty) == [[1, 1]]
    assert create("class_weights", "effective_number", np.array([1.0, 1.0])).tolist() == [1, 1]
