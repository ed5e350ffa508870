"""Per-clip predictions of one trial on its held-out clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.metrics import keys
from orchestrator.metrics.classification import cross_entropy, mean_average_precision, top_k_correct


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a model said of every held-out clip, in the pack's order.

    Attributes:
        epoch: the epoch they were made after.
        clip_ids: (clips,) names as in the pack.
        labels: (clips,) class indices.
        logits: (clips, classes) float32, before any softmax.
    """

    epoch: int
    clip_ids: tuple[str, ...]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]

    def top_k(self, k: int) -> float:
        """Return the fraction of clips whose label is among the `k` largest logits."""
        return float(top_k_correct(self.logits, self.labels, k=k).mean())

    def loss(self) -> float:
        """Return the mean cross entropy in nats."""
        return cross_entropy(self.logits, self.labels)

    def mean_average_precision(self) -> float:
        """Return the mean over classes of the average precision."""
        return mean_average_precision(self.logits, self.labels)

    def scores(self) -> dict[str, float]:
        """Return metric key -> value, of every metric that is made of predictions."""
        return {
            keys.VAL_LOSS: self.loss(),
            keys.VAL_TOP1: self.top_k(1),
            keys.VAL_TOP5: self.top_k(5),
            keys.VAL_MAP: self.mean_average_precision(),
        }


Loader = Callable[[str], Predictions | None]
"""From a trial's id to its predictions at the plan's epoch; None where there are none."""
