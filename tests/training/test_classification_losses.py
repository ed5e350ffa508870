"""Losses of single clips against their formula and values by hand."""

import math

import pytest
import torch

from models.registry import create
from orchestrator.errors import ConfigError


def test_binary_cross_entropy_is_the_mean_over_classes():
    logits, labels = torch.randn(3, 4), torch.tensor([0, 3, 1])
    p = logits.sigmoid()
    yes = torch.nn.functional.one_hot(labels, 4)
    expected = -(yes * p.log() + (1 - yes) * (1 - p).log()).mean(dim=1)
    torch.testing.assert_close(create("loss", "binary_cross_entropy")(logits, labels), expected)


def odds(*probabilities: float) -> list[float]:
    return [math.log(p / (1 - p)) for p in probabilities]


@pytest.mark.parametrize(
    ("gamma", "expected"),
    [
        (0.0, [0.105361, 0.693147, 2.302585]),  # -ln 0.9, -ln 0.5, -ln 0.1
        (2.0, [0.00105361, 0.173287, 1.865094]),  # times 0.1^2, 0.5^2, 0.9^2
        (0.5, [0.0333180, 0.490129, 2.184410]),  # times the roots of 0.1, 0.5, 0.9
    ],
)
def test_focal_loss_of_one_class_is_that_of_its_probability(gamma, expected):
    logits = torch.tensor([[math.log(9), 0.0], [3.0, 3.0], [0.0, math.log(9)]])
    losses = create("loss", "focal", gamma=gamma)(logits, torch.tensor([0, 1, 0]))
    torch.testing.assert_close(losses, torch.tensor(expected), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # A class that the clip has at 0.9, and one that it has not at 0.8.
        ({"gamma": 0.0, "alpha": None}, [0.105361, 1.609438]),  # -ln 0.9, -ln 0.2
        ({"alpha": None}, [0.00105361, 1.030040]),  # times 0.1^2, 0.8^2
        ({}, [0.000263401, 0.772530]),  # times 1/4, 3/4
    ],
)
def test_binary_focal_loss_counts_each_class(arguments, expected):
    logits, labels = torch.tensor([odds(0.9, 0.8)]), torch.tensor([[1.0, 0.0]])
    loss = create("loss", "binary_focal", **arguments)
    torch.testing.assert_close(loss.by_class(logits, labels)[0], torch.tensor(expected))
    mean = torch.tensor([sum(expected) / 2])
    torch.testing.assert_close(loss(logits, labels), mean)
    torch.testing.assert_close(loss(logits, torch.tensor([0])), mean)  # the clip's one class


@pytest.mark.parametrize("name", ["focal", "binary_focal"])
def test_focal_loss_has_finite_slopes_where_all_is_certain(name):
    logits = torch.tensor([[500.0, -500.0], [-500.0, 500.0]], requires_grad=True)
    losses = create("loss", name, gamma=0.5)(logits, torch.tensor([0, 0]))
    losses.sum().backward()
    assert losses[0] == 0 and losses[1] > 100 and logits.grad.isfinite().all()


def test_focal_loss_without_focus_is_cross_entropy():
    logits, labels = torch.randn(5, 4), torch.randint(4, (5,))
    many = torch.randint(2, (5, 4)).float()
    for plain, focal, targets in (
        ("cross_entropy", create("loss", "focal", gamma=0.0), labels),
        ("binary_cross_entropy", create("loss", "binary_focal", gamma=0.0, alpha=None), many),
    ):
        expected = create("loss", plain)(logits, targets)
        torch.testing.assert_close(focal(logits, targets), expected)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("focal", {"gamma": -1.0}, "gamma=-1.0: it is at least 0"),
        ("binary_focal", {"alpha": 1.0}, "alpha=1.0: it is between 0 and 1, or None"),
    ],
)
def test_focal_loss_refuses_values_out_of_range(name, arguments, said):
    with pytest.raises(ConfigError, match=said):
        create("loss", name, **arguments)
