"""Several declared contrasts: Holm's correction, and how many pairs it asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from orchestrator.stats.values import ALPHA


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p values for being several (Holm, Scandinavian Journal of Statistics 6, 1979).

    A contrast that has no p yet (None) stays None and counts in the family all the same, so that
    filling in a missing trial never makes the other contrasts harder to call.
    """
    order = sorted(range(len(p_values)), key=lambda i: _or_one(p_values[i]))
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * _or_one(p_values[i])))
        adjusted[i] = None if p_values[i] is None else running
    return adjusted


def pairs_needed(num_contrasts: int, *, alpha: float = ALPHA) -> int:
    """Return the fewest pairs at which one of several contrasts can be called at all."""
    return math.ceil(1 + math.log2(max(1, num_contrasts) / alpha) - 1e-12)


def _or_one(p_value: float | None) -> float:
    return 1.0 if p_value is None else p_value
