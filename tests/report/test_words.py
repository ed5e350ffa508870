"""The words agree with the numbers."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.evidence import ContrastEvidence
from orchestrator.metrics import lookup
from orchestrator.report.wording.contrasts import equivalence_sentence
from orchestrator.report.wording.findings import finding_sentence
from orchestrator.report.wording.numbers import p_text
from orchestrator.stats import (
    Verdict,
    corrected_resampled_t,
    equivalence,
    judge,
    paired_difference,
    verdict,
)
from orchestrator.stats.paired import difference_of

TOP1, LOSS = lookup("val/top1"), lookup("val/loss")


def say(differences, *, metric=TOP1, num_contrasts=1, num_planned=None, losses=()):
    blocks = dict(enumerate(differences))
    zeros = dict.fromkeys(blocks, 0.0)
    second = {block: -loss for block, loss in enumerate(losses)}
    found = difference_of(blocks, tie_break=second) if blocks else None
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(num_contrasts - 1, len(blocks)))
    others = [paired_difference(dict(enumerate(row.tolist())), zeros) for row in noise]
    judged = judge([found, *others])[0]
    found, adjusted = judged.difference, judged.adjusted_p
    return judged, finding_sentence(
        ContrastEvidence(
            arm="λ=0.005",
            reference="no adaptor",
            difference=found,
            metric=metric,
            verdict=verdict(found, adjusted, sign=metric.sign) if found else Verdict.NOT_TESTED,
            adjusted_p=adjusted,
            smallest_adjusted_p=judged.smallest_adjusted_p,
            num_declared=num_contrasts,
            num_planned=num_planned,
            tie_break=LOSS if losses else None,
            with_ties=judged.with_ties,
        )
    )


def test_a_called_difference_says_size_interval_p_and_n():
    _, said = say([1.0, 1.5, 2.0, 1.25, 0.75, 1.5, 1.0])
    assert said == (
        "λ=0.005 helps by 1.3 points of top-1 against no adaptor for other seeds on "
        "these clips (95 % sign-flip interval 0.9 to 1.8, p 0.016, n 7)."
    )


def test_a_called_loss_hurts_with_positive_size_and_ordered_bounds():
    _, said = say([0.1, 0.2, 0.15, 0.12, 0.11, 0.16], metric=LOSS)
    assert said.startswith("λ=0.005 hurts by 0.14 nats of validation loss against no adaptor")
    low, high = re.search(r"interval ([\d.]+) to ([\d.]+)", said).groups()
    assert 0 < float(low) < 0.14 < float(high)


def test_what_hurts_is_said_without_a_minus():
    _, said = say([-1.0, -1.5, -2.0, -1.25, -0.75, -1.5])
    assert "hurts by 1.3 points" in said
    assert "−" not in said


def test_not_distinguishable_says_what_is_ruled_out():
    _, said = say([1.0, -1.0, 0.5, -0.25, 0.75, -0.5, 0.25, 0.0])
    assert "not distinguishable from no adaptor: +0.1 points of top-1" in said
    assert said.endswith("; the data rule out differences above +0.7 and below −0.5 points.")


def test_too_few_pairs_say_that_nothing_could_be_called():
    _, said = say([1.0, 1.1, 0.9, 1.05])
    assert said == (
        "λ=0.005 against no adaptor could not have been called, whatever came out: with n 4 the "
        "smallest attainable p is 2/2^4 = 0.12; that takes 6 blocks at least. +1.01 points of "
        "top-1 for other seeds on these clips (no 95 % interval from 4 pairs, p 0.12, n 4)."
    )


def test_tied_pairs_do_not_count_towards_what_could_be_called():
    _, said = say([0.0, 0.0, 0.0, 1.0, 2.0, 1.0, 3.0, 1.0])
    assert said == (
        "λ=0.005 against no adaptor could not have been called, whatever came out: 3 of 8 pairs "
        "are tied, and with the other 5 the smallest attainable p is 2/2^5 = 0.062; that takes 6 "
        "blocks at least that are not tied. +1.0 points of top-1 for other seeds on these clips "
        "(95 % "
        "sign-flip interval 0.0 to 2.0, p 0.062, n 8)."
    )


def test_a_call_that_the_tie_break_decides_says_so():
    losses = [-0.1, -0.2, 0.05, -0.3, -0.12, -0.4]
    _, said = say([0.0, 0.0, 1.25, 0.0, 0.0, 0.0], losses=losses)
    assert said == (
        "λ=0.005 helps by 0.2 points of top-1 against no adaptor for other seeds on these clips "
        "(95 "
        "% sign-flip interval above 0.0 to 1.2, p 0.031, n 6). Validation loss decides this: 5 of "
        "6 pairs are tied in top-1 "
        "and ordered by it; top-1 alone has p 1."
    )
    _, said = say([1.25] * 6, losses=losses)
    assert "helps by" in said and "decides" not in said
    _, said = say(
        [0.0, 0.0, 1.25, 0.0, 0.0, 0.0], losses=[loss * (-1) ** i for i, loss in enumerate(losses)]
    )
    assert "not distinguishable" in said and "decides" not in said


def test_a_call_of_equal_arms_is_said_to_be_the_second_metrics_alone():
    _, said = say([0.0] * 6, losses=[0.1, 0.2, 0.3, 0.1, 0.4, 0.2])
    assert said == (
        "λ=0.005 is worse than no adaptor by validation loss alone for other seeds on these clips: "
        "equal in top-1 in all 6 pairs (equal differences have no spread to make an interval from, "
        "p 0.031, n 6). Validation "
        "loss decides this: 6 of 6 pairs are tied in top-1 and ordered by it; top-1 alone has p 1."
    )


def test_several_contrasts_need_no_more_pairs_than_one():
    judged, said = say([1.0, 1.1, 0.9, 1.05, 1.2, 0.95], num_contrasts=5)
    assert judged.smallest_adjusted_p == 2 / 2**6
    assert "could not have been called" not in said
    assert f"adjusted {p_text(judged.adjusted_p)}" in said and "simultaneous" in said


def test_contrasts_that_have_no_test_yet_can_keep_another_from_being_called():
    found = paired_difference(
        dict(enumerate([1.0, 1.1, 0.9, 1.05, 1.2, 0.95])), dict.fromkeys(range(6), 0.0)
    )
    judged = judge([found, None])[0]
    said = finding_sentence(
        ContrastEvidence(
            arm="A",
            reference="B",
            difference=judged.difference,
            metric=TOP1,
            verdict=verdict(found, judged.adjusted_p, sign=1),
            adjusted_p=judged.adjusted_p,
            smallest_adjusted_p=judged.smallest_adjusted_p,
            num_declared=2,
        )
    )
    assert said.startswith("A against B could not have been called, whatever came out: with n 6")
    assert "2/2^6 = 0.031 (0.062 adjusted); the other contrasts need a test, too." in said


def test_one_pair_and_no_pair_say_that_nothing_can_be_said():
    assert "one pair has no interval and no test" in say([0.4])[1]
    assert "no block has finished in both" in say([])[1]


def test_identical_arms_are_called_equal_not_bounded():
    _, said = say([0.0] * 8)
    assert said.startswith("λ=0.005 equals no adaptor in all 8 pairs")
    assert "rule out" not in said


@pytest.mark.parametrize("value", [1.25, 0.1 + 0.2])
def test_equal_differences_have_no_interval_without_width(value):
    _, said = say([value] * 8)
    assert said.endswith(
        "points of top-1 against no adaptor for other seeds on these clips (equal differences "
        "have no spread to make an interval from, p 0.0078, n 8)."
    )
    _, said = say([value] * 3)
    assert "no 95 % interval from 3 pairs, p 0.25, n 3" in said and "rule out" not in said


def test_one_point_and_one_nat_are_said_in_the_singular():
    _, said = say([-6.0, 3.0, 6.0, -5.0, 9.0, -1.0])
    assert "+1 point of top-1" in said and "above +9 and below −6 points" in said
    _, said = say([0.01, 0.01, 0.02, 0.02, 0.01, 8.6])
    assert "helps by 1 point of top-1" in said
    margin = equivalence([0.1, -0.1, 0.2, 0.0, 0.1, -0.2], margin=1.0, sign=1)
    assert equivalence_sentence(margin, metric=TOP1).startswith(
        "Equivalent within 1 point for other"
    )
    assert equivalence_sentence(margin, metric=LOSS).startswith("Equivalent within 1 nat for other")
    wider = equivalence([0.1, -0.1, 0.2, 0.0, 0.1, -0.2], margin=1.5, sign=1)
    assert equivalence_sentence(wider, metric=TOP1).startswith(
        "Equivalent within 1.5 points for other"
    )


def test_missing_pairs_are_counted():
    assert "n 6 of 8" in say([1.0, 1.1, 0.9, 1.05, 1.2, 0.95], num_planned=8)[1]


@given(
    st.lists(st.integers(-40, 60).map(lambda i: i / 10), min_size=2, max_size=9),
    st.sampled_from([TOP1, LOSS]),
    st.integers(1, 6),
)
def test_helps_or_hurts_is_said_if_and_only_if_the_adjusted_p_calls_it(
    differences, metric, num_contrasts
):
    judged, said = say(differences, metric=metric, num_contrasts=num_contrasts)
    mean = sum(differences) / len(differences)
    called = judged.adjusted_p <= 0.05
    assert (" helps by " in said) == (called and mean * metric.sign > 0)
    assert (" hurts by " in said) == (called and mean * metric.sign < 0)
    negative = ("not distinguishable", " equals ", "could not have been called")
    assert any(words in said for words in negative) == (not called)
    untied = sum(map(bool, differences))
    assert ("could not have been called" in said) == (len(differences) < 6 or 0 < untied < 6)
    if interval := re.search(r"interval (above |)(−?[\d.]+) to (below |)(−?[\d.]+), p", said):
        low, high = (float(interval[i].replace("−", "-")) for i in (2, 4))
        # What is written holds 0 if and only if nothing is called.
        holds = low <= 0 <= high and not (interval[1] or interval[3])
        assert holds == (not called)


def test_equal_differences_over_folds_claim_nothing():
    said = finding_sentence(
        ContrastEvidence(
            arm="λ=0.005",
            reference="no adaptor",
            difference=corrected_resampled_t(dict.fromkeys(range(5), 2.0), test_per_train=0.25),
            metric=TOP1,
            verdict=Verdict.NOT_TESTED,
            adjusted_p=None,
            smallest_adjusted_p=0.0,
        )
    )
    assert said.startswith("λ=0.005 against no adaptor: +2")
    assert "in each of 5 folds" in said and said.endswith("nothing can be said.")
