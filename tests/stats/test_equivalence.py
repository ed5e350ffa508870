"""Equivalence and non-inferiority against scipy, and their logic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from orchestrator.stats import equivalence

DIFFERENCES = st.lists(st.integers(-300, 300).map(lambda i: i / 100), min_size=2, max_size=8)


@pytest.mark.parametrize("n", [3, 5, 8])
@pytest.mark.parametrize("margin", [0.5, 2.0])
def test_p_values_match_scipy_on_moved_differences(n, margin):
    data = np.random.default_rng(n).normal(0.1, 0.6, n)

    def oracle(moved):
        return scipy_stats.permutation_test(
            (moved,), np.mean, permutation_type="samples", alternative="greater", n_resamples=np.inf
        ).pvalue

    found = equivalence(data, margin=margin)
    assert found.p_not_worse == pytest.approx(oracle(data + margin))
    assert found.p_not_better == pytest.approx(oracle(margin - data))
    assert found.p_equivalent == max(found.p_not_worse, found.p_not_better)


def test_many_pairs_agree_with_two_one_sided_t_tests():
    data = np.random.default_rng(0).normal(0.2, 1, 20)
    found = equivalence(data, margin=0.6)
    assert found.p_not_worse == pytest.approx(
        scipy_stats.ttest_1samp(data, -0.6, alternative="greater").pvalue, abs=0.005
    )
    assert found.p_not_better == pytest.approx(
        scipy_stats.ttest_1samp(data, 0.6, alternative="less").pvalue, abs=0.005
    )
    expected = scipy_stats.ttest_1samp(data, 0).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_five_pairs_suffice_and_four_do_not():
    assert equivalence([0.1, -0.1, 0.2, 0.0, -0.2], margin=0.5).equivalent
    assert not equivalence([0.1, -0.1, 0.2, 0.0], margin=0.5).not_worse


def test_direction_decides_what_worse_means():
    losses = [0.9, 1.1, 1.0, 1.2, 0.8, 1.0]
    assert equivalence(losses, margin=0.5, sign=1).not_worse
    assert not equivalence(losses, margin=0.5, sign=-1).not_worse
    assert not equivalence(losses, margin=0.5).equivalent


def test_beyond_twenty_pairs_the_error_is_given():
    found = equivalence(np.random.default_rng(1).normal(0, 1, 25), margin=0.3)
    assert found.p_error > 0
    assert "sampled" in found.test_method


@pytest.mark.parametrize("margin", [0.0, -1.0, np.inf, np.nan])
def test_margin_must_be_above_zero(margin):
    with pytest.raises(ValueError, match="margin"):
        equivalence([0.1, 0.2], margin=margin)


@given(DIFFERENCES, st.sampled_from([0.25, 1.0]), st.sampled_from([0.1, 2.0]))
def test_a_wider_margin_never_weakens_the_claim(differences, margin, more):
    narrow, wide = (equivalence(differences, margin=m) for m in (margin, margin + more))
    assert wide.p_not_worse <= narrow.p_not_worse + 1e-12
    assert wide.p_equivalent <= narrow.p_equivalent + 1e-12


@given(DIFFERENCES)
def test_turning_the_direction_swaps_the_two_tests(differences):
    one, other = equivalence(differences, margin=1), equivalence(differences, margin=1, sign=-1)
    assert (one.p_not_worse, one.p_not_better) == (other.p_not_better, other.p_not_worse)


@pytest.mark.parametrize("sign", [1, -1])
def test_folds_are_held_against_the_margin_by_the_corrected_t(sign):
    data = np.array([0.3, -0.1, 0.2, 0.1, 0.0])
    found = equivalence(data, margin=1.0, sign=sign, test_per_train=1 / 4)
    error = data.std(ddof=1) * np.sqrt(1 / 5 + 1 / 4)
    expected = scipy_stats.t.sf((sign * data.mean() + 1.0) / error, 4)
    assert found.p_not_worse == pytest.approx(expected)
    low, high = scipy_stats.t.interval(0.9, 4, data.mean(), error)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert "corrected resampled t" in found.test_method
    # Plain sign flips over the same five folds would call it, though the folds are no replicates.
    assert equivalence(data, margin=1.0, sign=sign).not_worse


def test_equal_folds_rule_nothing_out():
    found = equivalence([0.1] * 5, margin=1.0, test_per_train=1 / 4)
    assert not found.not_worse and not found.equivalent
