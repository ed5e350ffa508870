"""Per-clip predictions of one trial on its held-out clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.metrics.catalog import METRICS, Metric
from orchestrator.metrics.classification import log_softmax
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.postprocessing import Validation
from orchestrator.metrics.targets import Targets


@dataclass(frozen=True, kw_only=True)
class Frames:
    """What a model with a frame head predicts for rows of equal length, of every held-out clip.

    Attributes:
        logits: (clips, rows, classes) float16, before the sigmoid.
        row_s: Length of a row in seconds; the first starts with the clip, and the last rows of a
            short clip may lie beyond its end.
        clip_s: (clips,) float64 length of each clip in seconds.
    """

    logits: NDArray[np.float16]
    row_s: float
    clip_s: NDArray[np.float64]

    def take(self, indices: Any) -> Frames:
        """Return the frames of some clips."""
        return dataclasses.replace(self, logits=self.logits[indices], clip_s=self.clip_s[indices])


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """A model's predictions for every held-out clip, in the pack's order.

    Attributes:
        epoch: Epoch after which they were made.
        clip_ids: (clips,) names as in the pack.
        targets: What is true of the clips.
        logits: (clips, classes) float32, before any softmax or sigmoid.
        frames: Predictions over time; None unless the clips have events and the model a frame head.
        validation: The same model's predictions of its validation clips, for metrics that choose
            thresholds on them; None where they are not at hand.
    """

    epoch: int
    clip_ids: tuple[str, ...]
    targets: Targets
    logits: NDArray[np.float32]
    frames: Frames | None = None
    validation: Validation | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.clip_ids)

    @property
    def kind(self) -> TargetKind:
        """What is known of every clip."""
        return self.targets.kind

    @property
    def labels(self) -> NDArray[np.int64]:
        """(clips,) class indices; a `DataError` unless every clip has one class."""
        return self.targets.labels

    def probabilities(self) -> NDArray[np.float64]:
        """Return (clips, classes) probabilities.

        They are a softmax over classes where a clip has one class, one over those of each head
        where there are several, and a sigmoid per class otherwise.
        """
        if self.kind is TargetKind.HEADS:
            return np.concatenate([made.probabilities() for made in self.by_head().values()], 1)
        if self.kind is TargetKind.SINGLE_LABEL:
            return np.exp(log_softmax(self.logits))
        return np.exp(-np.logaddexp(0.0, -self.logits.astype(np.float64)))

    def take(self, indices: Any) -> Predictions:
        """Return the predictions of some clips, by (chosen,) positions or a (clips,) mask."""
        chosen: list[int] = np.arange(len(self))[indices].tolist()
        return Predictions(
            epoch=self.epoch,
            clip_ids=tuple(self.clip_ids[i] for i in chosen),
            targets=self.targets.take(chosen),
            logits=self.logits[chosen],
            frames=None if self.frames is None else self.frames.take(chosen),
            validation=self.validation,
        )

    def by_head(self) -> dict[str, Predictions]:
        """Return head -> its predictions, of one class per clip; {} without several heads."""
        labels, parts = self.targets.by_head(), self.targets.parts()
        return {
            name: dataclasses.replace(
                self,
                targets=Targets.of_labels(labels[name], num_classes=self.targets.heads[name]),
                logits=self.logits[:, part],
                frames=None,
                validation=None,
            )
            for name, part in parts.items()
        }

    def scores(self) -> dict[str, float]:
        """Return metric key -> value for every metric of an epoch that is defined for these."""
        return {
            key: metric.compute(self)
            for key, metric in METRICS.items()
            if metric.compute is not None and not metric.at_report and self.fit(metric)
        }

    def fit(self, metric: Metric) -> bool:
        """Whether a metric is defined for these predictions."""
        heads = tuple(self.targets.heads)
        return metric.is_defined_for(self.kind, by_frame=self.frames is not None, heads=heads)


Loader = Callable[[str], Predictions | None]
"""From a trial's id to its predictions at the plan's epoch; None where there are none."""
