"""The t interval of a mean over a few replicates: of an arm's own level, a trend's slope, a time.

Differences of arms have the interval of their test (`orchestrator.stats.family`). The two arms'
skews cancel in a difference, but not in an arm's own mean: there t covers 92 to 94 % at n 5 to 10
for clipped and skewed metrics (`tests/benchmarks/stats/error_rates.md`), and 88 % for five
exponential values. That of two values is 12.7 standard errors wide on either side, which
says nothing of a bounded metric, so two values have none.

`tests/benchmarks/stats/mean_intervals.md` compares alternatives on those means at n 5 to 10, with
their widths: t on the logit, Hall's transform of t, the wider of that and t, the studentized
bootstrap, BCa. On differences the studentized bootstrap covers 91 to 94 % for skewed ones, and 88 %
for five nearly perfect accuracies over 80 clips, which tie.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# scipy.stats takes most of a second to import; scipy ships no types.
from scipy.special import stdtr, stdtrit  # pyright: ignore[reportMissingTypeStubs]

from orchestrator.stats.values import CONFIDENCE, finite

T_INTERVAL = "t interval"

MIN_REPLICATES = 3
"""Fewer values than this have no interval of their mean."""

UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True, kw_only=True)
class MeanInterval:
    """A mean with its interval; `low` and `high` are None if n is too small for one.

    Attributes:
        n: Number of replicates.
        mean: Mean of the replicates.
        low: Lower end of the interval.
        high: Upper end of the interval.
        confidence: Nominal coverage.
        interval_method: Kind of interval.
    """

    n: int
    mean: float
    low: float | None
    high: float | None
    confidence: float = CONFIDENCE
    interval_method: str = T_INTERVAL

    @property
    def half_width(self) -> float | None:
        """Half of the interval's width; None if there is no interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def is_even(self) -> bool:
        """Whether both ends are as far from the mean: not so where a bound cuts the interval."""
        if self.low is None or self.high is None:
            return True
        uneven = (self.high - self.mean) - (self.mean - self.low)
        return abs(uneven) <= 1e-9 * max(abs(self.low), abs(self.high))


def mean_interval(values: Iterable[float], *, confidence: float = CONFIDENCE) -> MeanInterval:
    """Return the mean of independent replicates with its t interval.

    Args:
        values: At least one finite number.
        confidence: Coverage of the interval, between 0 and 1.

    Raises:
        ValueError: There are no values, or one is not finite.
    """
    data = finite(values)
    low, high = bounds(data, confidence=confidence)
    return MeanInterval(
        n=data.size, mean=float(data.mean()), low=low, high=high, confidence=confidence
    )


def bounds(
    data: NDArray[np.float64], *, confidence: float = CONFIDENCE
) -> tuple[float, float] | tuple[None, None]:
    """Return the t interval of the mean of (n,) numbers; (None, None) below `MIN_REPLICATES`."""
    if data.size < MIN_REPLICATES:
        return None, None
    mean, error = float(data.mean()), float(data.std(ddof=1)) / math.sqrt(data.size)
    half = t_quantile(data.size - 1, confidence) * error
    return mean - half, mean + half


def t_quantile(df: float, confidence: float) -> float:
    """Return the two-sided quantile of Student's t."""
    return float(stdtrit(df, (1 + confidence) / 2))


def t_probability(df: float, value: float) -> float:
    """Return the probability that Student's t is at most a value."""
    return float(stdtr(df, value))
