"""What a student's loss on its teacher is, against values computed by hand and by PyTorch."""

import math

import pytest
import torch
from torch.nn import functional

from models.registry import RegistryError
from orchestrator.errors import ConfigError
from orchestrator.experiment.config import Component
from orchestrator.metrics.labels import TargetKind
from orchestrator.training.distillation import build_distillation

TEACHER = "0123456789abcdef"
STUDENT_LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]])
TEACHER_LOGITS = torch.tensor([[0.0, 4.0, 1.0], [1.0, -2.0, 2.0]])
LOSSES = torch.tensor([0.3, 0.7])


def loss(name: str, kind: TargetKind = TargetKind.SINGLE_LABEL, heads=(), **arguments):
    component = Component(name, teacher=TEACHER, **arguments)
    taught = build_distillation(component, kind=kind, heads=heads)
    assert taught is not None
    return taught(LOSSES, STUDENT_LOGITS, TEACHER_LOGITS)


def by_hand(student: list[float], teacher: list[float], temperature: float) -> float:
    """T^2 * KL of two softmaxes, in plain floats."""

    def softmax(logits):
        powers = [math.exp(logit / temperature) for logit in logits]
        return [power / sum(powers) for power in powers]

    pairs = zip(softmax(teacher), softmax(student), strict=True)
    return temperature**2 * sum(p * math.log(p / q) for p, q in pairs)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_soft_distillation_of_one_class_is_the_divergence_of_hinton(temperature):
    rows = zip(STUDENT_LOGITS.tolist(), TEACHER_LOGITS.tolist(), strict=True)
    expected = torch.tensor([by_hand(*row, temperature) for row in rows])
    made = loss("soft", weight=0.75, temperature=temperature)
    torch.testing.assert_close(made, 0.25 * LOSSES + 0.75 * expected)


@pytest.mark.parametrize("kind", [TargetKind.MULTI_LABEL, TargetKind.EVENTS])
def test_soft_distillation_of_any_classes_has_the_gradient_of_efficient_at(kind):
    """At temperature 1, binary cross entropy with the teacher's sigmoid, less its entropy."""
    p = TEACHER_LOGITS.sigmoid()
    expected, least = (
        functional.binary_cross_entropy_with_logits(logits, p, reduction="none").mean(dim=1)
        for logits in (STUDENT_LOGITS, TEACHER_LOGITS)
    )
    made = loss("soft", kind, weight=0.9)
    torch.testing.assert_close(made, 0.1 * LOSSES + 0.9 * (expected - least))
    same = build_distillation(Component("soft", teacher=TEACHER, weight=1.0), kind=kind)
    assert same is not None
    torch.testing.assert_close(same(LOSSES, TEACHER_LOGITS, TEACHER_LOGITS), torch.zeros(2))


def test_hard_distillation_takes_the_class_that_the_teacher_decides_for():
    expected = functional.cross_entropy(STUDENT_LOGITS, torch.tensor([1, 2]), reduction="none")
    torch.testing.assert_close(loss("hard"), 0.5 * LOSSES + 0.5 * expected)


def test_heads_are_distilled_one_by_one_and_averaged():
    rows = zip(STUDENT_LOGITS.tolist(), TEACHER_LOGITS.tolist(), strict=True)
    expected = [
        (by_hand(one[:2], other[:2], 2.0) + by_hand(one[2:], other[2:], 2.0)) / 2
        for one, other in rows
    ]
    made = loss("soft", TargetKind.HEADS, (2, 1), weight=1.0, temperature=2.0)
    torch.testing.assert_close(made, torch.tensor(expected))


def test_wrong_distillation_is_refused_with_the_way_out():
    assert build_distillation(Component("none"), kind=TargetKind.EVENTS) is None
    with pytest.raises(ConfigError, match="'hard' is not defined for targets of kind multi_label"):
        loss("hard", TargetKind.MULTI_LABEL)
    with pytest.raises(ConfigError, match="weight is 0; the weight of a teacher is above 0"):
        loss("soft", weight=0.0)
    with pytest.raises(ConfigError, match="temperature is 0; it must be above 0"):
        loss("soft", temperature=0.0)
    with pytest.raises(RegistryError, match="has no argument"):
        loss("hard", temperature=2.0)
