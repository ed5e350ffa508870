"""Statistics against scipy and against properties that hold for all numbers."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from orchestrator.stats import (
    Verdict,
    holm,
    mean_interval,
    paired_difference,
    pairs_needed,
    sign_flip_p,
    smallest_p,
    verdict,
)

NUMBERS = st.integers(-10_000, 10_000).map(lambda i: i / 100)
PAIRS = st.lists(NUMBERS, min_size=2, max_size=8)


def against_zero(differences, **options):
    blocks = dict(enumerate(differences))
    return paired_difference(blocks, dict.fromkeys(blocks, 0.0), **options)


@pytest.mark.parametrize("n", [2, 3, 5, 6, 8, 11])
def test_sign_flip_matches_scipy_permutation_test(n):
    rng = np.random.default_rng(n)
    for data in (rng.normal(0.7, 1, n), rng.integers(-2, 4, n).astype(float)):
        expected = scipy_stats.permutation_test(
            (data,), np.mean, permutation_type="samples", n_resamples=np.inf
        ).pvalue
        assert sign_flip_p(data) == pytest.approx(expected, abs=1e-12)


def test_sign_flip_matches_enumeration_with_ties_and_zeros():
    data = [0.0, 0.25, 0.25, -0.25, 0.5, 0.0, 0.25]
    patterns = list(itertools.product((1, -1), repeat=len(data)))
    extreme = sum(
        abs(sum(s * d for s, d in zip(signs, data, strict=True))) >= abs(sum(data))
        for signs in patterns
    )
    assert sign_flip_p(data) == extreme / len(patterns)


def test_sign_flip_ties_of_rounded_accuracies_count_as_extreme():
    # 0.1 + 0.2 is not 0.3 in binary; on paper both patterns tie.
    assert sign_flip_p([0.1, 0.2, 0.3]) == sign_flip_p([1.0, 2.0, 3.0]) == 0.25
    assert sign_flip_p([0.3, -0.1, -0.2]) == 1.0


def test_sign_flip_all_zero_is_one():
    assert sign_flip_p([0.0] * 6) == 1.0


def test_interval_of_many_pairs_is_near_that_of_scipys_t():
    rng = np.random.default_rng(25)
    one, other = rng.normal(1, 1, 40), rng.normal(0.5, 1, 40)
    found = paired_difference(dict(enumerate(one)), dict(enumerate(other)))
    expected = scipy_stats.ttest_rel(one, other).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.03)
    assert found.interval_method == "sign-flip interval"


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
def test_mean_interval_matches_scipy_t(confidence):
    data = [0.61, 0.64, 0.58, 0.66]
    found = mean_interval(data, confidence=confidence)
    expected = scipy_stats.t.interval(confidence, 3, np.mean(data), scipy_stats.sem(data))
    assert (found.low, found.high) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[0.5], [0.4, 0.6]])
def test_mean_of_fewer_than_three_values_has_no_interval(values):
    found = mean_interval(values)
    assert (found.n, found.mean, found.low, found.high) == (len(values), 0.5, None, None)
    assert found.half_width is None and found.is_even


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_mean_interval_refuses_what_is_not_finite(values):
    with pytest.raises(ValueError, match=r"finite|no values"):
        mean_interval(values)


def test_interval_of_equal_values_is_a_point():
    found = mean_interval([0.5] * 6)
    assert (found.low, found.high, found.interval_method) == (0.5, 0.5, "t interval")


def test_paired_difference_of_one_pair_has_no_test():
    found = paired_difference({(0, 1): 0.6}, {(0, 1): 0.5})
    assert found.mean == pytest.approx(0.1)
    assert (found.low, found.high, found.p_value) == (None, None, None)
    assert found.smallest_p == 1.0


def test_paired_difference_uses_common_blocks_only():
    found = paired_difference({1: 3.0, 2: 5.0, 9: 100.0}, {2: 4.0, 1: 1.0, 7: -50.0})
    assert dict(found.differences) == {1: 2.0, 2: 1.0}


def test_paired_difference_without_a_common_block_says_so():
    with pytest.raises(ValueError, match="no block in common"):
        paired_difference({1: 1.0}, {2: 1.0})


def test_paired_difference_sampled_agrees_with_exact_within_its_error():
    rng = np.random.default_rng(3)
    data = rng.normal(0.35, 1, 24)
    found = against_zero(data)
    assert "sampled" in found.test_method
    assert found.p_error > 0
    # Independent oracle: convolve the distribution of sums of data rounded to a fine grid.
    grid = np.rint(np.abs(data) * 2000).astype(int)
    counts = np.ones(1)
    for step in grid:
        grown = np.zeros(len(counts) + 2 * step)
        grown[: len(counts)] += counts
        grown[2 * step :] += counts
        counts = grown
    sums = np.arange(len(counts)) - grid.sum()
    exact = counts[np.abs(sums) >= abs(np.rint(data.sum() * 2000))].sum() / counts.sum()
    assert found.p_value == pytest.approx(exact, abs=5 * found.p_error)
    assert against_zero(data).p_value == found.p_value


def test_exact_test_is_used_up_to_twenty_pairs():
    assert against_zero(np.linspace(1, 2, 20)).p_value == pytest.approx(2 / 2**20)
    assert against_zero(np.linspace(1, 2, 20)).test_method == "exact sign-flip test"


def test_exact_test_has_its_nominal_level():
    rng = np.random.default_rng(0)
    p_values = np.array([sign_flip_p(rng.normal(size=7)) for _ in range(2000)])
    # Levels are multiples of 2/128; the largest that 0.05 admits is 6/128.
    assert np.mean(p_values <= 0.05) == pytest.approx(6 / 128, abs=0.015)


@given(PAIRS)
def test_p_is_between_the_smallest_attainable_and_one(differences):
    found = against_zero(differences)
    assert smallest_p(found.n) <= found.smallest_p <= found.p_value <= 1.0
    assert (found.low is None) == (found.high is None) == (found.n < 6)
    if found.low is not None:
        assert found.low - 1e-9 <= found.mean <= found.high + 1e-9


@given(PAIRS)
def test_swapping_arm_and_reference_mirrors_everything(differences):
    zeros = dict.fromkeys(range(len(differences)), 0.0)
    one = paired_difference(dict(enumerate(differences)), zeros)
    other = paired_difference(zeros, dict(enumerate(differences)))
    assert one.p_value == other.p_value
    assert one.mean == pytest.approx(-other.mean)
    if one.low is not None:
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)


@given(PAIRS, st.sampled_from([0.001, 0.37, 100.0, 12345.0]))
def test_p_does_not_depend_on_the_unit(differences, scale):
    scaled = against_zero([scale * d for d in differences])
    plain = against_zero(differences)
    assert scaled.p_value == plain.p_value
    if plain.high is not None:
        assert scaled.high == pytest.approx(scale * plain.high, rel=1e-9, abs=1e-6 * scale)


@given(PAIRS, NUMBERS)
def test_interval_moves_with_the_differences(differences, shift):
    moved, still = against_zero([d + shift for d in differences]), against_zero(differences)
    if still.low is not None:
        assert (moved.low, moved.high) == pytest.approx(
            (still.low + shift, still.high + shift), abs=1e-6
        )


@given(PAIRS)
def test_what_both_arms_gain_in_a_block_changes_nothing(differences):
    base = {i: 10.0 * i for i in range(len(differences))}
    arm = {i: base[i] + d for i, d in enumerate(differences)}
    assert paired_difference(arm, base).p_value == against_zero(differences).p_value


@given(PAIRS)
def test_zero_pairs_add_no_evidence(differences):
    assume(len(differences) < 8)
    assert sign_flip_p([*differences, 0.0]) == sign_flip_p(differences)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=6))
def test_holm_is_the_closed_bonferroni_test(p_values):
    filled = [1.0 if p is None else p for p in p_values]
    for i, adjusted in enumerate(holm(p_values)):
        if p_values[i] is None:
            assert adjusted is None
            continue
        # Independent oracle: every intersection hypothesis that contains this one must fall.
        others = [j for j in range(len(filled)) if j != i]
        families = [
            [i, *chosen]
            for size in range(len(filled))
            for chosen in itertools.combinations(others, size)
        ]
        expected = max(min(1.0, len(f) * min(filled[j] for j in f)) for f in families)
        assert adjusted == pytest.approx(expected)


def test_holm_of_a_worked_example():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@pytest.mark.parametrize(("contrasts", "pairs"), [(1, 6), (2, 7), (5, 8), (10, 9)])
def test_pairs_needed_is_the_first_that_can_be_called(contrasts, pairs):
    assert pairs_needed(contrasts) == pairs
    assert contrasts * smallest_p(pairs) <= 0.05 < contrasts * smallest_p(pairs - 1)


@pytest.mark.parametrize(
    ("differences", "sign", "adjusted", "expected"),
    [
        ([1.0, 2.0], 1, 0.05, Verdict.BETTER),
        ([1.0, 2.0], -1, 0.05, Verdict.WORSE),
        ([-1.0, -2.0], -1, 0.01, Verdict.BETTER),
        ([1.0, 2.0], 1, 0.0501, Verdict.NOT_DISTINGUISHABLE),
        ([1.0, 2.0], 1, None, Verdict.NOT_TESTED),
    ],
)
def test_verdict_needs_the_adjusted_p_and_follows_the_direction(
    differences, sign, adjusted, expected
):
    assert verdict(against_zero(differences), adjusted, sign=sign) is expected
