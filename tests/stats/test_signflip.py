"""The one-sided and the vectorized sign-flip test."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from orchestrator.stats import sign_flip, sign_flip_p, sign_flip_p_rows
from orchestrator.stats.signflip import Alternative

NUMBERS = st.integers(-10_000, 10_000).map(lambda i: i / 100)


@pytest.mark.parametrize("n", [2, 4, 7, 10])
def test_one_sided_matches_scipy_permutation_test(n):
    rng = np.random.default_rng(n)
    for data in (rng.normal(0.4, 1, n), rng.integers(-2, 4, n).astype(float)):
        expected = scipy_stats.permutation_test(
            (data,), np.sum, permutation_type="samples", alternative="greater", n_resamples=np.inf
        ).pvalue
        assert sign_flip_p(data, alternative=Alternative.GREATER) == pytest.approx(expected)


def test_one_sided_sampled_agrees_with_exact_within_its_error():
    data = np.random.default_rng(3).normal(0.3, 1, 21)
    sampled = sign_flip(data, alternative=Alternative.GREATER)
    # The exact distribution of 21 sums is the even mixture of two of 20.
    rest, last = np.abs(data[:-1]), abs(data[-1])
    sums = np.array([0.0])
    for value in rest:
        sums = np.concatenate([sums + value, sums - value])
    exact = (np.mean(sums + last >= data.sum()) + np.mean(sums - last >= data.sum())) / 2
    assert "sampled" in sampled.method
    assert sampled.p_value == pytest.approx(exact, abs=5 * sampled.p_error)


@given(st.lists(st.lists(NUMBERS, min_size=5, max_size=5), min_size=1, max_size=6))
def test_rows_equal_single_tests(rows):
    expected = [sign_flip_p(row) for row in rows]
    assert sign_flip_p_rows(np.array(rows)).tolist() == expected


@given(st.lists(NUMBERS, min_size=1, max_size=8))
def test_the_two_one_sided_p_cover_all_patterns(differences):
    above = sign_flip_p(differences, alternative=Alternative.GREATER)
    below = sign_flip_p([-d for d in differences], alternative=Alternative.GREATER)
    assert above + below >= 1
    assert sign_flip_p(differences) <= min(1.0, 2 * min(above, below)) + 1e-12


@given(st.lists(NUMBERS, min_size=2, max_size=8), st.integers(0, 7), st.integers(1, 500))
def test_a_larger_difference_never_weakens_the_one_sided_test(differences, index, more):
    raised = list(differences)
    raised[index % len(raised)] += more
    before = sign_flip_p(differences, alternative=Alternative.GREATER)
    assert sign_flip_p(raised, alternative=Alternative.GREATER) <= before + 1e-12


@pytest.mark.parametrize("n", [0, 21])
def test_exact_test_refuses_other_numbers_of_pairs(n):
    with pytest.raises(ValueError, match="1 to 20 pairs"):
        sign_flip_p(np.ones(n))
    with pytest.raises(ValueError, match="1 to 20 pairs"):
        sign_flip_p_rows(np.ones((2, n)))
