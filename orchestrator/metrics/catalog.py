"""The metrics: their names, directions, and computation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.errors import ConfigError, unknown
from orchestrator.metrics.chance import ChanceOf, loss_chance, map_chance, top_k_chance
from orchestrator.metrics.classification import (
    Labels,
    Logits,
    cross_entropy,
    map_range,
    mean_average_precision,
    top_k_accuracy,
)

Compute = Callable[[Logits, Labels], float]
"""From logits (clips, classes) and labels (clips,) to a value as stored."""

Range = Callable[[Logits, Labels], tuple[float, float]]
"""From logits (clips, classes) and labels (clips,) to the least and the largest value."""


class Direction(StrEnum):
    """Which way a metric is better."""

    MAXIMIZE = "max"
    MINIMIZE = "min"


@dataclass(frozen=True)
class Metric:
    """A number by which trials are compared.

    Attributes:
        key: Key `split/name`, as stored and logged; `val` is what is reported, for one that is
            computed from predictions (see `selection_key`).
        title: Title in a table's head.
        direction: Which way is better.
        scale: Factor from a stored value to `unit`.
        unit: Unit that a reader sees.
        bounds: Smallest and largest value that can be stored. Only a metric with both is on a scale
            shared by several datasets.
        is_share: Whether a value is the share of held-out clips that are right, which has a
            binomial interval over clips.
        chance: Function from the held-out clips to the level reached without listening; None if
            undefined.
        compute: Function from predictions to the value; None if training measures it directly.
        rounding: Function from predictions to the range in which rounding can move the value; None
            if only the last digits move.
    """

    key: str
    title: str
    direction: Direction
    scale: float = 1.0
    unit: str = ""
    bounds: tuple[float, float] = (-math.inf, math.inf)
    is_share: bool = False
    chance: ChanceOf | None = field(default=None, repr=False, compare=False)
    compute: Compute | None = field(default=None, repr=False, compare=False)
    rounding: Range | None = field(default=None, repr=False, compare=False)

    @property
    def sign(self) -> int:
        """+1 if larger is better, -1 if smaller is."""
        return 1 if self.direction is Direction.MAXIMIZE else -1

    @property
    def is_bounded(self) -> bool:
        """Whether the metric has a worst and a best value."""
        return all(map(math.isfinite, self.bounds))


def _top_k(k: int) -> Metric:
    return Metric(
        f"val/top{k}",
        f"top-{k}",
        Direction.MAXIMIZE,
        scale=100.0,
        unit="%",
        bounds=(0.0, 1.0),
        is_share=True,
        chance=top_k_chance(k),
        compute=lambda logits, labels: top_k_accuracy(logits, labels, k=k),
    )


TRAIN_LOSS = "train/loss"
VAL_LOSS = "val/loss"
VAL_TOP1 = "val/top1"
VAL_TOP5 = "val/top5"
VAL_MAP = "val/map"

METRICS = {
    metric.key: metric
    for metric in (
        _top_k(1),
        _top_k(5),
        Metric(
            VAL_MAP,
            "mAP",
            Direction.MAXIMIZE,
            bounds=(0.0, 1.0),
            chance=map_chance,
            compute=mean_average_precision,
            rounding=map_range,
        ),
        Metric(
            VAL_LOSS,
            "validation loss",
            Direction.MINIMIZE,
            unit="nats",
            bounds=(0.0, math.inf),
            chance=loss_chance,
            compute=cross_entropy,
        ),
        Metric(TRAIN_LOSS, "training loss", Direction.MINIMIZE, unit="nats"),
    )
}
"""Key -> metric. What is added here is computed, stored, verified, reported and tracked."""

_REPORTED, _SELECTION = "val/", "selection/"


def selection_key(key: str) -> str:
    """Return the key of a metric on the validation clips, which choose an epoch.

    Keys in `METRICS` that start with `val/` are of the clips that are reported.
    """
    return _SELECTION + key.removeprefix(_REPORTED) if key.startswith(_REPORTED) else key


def reported_key(key: str) -> str:
    """Return the key in `METRICS` of a metric on any clips; the inverse of `selection_key`."""
    return _REPORTED + key.removeprefix(_SELECTION) if key.startswith(_SELECTION) else key


LEARNING_RATE = "train/learning_rate"
EPOCH_S = "time/epoch_s"
CLIPS_PER_S = "throughput/clips_per_s"
PEAK_MEMORY_MB = "memory/peak_mb"


def lookup(key: str) -> Metric:
    """Find a metric by key.

    Raises:
        ConfigError: No metric has that key.
    """
    if key not in METRICS:
        raise ConfigError(unknown("metric", key, METRICS))
    return METRICS[key]
