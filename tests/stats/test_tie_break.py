"""Ties broken by a second metric, against lexicographic order enumerated with whole numbers."""

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestrator.stats import (
    ALPHA,
    Verdict,
    break_ties,
    crossed_test,
    judge,
    paired_difference,
    verdict,
)
from orchestrator.stats.paired import difference_of

CLIPS = st.integers(-3, 3)
LOSSES = st.integers(-20, 20)


@st.composite
def studies(draw, contrasts=(1, 1), pairs=(2, 8)):
    """Differences in clips and in a second metric, whole numbers both: (contrast, pair) each."""
    size, rows = draw(st.integers(*pairs)), draw(st.integers(*contrasts))

    def numbers(kind):
        return [draw(st.lists(kind, min_size=size, max_size=size)) for _ in range(rows)]

    return numbers(CLIPS), numbers(LOSSES)


def top1_of(first, second):
    """A contrast whose top-1 comes in steps of 1.25 points."""
    return difference_of(
        {i: 1.25 * value for i, value in enumerate(first)},
        tie_break={i: value / 64 for i, value in enumerate(second)},
    )


def lexicographic_p(first, second):
    """Share of sign patterns whose sums are at least as extreme, the first metric's first."""

    def size(signs):
        sums = [sum(s * v for s, v in zip(signs, row, strict=True)) for row in (first, second)]
        return max(sums, [-value for value in sums])

    observed = size([1] * len(first))
    patterns = list(itertools.product((1, -1), repeat=len(first)))
    return sum(size(signs) >= observed for signs in patterns) / len(patterns)


@settings(max_examples=150)
@given(studies())
def test_p_is_that_of_lexicographic_order(study):
    (first,), (second,) = study
    assert top1_of(first, second).p_value == pytest.approx(lexicographic_p(first, second))


@settings(max_examples=60)
@given(studies(pairs=(6, 9)))
def test_breaking_ties_moves_no_end_and_never_raises_p(study):
    (first,), (second,) = study
    differences = {i: 1.25 * value for i, value in enumerate(first)}
    found = top1_of(first, second)
    plain = paired_difference(differences, dict.fromkeys(differences, 0.0))
    assert (found.mean, found.differences) == (plain.mean, plain.differences)
    assert found.p_value <= plain.p_value
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.01)
    assert found.low <= found.mean + 1e-12 and found.mean - 1e-12 <= found.high
    assert found.smallest_p <= plain.smallest_p


@settings(max_examples=60)
@given(studies(contrasts=(1, 4), pairs=(6, 8)))
def test_intervals_agree_with_the_calls_of_tie_broken_families(study):
    every = [top1_of(*rows) for rows in zip(*study, strict=True)]
    for found in judge(every):
        difference = found.difference
        called = verdict(difference, found.adjusted_p, sign=1)
        if difference.low is None:
            continue
        if called is Verdict.BETTER:
            assert difference.low >= 0 and difference.direction > 0 and difference.mean >= 0
        elif called is Verdict.WORSE:
            assert difference.high <= 0 and difference.direction < 0 and difference.mean <= 0
        else:
            assert difference.low <= 0 <= difference.high
        assert difference.direction * difference.mean >= 0 or not difference.mean


@settings(max_examples=60)
@given(studies(pairs=(2, 7)))
def test_order_of_the_first_metric_is_kept(study):
    (first,), (second,) = study
    assume(any(second))
    names = range(len(first))
    broken = break_ties(dict(zip(names, first, strict=True)), dict(zip(names, second, strict=True)))
    for i, j in itertools.permutations(names, 2):
        if first[i] != first[j]:
            assert (broken[i] < broken[j]) == (first[i] < first[j])
        elif second[i] != second[j]:
            assert (broken[i] < broken[j]) == (second[i] < second[j])


def test_equal_differences_whose_ties_are_broken_are_their_own_interval():
    found = top1_of([1] * 7, [3, 1, -1, 2, 5, 4, 0])
    assert (found.low, found.mean, found.high) == (1.25, 1.25, 1.25)
    (judged,) = judge([found])
    assert judged.called and judged.difference.low == judged.difference.high == 1.25


def test_five_tied_pairs_of_six_can_be_called():
    found = top1_of([0, 0, 1, 0, 0, 0], [3, 1, -1, 2, 5, 4])
    assert (found.num_tied, found.num_equal, found.smallest_p) == (0, 5, 2 / 2**6)
    assert found.p_value == 2 / 2**6
    assert found.low == 0 and found.high == pytest.approx(1.25, rel=1e-3)
    (judged,) = judge([found])
    assert judged.called and judged.with_ties == 1.0
    assert verdict(judged.difference, judged.adjusted_p, sign=1) is Verdict.BETTER


def test_pairs_that_tie_in_both_metrics_stay_tied():
    found = top1_of([0, 0, 1, 1, 1, 1], [0, 2, 1, 1, 1, 1])
    assert (found.num_tied, found.num_equal) == (1, 2)
    assert found.p_value == 2 / 2**5
    assert break_ties({0: 0.0, 1: 1.0}, {}) == {0: 0.0, 1: 1.0}
    assert not paired_difference({0: 1.0}, {0: 0.0}).ordered


def test_all_tied_pairs_are_the_test_of_the_second_metric():
    found = top1_of([0] * 7, [3, 1, 1, 2, 5, 4, 2])
    other = paired_difference(
        dict(enumerate([3.0, 1.0, 1.0, 2.0, 5.0, 4.0, 2.0])), dict.fromkeys(range(7), 0.0)
    )
    assert found.p_value == other.p_value <= ALPHA
    assert (found.mean, found.low, found.high) == (0, 0, 0)
    assert found.direction > 0


def test_ties_of_seed_means_over_folds_are_broken_by_the_second_metrics_means():
    blocks = [(seed, fold) for seed in range(6) for fold in (1, 2)]
    turns = {block: 1.25 * (1 if block[1] == 1 else -1) for block in blocks}
    losses = {(seed, fold): 0.1 * (seed + 1) for seed, fold in blocks if seed}
    found = crossed_test(turns, tie_break=losses, num_folds=2)
    assert (found.replicate, found.num_equal, found.num_tied) == ("seed", 6, 1)
    assert found.p_value == 2 / 2**5
    # Few seeds over folds are tested by t, which needs no ties broken.
    few = {block: value for block, value in turns.items() if block[0] < 2}
    assert not crossed_test(few, tie_break=losses, num_folds=2).ordered
