"""Families of contrasts against enumeration and scipy: joint flips, and intervals that agree."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests

from orchestrator.stats import (
    ALPHA,
    corrected_resampled_t,
    holm,
    judge,
    paired_difference,
    sign_flip_p,
)
from orchestrator.stats import family as family_module
from orchestrator.stats.family import flip, simultaneous_bounds, step_down

NUMBERS = st.integers(-40, 60).map(lambda i: i / 8)


def blocks_of(rows):
    return [dict(enumerate(map(float, row))) for row in rows]


def judged(rows):
    """Contrasts judged together, each given by its differences per block."""
    zeros = dict.fromkeys(range(len(rows[0])), 0.0)
    return judge([paired_difference(row, zeros) for row in blocks_of(rows)])


@st.composite
def families(draw, contrasts=(1, 5), pairs=(4, 9)):
    size = draw(st.integers(*pairs))
    rows = st.lists(NUMBERS, min_size=size, max_size=size)
    return draw(st.lists(rows, min_size=contrasts[0], max_size=contrasts[1]))


def single(row):
    flipped = flip(blocks_of([row]))
    low, high = simultaneous_bounds(flipped)
    return float(flipped.p_values[0]), float(low[0]), float(high[0])


@pytest.mark.parametrize("n", [6, 7, 9])
def test_ends_of_one_contrast_are_order_statistics_of_subset_means(n):
    data = np.random.default_rng(n).normal(0.4, 1, n)
    subsets = (c for k in range(1, n + 1) for c in itertools.combinations(data, k))
    means = sorted(np.mean(chosen) for chosen in subsets)
    rank = math.floor(0.05 * 2 ** (n - 1))
    assert single(data)[1:] == pytest.approx((means[rank - 1], means[-rank]))


def test_six_pairs_reach_from_the_least_to_the_largest_difference_and_five_nowhere():
    data = [0.4, -0.2, 1.1, 0.9, 0.3, 2.0]
    assert single(data)[1:] == pytest.approx((-0.2, 2.0))
    assert single(data[:5])[1:] == (-math.inf, math.inf)
    zeros = dict.fromkeys(range(5), 0.0)
    found = paired_difference(dict(enumerate(data[:5])), zeros)
    assert (found.low, found.high, found.interval_method) == (None, None, "sign-flip interval")


@settings(max_examples=60)
@given(families(contrasts=(1, 1)), st.floats(-8, 8))
def test_interval_of_one_contrast_holds_exactly_what_scipys_test_does_not_reject(rows, moved):
    (data,) = map(np.array, rows)
    _, low, high = single(data)
    for value in (0.0, moved):
        if min(abs(value - low), abs(value - high)) < 1e-7 and value:
            continue
        p_value = scipy_stats.permutation_test(
            (data - value,), np.mean, permutation_type="samples", n_resamples=np.inf
        ).pvalue
        # scipy rounds what ties; numbers in eighths are exact at 0.
        assert (p_value > ALPHA) == (low <= value <= high)


@given(families(contrasts=(1, 1), pairs=(2, 9)))
def test_one_contrast_is_the_sign_flip_test_and_nothing_has_to_be_moved(rows):
    (row,) = rows
    p_value, low, high = single(row)
    (found,) = judged(rows)
    assert p_value == found.adjusted_p == found.difference.p_value == sign_flip_p(row)
    if math.isfinite(low):
        assert (found.difference.low, found.difference.high) == (low, high)
    else:
        assert found.difference.low is None


def closed_test(rows):
    """The largest p over all intersections that hold a contrast, by scipy's t statistic."""
    data = np.array(rows)
    signs = list(itertools.product((1, -1), repeat=data.shape[1]))

    def size(flipped):
        # Differences that are all 0 have no t; equal ones have an infinite one.
        with np.errstate(all="ignore"):
            t = np.abs(scipy_stats.ttest_1samp(flipped, 0, axis=1).statistic)
        flat = np.isnan(t) | np.isinf(t)
        return np.where(flat, np.where(np.abs(flipped).sum(axis=1) > 0, np.inf, 0), t)

    sizes = np.array([size(data * np.array(s)) for s in signs])
    observed = sizes[0]
    contrasts = range(len(rows))
    largest = []
    for i in contrasts:
        p_values = []
        for k in contrasts:
            for chosen in itertools.combinations(contrasts, k + 1):
                if i in chosen:
                    top = sizes[:, chosen].max(axis=1)
                    limit = observed[list(chosen)].max()
                    p_values.append(np.mean(top >= limit * (1 - 1e-7)))
        largest.append(max(p_values))
    return largest


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("seed", range(6))
def test_step_down_is_the_closed_test_of_all_intersections(seed):
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, 1, 7)
    rows = [(rng.normal(shift, 1, 7) - shared).tolist() for shift in (0.0, 0.7, 1.5, -1.2)]
    assert step_down(flip(blocks_of(rows))).tolist() == pytest.approx(closed_test(rows))


@settings(max_examples=30)
@given(families(contrasts=(2, 3), pairs=(4, 6)))
def test_step_down_of_tied_differences_is_the_closed_test(rows):
    # Whole eighths tie often; a row of zeros has no t.
    rows = [[d + 3 * i for d in row] for i, row in enumerate(rows)]
    if any(len({abs(d) for d in row}) < 3 for row in rows):
        return
    assert step_down(flip(blocks_of(rows))).tolist() == pytest.approx(closed_test(rows))


@settings(max_examples=40)
@given(families())
def test_adjusted_p_is_never_below_that_of_the_contrast_alone_nor_above_bonferroni_of_equals(rows):
    flipped = flip(blocks_of(rows))
    adjusted = step_down(flipped)
    assert (adjusted >= flipped.p_values - 1e-12).all()
    same = step_down(flip(blocks_of([rows[0]] * 3)))
    assert same.tolist() == pytest.approx([flipped.p_values[0]] * 3)


def test_joint_flips_give_away_less_than_holm():
    rng = np.random.default_rng(4)
    shared = rng.normal(0, 1, 9)
    rows = [(rng.normal(1, 1, 9) - shared).tolist() for _ in range(5)]
    flipped = flip(blocks_of(rows))
    assert (step_down(flipped) <= np.array(holm(flipped.p_values.tolist())) + 1e-12).all()
    assert step_down(flipped).sum() < 0.8 * sum(holm(flipped.p_values.tolist()))


@pytest.mark.parametrize("seed", range(5))
def test_simultaneous_ends_are_where_moved_differences_stop_being_rejected(seed):
    """By bisection: the test of one contrast moved, beside the others centered at their means."""
    rng = np.random.default_rng(seed)
    data = rng.normal(0.5, 1, (3, 8)) - rng.normal(0, 1, 8)
    low, high = simultaneous_bounds(flip(blocks_of(data)))
    signs = np.array(list(itertools.product((1, -1), repeat=8)))

    def p_value(i, value):
        moved = data - data.mean(axis=1, keepdims=True)
        moved[i] = data[i] - value
        sizes = np.abs(signs @ moved.T) / np.sqrt((moved**2).sum(axis=1))
        own = abs(moved[i].sum()) / np.sqrt((moved[i] ** 2).sum())
        return np.mean(sizes.max(axis=1) >= own - 1e-9)

    for i in range(3):
        for outer, end in ((data[i].mean() - 50, low[i]), (data[i].mean() + 50, high[i])):
            inner = data[i].mean()
            for _ in range(60):
                middle = (outer + inner) / 2
                outer, inner = (middle, inner) if p_value(i, middle) <= 0.05 else (outer, middle)
            assert inner == pytest.approx(end, abs=1e-6)


@settings(max_examples=80)
@given(families(pairs=(2, 9)))
def test_no_interval_of_a_family_disagrees_with_its_call(rows):
    for found in judged(rows):
        low, high = found.difference.low, found.difference.high
        if low is None:
            continue
        mean = found.difference.mean
        assert low <= mean + 1e-9 and mean <= high + 1e-9
        if found.called:  # an end of exactly 0 is no part of the interval
            assert low >= 0 if mean > 0 else high <= 0
        else:
            assert low <= 0 <= high


def test_a_contrast_called_in_a_later_step_ends_at_zero_and_is_named_simultaneous():
    rng = np.random.default_rng(0)
    moved = 0
    for _ in range(200):
        rows = rng.normal([[2.5], [0.8], [2.0]], 1, (3, 8)) - rng.normal(0, 1, 8)
        flipped = flip(blocks_of(rows))
        low, high = simultaneous_bounds(flipped)
        for i, found in enumerate(judged(rows)):
            assert found.difference.interval_method == "simultaneous sign-flip interval"
            if found.called and low[i] <= 0 <= high[i]:
                moved += 1
                assert 0.0 in (found.difference.low, found.difference.high)
    assert 0 < moved < 60


def test_contrasts_may_lack_blocks_and_one_without_a_test_keeps_its_share():
    rng = np.random.default_rng(1)
    rows = blocks_of(rng.normal(2, 1, (2, 9)))
    del rows[1][3]
    whole = [paired_difference(row, dict.fromkeys(row, 0.0)) for row in rows]
    first, second, third = judge([*whole, None])
    assert third.adjusted_p is None and not third.called
    assert (first.difference.n, second.difference.n) == (9, 8)
    two = judge(whole)
    assert first.adjusted_p == pytest.approx(1.5 * two[0].adjusted_p)
    assert first.difference.low < two[0].difference.low


def test_seeds_are_flipped_together_whether_they_are_blocks_or_means_over_folds():
    rng = np.random.default_rng(2)
    one, other = rng.normal(1, 1, (2, 8))
    blocks = {(s, 1): float(d) for s, d in enumerate(one)}
    means = dict(enumerate(map(float, other)))
    zeros = {**dict.fromkeys(blocks, 0.0), **dict.fromkeys(means, 0.0)}
    found = judge([paired_difference(blocks, zeros), paired_difference(means, zeros)])
    expected = step_down(flip(blocks_of([one, other])))
    assert [j.adjusted_p for j in found] == pytest.approx(expected.tolist())


def test_folds_are_corrected_by_holm_with_wider_intervals():
    rng = np.random.default_rng(3)
    found = [
        corrected_resampled_t(dict(enumerate(map(float, row))), test_per_train=0.25)
        for row in rng.normal(0.8, 0.3, (3, 5))
    ]
    several = judge(found)
    assert [j.adjusted_p for j in several] == holm([d.p_value for d in found])
    ratio = scipy_stats.t.ppf(1 - 0.05 / 6, 4) / scipy_stats.t.ppf(0.975, 4)
    for judged_, alone in zip(several, found, strict=True):
        assert judged_.difference.high - alone.mean == pytest.approx(
            ratio * (alone.high - alone.mean)
        )
    assert judge(found[:1])[0].difference.high == pytest.approx(found[0].high)


def test_two_kinds_of_tests_in_a_family_share_the_level():
    rng = np.random.default_rng(5)
    by_flips = [
        paired_difference(row, dict.fromkeys(row, 0.0))
        for row in blocks_of(rng.normal(1, 1, (2, 8)))
    ]
    by_t = corrected_resampled_t(dict(enumerate(rng.normal(1, 1, 5).tolist())), test_per_train=0.25)
    mixed = judge([*by_flips, by_t])
    alone = judge(by_flips)
    for one, other in zip(mixed, alone, strict=False):
        assert one.adjusted_p == pytest.approx(min(1.0, 1.5 * other.adjusted_p))
    assert mixed[2].adjusted_p == pytest.approx(3 * by_t.p_value)


def test_drawn_patterns_agree_with_all_patterns_within_their_error(monkeypatch):
    rng = np.random.default_rng(6)
    rows = blocks_of(rng.normal(0.55, 1, (4, 14)))
    exact = flip(rows)
    monkeypatch.setattr(family_module, "EXACT_VALUES", 1)
    drawn = flip(rows)
    assert exact.exact and not drawn.exact
    assert exact.error_of(0.05) == 0 and 0 < drawn.error_of(0.05) < 0.0023
    for one, other in zip(step_down(exact), step_down(drawn), strict=True):
        assert other == pytest.approx(one, abs=5 * drawn.error_of(float(other)) + 1e-5)
    for one, other in zip(simultaneous_bounds(exact), simultaneous_bounds(drawn), strict=True):
        assert other == pytest.approx(one, abs=0.03)


def test_a_family_needs_differences():
    with pytest.raises(ValueError, match="at least one difference"):
        flip([{0: 1.0}, {}])


def test_tied_pairs_limit_what_can_be_attained():
    (found,) = judged([[0.0, 0.0, 0.0, 1.25, 2.5, 1.25, 1.25, 3.75]])
    assert (found.difference.num_tied, found.difference.smallest_p) == (3, 2 / 2**5)
    assert found.adjusted_p == found.smallest_adjusted_p == 2 / 2**5
    assert found.difference.low <= 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holms_correction_is_that_of_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())
