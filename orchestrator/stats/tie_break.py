"""Ties of one metric, broken by a second: what is tested where accuracies come in whole clips.

Arms that are right on as many clips tie, and no flip changes a tied pair: six pairs of which five
tie cannot reach any p below 1. So a second metric, declared beforehand, orders what the first
leaves equal: a difference is the first metric's plus so small a part of the second's that it never
outweighs the smallest difference of the first. Tied pairs and tied sums of patterns are then
ordered, and nothing else changes: p falls where it counted ties, and the ends of an interval, which
are subset means, move by less than a thousandth of that smallest difference. What may change is
whether an end at 0 belongs to the interval.

The size of that part depends on no sign, so the test stays exact where both metrics' differences
are jointly symmetric: where the arms differ in neither. It is a test of both. An arm that changes
the second metric alone is called more often than at the level, the more pairs tie, so a report says
when the second metric decided. `tests/benchmarks/stats/tie_break.md` has errors and power.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np

from orchestrator.stats.values import tolerance

SMALL = 1e-3
"""All of the second metric together over the smallest difference of the first."""

Key = TypeVar("Key", bound=Hashable)


def break_ties(first: Mapping[Key, float], second: Mapping[Key, float]) -> dict[Key, float]:
    """Return the differences of the first metric with its ties broken by the second.

    Args:
        first: Replicate -> difference of the first metric.
        second: Replicate -> difference of the second, above 0 where a difference of the first above
            0 means the same; replicates without one stay tied.
    """
    data = np.array(list(first.values()), dtype=np.float64)
    other = np.array([second.get(key, 0.0) for key in first], dtype=np.float64)
    total = float(np.abs(other).sum())
    if not total:
        return dict(first)
    sizes = np.abs(data)
    differing = sizes[sizes > tolerance(data)]
    smallest = float(differing.min()) if differing.size else 1.0
    return dict(zip(first, (data + SMALL * smallest / total * other).tolist(), strict=True))
