"""Aggregates over data sets against scipy and against loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from orchestrator.stats import normalized_difference, normalized_score, probability_of_improvement
from tests.benchmarks.stats.bench_aggregate import coverage


def scores(seed, *, sizes=(6, 8, 5), shift=0.0):
    rng = np.random.default_rng(seed)
    return {
        f"set {k}": dict(enumerate((rng.normal(k, 1, n) + shift).tolist()))
        for k, n in enumerate(sizes)
    }


def values(table):
    return [np.array(list(own.values())) for own in table.values()]


CHANCE = {"set 0": -10.0, "set 1": -2.0, "set 2": -30.0}


def bootstrap(arms, chance, score, seed=0, resamples=4_000):
    """Return the deviation of a mean score over resampled seeds, widened by n / (n - 1) per set."""
    rng = np.random.default_rng(seed)
    variance = 0.0
    for name in chance:
        tables = [np.array(list(own[name].values())) for own in arms]
        size = tables[0].size
        picks = rng.integers(0, size, (resamples, size))
        drawn = score(*(table[picks].mean(axis=1) for table in tables), chance[name])
        variance += drawn.var(ddof=1) * size / (size - 1)
    return np.sqrt(variance) / len(chance)


def degrees(interval, error, confidence=0.95):
    """Return the quantile of t that an interval was made with."""
    return (interval.high - interval.low) / 2 / error


@pytest.mark.parametrize("seed", range(4))
def test_score_is_the_mean_of_ratios_with_the_widened_bootstrap_deviation(seed):
    arm, best = scores(seed), scores(seed + 10, shift=3.0)
    found = normalized_score(arm, best, chance=CHANCE)
    expected = np.mean(
        [
            (a.mean() - c) / (b.mean() - c)
            for a, b, c in zip(values(arm), values(best), CHANCE.values(), strict=True)
        ]
    )
    assert found.value == pytest.approx(expected)
    assert (found.num_datasets, found.num_runs) == (3, 19)
    error = bootstrap((arm, best), CHANCE, lambda a, b, c: (a - c) / (b - c))
    quantile = degrees(found, error)
    # Between the degrees of freedom of the smallest data set and those of all together.
    assert scipy_stats.t.ppf(0.975, 16) * 0.95 < quantile < scipy_stats.t.ppf(0.975, 4) * 1.05


@pytest.mark.parametrize("seed", range(4))
def test_difference_is_paired_and_scaled_by_the_best(seed):
    reference, best = scores(seed), scores(seed + 10, shift=3.0)
    noise = scores(seed + 20)
    arm = {n: {b: v + 1 + noise[n][b] / 10 for b, v in own.items()} for n, own in reference.items()}
    found = normalized_difference(arm, reference, best, chance=CHANCE)
    expected = np.mean(
        [
            (a.mean() - r.mean()) / (b.mean() - c)
            for a, r, b, c in zip(
                values(arm), values(reference), values(best), CHANCE.values(), strict=True
            )
        ]
    )
    assert found.value == pytest.approx(expected)
    error = bootstrap((arm, reference, best), CHANCE, lambda a, r, b, c: (a - r) / (b - c))
    quantile = degrees(found, error)
    assert scipy_stats.t.ppf(0.975, 16) * 0.95 < quantile < scipy_stats.t.ppf(0.975, 4) * 1.05


def test_one_spread_gives_all_degrees_of_freedom_and_a_dominant_set_its_own():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=5)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    best = {name: dict.fromkeys(range(5), 1.0) for name in "ab"}
    for spread, freedom in ((1.0, 8), (1e-6, 4)):
        arm = {
            "a": dict(enumerate(0.5 + 0.01 * noise)),
            "b": dict(enumerate(0.5 + 0.01 * spread * noise)),
        }
        found = normalized_score(arm, best, chance={"a": 0.0, "b": 0.0})
        error = 0.01 / np.sqrt(5) * np.sqrt(1 + spread**2) / 2
        assert degrees(found, error) == pytest.approx(scipy_stats.t.ppf(0.975, freedom))


def test_data_sets_count_alike_however_many_seeds_they_have():
    best = {"few": dict.fromkeys(range(3), 100.0), "many": dict.fromkeys(range(30), 50.0)}
    arm = {"few": dict.fromkeys(range(3), 20.0), "many": dict.fromkeys(range(30), 40.0)}
    found = normalized_score(arm, best, chance={"few": 0.0, "many": 0.0})
    assert found.value == found.low == found.high == pytest.approx((0.2 + 0.8) / 2)


def test_score_of_a_metric_that_is_minimized_counts_down_from_chance():
    best = {"x": {0: 1.0, 1: 1.0}, "y": {0: 0.5, 1: 0.5}}
    arm = {"x": {0: 2.0, 1: 2.0}, "y": {0: 1.0, 1: 2.0}}
    assert normalized_score(arm, best, chance={"x": 3.0, "y": 2.5}).value == pytest.approx(0.5)


@pytest.mark.parametrize("sign", [1, -1])
def test_probability_of_improvement_is_mann_whitneys_u(sign):
    arm, reference = scores(2, shift=0.4), scores(3)
    expected = np.mean(
        [
            scipy_stats.mannwhitneyu(sign * one, sign * other).statistic / (one.size * other.size)
            for one, other in zip(values(arm), values(reference), strict=True)
        ]
    )
    found = probability_of_improvement(arm, reference, sign=sign)
    assert found.value == pytest.approx(expected)
    assert 0 <= found.low < found.value < found.high <= 1


@pytest.mark.parametrize("won", [True, False])
def test_improvement_that_every_run_shows_has_a_width(won):
    reference = {name: dict(enumerate(np.arange(4.0))) for name in "ab"}
    arm = {
        name: {b: v + 10 * (1 if won else -1) for b, v in own.items()}
        for name, own in reference.items()
    }
    found = probability_of_improvement(arm, reference)
    assert found.value == won
    assert (found.low, found.high)[won] == won and 0.1 < found.high - found.low < 0.6


def test_pairing_makes_the_difference_of_arms_that_move_together_certain():
    reference = scores(4)
    arm = {name: {b: v + 1 for b, v in own.items()} for name, own in reference.items()}
    best = {name: dict.fromkeys(own, 10.0) for name, own in reference.items()}
    found = normalized_difference(arm, reference, best, chance=dict.fromkeys(reference, 0.0))
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_blocks_that_one_arm_lacks_are_left_out():
    arm, reference = scores(4), scores(5)
    del arm["set 0"][0]
    assert normalized_difference(arm, reference, reference, chance=CHANCE).num_runs == 18


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "shape"),
    [
        ((3, 3), "skewed"),
        ((5, 5), "normal"),
        ((10, 10), "skewed"),
        ((3, 3, 3), "normal"),
        ((5, 8, 3), "skewed"),
        ((10, 10, 10, 10), "normal"),
    ],
)
def test_intervals_of_score_and_difference_cover(sizes, shape):
    score, difference, better = coverage(sizes, shape=shape, simulations=2_000, seed=3)
    # Three standard errors beside 93 to 97 %.
    assert 0.915 < score < 0.985 and 0.915 < difference < 0.985 and better > 0.93


def test_data_sets_must_agree():
    arm = scores(0)
    with pytest.raises(ValueError, match="differ"):
        probability_of_improvement(arm, {"set 0": arm["set 0"]})
    with pytest.raises(ValueError, match="no data set"):
        normalized_score({}, {}, chance={})
    one = {"x": {0: 1.0}}
    with pytest.raises(ValueError, match="x has one common block"):
        normalized_score(one, one, chance={"x": 0.0})
    two = {"x": {0: 1.0, 1: 2.0}}
    with pytest.raises(ValueError, match="best mean of x is chance"):
        normalized_score(two, two, chance={"x": 1.5})


RUNS = st.lists(st.integers(-20, 20), min_size=2, max_size=6)


@settings(max_examples=30)
@given(RUNS, RUNS)
def test_improvement_of_one_is_the_loss_of_the_other(one, other):
    size = min(len(one), len(other))
    arm = {"x": dict(enumerate(map(float, one[:size])))}
    reference = {"x": dict(enumerate(map(float, other[:size])))}
    found = probability_of_improvement(arm, reference)
    back = probability_of_improvement(reference, arm)
    assert found.value == pytest.approx(1 - back.value)
    assert (found.low, found.high) == pytest.approx((1 - back.high, 1 - back.low))
