"""The trend test against Page's test, full enumeration and least squares."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from orchestrator.stats import dose_trend


def series(values):
    """Return one mapping per dose from (blocks, doses)."""
    return [dict(enumerate(column)) for column in np.asarray(values, dtype=float).T.tolist()]


@pytest.mark.parametrize(("blocks", "doses"), [(3, 3), (5, 3), (3, 4), (4, 4)])
def test_on_ranks_it_is_pages_test(blocks, doses):
    rng = np.random.default_rng(blocks * doses)
    ranks = np.argsort(np.argsort(rng.normal(size=(blocks, doses)) + 0.7 * np.arange(doses)))
    found = dose_trend(series(ranks + 1.0))
    assert found.mean > 0
    # Page's test is one-sided; by symmetry the two-sided p is twice that.
    expected = scipy_stats.page_trend_test(ranks + 1, ranked=True, method="exact").pvalue
    assert found.p_value == pytest.approx(min(1, 2 * expected))
    assert found.test_method == "exact permutation trend test"


def test_exact_matches_enumeration_with_uneven_scores():
    values = np.array([[1.0, 2.5, 2.0], [0.5, 0.5, 3.0], [2.0, 1.0, 4.0]])
    scores = np.array([0.0, 1.0, 5.0])
    centered = scores - scores.mean()
    observed = abs((values @ centered).sum())
    orders = list(itertools.permutations(range(3)))
    hits = [
        abs(sum(row[list(o)] @ centered for row, o in zip(values, chosen, strict=True)))
        >= observed - 1e-9
        for chosen in itertools.product(orders, repeat=3)
    ]
    assert dose_trend(series(values), scores=scores).p_value == pytest.approx(np.mean(hits))


def test_sampled_agrees_with_a_normal_approximation_of_many_blocks():
    rng = np.random.default_rng(4)
    values = rng.normal(size=(40, 5)) + 0.08 * np.arange(5)
    found = dose_trend(series(values))
    centered = np.arange(5) - 2.0
    within = values - values.mean(axis=1, keepdims=True)
    # Variance of a linear contrast under a random order: closed form (Hoeffding 1951).
    deviation = np.sqrt(((within**2).sum(axis=1) * (centered**2).sum() / 4).sum())
    expected = 2 * scipy_stats.norm.sf(abs((values @ centered).sum()) / deviation)
    assert found.p_error > 0
    assert "100,000 draws" in found.test_method
    assert found.p_value == pytest.approx(expected, abs=0.01)


def test_sampled_agrees_with_exact_within_its_error(monkeypatch):
    values = np.random.default_rng(8).normal(size=(4, 4)) + 0.5 * np.arange(4)
    exact = dose_trend(series(values))
    monkeypatch.setattr("orchestrator.stats.trend.EXACT_ORDERS", 1)
    sampled = dose_trend(series(values))
    assert (exact.p_error, sampled.test_method[:7]) == (0, "sampled")
    assert sampled.p_value == pytest.approx(exact.p_value, abs=5 * sampled.p_error)


def test_slope_is_the_mean_of_least_squares_slopes():
    values = np.random.default_rng(2).normal(size=(6, 4))
    scores = [0, 1, 2, 4]
    slopes = [scipy_stats.linregress(scores, row).slope for row in values]
    found = dose_trend(series(values), scores=scores)
    assert list(found.slopes.values()) == pytest.approx(slopes)
    expected = scipy_stats.ttest_1samp(slopes, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_blocks_that_lack_a_dose_are_left_out():
    doses = series([[1, 2, 3], [2, 3, 5], [0, 1, 1]])
    del doses[1][2]
    assert dose_trend(doses).n == 2


@pytest.mark.parametrize(
    ("doses", "scores", "message"),
    [(2, None, "at least 3"), (3, [1, 2], "rising scores"), (3, [1, 3, 3], "rising scores")],
)
def test_series_that_cannot_have_a_trend_is_refused(doses, scores, message):
    with pytest.raises(ValueError, match=message):
        dose_trend(series(np.zeros((3, doses))), scores=scores)


TABLES = st.lists(st.lists(st.integers(-50, 50), min_size=3, max_size=3), min_size=1, max_size=4)


@given(TABLES, st.sampled_from([0.1, 7.0]), st.integers(-99, 99))
def test_p_does_not_depend_on_unit_level_or_direction(rows, scale, shift):
    table = np.array(rows, dtype=float)
    plain = dose_trend(series(table)).p_value
    assert dose_trend(series(scale * table + shift)).p_value == plain
    assert dose_trend(series(table[:, ::-1])).p_value == plain
    levels = np.arange(len(rows))[:, None] * 10.0
    assert dose_trend(series(table + levels)).p_value == plain
    assert dose_trend(series(table[::-1])).p_value == plain


def test_long_series_takes_fewer_draws_and_gives_their_error():
    rng = np.random.default_rng(4)
    short = dose_trend([dict(enumerate(rng.normal(size=8).tolist())) for _ in range(8)])
    assert short.test_method.endswith("100,000 draws")
    values = rng.normal(size=(1000, 10))
    long = dose_trend([dict(enumerate(row.tolist())) for row in values])
    assert long.test_method.endswith("2,000 draws")
    assert long.p_error == pytest.approx(np.sqrt(long.p_value * (1 - long.p_value) / 2000))
    # The contrast of so many exchangeable values is as good as normal, its variance exact.
    centered = values - values.mean(axis=0)
    scores = np.arange(1000) - 499.5
    spread = np.sqrt((centered**2).sum(axis=0).sum() * (scores**2).sum() / 999)
    z = (centered.T @ scores).sum() / spread
    assert long.p_value == pytest.approx(2 * scipy_stats.norm.sf(abs(z)), abs=4 * 0.011)
