"""The metrics: their names, directions, and computation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.errors import ConfigError, unknown
from orchestrator.metrics.chance import (
    ChanceOf,
    auc_chance,
    class_mean_chance,
    loss_chance,
    map_chance,
    top_k_chance,
)
from orchestrator.metrics.classification import (
    Labels,
    Logits,
    auc_range,
    cross_entropy,
    macro_f1,
    map_range,
    mean_average_precision,
    mean_class_accuracy,
    mean_roc_auc,
    top_k_accuracy,
    true_probability,
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
        key: Key `split/name`, as stored and logged.
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


def _percentage(key: str, title: str, compute: Compute, chance: ChanceOf) -> Metric:
    return Metric(
        key,
        title,
        Direction.MAXIMIZE,
        scale=100.0,
        unit="%",
        bounds=(0.0, 1.0),
        chance=chance,
        compute=compute,
    )


TRAIN_LOSS = "train/loss"
VAL_LOSS = "val/loss"
VAL_TOP1 = "val/top1"
VAL_TOP5 = "val/top5"
VAL_MAP = "val/map"
VAL_MAUC = "val/mauc"
VAL_MEAN_CLASS_ACCURACY = "val/mean_class_accuracy"
VAL_MACRO_F1 = "val/macro_f1"
VAL_TRUE_PROBABILITY = "val/true_probability"

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
            VAL_MAUC,
            "mAUC",
            Direction.MAXIMIZE,
            bounds=(0.0, 1.0),
            chance=auc_chance,
            compute=mean_roc_auc,
            rounding=auc_range,
        ),
        _percentage(
            VAL_MEAN_CLASS_ACCURACY, "mean class accuracy", mean_class_accuracy, class_mean_chance
        ),
        _percentage(VAL_MACRO_F1, "macro F1", macro_f1, class_mean_chance),
        _percentage(
            VAL_TRUE_PROBABILITY, "probability of the true class", true_probability, top_k_chance(1)
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
