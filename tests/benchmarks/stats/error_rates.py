"""How often the rules err: each function simulates one row of the table."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats.equivalence import equivalence
from orchestrator.stats.factorial import effect_weights, weighted_sums
from orchestrator.stats.folds import corrected_resampled_t
from orchestrator.stats.intervals import bounds
from orchestrator.stats.paired import difference_of, holm
from orchestrator.stats.signflip import sign_flip_p_rows
from orchestrator.stats.spending import anytime_p_rows, levels_for
from orchestrator.stats.trend import dose_trend
from orchestrator.stats.values import ALPHA
from tests.benchmarks.stats.simulation import Ablations, simulate

SIMULATIONS = 2_000
ARMS = 5
SIZES = (3, 5, 6, 8, 10)
EFFECTS = (0.5, 1.0, 2.0)
CAP = 10
_ROUNDING = 1 + 1e-9


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Fixed-n ablations of one metric shape; rates are between 0 and 1.

    Attributes:
        shape: of the metric.
        n: blocks.
        false_call: ablations without a difference in which a contrast is called, after Holm.
        false_call_uncorrected: the same without correction.
        coverage: of the interval of a difference, where none is.
        coverage_shifted: the same where the true difference is one spread.
        coverage_mean: of the interval of an arm's own mean.
        power: effect -> share of true differences called, one contrast declared.
        power_family: the same with `ARMS` contrasts, after Holm, all of them different.
    """

    shape: str
    n: int
    false_call: float
    false_call_uncorrected: float
    coverage: float
    coverage_shifted: float
    coverage_mean: float
    power: dict[float, float]
    power_family: dict[float, float]


@dataclass(frozen=True, kw_only=True)
class SequentialRates:
    """Sequential ablations of one metric shape: `ARMS` contrasts, cap `CAP`.

    Attributes:
        shape: of the metric.
        effect: true difference over the spread; 0 where nothing differs.
        any_call: ablations in which a contrast is called.
        called: contrasts called; the power where there is a difference.
        called_fixed: contrasts called by the fixed design of `CAP` blocks.
        any_call_peeking: ablations in which reading the fixed-n p after every block calls one.
        blocks: mean number until every contrast is decided, or the cap.
    """

    shape: str
    effect: float
    any_call: float
    called: float
    called_fixed: float
    any_call_peeking: float
    blocks: float


def error_of(rate: float, simulations: int) -> float:
    """Return the standard error of a simulated rate."""
    return math.sqrt(rate * (1 - rate) / simulations)


def fixed_rates(shape: str, n: int, *, simulations: int = SIMULATIONS, seed: int = 0) -> Rates:
    """Simulate fixed-n ablations of one metric shape."""
    draw = functools.partial(simulate, shape, simulations=simulations, arms=ARMS, blocks=n)
    null = draw(effect=0.0, seed=seed)
    p_values = _p_values(null)
    power, family, shifted = {}, {}, null
    for k, effect in enumerate(EFFECTS):
        found = draw(effect=effect, seed=seed + 1 + k)
        own = _p_values(found)
        power[effect] = float((own <= ALPHA).mean())
        family[effect] = float((_holm_rows(own) <= ALPHA * _ROUNDING).mean())
        shifted = found if effect == 1.0 else shifted
    return Rates(
        shape=shape,
        n=n,
        false_call=_any(_holm_rows(p_values)),
        false_call_uncorrected=_any(p_values),
        coverage=_coverage(null.differences, null.difference),
        coverage_shifted=_coverage(shifted.differences, shifted.difference),
        coverage_mean=_coverage(null.baseline[:, None], null.level),
        power=power,
        power_family=family,
    )


def sequential_rates(
    shape: str, effect: float, *, simulations: int = SIMULATIONS, seed: int = 0
) -> SequentialRates:
    """Simulate ablations to which blocks are added until each contrast is decided or the cap."""
    drawn = simulate(
        shape, simulations=simulations, arms=ARMS, blocks=CAP, effect=effect, seed=seed
    )
    rows = drawn.differences.reshape(-1, CAP)
    levels, step = levels_for(ARMS), 32
    paths = [
        anytime_p_rows(rows[start : start + step], cap=CAP, levels=levels)
        for start in range(0, len(rows), step)
    ]
    anytime = np.concatenate(paths).reshape(simulations, ARMS, CAP)
    called = np.stack([_holm_rows(anytime[:, :, k]) for k in range(CAP)], axis=2)
    called = called <= ALPHA * _ROUNDING
    done = np.all(called, axis=1)
    blocks = np.where(np.any(done, axis=1), np.argmax(done, axis=1) + 1, CAP)
    fixed = [
        _holm_rows(sign_flip_p_rows(rows[:, :k]).reshape(simulations, ARMS))
        for k in range(2, CAP + 1)
    ]
    return SequentialRates(
        shape=shape,
        effect=effect,
        any_call=float(called[:, :, -1].any(axis=1).mean()),
        called=float(called[:, :, -1].mean()),
        called_fixed=float((fixed[-1] <= ALPHA * _ROUNDING).mean()),
        any_call_peeking=_any(np.min(fixed, axis=0)),
        blocks=float(blocks.mean()),
    )


def other_rates(*, simulations: int = SIMULATIONS, seed: int = 0) -> dict[str, float]:
    """Return how often the other tests err at 0.05 where there is nothing to find, by name."""
    skewed = simulate(
        "skewed", simulations=simulations, arms=3, blocks=6, effect=0.0, seed=seed + 10
    )
    levels = {
        "neither": {"one": "off", "other": "off"},
        "first": {"one": "on", "other": "off"},
        "second": {"one": "off", "other": "on"},
        "both": {"one": "on", "other": "on"},
    }
    weights = effect_weights(levels, ("one", "other"))
    trend, interaction, worse = [], [], []
    for i in range(simulations):
        arms = [dict(enumerate(skewed.arms[i, k].tolist())) for k in range(3)]
        arms.append(dict(enumerate(skewed.baseline[i].tolist())))
        trend.append(dose_trend(arms[:3]).p_value)
        found = difference_of(weighted_sums(dict(zip(levels, arms, strict=True)), weights))
        interaction.append(found.p_value)
        worse.append(equivalence(skewed.differences[i, 0] - 1.0, margin=1.0).p_not_worse)
    plain, corrected = _fold_p_values(simulations, seed + 20)
    return {
        "trend over 3 doses, 6 blocks": _share(trend),
        "interaction of 2 factors, 6 blocks": _share(interaction),
        "no worse by the margin, truly worse by it, 6 blocks": _share(worse),
        "5 folds, corrected resampled t": _share(corrected),
        "5 folds, ordinary t (not used here)": _share(plain),
    }


def _fold_p_values(simulations: int, seed: int) -> tuple[list[float | None], list[float | None]]:
    """Return p values over the folds of data sets on which two arms are equal on average.

    The arms are nearest-centroid classifiers on different features of 60 clips in two classes.
    """
    rng = np.random.default_rng(seed)
    label = np.arange(60) % 2
    plain: list[float | None] = []
    corrected: list[float | None] = []
    for _ in range(simulations):
        folds = rng.permutation(60) % 5
        features = rng.standard_normal((2, 60, 10)) + 0.35 * label[:, None]
        differences = {}
        for fold in range(5):
            one, other = (_centroid_accuracy(own, label, folds == fold) for own in features)
            differences[fold] = one - other
        found = corrected_resampled_t(differences, test_per_train=1 / 4)
        corrected.append(found.p_value)
        plain.append(corrected_resampled_t(differences, test_per_train=1e-12).p_value)
    return plain, corrected


def _centroid_accuracy(
    features: NDArray[np.float64], label: NDArray[np.int64], held_out: NDArray[np.bool_]
) -> float:
    centers = [features[~held_out & (label == own)].mean(axis=0) for own in (0, 1)]
    far = [((features[held_out] - center) ** 2).sum(axis=1) for center in centers]
    return float(np.mean((far[1] < far[0]) == (label[held_out] == 1)))


def _p_values(found: Ablations) -> NDArray[np.float64]:
    """Return (simulations, arms) p values."""
    simulations, arms, blocks = found.differences.shape
    return sign_flip_p_rows(found.differences.reshape(-1, blocks)).reshape(simulations, arms)


def _holm_rows(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([holm(row) for row in p_values.tolist()], dtype=np.float64)


def _any(p_values: NDArray[np.float64]) -> float:
    return float((p_values <= ALPHA * _ROUNDING).any(axis=1).mean())


def _share(p_values: list[float | None]) -> float:
    return float(np.mean([p is not None and p <= ALPHA for p in p_values]))


def _coverage(samples: NDArray[np.float64], truth: float) -> float:
    """Return how often the interval over the last axis of (.., .., n) values holds the truth."""
    held = 0
    for row in samples.reshape(-1, samples.shape[-1]):
        low, high = bounds(row)
        held += low is not None and high is not None and low - 1e-9 <= truth <= high + 1e-9
    return held * samples.shape[-1] / samples.size
