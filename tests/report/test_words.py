"""The words agree with the numbers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.evidence import ContrastEvidence
from orchestrator.metrics import lookup
from orchestrator.report.wording.contrasts import equivalence_sentence
from orchestrator.report.wording.findings import finding_sentence
from orchestrator.stats import (
    Verdict,
    corrected_resampled_t,
    equivalence,
    holm,
    paired_difference,
    smallest_p,
    verdict,
)

TOP1, LOSS = lookup("val/top1"), lookup("val/loss")


def say(differences, *, metric=TOP1, num_contrasts=1, num_planned=None):
    blocks = dict(enumerate(differences))
    found = paired_difference(blocks, dict.fromkeys(blocks, 0.0)) if blocks else None
    p_value = found.p_value if found else None
    adjusted = holm([p_value] * num_contrasts)[0]
    return adjusted, finding_sentence(
        ContrastEvidence(
            arm="λ=0.005",
            reference="no adaptor",
            difference=found,
            metric=metric,
            verdict=verdict(found, adjusted, sign=metric.sign) if found else Verdict.NOT_TESTED,
            adjusted_p=adjusted,
            smallest_adjusted_p=min(1.0, num_contrasts * smallest_p(len(blocks))),
            num_declared=num_contrasts,
            num_planned=num_planned,
        )
    )


def test_a_called_difference_says_size_interval_p_and_n():
    _, said = say([1.0, 1.5, 2.0, 1.25, 0.75, 1.5, 1.0])
    assert said == (
        "λ=0.005 helps by 1.3 points of top-1 against no adaptor "
        "(95 % t interval 0.9 to 1.7, p 0.016, n 7)."
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
    assert re.search(r"rule out differences larger than 0\.\d points\.$", said)


def test_too_few_pairs_say_that_nothing_could_be_called():
    _, said = say([1.0, 1.1, 0.9, 1.05])
    assert (
        "2/2^4 = 0.12" in said and "nothing could be called; that takes 6 blocks at least." in said
    )


def test_several_contrasts_need_more_pairs():
    _, said = say([1.0, 1.1, 0.9, 1.05, 1.2, 0.95], num_contrasts=5)
    assert "after correction" in said
    assert "With n 6 and 5 contrasts" in said and "(0.16 adjusted)" in said
    assert "that takes 8 blocks at least" in said


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
        "points of top-1 against no adaptor (equal differences have no spread to make an interval "
        "from, p 0.0078, n 8)."
    )
    _, said = say([value] * 3)
    assert "no spread to make an interval from, p 0.25, n 3" in said and "rule out" not in said


def test_two_pairs_are_told_how_many_it_takes_not_how_many_would_do():
    _, said = say([0.5, 1.5], num_contrasts=2)
    assert said.endswith("so nothing could be called; that takes 7 blocks at least.")


def test_one_point_and_one_nat_are_said_in_the_singular():
    _, said = say([-6.0, 3.0, 6.0, -5.0, 9.0, -1.0])
    assert "+1 point of top-1" in said and "larger than 7 points" in said
    _, said = say([0.01, 0.01, 0.02, 0.02, 0.01, 8.6])
    assert "helps by 1 point of top-1" in said
    margin = equivalence([0.1, -0.1, 0.2, 0.0, 0.1, -0.2], margin=1.0, sign=1)
    assert equivalence_sentence(margin, metric=TOP1).startswith("Equivalent within 1 point (")
    assert equivalence_sentence(margin, metric=LOSS).startswith("Equivalent within 1 nat (")
    wider = equivalence([0.1, -0.1, 0.2, 0.0, 0.1, -0.2], margin=1.5, sign=1)
    assert equivalence_sentence(wider, metric=TOP1).startswith("Equivalent within 1.5 points (")


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
    adjusted, said = say(differences, metric=metric, num_contrasts=num_contrasts)
    mean = sum(differences) / len(differences)
    called = adjusted <= 0.05
    assert (" helps by " in said) == (called and mean * metric.sign > 0)
    assert (" hurts by " in said) == (called and mean * metric.sign < 0)
    assert ("not distinguishable" in said or " equals " in said) == (not called)
    if len(differences) < 6:
        assert "nothing could be called" in said


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
