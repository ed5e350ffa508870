"""Axes: round tick values."""

from __future__ import annotations

import math


def ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Return round values 1, 2 or 5 times a power of ten apart that enclose `low` to `high`.

    Args:
        low: least value to enclose.
        high: largest value to enclose; equal to `low` it is moved by one.
        most: about how many values to return; at least 3 are.
    """
    if not high > low:
        low, high = low - 0.5, low + 0.5
    rough = (high - low) / max(2, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]
