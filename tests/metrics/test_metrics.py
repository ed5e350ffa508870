"""Metrics of per-clip scores against independent oracles."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax as scipy_softmax
from scipy.stats import entropy, norm
from sklearn.metrics import average_precision_score, f1_score, recall_score, roc_auc_score

from orchestrator.metrics import lookup
from orchestrator.metrics.chance import HeldOut, map_chance
from orchestrator.metrics.classification import (
    all_correct,
    auc_range,
    combination_correct,
    cross_entropy,
    d_prime,
    log_softmax,
    macro_f1,
    mean_average_precision,
    mean_class_accuracy,
    mean_roc_auc,
    multi_label_f1,
    top_k_accuracy,
    top_k_correct,
    true_probability,
)
from orchestrator.metrics.targets import TargetKind


@given(
    seed=st.integers(0, 10_000),
    num_clips=st.integers(1, 60),
    num_classes=st.integers(2, 7),
    steps=st.integers(1, 20),
)
def test_mean_average_precision_with_ties_equals_scikit_learns(seed, num_clips, num_classes, steps):
    rng = np.random.default_rng(seed)
    # Coarse probabilities tie often; their logarithms are logits of the same softmax.
    probabilities = rng.integers(1, steps + 1, (num_clips, num_classes)) / steps
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = rng.integers(0, num_classes, num_clips)
    logits = np.log(probabilities)
    # The oracle ranks what ours computes from the logits, so that equal sums round alike.
    shifted = logits - logits.max(axis=1, keepdims=True)
    scores = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    expected = np.mean(
        [average_precision_score(labels == c, scores[:, c]) for c in np.unique(labels)]
    )
    assert np.isclose(mean_average_precision(logits, labels), expected, rtol=1e-12, atol=0)


def test_top_k_agrees_with_a_sort_and_constant_scores_earn_nothing():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(200, 7)).astype(np.float32)
    labels = generator.integers(0, 7, 200)
    for k in (1, 2, 5, 7, 9):
        top = np.argsort(-logits, axis=1)[:, :k]
        assert top_k_accuracy(logits, labels, k=k) == (top == labels[:, None]).any(axis=1).mean()
    assert top_k_accuracy(np.zeros_like(logits), labels, k=1) == 0


def test_cross_entropy_agrees_with_torch_and_of_a_sure_answer_is_zero():
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(200, 7)), generator.integers(0, 7, 200)
    expected = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(labels))
    assert cross_entropy(logits, labels) == pytest.approx(expected.item(), rel=1e-12)
    assert str(cross_entropy(np.array([[900.0, 0.0]]), np.array([0]))) == "0.0"


def test_mean_average_precision_of_a_perfect_ranking_is_one():
    assert mean_average_precision(np.eye(4) * 9, np.arange(4)) == 1.0


def test_mean_average_precision_of_equal_scores_is_the_share_of_each_class():
    labels = np.array([0, 0, 0, 1])
    assert mean_average_precision(np.zeros((4, 3)), labels) == (3 / 4 + 1 / 4) / 2


def test_mean_average_precision_ignores_what_softmax_ignores():
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(50, 5)), rng.integers(0, 5, 50)
    shifted = logits + 1024.0 * rng.integers(-3, 4, (50, 1))
    assert np.isclose(
        mean_average_precision(shifted, labels), mean_average_precision(logits, labels)
    )


def test_mean_average_precision_of_scores_that_are_not_finite_is_nan():
    assert np.isnan(mean_average_precision(np.array([[0.0, np.inf]]), np.array([0])))


@pytest.mark.parametrize("counts", [(8,) * 5, (30, 5, 5), (1, 2, 3, 0), (1, 1)])
def test_chance_of_map_is_that_of_clips_in_random_order(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    rng = np.random.default_rng(0)
    drawn = [
        np.mean(
            [
                average_precision_score(labels == own, rng.random(len(labels)))
                for own in np.unique(labels)
            ]
        )
        for _ in range(150)
    ]
    error = np.std(drawn, ddof=1) / np.sqrt(len(drawn))
    found = map_chance(HeldOut(num_classes=len(counts), counts=counts))
    assert found.value == pytest.approx(np.mean(drawn), abs=4 * error + 1e-9)


@pytest.mark.parametrize(
    ("key", "held_out", "expected"),
    [
        ("val/top1", HeldOut(num_classes=50), 1 / 50),
        ("val/top1", HeldOut(num_classes=2, counts=(9, 1)), 0.9),
        ("val/top1", HeldOut(num_classes=3, counts=(5, 5, 0)), 0.5),
        ("val/top5", HeldOut(num_classes=50), 5 / 50),
        ("val/top5", HeldOut(num_classes=3), 1.0),
        ("val/top5", HeldOut(num_classes=6, counts=(5, 1, 1, 1, 1, 1)), 0.9),
        ("val/map", HeldOut(num_classes=50), 1 / 50),
        ("val/map", HeldOut(num_classes=50, num_clips=10**7), 1 / 50),
        ("val/mean_class_accuracy", HeldOut(num_classes=4), 1 / 4),
        ("val/mean_class_accuracy", HeldOut(num_classes=4, counts=(9, 1, 0, 0)), 1 / 2),
        ("val/macro_f1", HeldOut(num_classes=4, counts=(9, 1, 1, 0)), 1 / 3),
        ("val/mauc", HeldOut(num_classes=4), 1 / 2),
        ("val/true_probability", HeldOut(num_classes=2, counts=(9, 1)), 0.9),
        ("val/loss", HeldOut(num_classes=10), np.log(10)),
        ("val/loss", HeldOut(num_classes=2, counts=(9, 1)), entropy([0.9, 0.1])),
        ("val/loss", HeldOut(num_classes=4, counts=(3, 3, 0, 0)), np.log(2)),
    ],
)
def test_chance_of_every_metric(key, held_out, expected):
    metric = lookup(key)
    assert metric.chance(held_out).value == pytest.approx(expected, abs=1e-4)
    assert metric.chance(held_out).rule


def test_no_constant_guess_beats_chance():
    counts = (30, 6, 4)
    labels = np.repeat(np.arange(3), counts)
    held_out = HeldOut(num_classes=3, counts=counts)
    shares = np.tile(np.log(np.array(counts) / 40), (40, 1))
    assert lookup("val/loss").chance(held_out).value == pytest.approx(cross_entropy(shares, labels))
    assert lookup("val/top1").chance(held_out).value == top_k_correct(shares, labels, k=1).mean()


@given(
    seed=st.integers(0, 10_000),
    num_clips=st.integers(1, 60),
    num_classes=st.integers(2, 7),
    steps=st.integers(1, 20),
)
def test_class_means_equal_scikit_learns_with_ties_and_classes_without_clips(
    seed, num_clips, num_classes, steps
):
    rng = np.random.default_rng(seed)
    probabilities = rng.integers(1, steps + 1, (num_clips, num_classes)) / steps
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels, logits = rng.integers(0, num_classes, num_clips), np.log(probabilities)
    present = np.unique(labels)

    scores = log_softmax(logits)
    aucs = [roc_auc_score(labels == c, scores[:, c]) for c in present if len(present) > 1]
    expected = np.mean(aucs) if aucs else np.nan
    assert mean_roc_auc(logits, labels) == pytest.approx(expected, abs=1e-12, nan_ok=True)

    # A tie names no class: a name that no clip has.
    sole = (logits == logits.max(axis=1, keepdims=True)).sum(axis=1) == 1
    named = np.where(sole, logits.argmax(axis=1), num_classes)
    f1 = f1_score(labels, named, labels=present, average="macro", zero_division=0)
    assert macro_f1(logits, labels) == pytest.approx(f1, abs=1e-12)
    recall = recall_score(labels, named, labels=present, average="macro", zero_division=0)
    assert mean_class_accuracy(logits, labels) == pytest.approx(recall, abs=1e-12)
    own = scipy_softmax(logits, axis=1)[np.arange(num_clips), labels]
    assert true_probability(logits, labels) == pytest.approx(own.mean(), abs=1e-12)


def test_class_means_of_constant_scores_earn_nothing_and_of_nan_are_said():
    logits, labels = np.zeros((6, 3)), np.array([0, 0, 1, 1, 2, 2])
    assert macro_f1(logits, labels) == mean_class_accuracy(logits, labels) == 0
    assert mean_roc_auc(logits, labels) == 0.5
    assert true_probability(logits, labels) == pytest.approx(1 / 3, abs=1e-15)
    logits[0, 1] = np.nan
    assert np.isnan([mean_roc_auc(logits, labels), true_probability(logits, labels)]).all()
    assert macro_f1(logits, labels) == 0


def test_true_probability_moves_where_accuracy_does_not():
    labels = np.array([0, 1])
    sure, unsure = np.array([[3.0, 0], [0, 3.0]]), np.array([[1.0, 0], [0, 1.0]])
    assert top_k_accuracy(sure, labels, k=1) == top_k_accuracy(unsure, labels, k=1) == 1
    assert true_probability(sure, labels) > true_probability(unsure, labels)


def test_range_of_mean_auc_holds_every_order_that_rounding_allows():
    rng = np.random.default_rng(0)
    logits, labels = np.log(rng.integers(1, 4, (40, 3)) / 3.0), rng.integers(0, 3, 40)
    low, high = auc_range(logits, labels)
    nudged = logits + rng.uniform(-1e-14, 1e-14, logits.shape)
    assert low < mean_roc_auc(logits, labels) < high
    assert low <= mean_roc_auc(nudged, labels) <= high


@given(
    seed=st.integers(0, 10_000),
    num_clips=st.integers(1, 40),
    num_classes=st.integers(1, 6),
    density=st.sampled_from([0.0, 0.2, 0.9, 1.0]),
)
def test_multi_label_f1_equals_scikit_learns(seed, num_clips, num_classes, density):
    rng = np.random.default_rng(seed)
    truth = rng.random((num_clips, num_classes)) < density
    probabilities = rng.integers(0, 5, truth.shape) / 4  # many at the threshold itself
    there = np.flatnonzero(truth.any(axis=0))
    macro = micro = np.nan
    if len(there):
        named = probabilities > 0.5
        macro = np.mean([f1_score(truth[:, c], named[:, c], zero_division=0) for c in there])
        micro = f1_score(truth.ravel(), named.ravel(), zero_division=0)
    exact = {"abs": 1e-12, "nan_ok": True}
    assert multi_label_f1(probabilities, truth) == pytest.approx(macro, **exact)
    assert multi_label_f1(probabilities, truth, micro=True) == pytest.approx(micro, **exact)


def test_d_prime_is_the_normal_quantile_of_the_area():
    for auc in (1e-6, 0.3, 0.5, 0.965, 1 - 1e-9):
        assert d_prime(auc) == pytest.approx(np.sqrt(2) * norm.ppf(auc), abs=1e-9)
    assert d_prime(1.0) == np.inf and d_prime(0.0) == -np.inf and np.isnan(d_prime(np.nan))


def test_no_constant_guess_beats_the_f1_of_chance():
    truth = np.zeros((40, 3), bool)
    truth[:30, 0] = truth[10:20, 1] = truth[:4, 2] = True
    held_out = HeldOut(num_classes=3, num_clips=40, counts=(30, 10, 4), kind=TargetKind.MULTI_LABEL)
    guesses = [np.tile(named, (40, 1)) for named in itertools.product((0.0, 1.0), repeat=3)]
    for key, micro in (("val/macro_f1", False), ("val/micro_f1", True)):
        best = max(multi_label_f1(guess, truth, micro=micro) for guess in guesses)
        assert lookup(key).chance(held_out).value == pytest.approx(best)


def test_combination_is_among_the_likeliest_as_a_list_of_all_of_them_says():
    rng = np.random.default_rng(5)
    for sizes, k in (((4, 6), 1), ((4, 6), 5), ((97, 30), 5), ((3, 2, 4), 5), ((2, 2), 5)):
        logits = [rng.normal(size=(40, size)).round(1) for size in sizes]  # with ties
        labels = [rng.integers(size, size=40) for size in sizes]
        right = combination_correct(logits, labels, k=k)
        for clip in range(40):
            scores = np.zeros(1)
            for part in logits:
                scores = (scores[:, None] + log_softmax(part)[clip]).ravel()
            own = sum(
                log_softmax(p)[clip, true[clip]] for p, true in zip(logits, labels, strict=True)
            )
            assert right[clip] == ((scores >= own - 1e-12).sum() <= k)
        if k == 1:
            np.testing.assert_array_equal(right, all_correct(logits, labels, k=1))
        each = [top_k_correct(*pair, k=k) for pair in zip(logits, labels, strict=True)]
        np.testing.assert_array_equal(all_correct(logits, labels, k=k), np.all(each, axis=0))
