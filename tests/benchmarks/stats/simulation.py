"""Made-up ablations whose truth is known, to count how often the rules of `orchestrator.stats` err.

An ablation is a baseline and some arms over n blocks. Arms of a block share its effect, and all
contrasts share the baseline, so differences are correlated as in a real study. The metrics have
the shapes that real ones have; none is normal but the first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK_POINTS = 1.5
"""Standard deviation of what the arms of a block share, in points of accuracy."""

Values = NDArray[np.float64]
Shape = Callable[[np.random.Generator, Values], Values]
"""(generator, effects of block and arm in points) -> values in points, of the same shape."""


def _normal(rng: np.random.Generator, level: Values) -> Values:
    return 80 + level + 2 * rng.standard_normal(level.shape)


def _clipped(rng: np.random.Generator, level: Values) -> Values:
    return np.minimum(98 + level + 2 * rng.standard_normal(level.shape), 100.0)


def _skewed(rng: np.random.Generator, level: Values) -> Values:
    return 85 + level - rng.exponential(3, size=level.shape)


def _discrete(rng: np.random.Generator, level: Values) -> Values:
    chance = np.clip((90 + level) / 100, 0, 1)
    return rng.binomial(80, chance) / 0.8


def _tied(rng: np.random.Generator, level: Values) -> Values:
    chance = np.clip((95 + level) / 100, 0, 1)
    return rng.binomial(20, chance) / 0.2


def _heavy(rng: np.random.Generator, level: Values) -> Values:
    return 80 + level + 2 * rng.standard_t(3, size=level.shape)


def _lopsided(rng: np.random.Generator, level: Values) -> Values:
    values = 85 + level + 3 * rng.standard_normal(level.shape)
    if level.ndim == 3:  # the baseline, which stands first
        first = level[:, 0]
        values[:, 0] = 88 + first - rng.exponential(3, size=first.shape)
    return values


SHAPES: Mapping[str, Shape] = {
    "normal": _normal,
    "clipped": _clipped,
    "skewed": _skewed,
    "discrete": _discrete,
    "tied": _tied,
    "heavy": _heavy,
    "lopsided": _lopsided,
}
MEANINGS = {
    "normal": "80 % and normal noise",
    "clipped": "98 % and normal noise, cut at 100 %: a fifth of the runs stand there",
    "skewed": "85 % less an exponential loss: some seeds train badly",
    "discrete": "90 % of 80 clips",
    "tied": "95 % of 20 clips: a third of the pairs tie",
    "heavy": "80 % and noise of Student's t with 3 degrees of freedom",
    "lopsided": "normal arms and a baseline less an exponential loss, all of the same mean: the "
    "differences are not symmetric, all in the same direction, and share it",
}


@dataclass(frozen=True)
class Ablations:
    """Simulated ablations: `baseline` (simulations, blocks), `arms` (simulations, arms, blocks).

    `level` is the true mean of the baseline, `difference` that of an arm that differs minus it.
    """

    baseline: Values
    arms: Values
    level: float
    difference: float

    @property
    def differences(self) -> Values:
        """(simulations, arms, blocks): arm minus baseline."""
        return self.arms - self.baseline[:, None]


def simulate(
    shape: str,
    *,
    simulations: int,
    arms: int,
    blocks: int,
    effect: float,
    seed: int,
    differing: int | None = None,
) -> Ablations:
    """Draw ablations in which arms are worse than the baseline by the same true difference.

    Args:
        shape: a key of `SHAPES`.
        simulations: how many ablations.
        arms: besides the baseline.
        blocks: of each.
        effect: true loss over the standard deviation that a paired difference has where nothing
            differs; 0 for ablations in which no arm differs.
        seed: of everything.
        differing: how many arms, the first, differ; None for all.
    """
    rng = np.random.default_rng(seed)
    shift, level, difference = _shift_for(shape, effect)
    block = BLOCK_POINTS * rng.standard_normal((simulations, 1, blocks))
    shifts = np.full((1, arms + 1, 1), shift)
    shifts[:, 0] = 0
    if differing is not None:
        shifts[:, differing + 1 :] = 0
    values = SHAPES[shape](rng, block + shifts)
    return Ablations(values[:, 0], values[:, 1:], level, difference)


@functools.lru_cache
def _shift_for(shape: str, effect: float, *, draws: int = 100_000) -> tuple[float, float, float]:
    """Return the shift that makes a loss of `effect` spreads, the baseline's mean, and the loss.

    A shift before clipping or rounding is not the difference after it, hence the search; the same
    seed in each step makes the loss fall smoothly with the shift.
    """

    def drawn(shift: float, seed: int) -> Values:
        rng = np.random.default_rng(seed)
        block = BLOCK_POINTS * rng.standard_normal(draws)
        return SHAPES[shape](rng, block + shift)

    baseline = drawn(0.0, 1)
    level = float(baseline.mean())
    if effect == 0:
        return 0.0, level, 0.0
    spread = _spread(shape, draws)
    low, high = -20 * effect * spread, 0.0
    for _ in range(20):
        middle = (low + high) / 2
        loss = level - float(drawn(middle, 1).mean())
        low, high = (middle, high) if loss > effect * spread else (low, middle)
    return high, level, -effect * spread


def _spread(shape: str, draws: int) -> float:
    """Return the standard deviation of a paired difference where nothing differs."""
    rng = np.random.default_rng(2)
    block = BLOCK_POINTS * rng.standard_normal(draws)
    return float((SHAPES[shape](rng, block) - SHAPES[shape](rng, block)).std())
