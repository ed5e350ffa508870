"""Ensembles of an arm's seeds: the mean of their probabilities, scored as one model.

An ensemble is one number. What would vary it are other models and other clips; its interval is over
other recordings for these very models, and no spread over seeds is at hand.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.recordings import OverRecordings
from orchestrator.analysis.rows import ArmSummary
from orchestrator.analysis.summary import Summary
from orchestrator.errors import ConfigError
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.postprocessing import Validation
from orchestrator.metrics.predictions import Frames, Loader, Predictions
from orchestrator.records import Status, TrialKey
from orchestrator.stats import MeanInterval


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """An arm's ensemble, in the metric's unit.

    Attributes:
        arm: Name of the arm.
        num_models: Averaged models; the smallest number if folds differ.
        value: Value of the ensemble, the mean over folds.
        of_models: Mean of the values of its single models.
        interval: Interval over other recordings; None if it could not be computed.
    """

    arm: str
    num_models: int
    value: float
    of_models: float
    interval: MeanInterval | None


def ensembles(
    summary: Summary, load: Loader, recordings: Mapping[str, str]
) -> tuple[Ensemble, ...]:
    """Return the ensembles of those arms that have two seeds on the same clips of every fold.

    Args:
        summary: The study.
        load: Function that reads a trial's predictions at the plan's epoch.
        recordings: Clip -> recording; where it is empty, every clip is one.

    Raises:
        ConfigError: The metric chooses its thresholds on validation clips, which seeds do not
            share.
    """
    metric = summary.metric
    if metric.compute is None:
        return ()
    found: list[Ensemble] = []
    for arm in summary.arms:
        by_fold = models_by_fold(arm, load)
        averaged = {fold: mean_of(models) for fold, models in by_fold.items()}
        if not averaged or not all(made.fit(metric) for made in averaged.values()):
            continue
        values = [metric.scale * metric.compute(made) for made in averaged.values()]
        single = [
            metric.scale * metric.compute(made) for models in by_fold.values() for made in models
        ]
        if not all(map(math.isfinite, values)):
            continue
        value = statistics.fmean(values)
        found.append(
            Ensemble(
                arm=arm.name,
                num_models=min(map(len, by_fold.values())),
                value=value,
                of_models=statistics.fmean(single),
                interval=_interval(summary, averaged, value, recordings),
            )
        )
    return tuple(found)


def models_by_fold(arm: ArmSummary, load: Loader) -> dict[int, list[Predictions]]:
    """Return fold -> predictions of an arm's finished trials.

    Returns:
        {} unless every fold has two trials at least, all on the same clips.
    """
    ids: defaultdict[int, list[str]] = defaultdict(list)
    for cell in arm.cells:
        if cell.status is Status.FINISHED:
            ids[cell.fold].append(cell.id)
    found: dict[int, list[Predictions]] = {}
    for fold, of_fold in ids.items():
        models = [made for made in map(load, of_fold) if made]
        if len(models) < 2 or len({made.clip_ids for made in models}) > 1:
            return {}
        found[fold] = models
    return found


def mean_of(models: Sequence[Predictions]) -> Predictions:
    """Return the predictions whose probabilities are the mean of those of several models.

    They have predictions over time if all models have them for the same rows, and those of
    validation clips if all models have them; where these are of other clips in each, reading them
    raises a `ConfigError`.
    """
    first = models[0]
    mean = np.mean([made.probabilities() for made in models], axis=0)
    one_class = first.kind in (TargetKind.SINGLE_LABEL, TargetKind.HEADS)
    frames = [made.frames for made in models if made.frames is not None]
    alike = {(made.logits.shape, made.row_s) for made in frames}
    return replace(
        first,
        # The softmax of the logarithms turns them back into the mean.
        logits=np.log(np.maximum(mean, np.finfo(np.float64).tiny)) if one_class else _logit(mean),
        frames=_mean_over_time(frames) if len(frames) == len(models) and len(alike) == 1 else None,
        validation=Validation(lambda: _validation_of(models)),
    )


def _mean_over_time(frames: Sequence[Frames]) -> Frames:
    of_models = [np.exp(-np.logaddexp(0.0, -f.logits.astype(np.float64))) for f in frames]
    mean = np.mean(of_models, axis=0)
    return replace(frames[0], logits=_logit(mean).astype(np.float16))


def _logit(p: NDArray[np.float64]) -> NDArray[np.float64]:
    tiny = np.finfo(np.float64).tiny
    return np.log(np.maximum(p, tiny)) - np.log(np.maximum(1 - p, tiny))


def _validation_of(models: Sequence[Predictions]) -> Predictions | None:
    loaded = [made.validation.load() if made.validation else None for made in models]
    found = [made for made in loaded if made is not None]
    if len(found) < len(models):
        return None
    if len({made.clip_ids for made in found}) > 1:
        raise ConfigError(
            "the seeds of an arm draw validation clips of their own, so its ensemble has none in "
            "common to choose thresholds on; give thresholds as numbers, as in "
            "--metric 'val/event_f1(threshold=0.5)', or train on data with a split named validation"
        )
    return mean_of(found)


def _interval(
    summary: Summary,
    averaged: Mapping[int, Predictions],
    value: float,
    recordings: Mapping[str, str],
) -> MeanInterval | None:
    """Return the interval over recordings, within the metric's bounds."""
    metric = summary.metric
    of_clips = recordings or {clip: clip for made in averaged.values() for clip in made.clip_ids}
    made = {f"ensemble of fold {fold}": predictions for fold, predictions in averaged.items()}
    trials = [
        TrialKey(id=name, arm="ensemble", seed=0, fold=fold)
        for name, fold in zip(made, averaged, strict=True)
    ]
    plan = replace(summary.plan, trials=tuple(trials))
    scope = OverRecordings(plan, metric=metric, load=made.get, recordings=of_clips)
    found = scope.level("ensemble", {0: value})
    if found is None or found.low is None or found.high is None:
        return None
    low, high = metric.shown_bounds
    return replace(found, low=max(low, found.low), high=min(high, found.high))
