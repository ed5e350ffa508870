"""Power analysis: what n pairs can show, before anything is trained.

It is for the test of the report: a two-sided sign-flip test at `ALPHA` over the number of declared
contrasts, the step at which Holm's correction calls its first. Later steps are easier, so the power
of the whole procedure is slightly higher. Differences are assumed normal.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# scipy ships no types.
from scipy.special import chdtri, nctdtr, stdtrit  # pyright: ignore[reportMissingTypeStubs]

from orchestrator.stats.paired import pairs_needed
from orchestrator.stats.signflip import sign_flip_p_rows, smallest_p
from orchestrator.stats.values import ALPHA, finite

POWER = 0.8
SIMULATED_UP_TO = 12
"""Pairs up to which power is simulated; beyond, the power of the t test at the level that the
sign-flip test attains differs by less than 0.02 for up to 10 contrasts."""

SIMULATIONS = 2_000
MAX_PAIRS = 1_000
MAX_EFFECT = 16.0


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """What n pairs can show.

    Attributes:
        n: Number of pairs.
        num_contrasts: Number of declared contrasts.
        smallest_p: Smallest p that one contrast can attain.
        smallest_adjusted_p: Smallest p times the number of contrasts, at most 1.
        power: Power at which `detectable` holds.
        detectable: Smallest true difference found with that power, in the unit of the spread; None
            if no difference can be.
    """

    n: int
    num_contrasts: int
    smallest_p: float
    smallest_adjusted_p: float
    power: float
    detectable: float | None


def prospect(
    n: int, *, spread: float, num_contrasts: int = 1, power: float = POWER, alpha: float = ALPHA
) -> Prospect:
    """Return what n pairs can show.

    Args:
        n: Number of pairs.
        spread: Standard deviation of a paired difference (`pilot_spread`).
        num_contrasts: Number of declared contrasts.
        power: Desired probability of calling a true difference.
        alpha: Family-wise level.
    """
    effect = detectable_effect(n, num_contrasts=num_contrasts, power=power, alpha=alpha)
    least = smallest_p(n)
    return Prospect(
        n=n,
        num_contrasts=num_contrasts,
        smallest_p=least,
        smallest_adjusted_p=min(1.0, max(1, num_contrasts) * least),
        power=power,
        detectable=None if effect is None else effect * _spread(spread),
    )


def power_of(effect: float, n: int, *, num_contrasts: int = 1, alpha: float = ALPHA) -> float:
    """Return the probability that n pairs call a true difference, for one contrast of several.

    Args:
        effect: True mean difference over the standard deviation of a difference.
        n: Number of pairs.
        num_contrasts: Number of declared contrasts.
        alpha: Family-wise level.
    """
    level = alpha / max(1, num_contrasts)
    if n < 1 or smallest_p(n) > level * (1 + 1e-12):
        return 0.0
    if n <= SIMULATED_UP_TO:
        p_values = sign_flip_p_rows(_noise(n) + abs(effect))
        return float(np.mean(p_values <= level * (1 + 1e-12)))
    attained = math.floor(level * 2.0 ** (n - 1) + 1e-9) / 2.0 ** (n - 1)
    critical = float(stdtrit(n - 1, 1 - attained / 2))
    shift = abs(effect) * math.sqrt(n)
    return float(1 - nctdtr(n - 1, shift, critical) + nctdtr(n - 1, shift, -critical))


@functools.lru_cache(maxsize=256)
def detectable_effect(
    n: int, *, num_contrasts: int = 1, power: float = POWER, alpha: float = ALPHA
) -> float | None:
    """Return the smallest effect (difference over its spread) that n pairs call with `power`.

    None if n pairs can call nothing at all. Rounded up by at most 0.01.
    """
    if not 0 < power < 1:
        raise ValueError(f"power must be between 0 and 1, not {power}")
    low, high = 0.0, MAX_EFFECT
    if power_of(high, n, num_contrasts=num_contrasts, alpha=alpha) < power:
        return None
    while high - low > 0.01:
        middle = (low + high) / 2
        if power_of(middle, n, num_contrasts=num_contrasts, alpha=alpha) < power:
            low = middle
        else:
            high = middle
    return high


def pairs_for(
    difference: float,
    *,
    spread: float,
    num_contrasts: int = 1,
    power: float = POWER,
    alpha: float = ALPHA,
) -> int | None:
    """Return the fewest pairs that call a true difference with `power`; None beyond `MAX_PAIRS`.

    Args:
        difference: Difference to detect, in the unit of the spread.
        spread: Standard deviation of a paired difference.
        num_contrasts: Number of declared contrasts.
        power: Desired probability of calling it.
        alpha: Family-wise level.

    Raises:
        ValueError: The difference is 0, or the spread or the power is out of range.
    """
    if not (difference and math.isfinite(difference)) or not 0 < power < 1:
        raise ValueError(f"no number of pairs finds {difference} with power {power}")
    effect = abs(difference) / _spread(spread)
    for n in range(pairs_needed(num_contrasts, alpha=alpha), MAX_PAIRS + 1):
        if power_of(effect, n, num_contrasts=num_contrasts, alpha=alpha) >= power:
            return n
    return None


def pilot_spread(differences: Iterable[float], *, confidence: float = 0.8) -> float:
    """Return the spread to plan with: an upper limit of the spread of a pilot's differences.

    A pilot of a few pairs often sees too small a spread, which makes the planned study too small;
    the upper 80 % limit makes the desired power likely (Browne, Statistics in Medicine 14, 1995).

    Args:
        differences: Arm minus reference, at least two.
        confidence: Probability that the limit is not below the true spread; 0.5 is about the plain
            estimate.

    Raises:
        ValueError: There are fewer than two differences, or one is not finite.
    """
    data = finite(differences)
    if data.size < 2:
        raise ValueError("a spread needs at least two differences")
    df = data.size - 1
    return float(data.std(ddof=1)) * math.sqrt(df / float(chdtri(df, confidence)))


def _spread(value: float) -> float:
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"a spread must be above 0, not {value}")
    return value


@functools.lru_cache(maxsize=SIMULATED_UP_TO)
def _noise(n: int) -> NDArray[np.float64]:
    """Return the same normal noise for every effect, so that power rises smoothly with it."""
    return np.random.default_rng(n).standard_normal((SIMULATIONS, n))
