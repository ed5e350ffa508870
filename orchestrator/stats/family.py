"""A family of contrasts over paired blocks: one joint sign-flip test, and intervals that agree.

If the arms of a block are exchangeable, the differences of all contrasts turn their signs together,
so each of the 2^n patterns is applied to every contrast at once. The statistic of a contrast is
|sum| / sqrt(sum of squares), whose denominator no flip changes; it rises with |t|.

*Tests.* The adjusted p compares a contrast with the largest statistic of those that are not more
extreme than itself, the step-down of Westfall and Young (1993) and Romano and Wolf (JASA 100,
2005): the closed test of all intersections. It holds the family-wise error at the level where the
differences of a block are jointly symmetric; `tests/benchmarks/stats/error_rates.md` has the error
where they are not, as with a skewed baseline that all contrasts share. The patterns carry the
dependence of the contrasts, so it gives away less than Holm's correction, and the smallest p of n
pairs is 2 / 2^n however many contrasts there are.

*Intervals.* A single contrast's interval holds exactly the values that the test does not reject
when the differences are moved by them. Moving by a value below the mean, the pattern that turns the
signs of the pairs A has a sum as large as the observed one where the mean of A, or of the rest, is
at most that value (Tritchler, JASA 79, 1984, after Hartigan's typical values). So the ends are
order statistics of subset means, and there is no end where even the most extreme pattern is too
likely: five pairs have no 95 % interval.

For several, a value is kept where the largest statistic of all contrasts, the others centered at
their own means, is often enough as large as this one's. That too solves to an order statistic. The
bounds hold for all contrasts at once, in a single step; the tests may take several steps, each
easier than the one before. No interval that is both simultaneous and informative follows the later
steps (Strassburger and Bretz, Statistics in Medicine 27, 2008, whose compatible bounds say no more
of a rejected hypothesis than its sign). So where a later step calls a contrast whose simultaneous
interval holds 0, the interval ends at 0, which is not part of it: it then claims the direction.
Where a contrast is not called and its interval would begin beyond 0, the interval is extended to 0.
An interval thus holds 0 if and only if its contrast is not called.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats.signflip import DRAWS, drawn_flips, sampled_error
from orchestrator.stats.values import ALPHA, tolerance

EXACT_VALUES = 1_000_000
"""Patterns times contrasts up to which every pattern is enumerated: 20 pairs of one contrast, 18 of
five."""

DRAWN_VALUES = 2_000_000
MIN_DRAWS = 4_000
"""A sample has `DRAWS` patterns, fewer for more than 20 contrasts; an adjusted p of 0.05 then has a
standard error of at most 0.0035, and it is given."""

_ROUNDING = 1 + 1e-12

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Flipped:
    """Sums of all contrasts under joint sign flips, the observed pattern first.

    Attributes:
        data: (contrasts, blocks) differences; 0 where a contrast lacks the block.
        counts: (contrasts,) pairs of each contrast.
        sums: (contrasts, patterns) sums of the flipped differences.
        turned: (contrasts, patterns) number of a contrast's pairs whose sign turns.
        exact: Whether the patterns are all there are, up to their mirror images.
    """

    data: Values
    counts: Values
    sums: Values
    turned: Values
    exact: bool

    @property
    def num_patterns(self) -> int:
        """Number of patterns, each with the same probability."""
        return self.sums.shape[1]

    @property
    def p_values(self) -> Values:
        """(contrasts,) two-sided p of each contrast alone."""
        reached = np.abs(self.sums) >= (np.abs(self.sums[:, :1]) - tolerance(self.data)[:, None])
        return reached.mean(axis=1)

    def error_of(self, p_value: float) -> float:
        """Return the standard error of a p: 0 if exact."""
        return 0.0 if self.exact else sampled_error(min(1.0, p_value), self.num_patterns - 1)


def flip(differences: Sequence[Mapping[Hashable, float]], *, seed: int = 0) -> Flipped:
    """Apply sign patterns to the differences of several contrasts at once.

    Args:
        differences: Per contrast, block -> difference; contrasts may lack blocks.
        seed: Seed of the patterns, which are drawn where there are too many to enumerate.

    Raises:
        ValueError: There is no contrast, or one without a difference.
    """
    if not differences or not all(differences):
        raise ValueError("every contrast of a family needs at least one difference")
    blocks = list(dict.fromkeys(block for contrast in differences for block in contrast))
    data = np.array([[own.get(block, 0.0) for block in blocks] for own in differences])
    present = np.array([[float(block in own) for block in blocks] for own in differences])
    rows, pairs = data.shape
    exact = rows << (pairs - 1) <= EXACT_VALUES
    if exact:
        # The mirror image of a pattern has the opposite sums, so the first sign may stay fixed.
        sums, turned = data[:, :1], np.zeros((rows, 1))
        for step, there in zip(data.T[1:, :, None], present.T[1:, :, None], strict=True):
            sums = np.concatenate([sums + step, sums - step], axis=1)
            turned = np.concatenate([turned, turned + there], axis=1)
    else:
        draws = min(DRAWS, max(MIN_DRAWS, DRAWN_VALUES // rows))
        total = data.sum(axis=1, keepdims=True)
        parts = [
            (total - 2 * (data @ flips.T), _turned(present, flips))
            for flips in drawn_flips(pairs, draws=draws, seed=seed)
        ]
        sums = np.concatenate([total, *(part for part, _ in parts)], axis=1)
        turned = np.concatenate([np.zeros((rows, 1)), *(part for _, part in parts)], axis=1)
    return Flipped(data=data, counts=present.sum(axis=1), sums=sums, turned=turned, exact=exact)


def _turned(present: Values, flips: Values) -> Values:
    if present.all():
        return np.tile(flips.sum(axis=1), (len(present), 1))
    return present @ flips.T


def step_down(flipped: Flipped) -> Values:
    """Return the (contrasts,) adjusted p values of the step-down maximum test."""
    size = np.sqrt(np.square(flipped.data).sum(axis=1))
    scale = np.where(size > 0, size, 1.0)
    reach = np.abs(flipped.sums) / scale[:, None]
    allowance = tolerance(flipped.data) / scale
    order = np.argsort(reach[:, 0], kind="stable")
    adjusted = np.ones(len(order))
    largest = np.zeros(flipped.num_patterns)
    for i in order:
        np.maximum(largest, reach[i], out=largest)
        adjusted[i] = np.mean(largest >= reach[i, 0] - allowance[i])
    adjusted[order[::-1]] = np.maximum.accumulate(adjusted[order[::-1]])
    return adjusted


def simultaneous_bounds(flipped: Flipped, *, alpha: float = ALPHA) -> tuple[Values, Values]:
    """Return the (contrasts,) lower and upper ends; infinite where there is none.

    Args:
        flipped: Contrasts under joint flips.
        alpha: Probability that any of the intervals may miss its true difference.
    """
    sums, turned = flipped.sums, flipped.turned
    counts = flipped.counts[:, None]
    total = flipped.data.sum(axis=1, keepdims=True)
    means = total / counts
    # Sums over the pairs that turn and over the rest; ties with 0 as the test counts them.
    parts = np.stack([(total - sums) / 2, (total + sums) / 2])
    parts[np.abs(parts) <= tolerance(flipped.data)[:, None] / 2] = 0.0
    sizes = np.stack([turned, counts - turned])
    empty = (sizes == 0).any(axis=0)
    subset_means = parts / np.where(sizes > 0, sizes, 1.0)
    # How far beyond the mean the other contrasts let a value be kept, whatever this one's pattern.
    slack = _slack(flipped, means) if len(means) > 1 else np.zeros_like(sums)
    low = np.minimum(subset_means.min(axis=0), means - slack)
    high = np.maximum(subset_means.max(axis=0), means + slack)
    low[empty], high[empty] = -np.inf, np.inf
    kept = math.floor(alpha * flipped.num_patterns * _ROUNDING)
    return (
        np.partition(low, kept, axis=1)[:, kept],
        np.partition(high, -kept - 1, axis=1)[:, -kept - 1],
    )


def _slack(flipped: Flipped, means: Values) -> Values:
    """Return the (contrasts, patterns) distance from the mean that the other contrasts allow.

    At the distance x a contrast's own statistic is sqrt(n x^2 / (x^2 + v)), v being the variance of
    its differences; the largest of the others' is M. So x = sqrt(v M^2 / (n - M^2)).
    """
    counts = flipped.counts[:, None]
    present_sum = counts - 2 * flipped.turned
    centered = np.square(flipped.sums - means * present_sum)
    squares = np.square(flipped.data).sum(axis=1, keepdims=True) - counts * np.square(means)
    rounding = 1e-12 * np.square(flipped.data).sum(axis=1, keepdims=True)
    squares = np.where(squares > rounding, squares, 0.0)
    centered = np.where(squares > 0, centered / np.where(squares > 0, squares, 1.0), 0.0)
    ranked: Values = np.partition(centered, -2, axis=0)
    first, second = ranked[-1], ranked[-2]
    is_largest: NDArray[np.bool_] = centered >= first
    others: Values = first * ~is_largest + second * is_largest
    room = counts - others
    bounded = room > 1e-9 * counts
    distance = np.sqrt(squares / counts * others / np.where(bounded, room, 1.0))
    return np.where(bounded, distance, np.inf)
