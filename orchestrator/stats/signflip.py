"""The sign-flip test: exact for a few paired differences, sampled for many.

If an arm and its reference are exchangeable within a block, all 2^n sign patterns of the paired
differences are equally likely (Fisher, The Design of Experiments, 1935, section 21). The test
assumes no normal distribution and is exact at every n. So n limits what can be shown: the smallest
two-sided p of n pairs is 2 / 2^n.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats.values import finite, tolerance

EXACT_UP_TO = 20
DRAWS = 100_000
EXACT = "exact sign-flip test"
SAMPLED = "sampled sign-flip test"
BATCH_VALUES = 4_000_000
"""How many numbers a vectorized step may hold at once (32 MB)."""

CACHED_VALUES = 65_536
"""How many fit a core's cache (0.5 MB): simulations run through more than twice as fast."""


class Alternative(StrEnum):
    """What the test looks for: a mean that is not 0, or one above 0."""

    TWO_SIDED = "two-sided"
    GREATER = "greater"


@dataclass(frozen=True, kw_only=True)
class SignFlip:
    """The result of a sign-flip test.

    Attributes:
        p_value: The p of the chosen alternative.
        p_error: Standard error of a sampled p; 0 if the test is exact.
        method: Name of the test, with the number of draws if it is sampled.
    """

    p_value: float
    p_error: float
    method: str


def sign_flip(
    differences: Sequence[float] | NDArray[np.floating],
    *,
    alternative: Alternative = Alternative.TWO_SIDED,
    seed: int = 0,
) -> SignFlip:
    """Test paired differences: exactly up to `EXACT_UP_TO` pairs, sampled beyond.

    Args:
        differences: (pairs,) finite numbers.
        alternative: Side on which a sum counts as extreme.
        seed: Seed of the sampled test.
    """
    data = finite(differences)
    if data.size <= EXACT_UP_TO:
        p_value = sign_flip_p(data, alternative=alternative)
        return SignFlip(p_value=p_value, p_error=0.0, method=EXACT)
    p_value, p_error = _sampled(data, alternative, seed)
    return SignFlip(p_value=p_value, p_error=p_error, method=f"{SAMPLED}, {DRAWS:,} draws")


def sign_flip_p(
    differences: Sequence[float] | NDArray[np.floating],
    *,
    alternative: Alternative = Alternative.TWO_SIDED,
) -> float:
    """Return the exact p of the sign-flip test on the mean of paired differences.

    A zero difference stays zero under every flip, so it adds no evidence; patterns that tie with
    the observed one count as at least as extreme.

    Args:
        differences: (pairs,) finite numbers, at most `EXACT_UP_TO` of them.
        alternative: Side on which a sum counts as extreme.
    """
    data = np.asarray(differences, dtype=np.float64)
    if not 1 <= data.size <= EXACT_UP_TO:
        raise ValueError(f"the exact test takes 1 to {EXACT_UP_TO} pairs, not {data.size}")
    observed, allowance = float(data.sum()), float(tolerance(data))
    # The mirror image of a pattern has the opposite sum, so the first sign may stay fixed.
    sums = np.abs(data[:1])
    for value in np.abs(data[1:]):
        sums = np.concatenate([sums + value, sums - value])
    if alternative is Alternative.TWO_SIDED:
        return float(np.mean(np.abs(sums) >= abs(observed) - allowance))
    above, mirrored = sums >= observed - allowance, -sums >= observed - allowance
    return float((above.mean() + mirrored.mean()) / 2)


def sign_flip_p_rows(differences: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the exact two-sided p of each row of (rows, pairs) differences, for simulations."""
    data = np.asarray(differences, dtype=np.float64)
    rows, pairs = data.shape
    if not 1 <= pairs <= EXACT_UP_TO:
        raise ValueError(f"the exact test takes 1 to {EXACT_UP_TO} pairs, not {pairs}")
    p_values = np.empty(rows)
    step = max(1, CACHED_VALUES >> (pairs - 1))
    for start in range(0, rows, step):
        part = data[start : start + step]
        sums = part[:, :1]
        for column in range(1, pairs):
            value = part[:, column, None]
            sums = np.concatenate([sums + value, sums - value], axis=1)
        threshold = np.abs(part.sum(axis=1)) - tolerance(part)
        p_values[start : start + step] = (np.abs(sums) >= threshold[:, None]).mean(axis=1)
    return p_values


def smallest_p(n: int) -> float:
    """Return the smallest two-sided p that n pairs can attain."""
    return math.ldexp(1.0, 1 - n) if n > 0 else 1.0


def drawn_flips(num_pairs: int, *, draws: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield random flips in parts of (rows, pairs), 1 where a sign turns; `draws` rows in all."""
    rng = np.random.default_rng(seed)
    step = max(1, BATCH_VALUES // num_pairs)
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        packed = rng.integers(0, 256, size=(rows, -(-num_pairs // 8)), dtype=np.uint8)
        yield np.unpackbits(packed, axis=1, count=num_pairs).astype(np.float64)


def sampled_error(p_value: float, draws: int) -> float:
    """Return the standard error of a sampled p."""
    return math.sqrt(p_value * (1 - p_value) / draws)


def _sampled(data: NDArray[np.float64], alternative: Alternative, seed: int) -> tuple[float, float]:
    """Return p and its standard error over `DRAWS` random sign patterns, the observed one added."""
    total, allowance, hits = float(data.sum()), float(tolerance(data)), 0
    for flips in drawn_flips(data.size, draws=DRAWS, seed=seed):
        sums = total - 2 * (flips @ data)
        if alternative is Alternative.TWO_SIDED:
            hits += int(np.count_nonzero(np.abs(sums) >= abs(total) - allowance))
        else:
            hits += int(np.count_nonzero(sums >= total - allowance))
    p_value = (hits + 1) / (DRAWS + 1)
    return p_value, sampled_error(p_value, DRAWS)
