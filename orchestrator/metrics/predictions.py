"""Per-clip predictions of one trial on its held-out clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.metrics.catalog import METRICS


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """A model's predictions for every held-out clip, in the pack's order.

    Attributes:
        epoch: Epoch after which they were made.
        clip_ids: (clips,) names as in the pack.
        labels: (clips,) class indices.
        logits: (clips, classes) float32, before any softmax.
    """

    epoch: int
    clip_ids: tuple[str, ...]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]

    def scores(self) -> dict[str, float]:
        """Return metric key -> value for every metric that is computed from predictions."""
        return {
            key: metric.compute(self.logits, self.labels)
            for key, metric in METRICS.items()
            if metric.compute is not None
        }


Loader = Callable[[str], Predictions | None]
"""From a trial's id to its predictions at the plan's epoch; None where there are none."""
