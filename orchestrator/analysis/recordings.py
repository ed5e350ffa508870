"""What a declared comparison says of other recordings, from the stored predictions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.evidence import ContrastEvidence, EffectEvidence, possible
from orchestrator.analysis.rows import Block
from orchestrator.metrics import Metric
from orchestrator.metrics.catalog import VAL_LOSS, VAL_MAP, VAL_TOP1, VAL_TOP5
from orchestrator.metrics.classification import (
    binary_cross_entropies,
    log_softmax,
    top_k_correct,
)
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.predictions import Loader, Predictions
from orchestrator.records import PlanRecord
from orchestrator.stats import (
    ALPHA,
    MeanInterval,
    RecordingsInterval,
    average_precision_of,
    over_recordings,
    over_recordings_alone,
)

MAX_COMPUTED = 20_000
"""Times that a metric without a vectorized form is computed at most for a report."""

Values = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Scored:
    """A trial's metric with one recording left out, in its unit.

    Attributes:
        value: Metric over all clips.
        names: Recordings, in order.
        without: (recordings,) metric without each.
    """

    value: float
    names: tuple[str, ...]
    without: Values

    @property
    def pseudo(self) -> Values:
        """(recordings,) pseudo-values of the jackknife, moved so that their mean is the metric."""
        size = len(self.names)
        pseudo = size * self.value - (size - 1) * self.without
        return pseudo - pseudo.mean() + self.value


class OverRecordings:
    """Intervals over other recordings, from predictions that are read once.

    Args:
        plan: The study.
        metric: Metric to compare by.
        load: Function that reads predictions at the plan's epoch.
        recordings: Clip -> recording; clips of one recording are no two samples.
    """

    def __init__(
        self,
        plan: PlanRecord,
        *,
        metric: Metric,
        load: Loader,
        recordings: Mapping[str, str],
    ):
        self._ids: dict[str, dict[Block, str]] = {}
        for trial in plan.trials:
            self._ids.setdefault(trial.arm, {}).setdefault((trial.seed, trial.fold), trial.id)
        self._metric, self._load, self._recordings = metric, load, recordings
        self._known: dict[str, _Scored | None] = {}
        self._left = MAX_COMPUTED

    def extend(self, evidence: ContrastEvidence | EffectEvidence) -> RecordingsInterval | None:
        """Return a comparison's interval over other seeds and other recordings.

        It is as wide as that over seeds at least, and holds together with those of its family. None
        without an interval over seeds, or without predictions or recordings of every trial in it.
        """
        difference = evidence.difference
        if difference is None or difference.low is None or difference.high is None:
            return None
        if difference.replicate == "fold" or evidence.decided:
            return None
        table = self.table(evidence.weights, difference.by_seed)
        if table is None or len(table[0]) < 2:
            return None
        values, folds = table
        found = over_recordings(values, folds=folds, confidence=1 - ALPHA / evidence.num_declared)
        low, high = found.low, found.high
        if low is None or high is None:
            return None
        wider = dataclasses.replace(
            found,
            low=min(low, difference.low),
            high=max(high, difference.high),
            confidence=difference.confidence,
        )
        return possible(wider, metric=self._metric, weights=evidence.weights.values())

    def level(self, arm: str, by_seed: Mapping[Any, float]) -> MeanInterval | None:
        """Return an arm's mean with its interval over other recordings alone; see `table`.

        Args:
            arm: Name of the arm.
            by_seed: Seed -> its value, the mean over the folds.
        """
        table = self.table({arm: 1.0}, by_seed)
        return table and over_recordings_alone(table[0], folds=table[1])

    def table(
        self, weights: Mapping[str, float], by_seed: Mapping[Any, float]
    ) -> tuple[Values, NDArray[np.int64]] | None:
        """Return (seeds, recordings) pseudo-values of a weighted sum, and the recordings' folds.

        Args:
            weights: Arm -> weight.
            by_seed: Seed -> the sum as recorded, the mean over the folds.

        Returns:
            None without predictions or recordings of every trial, for fewer than two recordings of
            a fold, or if the predictions are not those of the recorded numbers.
        """
        blocks = set[Block].intersection(*(set(self._ids.get(arm, {})) for arm in weights))
        folds = sorted({fold for _, fold in blocks})
        rows: list[Values] = []
        columns: list[tuple[str, ...]] = []
        for seed, expected in by_seed.items():
            parts: list[Values] = []
            names: list[str] = []
            for fold in folds:
                scored = {arm: self._scored(arm, (seed, fold)) for arm in weights}
                part = _summed(scored, weights)
                if part is None:
                    return None
                first = next(iter(scored.values()))
                names += [f"{fold}/{name}" for name in first.names] if first else []
                parts.append(part)
            total = sum(len(part) for part in parts)
            # A seed's value is the mean over its folds, whatever their sizes.
            row = np.concatenate(
                [
                    part.mean() + (part - part.mean()) * total / (len(parts) * len(part))
                    for part in parts
                ]
            )
            own = float(np.mean([part.mean() for part in parts]))
            row = row - row.mean() + own
            if not np.isclose(own, expected, rtol=1e-6, atol=1e-6):
                return None  # the predictions are not those of the recorded number
            rows.append(row)
            columns.append(tuple(names))
        if len(set(columns)) != 1:
            return None
        numbers = np.array([folds.index(int(n.partition("/")[0])) for n in columns[0]])
        if np.bincount(numbers).min(initial=2) < 2:
            return None
        return np.stack(rows), numbers.astype(np.int64)

    def _scored(self, arm: str, block: Block) -> _Scored | None:
        trial = self._ids[arm].get(block)
        if trial is None:
            return None
        if trial not in self._known:
            made = self._load(trial)
            self._known[trial] = self._score(made) if made else None
        return self._known[trial]

    def _score(self, made: Predictions) -> _Scored | None:
        """Compute a trial's metric without each recording; None if one is unknown."""
        if any(clip not in self._recordings for clip in made.clip_ids):
            return None
        of_clip = np.array([self._recordings[clip] for clip in made.clip_ids])
        names, member = np.unique(of_clip, return_inverse=True)
        kept = (member != np.arange(len(names))[:, None]).astype(np.float64)
        value_of = self._vectorized(made)
        if value_of is not None:
            value = float(value_of(np.ones((1, len(member))))[0])
            without = value_of(kept)
        elif (compute := self._metric.compute) and len(names) <= self._left:
            self._left -= len(names)
            value = compute(made)
            without = np.array([compute(made.take(row.astype(bool))) for row in kept])
        else:
            return None
        if not np.isfinite([value, *without]).all():
            return None
        scale = self._metric.scale
        return _Scored(value=scale * value, names=tuple(names.tolist()), without=scale * without)

    def _vectorized(self, made: Predictions) -> Callable[[Values], Values] | None:
        """Return a metric as a function of the clips' weights; None if it has no such form."""
        key, single = self._metric.key, made.kind is TargetKind.SINGLE_LABEL
        if key == VAL_MAP:
            scores = log_softmax(made.logits) if single else made.logits.astype(np.float64)
            return average_precision_of(scores, made.targets.multi_hot())
        if key in (VAL_TOP1, VAL_TOP5):
            right = top_k_correct(made.logits, made.labels, k=1 if key == VAL_TOP1 else 5)
            of_clip = right.astype(np.float64)
        elif key == VAL_LOSS and single:
            of_clip = -log_softmax(made.logits)[np.arange(len(made)), made.labels]
        elif key == VAL_LOSS and made.kind is not TargetKind.HEADS:
            of_clip = binary_cross_entropies(made.logits, made.targets.multi_hot())
        else:
            return None
        return lambda weights: (weights @ of_clip) / weights.sum(axis=1)


def _summed(scored: Mapping[str, _Scored | None], weights: Mapping[str, float]) -> Values | None:
    """Return the weighted sum of pseudo-values; None if arms were scored on other recordings."""
    known: list[tuple[_Scored, float]] = [
        (found, weights[arm]) for arm, found in scored.items() if found is not None
    ]
    if len(known) < len(weights) or len({found.names for found, _ in known}) != 1:
        return None
    terms: list[Any] = [weight * found.pseudo for found, weight in known]
    return np.sum(terms, axis=0)
