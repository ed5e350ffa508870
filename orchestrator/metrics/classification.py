"""Classification metrics over per-clip scores, in numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.metrics.ranking import average_precision, roc_auc

Logits = NDArray[np.floating[Any]]
"""(clips, classes) scores before any softmax."""

Labels = NDArray[np.integer[Any]]
"""(clips,) class indices."""

Truth = NDArray[np.bool_]
"""(clips, classes) booleans: whether a clip has a class."""


ROUNDING = 1e-12
"""Difference of log probabilities that is rounding alone."""


def top_k_correct(logits: Logits, labels: Labels, *, k: int) -> NDArray[np.bool_]:
    """Return (clips,) booleans: whether each label is among the k largest scores.

    Ties count against the clip: a label is within the top k only if fewer than k other classes
    score as much or more, so constant scores earn nothing.

    Args:
        logits: Scores (clips, classes).
        labels: Class indices (clips,).
        k: Number of classes that may be named; beyond the number of classes it means all of them.
    """
    true_scores = np.take_along_axis(logits, labels[:, None], axis=1)
    at_least = (logits >= true_scores).sum(axis=1) - 1
    return (at_least < k) & np.isfinite(true_scores[:, 0])


def top_k_accuracy(logits: Logits, labels: Labels, *, k: int) -> float:
    """Return the fraction of clips that `top_k_correct` counts."""
    return float(top_k_correct(logits, labels, k=k).mean())


def all_correct(logits: Sequence[Logits], labels: Sequence[Labels], *, k: int) -> NDArray[np.bool_]:
    """Return (clips,) booleans: whether the class of every head is among its k largest scores.

    Source: `multitask_topk_accuracies` of ekazakos/auditory-slow-fast.

    Args:
        logits: Scores (clips, classes) of each head.
        labels: Class indices (clips,) of each head.
        k: Number of classes that may be named per head.
    """
    right = np.ones(len(labels[0]), np.bool_)
    for pair in zip(logits, labels, strict=True):
        right &= top_k_correct(*pair, k=k)
    return right


def combination_correct(
    logits: Sequence[Logits], labels: Sequence[Labels], *, k: int
) -> NDArray[np.bool_]:
    """Return (clips,) booleans: whether one class of each head are among the k likeliest such.

    The probability of a combination is the product of those of its classes, by each head alone.
    Ties count against the clip, as in `top_k_correct`.

    Source: `compute_action_scores` of epic-kitchens/C1-Action-Recognition, which combines the 100
    most probable verbs and nouns.

    Args:
        logits: Scores (clips, classes) of each head.
        labels: Class indices (clips,) of each head.
        k: Number of combinations that may be named.
    """
    size = len(labels[0])
    own, likeliest = np.zeros(size), np.zeros((size, 1))
    for scores, true in zip(logits, labels, strict=True):
        of_head = log_softmax(scores)
        own += of_head[np.arange(size), true]
        sums = likeliest[:, :, None] + _largest(of_head, k + 1)[:, None, :]
        # The k + 1 likeliest combinations are of the k + 1 likeliest of each part.
        likeliest = _largest(sums.reshape(size, -1), k + 1)
    at_least = (likeliest >= own[:, None] - ROUNDING).sum(axis=1)
    return (at_least <= k) & np.isfinite(own)


def _largest(scores: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return (clips, count) largest scores in no order, or all if there are fewer."""
    count = min(count, scores.shape[1])
    return np.partition(scores, scores.shape[1] - count, axis=1)[:, -count:]


def log_softmax(logits: Logits) -> NDArray[np.float64]:
    """Return the log probabilities (clips, classes) of logits, in float64."""
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return scores


def cross_entropy(logits: Logits, labels: Labels) -> float:
    """Return the mean cross entropy in nats of (clips, classes) logits against (clips,) labels."""
    own = log_softmax(logits)[np.arange(len(labels)), labels]
    return float((0.0 - own).mean())  # `-own` would make a perfect loss -0.0


def binary_cross_entropies(logits: Logits, truth: Truth) -> NDArray[np.float64]:
    """Return (clips,) means over classes of the binary cross entropy, in nats.

    Args:
        logits: Scores (clips, classes) before the sigmoid.
        truth: Whether a clip has a class (clips, classes).
    """
    scores = logits.astype(np.float64)
    return np.logaddexp(0.0, np.where(truth, -scores, scores)).mean(axis=1)


def true_probability(logits: Logits, labels: Labels) -> float:
    """Return the mean over clips of the softmax probability of the true class.

    It moves with every clip, also with those that stay right or stay wrong, so it tells arms apart
    that accuracy cannot; unlike cross entropy, one clip counts for at most 1.
    """
    return float(np.exp(log_softmax(logits)[np.arange(len(labels)), labels]).mean())


def mean_class_accuracy(logits: Logits, labels: Labels) -> float:
    """Return the mean over classes of the share of their clips that top-1 counts as right.

    Classes without a clip are left out. scikit-learn's `balanced_accuracy_score`, where no largest
    scores tie.
    """
    right = top_k_correct(logits, labels, k=1)
    return float(np.mean([right[labels == own].mean() for own in np.unique(labels)]))


def macro_f1(logits: Logits, labels: Labels) -> float:
    """Return the mean over classes of F1 of the class with the largest score.

    F1 is 2 TP / (2 TP + FP + FN). A clip whose largest score is not alone, or not finite, names no
    class. Classes without a clip are left out, though naming them costs the others their recall:
    scikit-learn's `f1_score(average="macro", labels=np.unique(labels), zero_division=0)`.
    """
    largest = logits.max(axis=1, keepdims=True)
    named = np.where((logits == largest).sum(axis=1) == 1, logits.argmax(axis=1), -1)
    named[~np.isfinite(logits).all(axis=1)] = -1
    own = np.unique(labels)[:, None]
    both = ((named == own) & (labels == own)).sum(axis=1)
    return float((2 * both / ((named == own).sum(axis=1) + (labels == own).sum(axis=1))).mean())


def mean_average_precision(logits: Logits, labels: Labels) -> float:
    """Return the mean over classes of the average precision of their softmax probabilities.

    Each class ranks all clips by its probability; clips of equal probability enter together.
    Classes without a clip are left out. NaN if a score is not finite.

    Args:
        logits: Scores (clips, classes).
        labels: Class indices (clips,).

    Source: AP as in scikit-learn's `average_precision_score`; on softmax probabilities as in
    VGGSound (arXiv 2004.14368).
    """
    if not np.isfinite(logits).all():
        return float("nan")
    return float(np.mean(average_precisions(logits, labels)))


def mean_roc_auc(logits: Logits, labels: Labels) -> float:
    """Return the mean over classes of the area under the ROC curve of their probabilities.

    Each class is told from all others by its softmax probability; the area is the share of pairs of
    a clip of the class and one of another that are ranked rightly, a tie counting half. Classes
    without a clip, or with all of them, are left out. NaN if none is left or a score is not finite.

    Args:
        logits: Scores (clips, classes).
        labels: Class indices (clips,).

    Source: scikit-learn's `roc_auc_score(multi_class="ovr", average="macro")`.
    """
    if not np.isfinite(logits).all():
        return float("nan")
    return _mean_of(_roc_aucs(logits, labels))


def auc_range(logits: Logits, labels: Labels) -> tuple[float, float]:
    """Return `mean_roc_auc` for the worst and the best order that rounding allows."""
    worst, best = (_mean_of(_roc_aucs(logits, labels, shift=s)) for s in (-ROUNDING, ROUNDING))
    return worst, best


def map_range(logits: Logits, labels: Labels) -> tuple[float, float]:
    """Return the mean average precision for the worst and the best order that rounding allows.

    Clips whose probabilities agree to the last digits may change places on another processor.
    """
    worst, best = (
        float(np.mean(average_precisions(logits, labels, shift=s))) for s in (-ROUNDING, ROUNDING)
    )
    return worst, best


def average_precisions(logits: Logits, labels: Labels, *, shift: float = 0.0) -> list[float]:
    """Return the average precision of every class that has a clip; see `mean_average_precision`.

    Args:
        logits: Finite scores (clips, classes).
        labels: Class indices (clips,).
        shift: Added to the log probability of each clip's own class. If it is less than any
            difference that is not rounding, it bounds the effect of rounding on the order of clips.
    """
    scores = _shifted(logits, labels, shift)
    return [average_precision(scores[:, c], labels == c) for c in set(labels)]


def _roc_aucs(logits: Logits, labels: Labels, *, shift: float = 0.0) -> list[float]:
    scores = _shifted(logits, labels, shift)
    return [roc_auc(scores[:, c], labels == c) for c in set(labels) if not (labels == c).all()]


def _shifted(logits: Logits, labels: Labels, shift: float) -> NDArray[np.float64]:
    scores = log_softmax(logits)
    scores[np.arange(len(labels)), labels] += shift
    return scores


def _mean_of(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def multi_label_average_precision(scores: Logits, truth: Truth) -> float:
    """Return the mean over classes of the average precision, as AudioSet's mAP.

    Each class ranks all clips by its score; clips of equal score enter together. A sigmoid would
    rank them alike, but for scores that it rounds to 0 or 1. Classes without a clip are left out.
    NaN if a score is not finite, or no class has a clip.

    Args:
        scores: Scores (clips, classes).
        truth: Whether a clip has a class (clips, classes).

    Source: `average_precision_score(average="macro")` of scikit-learn over the classes with a clip.
    """
    there = np.flatnonzero(truth.any(axis=0))
    if not len(there) or not np.isfinite(scores).all():
        return float("nan")
    ranked = scores.astype(np.float64)
    return float(np.mean([average_precision(ranked[:, c], truth[:, c]) for c in there]))


def multi_label_roc_auc(scores: Logits, truth: Truth) -> float:
    """Return the mean over classes of the area under the ROC curve, as AudioSet's mAUC.

    Classes that no clip has, or every clip, are left out. NaN if a score is not finite, or no class
    is left.

    Args:
        scores: Scores (clips, classes).
        truth: Whether a clip has a class (clips, classes).
    """
    if not np.isfinite(scores).all():
        return float("nan")
    ranked, told = scores.astype(np.float64), np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0))
    return _mean_of([roc_auc(ranked[:, c], truth[:, c]) for c in told])


def multi_label_f1(
    probabilities: Logits,
    truth: Truth,
    *,
    threshold: float | NDArray[np.float64] = 0.5,
    micro: bool = False,
) -> float:
    """Return F1, 2 TP / (2 TP + FP + FN), of the classes whose probability is above a threshold.

    Macro F1 is the mean over the classes that a clip has; micro F1 counts all decisions together.
    NaN if a probability is not finite, or no clip has a class.

    Args:
        probabilities: Probabilities (clips, classes).
        truth: Whether a clip has a class (clips, classes).
        threshold: The same for all classes, or (classes,), and never chosen by these clips.
        micro: Whether to return micro F1.

    Source: scikit-learn's `f1_score(zero_division=0)`, macro over the classes with a clip.
    """
    if not np.isfinite(probabilities).all() or not truth.any():
        return float("nan")
    named = probabilities > threshold
    hits, total = (named & truth).sum(axis=0), named.sum(axis=0) + truth.sum(axis=0)
    if micro:
        return float(2 * hits.sum() / total.sum())
    there = truth.any(axis=0)
    return float((2 * hits[there] / total[there]).mean())


def d_prime(auc: float) -> float:
    """Return sqrt(2) times the normal quantile of an area under the ROC curve; infinite at 0 and 1.

    Source: CNN architectures for large-scale audio classification (arXiv 1609.09430); of the mean
    area over classes, as in PANNs and HTS-AT.
    """
    if not 0 < auc < 1:
        return math.nan if math.isnan(auc) else math.copysign(math.inf, auc - 0.5)
    return math.sqrt(2) * NormalDist().inv_cdf(auc)
