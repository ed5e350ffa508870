"""Metrics of per-clip scores against independent oracles."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from orchestrator.metrics.classification import mean_average_precision


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
