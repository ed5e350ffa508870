"""How often the rules err: each function simulates one row of the table."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats.equivalence import equivalence
from orchestrator.stats.factorial import effect_weights, weighted_sums
from orchestrator.stats.family import flip, simultaneous_bounds, step_down
from orchestrator.stats.folds import corrected_resampled_t
from orchestrator.stats.intervals import bounds
from orchestrator.stats.paired import agreeing_ends, difference_of, holm
from orchestrator.stats.sequential import repeated_interval
from orchestrator.stats.signflip import sign_flip_p_rows
from orchestrator.stats.spending import anytime_p_rows, levels_for
from orchestrator.stats.trend import dose_trend
from orchestrator.stats.values import ALPHA
from tests.benchmarks.stats.simulation import Ablations, simulate

SIMULATIONS = 1_000
ARMS = 5
DIFFERING = 2
SIZES = (5, 6, 8, 10, 12)
EFFECTS = (0.5, 1.0, 2.0)
CAP = 10
REPEATED = 200
"""Simulations of which the intervals of a study until decided are computed: they take longest."""

_ROUNDING = 1 + 1e-9


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Fixed-n ablations of one metric shape; rates are between 0 and 1.

    Attributes:
        shape: of the metric.
        n: blocks.
        false_call: ablations without a difference in which a contrast is called, by joint flips.
        false_call_holm: the same by Holm's correction.
        false_call_mixed: ablations in which `DIFFERING` arms differ by a spread and another, which
            does not, is called.
        coverage: of the interval of a contrast alone, where no arm differs.
        coverage_shifted: the same where the true difference is one spread.
        coverage_joint: ablations without a difference in which all intervals hold the truth.
        coverage_joint_mixed: the same where `DIFFERING` arms differ by a spread.
        coverage_joint_shifted: the same where all do.
        coverage_mean: of the t interval of an arm's own mean.
        width: median width of a contrast's interval over that of t; None without an interval.
        power: effect -> share of true differences called, one contrast declared.
        power_family: the same with `ARMS` contrasts by joint flips, all of them different.
        power_holm: the same by Holm.
    """

    shape: str
    n: int
    false_call: float
    false_call_holm: float
    false_call_mixed: float
    coverage: float
    coverage_shifted: float
    coverage_joint: float
    coverage_joint_mixed: float
    coverage_joint_shifted: float
    coverage_mean: float
    width: float | None
    power: dict[float, float]
    power_family: dict[float, float]
    power_holm: dict[float, float]


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
        coverage: ablations in which all intervals at the end hold the truth.
    """

    shape: str
    effect: float
    any_call: float
    called: float
    called_fixed: float
    any_call_peeking: float
    blocks: float
    coverage: float


def error_of(rate: float, simulations: int) -> float:
    """Return the standard error of a simulated rate."""
    return math.sqrt(rate * (1 - rate) / simulations)


def fixed_rates(shape: str, n: int, *, simulations: int = SIMULATIONS, seed: int = 0) -> Rates:
    """Simulate fixed-n ablations of one metric shape."""
    draw = functools.partial(simulate, shape, simulations=simulations, arms=ARMS, blocks=n)
    null = draw(effect=0.0, seed=seed)
    nothing = _judged(null.differences, np.zeros(ARMS))
    mixed_truth = np.zeros(ARMS)
    mixed = draw(effect=1.0, seed=seed + 9, differing=DIFFERING)
    mixed_truth[:DIFFERING] = mixed.difference
    some = _judged(mixed.differences, mixed_truth)
    power, family, by_holm, shifted = {}, {}, {}, nothing
    for k, effect in enumerate(EFFECTS):
        drawn = draw(effect=effect, seed=seed + 1 + k)
        found = _judged(drawn.differences, np.full(ARMS, drawn.difference))
        power[effect] = _share_called(found.alone)
        family[effect] = _share_called(found.adjusted)
        by_holm[effect] = _share_called(_holm_rows(found.alone))
        shifted = found if effect == 1.0 else shifted
    return Rates(
        shape=shape,
        n=n,
        false_call=_any(nothing.adjusted),
        false_call_holm=_any(_holm_rows(nothing.alone)),
        false_call_mixed=_any(some.adjusted[:, DIFFERING:]),
        coverage=float(nothing.held_alone.mean()),
        coverage_shifted=float(shifted.held_alone.mean()),
        coverage_joint=float(nothing.held.all(axis=1).mean()),
        coverage_joint_mixed=float(some.held.all(axis=1).mean()),
        coverage_joint_shifted=float(shifted.held.all(axis=1).mean()),
        coverage_mean=_coverage(null.baseline[:, None], null.level),
        width=nothing.width,
        power=power,
        power_family=family,
        power_holm=by_holm,
    )


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """What the rules say of simulated ablations, (simulations, arms) each.

    Attributes:
        alone: p of each contrast alone.
        adjusted: p by joint flips.
        held_alone: (simulations,) whether the first contrast's interval, alone, holds its truth.
        held: Whether an interval among several holds its truth.
        width: Median width of an interval alone over that of t; None without an interval.
    """

    alone: NDArray[np.float64]
    adjusted: NDArray[np.float64]
    held_alone: NDArray[np.bool_]
    held: NDArray[np.bool_]
    width: float | None


def _judged(differences: NDArray[np.float64], truth: NDArray[np.float64]) -> _Judged:
    alone, adjusted, held_alone, held, widths = [], [], [], [], []
    for rows in differences:
        flipped = flip([dict(enumerate(row)) for row in rows.tolist()])
        alone.append(flipped.p_values)
        adjusted.append(step_down(flipped))
        lows, highs = simultaneous_bounds(flipped)
        inside = []
        for i, (low, high) in enumerate(zip(lows.tolist(), highs.tolist(), strict=True)):
            called = adjusted[-1][i] <= ALPHA * _ROUNDING
            inside.append(_holds(low, high, truth[i], float(rows[i].mean()), called))
        held.append(inside)
        single = flip([dict(enumerate(rows[0].tolist()))])
        low, high = (float(end[0]) for end in simultaneous_bounds(single))
        held_alone.append(low - 1e-9 <= truth[0] <= high + 1e-9)
        of_t = bounds(rows[0])
        if of_t[0] is not None and of_t[1] > of_t[0]:
            widths.append((high - low) / (of_t[1] - of_t[0]))
    width = float(np.median(widths))
    return _Judged(
        alone=np.array(alone),
        adjusted=np.array(adjusted),
        held_alone=np.array(held_alone),
        held=np.array(held),
        width=width if math.isfinite(width) else None,
    )


def _holds(low: float, high: float, truth: float, mean: float, called: bool) -> bool:
    """Return whether a reported interval holds the truth; an end of 0 is open beside a call."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return True
    ends = agreeing_ends(low, high, mean=mean, called=called)
    if ends[0] is None or ends[1] is None:
        return False
    if called and truth == 0:
        return False
    return ends[0] - 1e-9 <= truth <= ends[1] + 1e-9


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
        coverage=_repeated_coverage(drawn, blocks),
    )


def _repeated_coverage(drawn: Ablations, blocks: NDArray[np.int64]) -> float:
    held = 0
    simulated = min(REPEATED, len(blocks))
    for rows, n in zip(drawn.differences[:simulated], blocks.tolist(), strict=False):
        ends = [repeated_interval(row[:n].tolist(), cap=CAP, alpha=ALPHA / ARMS) for row in rows]
        held += all(
            low is None or high is None or low <= drawn.difference <= high for low, high in ends
        )
    return held / simulated


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


def _holm_rows(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([holm(row) for row in p_values.tolist()], dtype=np.float64)


def _any(p_values: NDArray[np.float64]) -> float:
    return float((p_values <= ALPHA * _ROUNDING).any(axis=1).mean())


def _share_called(p_values: NDArray[np.float64]) -> float:
    return float((p_values <= ALPHA * _ROUNDING).mean())


def _share(p_values: list[float | None]) -> float:
    return float(np.mean([p is not None and p <= ALPHA for p in p_values]))


def _coverage(samples: NDArray[np.float64], truth: float) -> float:
    """Return how often the interval over the last axis of (.., .., n) values holds the truth."""
    held = 0
    for row in samples.reshape(-1, samples.shape[-1]):
        low, high = bounds(row)
        held += low is not None and high is not None and low - 1e-9 <= truth <= high + 1e-9
    return held * samples.shape[-1] / samples.size
