"""Optimizers and learning-rate schedules as components."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from models.registry import create, register
from orchestrator.errors import ConfigError, TrainingError
from orchestrator.experiment.config import Component

Schedule = Callable[[int], float]
"""Step (from 0) -> learning rate."""


@dataclass(frozen=True)
class ByEpoch:
    """A schedule that counts epochs besides steps.

    Attributes:
        rate: Function of step and epoch, both from 0, to the learning rate.
    """

    rate: Callable[[int, int], float]


def build_schedule(
    component: Component, *, num_steps: int, peak: float, steps_per_epoch: int
) -> Schedule:
    """Build a schedule by name.

    Args:
        component: The schedule of an experiment.
        num_steps: Optimizer steps of the whole training.
        peak: The optimizer's learning rate.
        steps_per_epoch: Optimizer steps of an epoch.
    """
    made = create("schedule", component.name, num_steps, peak, **component.arguments)
    if isinstance(made, ByEpoch):
        return lambda step: made.rate(step, step // steps_per_epoch)
    return made


def learning_rate(schedule: Schedule, step: int, *, name: str) -> float:
    """Return the learning rate of a step.

    Args:
        schedule: Schedule of the training.
        step: Step, from 0.
        name: Name of the schedule in the experiment, for the message.

    Raises:
        TrainingError: The rate is negative or not finite.
    """
    rate = schedule(step)
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise TrainingError(
            f"schedule {name!r} returned a {type(rate).__name__} at step {step}; a learning rate, "
            "a number of at least 0, is needed"
        )
    if not (math.isfinite(rate) and rate >= 0):
        raise TrainingError(
            f"schedule {name!r} returned {rate} at step {step}; a learning rate is a finite number "
            "of at least 0"
        )
    return float(rate)


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> None:
    """Scale all gradients so that their norm is at most `max_norm`.

    As `torch.nn.utils.clip_grad_norm_`, but with the norms of the parameters summed in float64: a
    part whose gradients are all zero must not change how the others' scale is rounded, or a null
    control would differ from its baseline.

    Args:
        parameters: Parameters; those without a gradient are left out.
        max_norm: Largest norm, above 0.
    """
    parameters = list(parameters)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if gradients:
        norms = [torch.linalg.vector_norm(gradient) for gradient in gradients]
        total = torch.linalg.vector_norm(torch.stack(norms).double()).float()
        torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, total)


@register("optimizer")
def adam_w(
    parameters: Iterable[tuple[str, nn.Parameter]],
    *,
    learning_rate: float = 1e-5,
    weight_decay: float = 0.05,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> torch.optim.Optimizer:
    """AdamW with DAT's rule: no decay on one-dimensional parameters and position-bias tables.

    Args:
        parameters: Pairs (name, parameter); those that need no gradient are left out.
        learning_rate: Peak learning rate; the schedule scales it.
        weight_decay: Decoupled weight decay.
        beta1: Decay of the first moment.
        beta2: Decay of the second moment.
        eps: Constant added to the root of the second moment.

    Source: DAT (arXiv 2201.00520), optimizer settings of its ImageNet recipe.
    """
    decayed, others = [], []
    for name, parameter in parameters:
        if parameter.requires_grad:
            plain = parameter.ndim <= 1 or name.endswith("_table")
            (others if plain else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups,
        lr=learning_rate,
        betas=(beta1, beta2),
        eps=eps,
        fused=_can_fuse([*decayed, *others]),
    )


@register("optimizer")
def sgd(
    parameters: Iterable[tuple[str, nn.Parameter]],
    *,
    learning_rate: float = 0.1,
    momentum: float = 0.9,
    weight_decay: float = 1e-5,
    nesterov: bool = False,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum, decay on all parameters.

    Args:
        parameters: Pairs (name, parameter); those that need no gradient are left out.
        learning_rate: Peak learning rate; the schedule scales it.
        momentum: Share of the last step that is kept.
        weight_decay: Share of the parameter that is added to the gradient.
        nesterov: Whether to use Nesterov's momentum, which needs a momentum above 0.
    """
    trained = [parameter for _, parameter in parameters if parameter.requires_grad]
    return torch.optim.SGD(
        trained,
        lr=learning_rate,
        momentum=momentum,
        weight_decay=weight_decay,
        nesterov=nesterov,
        fused=_can_fuse(trained),
    )


@register("optimizer")
def adam(
    parameters: Iterable[tuple[str, nn.Parameter]],
    *,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    amsgrad: bool = False,
) -> torch.optim.Optimizer:
    """Adam with decay on all parameters, as AST, PSLA, PANNs and HTS-AT train.

    Args:
        parameters: Pairs (name, parameter); those that need no gradient are left out.
        learning_rate: Peak learning rate; the schedule scales it.
        weight_decay: Share of the parameter that is added to the gradient, or, decoupled, that is
            taken off times the learning rate.
        decoupled: Whether the decay is AdamW's; Adam's enters the moments.
        beta1: Decay of the first moment.
        beta2: Decay of the second moment.
        eps: Constant added to the root of the second moment.
        amsgrad: Whether the largest second moment so far is used.
    """
    trained = [parameter for _, parameter in parameters if parameter.requires_grad]
    return torch.optim.Adam(
        trained,
        lr=learning_rate,
        betas=(beta1, beta2),
        eps=eps,
        weight_decay=weight_decay,
        amsgrad=amsgrad,
        decoupled_weight_decay=decoupled,
        fused=_can_fuse(trained),
    )


def _can_fuse(parameters: Iterable[nn.Parameter]) -> bool:
    """Whether one kernel can update all parameters; it saves a tenth of a laptop-size step.

    It reads weights, gradients and moments as they lie in memory; those of a checkpoint are
    contiguous.
    """
    return all(p.is_floating_point() and p.is_contiguous() and not p.is_meta for p in parameters)


@register("schedule")
def cosine(
    num_steps: int,
    peak: float,
    *,
    warmup_fraction: float = 0.05,
    final_learning_rate: float = 1e-7,
) -> Schedule:
    """Linear warm-up from zero, then a half cosine down.

    Args:
        num_steps: Optimizer steps of the whole training.
        peak: The optimizer's learning rate.
        warmup_fraction: Share of all steps, at least one step if it is above zero.
        final_learning_rate: Learning rate at the last step; not above the peak.
    """
    warmup = max(1, round(num_steps * warmup_fraction)) if warmup_fraction > 0 else 0
    floor = min(final_learning_rate, peak)

    def rate(step: int) -> float:
        if step < warmup:
            return peak * (step + 1) / warmup
        done = (step - warmup + 1) / max(1, num_steps - warmup)
        return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    return rate


@register("schedule")
def constant(num_steps: int, peak: float) -> Schedule:
    """Keep the optimizer's learning rate at every step."""
    return lambda step: peak


@register("schedule")
def steps(
    num_steps: int,
    peak: float,
    *,
    fractions: tuple[float, ...] = (0.5, 0.75),
    factor: float = 0.1,
) -> Schedule:
    """Multiply the learning rate by a factor at certain points.

    Args:
        num_steps: Optimizer steps of the whole training.
        peak: The optimizer's learning rate, used for the first steps.
        fractions: Points, as shares of all steps.
        factor: Factor of the learning rate at each point.
    """
    points = [round(fraction * num_steps) for fraction in fractions]
    return lambda step: peak * factor ** sum(step >= point for point in points)


@register("schedule")
def epoch_decay(
    num_steps: int,
    peak: float,
    *,
    first: int = 2,
    every: int = 1,
    factor: float = 0.5,
    warmup_steps: int = 0,
    warmup_every: int = 50,
) -> ByEpoch:
    """Multiply the rate by a factor after some epochs, as AST and PSLA do.

    Args:
        num_steps: Optimizer steps of the whole training.
        peak: The optimizer's learning rate.
        first: Epochs before the first drop.
        every: Epochs between drops.
        factor: Factor of the learning rate at each drop.
        warmup_steps: Steps s of a linear warm-up, in which the rate is s / warmup_steps of its own.
        warmup_every: Steps at which the warm-up takes a new rate; the first of them train at 0.

    Raises:
        ConfigError: A number of epochs or steps is too small.

    Source: YuanGongND/ast 31088be (`src/traintest.py`; `MultiStepLR`, 1000 steps of warm-up, a new
    rate every 50).
    """
    if first < 1 or every < 1 or warmup_steps < 0 or warmup_every < 1:
        raise ConfigError(
            f"schedule.first={first}, every={every}, warmup_steps={warmup_steps}, "
            f"warmup_every={warmup_every}: warmup_steps is 0 or more, the others 1 or more"
        )

    def rate(step: int, epoch: int) -> float:
        decayed = peak * factor ** max(0, (epoch - first) // every + 1)
        if step < warmup_steps:
            return decayed * (step - step % warmup_every) / warmup_steps
        return decayed

    return ByEpoch(rate)


@register("schedule")
def piecewise(
    num_steps: int,
    peak: float,
    *,
    starts: tuple[int, ...] = (0, 1, 2, 11, 21, 31),
    factors: tuple[float, ...] = (0.02, 0.05, 0.1, 0.05, 0.02, 0.03),
    unit: Literal["epoch", "step"] = "epoch",
) -> ByEpoch:
    """Give the rate a factor of its own from each of some epochs or steps on.

    The defaults are HTS-AT's, whose rate goes up again after 31 epochs.

    Args:
        num_steps: Optimizer steps of the whole training.
        peak: The optimizer's learning rate, of which the factors are.
        starts: First epoch or step of each factor, from 0, in order.
        factors: Factor of the peak from each start on.
        unit: What the starts count.

    Raises:
        ConfigError: There is not one factor per start, or the starts are not in order from 0.

    Source: RetroCirce/HTS-Audio-Transformer 2e29471 (`sed_model.py`, `lr_foo`).
    """
    ordered = all(a < b for a, b in itertools.pairwise(starts))
    if len(starts) != len(factors) or not starts or starts[0] != 0 or not ordered:
        raise ConfigError(
            f"schedule.starts={starts}, factors={factors}: one factor per start, and the starts in "
            "order from 0"
        )

    def rate(step: int, epoch: int) -> float:
        now = epoch if unit == "epoch" else step
        return peak * factors[bisect.bisect_right(starts, now) - 1]

    return ByEpoch(rate)
