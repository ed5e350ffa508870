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


def log_ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Return round values between `low` and `high` for a log axis; at least 2 where there are.

    Args:
        low: above zero.
        high: above `low`.
        most: about how many values to return at most.
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = [m * 10.0**p for p in powers for m in digits if low <= m * 10.0**p <= high]
        if len(found) <= most:
            break
    else:
        found = found[:: -(-len(found) // most)]
    # Within one step of 1, 2, 5 the axis is as good as linear.
    return found if len(found) > 1 else [v for v in ticks(low, high) if low <= v <= high]
