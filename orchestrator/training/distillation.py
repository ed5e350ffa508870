"""Distillation: training against what a trained teacher predicts for the same clips.

The teacher is another trial of the store. Its logits on the clips of the pack are computed once,
without augmentation, and kept with it (`orchestrator.execution.teacher`); a step looks them up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, logsigmoid

from models.registry import create, register
from orchestrator.errors import ConfigError
from orchestrator.experiment.config import Component
from orchestrator.metrics.labels import TargetKind

_Compare = Callable[[Tensor, Tensor], Tensor]
Taught = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From (batch,) losses on labels and (batch, classes) logits of student and teacher to (batch,)
losses on both."""


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """A way to learn from a teacher.

    The loss of a clip is (1 - weight) * loss on its labels + weight * loss on the teacher.

    Attributes:
        weight: Weight of the loss on the teacher; 0 has no teacher.
        one_class: Function of (batch, classes) logits of student and teacher that returns (batch,)
            losses, where a clip has one of the classes.
        any_classes: The same where every class is on its own; None if there is no such loss.
    """

    weight: float = 0.0
    one_class: _Compare | None = None
    any_classes: _Compare | None = None


def build_distillation(
    component: Component, *, kind: TargetKind, heads: Sequence[int] = ()
) -> Taught | None:
    """Build a distillation by name for a data set's targets; None without a teacher.

    Where there are several heads, the loss is computed of each and averaged over them.

    Args:
        component: The distillation of an experiment.
        kind: Kind of the data set's targets.
        heads: Number of classes of each head, if there are several.

    Raises:
        RegistryError: The name or an argument is unknown, or a value has the wrong type.
        ConfigError: A value is out of range, or the distillation is not defined for such targets.
    """
    made: Distillation = create("distillation", component.name, **component.arguments)
    if not made.weight:
        return None
    on_its_own = kind in (TargetKind.MULTI_LABEL, TargetKind.EVENTS)
    compare = made.any_classes if on_its_own else made.one_class
    if compare is None:
        raise ConfigError(
            f"distillation {component.name!r} is not defined for targets of kind {kind}; take "
            "'soft', which takes every kind"
        )
    weight, sizes = made.weight, [*heads]

    def taught(losses: Tensor, student: Tensor, teacher: Tensor) -> Tensor:
        if kind is TargetKind.HEADS:
            split = zip(student.split(sizes, 1), teacher.split(sizes, 1), strict=True)
            from_teacher = torch.stack([compare(*pair) for pair in split]).mean(dim=0)
        else:
            from_teacher = compare(student, teacher)
        return (1 - weight) * losses + weight * from_teacher

    return taught


@register("distillation")
def none() -> Distillation:
    """No teacher."""
    return Distillation()


@register("distillation")
def soft(*, teacher: str, weight: float = 0.5, temperature: float = 1.0) -> Distillation:
    """Learn the teacher's probabilities.

    The loss is T^2 * KL(teacher || student) of the probabilities at temperature T, in nats: of a
    softmax where a clip has one class, and otherwise of the sigmoid of every class, averaged over
    classes. Its gradient is that of the cross entropy with the teacher's probabilities.

    Args:
        teacher: Id of the teacher's trial, or `arm:NAME` in a plan: the trial of that arm with the
            student's seed and fold.
        weight: Weight of this loss, above 0 and up to 1; the labels get the rest.
        temperature: Divisor T of both logits.

    Source: arXiv 1503.02531, section 2, with the factor T^2; for classes on their own arXiv
    2211.04772 (fschmid56/EfficientAT, `ex_audioset.py`: stored logits, T = 1, weight 0.9, and a
    mixed clip learns from the teacher's outputs on both of its clips).
    """
    _hold_weight(weight)
    if not temperature > 0:
        raise ConfigError(f"temperature is {temperature:g}; it must be above 0")

    def one_class(student: Tensor, teacher: Tensor) -> Tensor:
        log_p = (teacher.float() / temperature).log_softmax(dim=1)
        log_q = (student.float() / temperature).log_softmax(dim=1)
        losses = kl_div(log_q, log_p, reduction="none", log_target=True)
        return losses.sum(dim=1) * temperature**2

    def any_classes(student: Tensor, teacher: Tensor) -> Tensor:
        given, made = teacher.float() / temperature, student.float() / temperature
        p = given.sigmoid()
        losses = p * (logsigmoid(given) - logsigmoid(made))
        losses = losses + (1 - p) * (logsigmoid(-given) - logsigmoid(-made))
        return losses.mean(dim=1) * temperature**2

    return Distillation(weight=weight, one_class=one_class, any_classes=any_classes)


@register("distillation")
def hard(*, teacher: str, weight: float = 0.5) -> Distillation:
    """Learn the class that the teacher decides for, as if it were the label.

    Args:
        teacher: See `soft`.
        weight: Weight of the cross entropy with the teacher's class, above 0 and up to 1.

    Source: arXiv 2012.12877, equation 3, where both weights are 1/2, as in arXiv 2104.00769 (KWT),
    there with a distillation token of its own; here one head learns from both.
    """
    _hold_weight(weight)

    def one_class(student: Tensor, teacher: Tensor) -> Tensor:
        return cross_entropy(student.float(), teacher.argmax(dim=1), reduction="none")

    return Distillation(weight=weight, one_class=one_class)


def _hold_weight(weight: float) -> None:
    if not 0 < weight <= 1:
        raise ConfigError(
            f"weight is {weight:g}; the weight of a teacher is above 0, and at most 1"
        )
