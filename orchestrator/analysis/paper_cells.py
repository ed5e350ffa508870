"""Numbers per arm that papers' tables have and the main table lacks."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from orchestrator.analysis.ensembles import mean_of, models_by_fold
from orchestrator.analysis.outcomes import Loader, Outcomes
from orchestrator.analysis.rows import ArmSummary, plan_interval
from orchestrator.metrics.catalog import METRICS, VAL_MAP
from orchestrator.records import PlanRecord
from orchestrator.stats import CrossedInterval


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """The mean average precision of an arm's averaged predictions.

    Attributes:
        value: Mean over the folds.
        num_models: Averaged trials; the smallest number if folds differ.
    """

    value: float
    num_models: int


@dataclass(frozen=True, kw_only=True)
class Runs:
    """A metric over runs as papers count them: each run is a mean over its folds.

    Attributes:
        mean: Mean of the arm in the main table.
        std: Sample standard deviation over the runs; None for one run.
        n: Number of runs.
        num_folds: Folds per run.
    """

    mean: float
    std: float | None
    n: int
    num_folds: int


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """F1 of an arm's held-out clips by class, in percent.

    Attributes:
        by_class: Class index -> mean over the trials that hold out clips of the class.
        average: Mean over the classes, with its interval over seeds or folds.
    """

    by_class: dict[int, float]
    average: CrossedInterval


def ensemble_map(arm: ArmSummary, load: Loader) -> Ensemble | None:
    """Average the class probabilities of an arm's seeds, fold by fold, as HTS-AT's ensemble does.

    Returns:
        The ensemble; None if no fold has predictions of two trials on the same clips.
    """
    compute = METRICS[VAL_MAP].compute
    assert compute is not None
    by_fold = models_by_fold(arm, load)
    values = [compute(mean_of(models)) for models in by_fold.values()]
    if not values or not all(map(math.isfinite, values)):
        return None
    return Ensemble(value=statistics.fmean(values), num_models=min(map(len, by_fold.values())))


def runs(arm: ArmSummary, key: str) -> Runs | None:
    """Return a metric over the seeds of an arm that finished on every planned fold."""
    if key not in arm.measures:
        return None
    folds = {cell.fold for cell in arm.cells}
    by_seed: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for (seed, fold), value in arm.measures[key].values.items():
        by_seed[seed][fold] = value
    means = [statistics.fmean(v.values()) for v in by_seed.values() if v.keys() == folds]
    if not means:
        return None
    return Runs(
        mean=arm.measures[key].interval.mean,
        std=statistics.stdev(means) if len(means) > 1 else None,
        n=len(means),
        num_folds=len(folds),
    )


def class_scores(arm: ArmSummary, outcomes: Outcomes, *, plan: PlanRecord) -> ClassScores | None:
    """Return the F1 of each class of clips, 2 TP / (2 TP + FP + FN).

    A clip's guess is its likeliest class; a tie is no hit.

    Returns:
        The scores; None if no trial has predictions.
    """
    values: defaultdict[int, list[float]] = defaultdict(list)
    averages: dict[tuple[int, int], float] = {}
    for block, made in outcomes.of_arm(arm.name).items():
        size = made.num_classes
        hits = np.bincount(made.labels[made.correct], minlength=size)
        there = np.bincount(made.labels, minlength=size)
        named = np.bincount(made.guesses, minlength=size)
        held_out = np.flatnonzero(there)
        scores = 200.0 * hits[held_out] / (there + named)[held_out]
        averages[block] = float(scores.mean())
        for index, score in zip(held_out.tolist(), scores.tolist(), strict=True):
            values[index].append(score)
    if not averages:
        return None
    by_class = {index: statistics.fmean(of_class) for index, of_class in sorted(values.items())}
    average = plan_interval(plan, averages, within=(0.0, 100.0))
    return ClassScores(by_class=by_class, average=average)
