"""How much the classes count in the loss, from the training clips that have each.

A rule takes (classes,) counts above 0 and returns (classes,) float64 weights above 0, of which only
the ratios count: they are scaled to a mean of 1 over the classes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.registry import create, register
from orchestrator.errors import ConfigError
from orchestrator.experiment.config import Component
from orchestrator.metrics.targets import Targets


@register("class_weights")
def none(counts: np.ndarray) -> None:
    """All classes count alike, so that frequent ones count more in sum."""


@register("class_weights")
def inverse_frequency(counts: np.ndarray, *, power: float = 1.0) -> np.ndarray:
    """A class of n clips weighs 1 / n.

    Args:
        counts: Number of training clips of each class.
        power: Power of the weights; at 0.5 they are 1 / sqrt(n).

    Raises:
        ConfigError: The power is not above 0.
    """
    if not power > 0:
        raise ConfigError(f"power={power}: it is above 0; class_weights=none weighs all alike")
    return counts**-power


@register("class_weights")
def effective_number(counts: np.ndarray, *, beta: float = 0.999) -> np.ndarray:
    """A class of n clips weighs (1 - beta) / (1 - beta^n), one over its effective number of clips.

    The weights of its paper, also for losses with a sigmoid.

    Args:
        counts: Number of training clips of each class.
        beta: From 0, all alike, towards 1, one over n; 0.9 to 0.9999 in the paper.

    Raises:
        ConfigError: Beta is not in [0, 1).

    Source: Cui et al., arXiv 1901.05555, equations 2 and 12; scaled as in
    richardaecn/class-balanced-loss.
    """
    if not 0 <= beta < 1:
        raise ConfigError(f"beta={beta}: it is in [0, 1), for example 0.999")
    return (1 - beta) / -np.expm1(counts * np.log(beta)) if beta else np.ones(len(counts))


def weigh_classes(
    component: Component, targets: Targets, *, device: torch.device
) -> tuple[Tensor, ...]:
    """Return the weight of every class, (classes,) float32 of each head; nothing without a rule.

    The weights of the classes that occur have the mean 1. A class without a training clip weighs 1.

    Args:
        component: The rule of an experiment.
        targets: Targets of the training clips.
        device: The training device.

    Raises:
        RegistryError: The name or an argument is unknown, or a value has the wrong type.
        ConfigError: The rule does not return a weight above 0 for each class.
    """
    counts = targets.counts()
    weights: list[Tensor] = []
    for part in targets.parts().values() or (slice(None),):
        of_part = counts[part]
        occurs = of_part > 0
        made = create(
            "class_weights",
            component.name,
            of_part[occurs].astype(np.float64),
            **component.arguments,
        )
        if made is None:
            return ()
        made = np.asarray(made, np.float64)
        if made.shape != (occurs.sum(),) or not (np.isfinite(made) & (made > 0)).all():
            raise ConfigError(
                f"class_weights {component.name!r} returned {made!r} for {occurs.sum()} classes; "
                "one finite number above 0 is needed for each"
            )
        of_classes = np.ones(len(of_part))
        if occurs.any():
            of_classes[occurs] = made / made.mean()
        weights.append(torch.from_numpy(of_classes).float().to(device))
    return tuple(weights)
