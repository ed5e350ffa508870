"""Looking after every block without inflating the error: alpha spending over exact sign flips.

A fixed-n p, checked after every block until it is small, errs far more often than its level. Here a
declared cap of blocks and a spending function (Lan and DeMets 1983) limit how much of the level
each look may use: alpha * (n / cap)^3 (Kim and DeMets 1987; close to O'Brien and Fleming's, which
spends late and so keeps nearly the power of a fixed design at the cap).

Boundaries do not come from normal theory, which does not hold for six differences. Given the sizes
of the differences, all 2^n sign patterns are equally likely if an arm changes nothing. So each look
marks the patterns with the largest |sum| that have not crossed before as crossing, as many as its
budget allows. The observed pattern is one of them, so it crosses with at most the spent
probability, whatever the distribution. A look uses only sizes seen so far. Tied patterns cross
together or not at all; the next look can spend what this one cannot.

This is done for a grid of levels at once, and no level lets a pattern cross that a higher one does
not: the smallest level at which the observed pattern has crossed is a p value that may be read
after every block, an anytime p up to the cap, rounded up to the grid.

Beyond `EXACT_LOOKS` blocks 2^n patterns are too many: `DRAWN_PATTERNS` are drawn instead, including
the observed one. It is exchangeable with them, so over the draw the level still holds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats.values import ALPHA

SPENDING_POWER = 3.0
EXACT_LOOKS = 15
DRAWN_PATTERNS = 16_384
GRID = tuple(np.geomspace(0.001, 1.0, 31).tolist())
"""Ten levels per decade."""

SEQUENTIAL_METHOD = "alpha-spending sign-flip test"


def levels_for(num_contrasts: int, *, alpha: float = ALPHA) -> tuple[float, ...]:
    """Return the rising grid of levels, including those that Holm's correction needs."""
    holm = (alpha / k for k in range(1, max(1, num_contrasts) + 1))
    return tuple(sorted({*GRID, *holm}))


def anytime_p_rows(
    differences: NDArray[np.floating],
    *,
    cap: int,
    levels: Sequence[float] = GRID,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Return the anytime p after every look, for each of several contrasts.

    Args:
        differences: (contrasts, blocks) in the order in which the blocks were run.
        cap: Largest number of blocks, declared before the first look.
        levels: Rising levels, above 0 and at most 1.
        seed: Seed of the drawn patterns; the same for every look of a study.

    Returns:
        (contrasts, blocks); never rises along a row.

    Raises:
        ValueError: There are more blocks than the cap, or a difference is not finite.
    """
    data = np.asarray(differences, dtype=np.float64)
    rows, blocks = data.shape
    if blocks > cap:
        raise ValueError(f"{blocks} blocks are more than the cap of {cap} declared beforehand")
    if not np.isfinite(data).all():
        raise ValueError("differences must be finite")
    drawn = _drawn_signs(cap, seed) if cap > EXACT_LOOKS else None
    width = 1 if drawn is None else DRAWN_PATTERNS
    sums = np.zeros((rows, width))
    # Per pattern, the position of the lowest level at which it has crossed.
    crossed = np.full((rows, width), len(levels), dtype=np.int16)
    names = np.append(np.asarray(levels), 1.0)
    p_values = np.ones((rows, blocks))
    for look in range(blocks):
        step = data[:, look, None]
        if drawn is not None:
            sums = sums + step * drawn[:, look]
        elif look == 0:
            sums = step
        else:
            # The mirror image of a pattern crosses with it, so the first sign may stay fixed.
            sums = np.concatenate([sums + step, sums - step], axis=1)
            crossed = np.concatenate([crossed, crossed], axis=1)
        allowance = 1e-9 * np.abs(data[:, : look + 1]).sum(axis=1)
        spent = ((look + 1) / cap) ** SPENDING_POWER
        _mark(crossed, np.abs(sums), allowance, [level * spent for level in levels])
        # The observed pattern stands first.
        p_values[:, look] = names[crossed[:, 0]]
    return p_values


def _mark(
    crossed: NDArray[np.int16],
    sizes: NDArray[np.float64],
    allowance: NDArray[np.float64],
    budgets: Sequence[float],
) -> None:
    """Mark the largest patterns as crossing, as far as each level's budget (a probability) reaches.

    Args:
        crossed: (contrasts, patterns) lowest level at which each has crossed, changed in place.
        sizes: (contrasts, patterns), |sum| of each pattern.
        allowance: (contrasts,) differences in size that count as a tie.
        budgets: Probability, per rising level, that all looks so far may spend.
    """
    rows, width = sizes.shape
    order = np.argsort(-sizes, axis=1)
    ranked = np.take_along_axis(sizes, order, axis=1)
    ends = np.ones((rows, width), dtype=bool)
    ends[:, :-1] = ranked[:, :-1] - ranked[:, 1:] > allowance[:, None]
    before = np.take_along_axis(crossed, order, axis=1)
    after, places = before.copy(), np.arange(width, dtype=np.intp)
    reach = np.full(rows, width)
    for level in range(len(budgets) - 1, -1, -1):
        if budgets[level] * width * (1 + 1e-12) < 1:
            break
        fresh = before > level
        total = np.cumsum(fresh, axis=1, dtype=np.int32)
        limit = np.floor(budgets[level] * width * (1 + 1e-12)) - (width - total[:, -1:])
        paid = (total <= limit) & ends
        last = width - paid[:, ::-1].argmax(axis=1)
        reach = np.minimum(reach, np.where(paid.any(axis=1), last, 0))
        np.minimum(after, level, out=after, where=places < reach[:, None])
    np.put_along_axis(crossed, order, after, axis=1)


def _drawn_signs(cap: int, seed: int) -> NDArray[np.float64]:
    """Return (patterns, cap) signs relative to the observed ones, the observed pattern first."""
    rng = np.random.default_rng(seed)
    signs = rng.choice(np.array([-1.0, 1.0]), size=(DRAWN_PATTERNS, cap))
    signs[0] = 1.0
    return signs
