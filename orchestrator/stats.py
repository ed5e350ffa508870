"""Paired comparisons of a few replicates: t intervals, exact sign-flip tests, Holm's correction.

Replicates are paired by block (one seed and fold run across all arms). The test flips the signs of
the paired differences: if the arm and its reference were exchangeable within a block, all 2^n sign
patterns would be equally likely. It assumes no normal distribution and is exact at every n, which
is why n decides what can be shown at all: the smallest two-sided p of n pairs is 2 / 2^n.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit  # scipy.stats takes most of a second to import

ALPHA = 0.05
"""A contrast is called where its adjusted p is at most this."""

CONFIDENCE = 0.95
EXACT_UP_TO = 20
DRAWS = 100_000
INTERVAL_METHOD = "t interval"
EXACT = "exact sign-flip test"
SAMPLED = "sampled sign-flip test"


@dataclass(frozen=True, kw_only=True)
class MeanInterval:
    """A mean with its t interval; `low` and `high` are None where n is 1."""

    n: int
    mean: float
    low: float | None
    high: float | None
    confidence: float = CONFIDENCE

    @property
    def half_width(self) -> float | None:
        """Half of the interval's width; None where there is no interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


@dataclass(frozen=True, kw_only=True)
class PairedDifference(MeanInterval):
    """Arm minus reference, paired by block.

    Attributes:
        n: blocks that both have.
        mean: of the paired differences.
        low: of the t interval of the mean difference.
        high: likewise.
        p_value: two-sided; None where n is 1, since one pair can show nothing.
        smallest_p: the smallest p that n pairs can attain, 2 / 2^n.
        p_error: standard error of a sampled p; 0 where the test is exact.
        differences: block -> arm minus reference, in the blocks' order in the arm.
        interval_method: how `low` and `high` were made.
        test_method: how `p_value` was made.
    """

    p_value: float | None
    smallest_p: float
    p_error: float
    differences: Mapping[Any, float]
    interval_method: str = INTERVAL_METHOD
    test_method: str = EXACT

    @property
    def effect_size(self) -> float | None:
        """Cohen's d_z, the mean difference over its standard deviation; None where undefined."""
        if self.n < 2:
            return None
        deviation = float(np.std(list(self.differences.values()), ddof=1))
        return self.mean / deviation if deviation > 0 else None


class Verdict(StrEnum):
    """What a contrast's numbers allow to be said."""

    BETTER = "better"
    WORSE = "worse"
    NOT_DISTINGUISHABLE = "not distinguishable"
    NOT_TESTED = "not tested"


def mean_interval(values: Iterable[float], *, confidence: float = CONFIDENCE) -> MeanInterval:
    """Return the mean of independent replicates with its t interval.

    Args:
        values: at least one finite number.
        confidence: coverage of the interval, between 0 and 1.

    Raises:
        ValueError: there are no values, or one is not finite.
    """
    data = _finite(values)
    mean, half_width = _mean_and_half_width(data, confidence)
    low, high = (None, None) if half_width is None else (mean - half_width, mean + half_width)
    return MeanInterval(n=data.size, mean=mean, low=low, high=high, confidence=confidence)


def paired_difference(
    arm: Mapping[Any, float],
    reference: Mapping[Any, float],
    *,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> PairedDifference:
    """Compare an arm with a reference over the blocks that both have.

    Args:
        arm: block -> value.
        reference: block -> value.
        confidence: coverage of the t interval.
        seed: of the sampled test, used beyond `EXACT_UP_TO` pairs only.

    Raises:
        ValueError: no block is in both, or a value is not finite.
    """
    blocks = [block for block in arm if block in reference]
    if not blocks:
        raise ValueError("the arm and its reference have no block in common")
    data = _finite([arm[block] - reference[block] for block in blocks])
    mean, half_width = _mean_and_half_width(data, confidence)
    exact = data.size <= EXACT_UP_TO
    p_value = p_error = None
    if data.size > 1:
        p_value, p_error = (sign_flip_p(data), 0.0) if exact else _sampled_p(data, seed)
    return PairedDifference(
        n=data.size,
        mean=mean,
        low=None if half_width is None else mean - half_width,
        high=None if half_width is None else mean + half_width,
        confidence=confidence,
        p_value=p_value,
        smallest_p=smallest_p(data.size),
        p_error=p_error or 0.0,
        differences=dict(zip(blocks, data.tolist(), strict=True)),
        test_method=EXACT if exact else f"{SAMPLED}, {DRAWS:,} draws",
    )


def sign_flip_p(differences: Sequence[float] | NDArray[np.floating]) -> float:
    """Return the exact two-sided p of the sign-flip test on the mean of paired differences.

    A zero difference stays zero under every flip, so it adds no evidence; patterns that tie with
    the observed one count as at least as extreme.

    Args:
        differences: (pairs,) finite numbers, at most `EXACT_UP_TO` of them.
    """
    data = np.abs(np.asarray(differences, dtype=np.float64))
    if not 1 <= data.size <= EXACT_UP_TO:
        raise ValueError(f"the exact test takes 1 to {EXACT_UP_TO} pairs, not {data.size}")
    # The mirror image of a pattern has the same |sum|: the first sign may stay as it is.
    sums = data[:1]
    for value in data[1:]:
        sums = np.concatenate([sums + value, sums - value])
    observed = abs(float(np.sum(differences)))
    return float(np.mean(np.abs(sums) >= observed - _tolerance(data)))


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


def smallest_p(n: int) -> float:
    """Return the smallest two-sided p that n pairs can attain."""
    return min(1.0, 2.0 / 2.0**n) if n > 0 else 1.0


def pairs_needed(num_contrasts: int, *, alpha: float = ALPHA) -> int:
    """Return the fewest pairs at which one of several contrasts can be called at all."""
    return math.ceil(1 + math.log2(max(1, num_contrasts) / alpha) - 1e-12)


def verdict(difference: PairedDifference, adjusted_p: float | None, *, sign: int) -> Verdict:
    """Decide what may be said: better or worse needs an adjusted p of at most `ALPHA`.

    Args:
        difference: arm minus reference.
        adjusted_p: after `holm`; None where there is no test.
        sign: +1 where larger is better, -1 where smaller is.
    """
    if adjusted_p is None:
        return Verdict.NOT_TESTED
    if adjusted_p > ALPHA:
        return Verdict.NOT_DISTINGUISHABLE
    return Verdict.BETTER if difference.mean * sign > 0 else Verdict.WORSE


def _finite(values: Iterable[float]) -> NDArray[np.float64]:
    data = np.asarray(list(values), dtype=np.float64)
    if not data.size:
        raise ValueError("there are no values")
    if not np.isfinite(data).all():
        raise ValueError(f"values must be finite: {data.tolist()}")
    return data


def _mean_and_half_width(
    data: NDArray[np.float64], confidence: float
) -> tuple[float, float | None]:
    mean = float(data.mean())
    if data.size == 1:
        return mean, None
    error = float(data.std(ddof=1)) / math.sqrt(data.size)
    return mean, float(stdtrit(data.size - 1, (1 + confidence) / 2)) * error


def _sampled_p(data: NDArray[np.float64], seed: int) -> tuple[float, float]:
    """Return p and its standard error over `DRAWS` random sign patterns, the observed one added."""
    rng = np.random.default_rng(seed)
    threshold = abs(data.sum()) - _tolerance(np.abs(data))
    hits, chunk = 0, max(1, 4_000_000 // data.size)
    for start in range(0, DRAWS, chunk):
        rows = min(chunk, DRAWS - start)
        packed = rng.integers(0, 256, size=(rows, -(-data.size // 8)), dtype=np.uint8)
        flips = np.unpackbits(packed, axis=1, count=data.size)
        flipped = flips.astype(np.float64) @ data
        hits += int(np.count_nonzero(np.abs(data.sum() - 2 * flipped) >= threshold))
    p_value = (hits + 1) / (DRAWS + 1)
    return p_value, math.sqrt(p_value * (1 - p_value) / DRAWS)


def _tolerance(magnitudes: NDArray[np.float64]) -> float:
    """Rounding allowance, so that equal sums of equal accuracies tie as they do on paper."""
    return 1e-9 * float(magnitudes.sum())


def _or_one(p_value: float | None) -> float:
    return 1.0 if p_value is None else p_value
