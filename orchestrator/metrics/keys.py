"""The keys under which numbers are stored, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.errors import ConfigError, unknown
from orchestrator.metrics.chance import ChanceOf, loss_chance, map_chance, top_k_chance


class Direction(StrEnum):
    """Which way a metric is better."""

    MAXIMIZE = "max"
    MINIMIZE = "min"


@dataclass(frozen=True)
class Metric:
    """A number that a trial is judged by.

    Attributes:
        key: `split/name`, as stored and logged.
        title: as a table's head says it.
        direction: which way is better.
        scale: a stored value times `scale` is in `unit`.
        unit: as a reader reads it.
        chance: from the held-out clips to what is reached without listening; None if undefined.
    """

    key: str
    title: str
    direction: Direction
    scale: float = 1.0
    unit: str = ""
    chance: ChanceOf | None = field(default=None, repr=False, compare=False)

    @property
    def sign(self) -> int:
        """+1 where larger is better, -1 where smaller is."""
        return 1 if self.direction is Direction.MAXIMIZE else -1


METRICS = {
    metric.key: metric
    for metric in (
        Metric("val/top1", "top-1", Direction.MAXIMIZE, 100.0, "%", top_k_chance(1)),
        Metric("val/top5", "top-5", Direction.MAXIMIZE, 100.0, "%", top_k_chance(5)),
        Metric("val/map", "mAP", Direction.MAXIMIZE, chance=map_chance),
        Metric("val/loss", "validation loss", Direction.MINIMIZE, unit="nats", chance=loss_chance),
        Metric("train/loss", "training loss", Direction.MINIMIZE, unit="nats"),
    )
}

TRAIN_LOSS = "train/loss"
VAL_LOSS = "val/loss"
VAL_TOP1 = "val/top1"
VAL_TOP5 = "val/top5"
VAL_MAP = "val/map"
LEARNING_RATE = "train/learning_rate"
EPOCH_S = "time/epoch_s"
CLIPS_PER_S = "throughput/clips_per_s"
PEAK_MEMORY_MB = "memory/peak_mb"


def lookup(key: str) -> Metric:
    """Find a metric by key.

    Raises:
        ConfigError: no metric has that key.
    """
    if key not in METRICS:
        raise ConfigError(unknown("metric", key, METRICS))
    return METRICS[key]
