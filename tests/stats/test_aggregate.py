"""Aggregates over data sets against scipy and against loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from orchestrator.stats import (
    interquartile_mean,
    interquartile_mean_difference,
    probability_of_improvement,
)


def scores(seed, *, sizes=(6, 8, 5), shift=0.0):
    rng = np.random.default_rng(seed)
    return {
        f"set {k}": dict(enumerate((rng.normal(k, 1, n) + shift).tolist()))
        for k, n in enumerate(sizes)
    }


def values(table):
    return [np.array(list(own.values())) for own in table.values()]


@pytest.mark.parametrize("seed", range(4))
def test_interquartile_mean_is_scipys_trimmed_mean(seed):
    table = scores(seed)
    expected = scipy_stats.trim_mean(np.concatenate(values(table)), 0.25)
    found = interquartile_mean(table)
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high
    assert (found.num_datasets, found.num_runs) == (3, 19)


def test_interval_matches_a_loop_over_stratified_resamples():
    table = scores(1)
    rng = np.random.default_rng(7)
    drawn = [
        scipy_stats.trim_mean(
            np.concatenate([rng.choice(own, own.size) for own in values(table)]), 0.25
        )
        for _ in range(2_000)
    ]
    found = interquartile_mean(table)
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.06)


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


def test_probability_of_improvement_interval_matches_a_loop():
    arm, reference = scores(2, shift=0.4), scores(3)
    rng = np.random.default_rng(11)
    drawn = []
    for _ in range(2_000):
        parts = []
        for one, other in zip(values(arm), values(reference), strict=True):
            pick = rng.integers(0, one.size, one.size)
            wins = one[pick][:, None] > other[pick][None, :]
            parts.append(wins.mean())
        drawn.append(np.mean(parts))
    found = probability_of_improvement(arm, reference)
    # No ties between arms, so a win is a win.
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.03)


def test_pairing_makes_the_difference_of_like_arms_certain():
    reference = scores(4)
    arm = {name: {b: v + 1 for b, v in own.items()} for name, own in reference.items()}
    found = interquartile_mean_difference(arm, reference)
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))


def test_blocks_that_one_arm_lacks_are_left_out():
    arm, reference = scores(4), scores(5)
    del arm["set 0"][0]
    assert interquartile_mean_difference(arm, reference).num_runs == 18


def test_data_sets_must_agree():
    arm = scores(0)
    with pytest.raises(ValueError, match="differ"):
        probability_of_improvement(arm, {"set 0": arm["set 0"]})
    with pytest.raises(ValueError, match="no data set"):
        interquartile_mean({})


RUNS = st.lists(st.integers(-20, 20), min_size=2, max_size=6)


@settings(deadline=None, max_examples=30)
@given(RUNS, RUNS)
def test_improvement_of_one_is_the_loss_of_the_other(one, other):
    size = min(len(one), len(other))
    arm = {"x": dict(enumerate(map(float, one[:size])))}
    reference = {"x": dict(enumerate(map(float, other[:size])))}
    found = probability_of_improvement(arm, reference)
    back = probability_of_improvement(reference, arm)
    assert found.value == pytest.approx(1 - back.value)
    assert (found.low, found.high) == pytest.approx((1 - back.high, 1 - back.low))
