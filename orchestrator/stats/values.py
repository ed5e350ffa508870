"""Checks and helpers that every test and interval here shares."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

ALPHA = 0.05
"""A contrast is called where its adjusted p is at most this."""

CONFIDENCE = 0.95

Key = TypeVar("Key", bound=Hashable)


def finite(values: Iterable[float] | NDArray[np.floating]) -> NDArray[np.float64]:
    """Return one or more finite numbers as (n,) float64.

    Raises:
        ValueError: There are no values, or one is not finite.
    """
    data = np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype=np.float64)
    if not data.size:
        raise ValueError("there are no values")
    if not np.isfinite(data).all():
        raise ValueError(f"values must be finite: {data.tolist()}")
    return data


def tolerance(magnitudes: ArrayLike) -> NDArray[np.float64]:
    """Return the rounding allowance of sums over the last axis of (..., n) numbers.

    Equal sums of equal accuracies then tie as they do on paper.
    """
    return 1e-9 * np.abs(np.asarray(magnitudes, dtype=np.float64)).sum(axis=-1)


def common_blocks(*arms: Mapping[Key, float]) -> list[Key]:
    """Return the blocks that all arms have, in the order of the first.

    Raises:
        ValueError: There is no such block.
    """
    blocks = [block for block in arms[0] if all(block in other for other in arms[1:])]
    if not blocks:
        raise ValueError("the arms have no block in common")
    return blocks
