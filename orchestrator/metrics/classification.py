"""Classification metrics over per-clip scores, in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.floating[Any]]
"""(clips, classes) scores before any softmax."""

Labels = NDArray[np.integer[Any]]
"""(clips,) class indices."""

Truth = NDArray[np.bool_]
"""(clips, classes) booleans: whether a clip has a class."""


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


def map_range(logits: Logits, labels: Labels) -> tuple[float, float]:
    """Return the mean average precision for the worst and the best order that rounding allows.

    Clips whose probabilities agree to the last digits may change places on another processor.
    """
    worst, best = (
        float(np.mean(average_precisions(logits, labels, shift=shift))) for shift in (-1e-12, 1e-12)
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
    scores = log_softmax(logits)
    scores[np.arange(len(labels)), labels] += shift
    return [_average_precision(scores[:, c], labels == c) for c in set(labels)]


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
    return float(np.mean([_average_precision(ranked[:, c], truth[:, c]) for c in there]))


def _average_precision(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    hits = positive[order].cumsum()[last_of_ties]
    precision = hits / (last_of_ties + 1)
    return float((np.diff(hits, prepend=0) * precision).sum() / hits[-1])
