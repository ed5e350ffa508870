"""Classification metrics over per-clip scores, in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def top_k_correct(
    logits: NDArray[np.floating], labels: NDArray[np.integer], *, k: int
) -> NDArray[np.bool_]:
    """Say per clip whether its label is among the k largest scores.

    Ties count against the clip: a label is within the top k only if fewer than k other classes
    score as much or more, so constant scores earn nothing.

    Args:
        logits: scores (clips, classes).
        labels: class indices (clips,).
        k: how many classes may be named; more than there are classes is all of them.

    Returns:
        (clips,) booleans.
    """
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    at_least = (logits >= own).sum(axis=1) - 1
    return (at_least < k) & np.isfinite(own[:, 0])


def cross_entropy(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the mean cross entropy in nats of (clips, classes) logits against (clips,) labels."""
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(scores).sum(axis=1))
    return float((log_total - scores[np.arange(len(labels)), labels]).mean())


def mean_average_precision(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the mean over classes of the average precision of their softmax probabilities.

    Each class ranks all clips by its probability; clips of equal probability enter together.
    Classes of which there is no clip are left out. NaN where a score is not finite.

    Args:
        logits: scores (clips, classes).
        labels: class indices (clips,).

    Source: AP as in scikit-learn's `average_precision_score`; on softmax probabilities as in
    VGGSound (arXiv 2004.14368).
    """
    if not np.isfinite(logits).all():
        return float("nan")
    return float(np.mean(average_precisions(logits, labels)))


def average_precisions(
    logits: NDArray[np.floating], labels: NDArray[np.integer], *, shift: float = 0.0
) -> list[float]:
    """Return the average precision of every class that has a clip; see `mean_average_precision`.

    Args:
        logits: finite scores (clips, classes).
        labels: class indices (clips,).
        shift: added to the log probability of each clip's own class: less than any difference that
            is not rounding, it bounds what rounding can do to the order of the clips.
    """
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    scores[np.arange(len(labels)), labels] += shift
    return [_average_precision(scores[:, c], labels == c) for c in set(labels)]


def _average_precision(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found = positive[order].cumsum()[last_of_ties]
    precision = found / (last_of_ties + 1)
    return float((np.diff(found, prepend=0) * precision).sum() / found[-1])
