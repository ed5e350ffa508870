"""Seeds and folds crossed: which replicate is used, and the corrected resampled t."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from orchestrator.stats import (
    corrected_resampled_t,
    crossed_test,
    mean_interval,
    paired_difference,
    replicate_interval,
    replicates_of,
)


def crossed(seeds, folds, *, shift=0.5, seed=0):
    rng = np.random.default_rng(seed)
    blocks = [(s, f) for s in range(seeds) for f in range(folds)]
    reference = dict(zip(blocks, rng.normal(size=len(blocks)).tolist(), strict=True))
    arm = {block: value + shift + rng.normal() for block, value in reference.items()}
    return arm, reference


def crossed_difference(arm, reference, **options):
    return crossed_test({b: arm[b] - reference[b] for b in arm if b in reference}, **options)


def crossed_interval(values):
    return replicate_interval(replicates_of(values))


@pytest.mark.parametrize("k", [3, 5, 10])
def test_corrected_t_is_the_ordinary_t_with_a_wider_variance(k):
    data = np.random.default_rng(k).normal(0.6, 1, k)
    found = corrected_resampled_t(dict(enumerate(data)), test_per_train=1 / (k - 1))
    plain = scipy_stats.ttest_1samp(data, 0)
    statistic = plain.statistic / np.sqrt(1 + k / (k - 1))
    assert found.p_value == pytest.approx(2 * scipy_stats.t.sf(abs(statistic), k - 1))
    half = mean_interval(data).half_width
    assert found.half_width == pytest.approx(half * np.sqrt(1 + k / (k - 1)))
    assert (found.test_method, found.replicate) == ("corrected resampled t test", "fold")


def test_one_fold_takes_seeds_as_they_come():
    arm, reference = crossed(7, 1)
    found = crossed_difference(arm, reference)
    plain = paired_difference(arm, reference)
    assert (found.p_value, found.low, found.n) == (plain.p_value, plain.low, 7)
    assert (found.replicate, found.reason) == ("seed", "")


def test_one_seed_on_five_folds_takes_the_corrected_t():
    arm, reference = crossed(1, 5)
    found = crossed_difference(arm, reference)
    expected = corrected_resampled_t(
        {f: arm[0, f] - reference[0, f] for f in range(5)}, test_per_train=1 / 4
    )
    assert (found.p_value, found.low, found.n) == (expected.p_value, expected.low, 5)
    assert "Nadeau and Bengio" in found.reason


def test_enough_seeds_on_five_folds_are_tested_by_their_means():
    arm, reference = crossed(6, 5)
    found = crossed_difference(arm, reference)
    means = {s: np.mean([arm[s, f] - reference[s, f] for f in range(5)]) for s in range(6)}
    expected = paired_difference(means, dict.fromkeys(means, 0.0))
    assert found.p_value == expected.p_value
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.n, found.replicate) == (6, "seed")
    assert "other seeds on these clips" in found.reason


def test_seeds_too_few_for_the_exact_test_take_fold_means():
    arm, reference = crossed(5, 5)
    found = crossed_difference(arm, reference)
    means = {f: np.mean([arm[s, f] - reference[s, f] for s in range(5)]) for f in range(5)}
    expected = corrected_resampled_t(means, test_per_train=1 / 4)
    assert found.p_value == pytest.approx(expected.p_value)
    assert (found.n, found.replicate) == (5, "fold")


def test_two_of_five_folds_keep_the_ratio_of_five():
    arm, reference = crossed(1, 2)
    found = crossed_difference(arm, reference, num_folds=5)
    data = [arm[0, f] - reference[0, f] for f in range(2)]
    error = np.std(data, ddof=1) * np.sqrt(1 / 2 + 1 / 4)
    assert found.p_value == pytest.approx(2 * scipy_stats.t.sf(abs(np.mean(data)) / error, 1))


def test_incomplete_seeds_and_folds_are_left_out_and_counted():
    arm, reference = crossed(7, 5)
    del arm[3, 2]
    found = crossed_difference(arm, reference)
    assert found.n == 6
    assert found.reason.startswith("1 incomplete seed left out; ")
    arm, reference = crossed(2, 5)
    del arm[1, 4], arm[1, 3]
    found = crossed_difference(arm, reference)
    assert found.n == 3
    assert found.reason.startswith("2 incomplete folds left out; ")


def test_equal_differences_over_folds_have_no_p():
    assert corrected_resampled_t({0: 0.1 + 0.2, 1: 0.3}, test_per_train=1).p_value is None
    assert corrected_resampled_t({0: 0.0, 1: 0.0}, test_per_train=1).p_value == 1


def test_more_folds_than_the_clips_were_split_into_is_refused():
    arm, reference = crossed(1, 5)
    with pytest.raises(ValueError, match="5 folds occur"):
        crossed_difference(arm, reference, num_folds=4)
    with pytest.raises(ValueError, match="there are no values"):
        crossed_difference({(0, 0): 1.0}, {(0, 1): 1.0})


def test_no_complete_seed_or_fold_leaves_the_fullest_seed():
    arm = {(0, 0): 1.0, (1, 1): 2.0, (1, 2): 4.0}
    found = crossed_difference(arm, dict.fromkeys(arm, 0.0))
    assert dict(found.differences) == {1: 2.0, 2: 4.0}
    assert found.reason.startswith("1 incomplete seed left out; 1 incomplete fold left out; ")


def test_most_blocks_are_kept():
    arm, reference = crossed(4, 5)
    for s in range(3):
        del arm[s, s]
    found = crossed_difference(arm, reference)
    # Two whole folds of four seeds are 8 blocks, the one complete seed 5.
    assert list(found.differences) == [3, 4]
    assert found.mean == pytest.approx(
        np.mean([arm[s, f] - reference[s, f] for s in range(4) for f in (3, 4)])
    )


@given(st.integers(1, 7), st.integers(1, 4), st.integers(0, 99), st.sampled_from([0.1, 100.0]))
def test_order_unit_and_direction_do_not_matter(seeds, folds, seed, scale):
    arm, reference = crossed(seeds, folds, seed=seed)
    found = crossed_difference(arm, reference)
    turned = crossed_difference(
        {block: -scale * arm[block] for block in reversed(arm)},
        {block: -scale * value for block, value in reference.items()},
    )
    assert turned.mean == pytest.approx(-scale * found.mean)
    if found.p_value is None:
        assert turned.p_value is None
    else:
        assert turned.p_value == pytest.approx(found.p_value)


@pytest.mark.parametrize(("seeds", "folds"), [(7, 1), (6, 5), (2, 5), (1, 5), (3, 2)])
def test_interval_without_a_test_takes_the_replicates_of_the_test(seeds, folds):
    arm, reference = crossed(seeds, folds)
    differences = {block: arm[block] - reference[block] for block in arm}
    found, tested = crossed_interval(differences), crossed_difference(arm, reference)
    assert (found.n, found.replicate, found.reason) == (tested.n, tested.replicate, tested.reason)
    assert found.mean == pytest.approx(tested.mean)
    if tested.replicate == "fold":  # over seeds, the interval of the test is that of sign flips
        assert found.interval_method == tested.interval_method
        ends = (tested.low, tested.high) if folds > 2 else (None, None)  # two means say too little
        assert (found.low, found.high) == pytest.approx(ends)
        cut = replicate_interval(replicates_of(differences), within=(0.0, 0.5))
        if folds > 2:
            assert cut.low == max(0.0, tested.low) and cut.high == min(0.5, tested.high)


def test_interval_of_fold_means_against_scipy():
    values, _ = crossed(2, 5)
    means = [np.mean([values[s, f] for s in range(2)]) for f in range(5)]
    half = scipy_stats.t.ppf(0.975, 4) * np.std(means, ddof=1) * np.sqrt(1 / 5 + 1 / 4)
    assert crossed_interval(values).half_width == pytest.approx(half)


def test_interval_of_a_single_block_has_no_ends():
    found = crossed_interval({(0, 1): 3.0})
    assert (found.mean, found.low, found.high, found.n) == (3.0, None, None, 1)


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 99))
def test_interval_of_moved_values_moves_with_them(seeds, folds, seed):
    values, _ = crossed(seeds, folds, seed=seed)
    one = crossed_interval(values)
    other = crossed_interval({block: value + 10 for block, value in values.items()})
    assert other.mean - one.mean == pytest.approx(10)
    if one.half_width is not None:
        assert other.half_width == pytest.approx(one.half_width)
