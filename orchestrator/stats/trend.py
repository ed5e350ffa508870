"""A trend over a dose series: a permutation test of the linear contrast within blocks.

If the dose changes nothing, the arms of a block are exchangeable, so every order of its values is
equally likely (Pitman 1938). The statistic is the linear contrast over the doses' scores; with
ranks for values it is Page's L (Page 1963), and values keep what ranks discard. It has k!^n orders
where the sign-flip test has 2^n patterns, so three blocks of four doses can show a trend.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats.intervals import MeanInterval, bounds
from orchestrator.stats.signflip import BATCH_VALUES, DRAWS
from orchestrator.stats.values import CONFIDENCE, common_blocks, finite, tolerance

EXACT_ORDERS = 1_000_000
"""Orders up to which the test is exact."""

DRAWN_VALUES = 20_000_000
MIN_DRAWS = 2_000
"""A sampled test reorders about `DRAWN_VALUES` values, so that a thousand doses take half a second
and not half a minute; with `MIN_DRAWS` draws its standard error is at most 0.011, and is given."""


@dataclass(frozen=True, kw_only=True)
class Trend(MeanInterval):
    """A trend: `mean` is the slope per unit of score, `n` the blocks.

    Attributes:
        p_value: Two-sided p.
        p_error: Standard error of a sampled p; 0 if the test is exact.
        test_method: Name of the test.
        scores: Scores of the doses, in their order.
        slopes: Block -> its own slope.
    """

    p_value: float
    p_error: float
    test_method: str
    scores: tuple[float, ...]
    slopes: Mapping[Any, float]


def dose_trend(
    series: Sequence[Mapping[Any, float]],
    *,
    scores: Sequence[float] | None = None,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Trend:
    """Test whether a metric rises or falls along a dose series.

    Args:
        series: Block -> value, one mapping per dose, lowest dose first.
        scores: Positions of the doses on the axis on which the trend is straight; evenly spaced if
            None, as for doses on a log axis preceded by zero.
        confidence: Coverage of the slope's t interval over blocks.
        seed: Seed of the sampled test.

    Raises:
        ValueError: There are fewer than 3 doses, scores that do not rise or do not match, no block
            shared by all doses, or a value that is not finite.
    """
    if len(series) < 3:
        raise ValueError(f"a trend needs at least 3 doses, not {len(series)}")
    places = finite(range(1, len(series) + 1) if scores is None else scores)
    if len(places) != len(series) or (np.diff(places) <= 0).any():
        raise ValueError(f"{len(series)} doses need as many rising scores, not {places.tolist()}")
    blocks = common_blocks(*series)
    values = finite(np.array([[dose[block] for dose in series] for block in blocks]))
    # What a block's values share cannot matter; removing it keeps rounding errors small.
    values = values - values.mean(axis=1, keepdims=True)
    centered = places - places.mean()
    p_value, p_error, method = _permutation_p(values, centered, seed)
    slopes = values @ centered / (centered @ centered)
    low, high = bounds(slopes, confidence=confidence)
    return Trend(
        n=len(blocks),
        mean=float(slopes.mean()),
        low=low,
        high=high,
        confidence=confidence,
        p_value=p_value,
        p_error=p_error,
        test_method=method,
        scores=tuple(places.tolist()),
        slopes=dict(zip(blocks, slopes.tolist(), strict=True)),
    )


def _permutation_p(
    values: NDArray[np.float64], scores: NDArray[np.float64], seed: int
) -> tuple[float, float, str]:
    num_blocks, num_doses = values.shape
    products = np.abs(values) * np.abs(scores).max()
    threshold = abs(float((values @ scores).sum())) - float(tolerance(products.ravel()))
    if math.factorial(num_doses) ** num_blocks <= EXACT_ORDERS:
        orders = np.array(list(itertools.permutations(scores)))
        sums = np.zeros(1)
        for block_sums in values @ orders.T:
            sums = (sums[:, None] + block_sums).ravel()
        return float(np.mean(np.abs(sums) >= threshold)), 0.0, "exact permutation trend test"
    rng = np.random.default_rng(seed)
    draws = min(DRAWS, max(MIN_DRAWS, DRAWN_VALUES // values.size))
    hits, chunk = 0, max(1, BATCH_VALUES // values.size)
    for start in range(0, draws, chunk):
        rows = min(chunk, draws - start)
        drawn = rng.permuted(np.tile(scores, (rows * num_blocks, 1)), axis=1)
        sums = (drawn.reshape(rows, -1) * values.ravel()).sum(axis=1)
        hits += int(np.count_nonzero(np.abs(sums) >= threshold))
    p_value = (hits + 1) / (draws + 1)
    error = math.sqrt(p_value * (1 - p_value) / draws)
    return p_value, error, f"sampled permutation trend test, {draws:,} draws"
