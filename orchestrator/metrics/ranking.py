"""How well scores rank what is there before what is not: one class, or one of several."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ranked = NDArray[np.floating[Any]]
"""(items,) finite scores."""

Present = NDArray[np.bool_]
"""(items,) whether the class is there."""


def average_precision(scores: Ranked, positive: Present) -> float:
    """Return the area under the precision-recall curve as a sum of steps.

    Items of equal score enter together. NaN without a positive item.

    Source: scikit-learn's `average_precision_score`.
    """
    hits, misses = _counts(scores, positive)
    if not hits[-1]:
        return float("nan")
    return float((np.diff(hits, prepend=0) * (hits / (hits + misses))).sum() / hits[-1])


def roc_auc(scores: Ranked, positive: Present) -> float:
    """Return the share of pairs of a positive and a negative item that are ranked rightly.

    A tie counts half. NaN if all items are positive or none is.

    Source: Mann-Whitney's U; scikit-learn's `roc_auc_score`.
    """
    hits, misses = _counts(scores, positive)
    if not hits[-1] or not misses[-1]:
        return float("nan")
    twice = (np.diff(misses, prepend=0) * (hits + np.append(0, hits[:-1]))).sum()
    return float(twice / 2 / (hits[-1] * misses[-1]))


def _counts(scores: Ranked, positive: Present) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many items are positive and negative at each score or above, falling."""
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    hits = positive[order].cumsum()[last_of_ties]
    return hits, last_of_ties + 1 - hits
