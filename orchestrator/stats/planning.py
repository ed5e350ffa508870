"""Power analysis: what n pairs can show, before anything is trained.

It is for the test of the report, joint sign flips of all declared contrasts
(`orchestrator.stats.family`): the power to call one contrast that differs beside others that do
not and share its reference. That is the first step; where others differ too, later steps are easier
and the power is higher. Differences are assumed normal.

Accuracies over few clips come in steps of 1 / clips, so pairs tie and the normal power is too high.
With a step, power is simulated on differences that are rounded to it, with the spread that was
measured after rounding. Where a second metric breaks ties (`orchestrator.stats.tie_break`), it
orders them as the differences before rounding: as if it saw what accuracy would see over many
clips. A loss shows more on simulated classifiers (`tests/benchmarks/stats/tie_break.md`): planned
power 35 %, found 60 %, with six pairs of which a third tie.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# scipy ships no types.
from scipy.special import chdtri, nctdtr, nctdtrinc, ndtr, stdtrit  # pyright: ignore[reportMissingTypeStubs]

from orchestrator.stats.paired import pairs_needed
from orchestrator.stats.recordings import Components
from orchestrator.stats.signflip import smallest_p
from orchestrator.stats.tie_break import SMALL
from orchestrator.stats.values import ALPHA, finite

POWER = 0.8
SIMULATED_UP_TO = 12
"""Pairs up to which power is simulated; beyond, the power of the t test at the level that joint
flips of that many contrasts leave to each differs by less than 0.02 for up to 10 contrasts."""

SIMULATIONS, MIN_SIMULATIONS = 2_000, 400
SIMULATED_CONTRASTS = 16_000
"""Simulations times contrasts: fewer simulations for more than 8 contrasts."""

MAX_PAIRS = 1_000
MAX_RECORDINGS = 100_000
MAX_EFFECT = 16.0


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """What n pairs can show.

    Attributes:
        n: Number of pairs.
        num_contrasts: Number of declared contrasts.
        smallest_p: Smallest p that a contrast can attain, alone or beside others.
        power: Power at which `detectable` holds.
        detectable: Smallest true difference found with that power, in the unit of the spread; None
            if no difference can be.
    """

    n: int
    num_contrasts: int
    smallest_p: float
    power: float
    detectable: float | None


def prospect(
    n: int,
    *,
    spread: float,
    num_contrasts: int = 1,
    steps: Steps | None = None,
    power: float = POWER,
    alpha: float = ALPHA,
) -> Prospect:
    """Return what n pairs can show.

    Args:
        n: Number of pairs.
        spread: Standard deviation of a paired difference (`pilot_spread`).
        num_contrasts: Number of declared contrasts.
        steps: Steps that differences come in, in the unit of the spread; None for none.
        power: Desired probability of calling a true difference.
        alpha: Family-wise level.
    """
    effect = detectable_effect(
        n, num_contrasts=num_contrasts, steps=_over(steps, spread), power=power, alpha=alpha
    )
    return Prospect(
        n=n,
        num_contrasts=num_contrasts,
        smallest_p=smallest_p(n),
        power=power,
        detectable=None if effect is None else effect * _spread(spread),
    )


def power_of(
    effect: float,
    n: int,
    *,
    num_contrasts: int = 1,
    steps: Steps | None = None,
    alpha: float = ALPHA,
) -> float:
    """Return the probability that n pairs call a true difference, for one contrast of several.

    Args:
        effect: True mean difference over the standard deviation of a difference.
        n: Number of pairs.
        num_contrasts: Number of declared contrasts.
        steps: Steps that differences come in, over the standard deviation; counted up to
            `SIMULATED_UP_TO` pairs.
        alpha: Family-wise level.
    """
    num_contrasts = max(1, num_contrasts)
    if n < 1 or smallest_p(n) > alpha * (1 + 1e-12):
        return 0.0
    if n <= SIMULATED_UP_TO:
        drawn = _drawn(n, num_contrasts, steps)
        shift = abs(effect)
        if steps is None:
            values, sums = drawn.noise + shift, drawn.sums + shift * drawn.sums_of_ones
        else:
            values = _whole(drawn.noise + shift, steps)
            sums = values @ drawn.signs
        sums = np.abs(sums)
        size = np.sqrt(np.square(values).sum(axis=1, keepdims=True))
        size = np.where(size > 0, size, 1)
        limit = sums[:, :1] / size * (1 - 1e-6)
        reached: NDArray[np.bool_] = (sums / size >= limit) | (drawn.others >= limit)
        p_values: NDArray[np.float64] = reached.mean(axis=1)
        return float(np.mean(p_values <= alpha * (1 + 1e-12)))
    return _power_of_t(effect, n, num_contrasts=num_contrasts, alpha=alpha)


def _power_of_t(effect: float, n: int, *, num_contrasts: int, alpha: float) -> float:
    """Return the power of the t test at the level that joint flips leave to each contrast."""
    level = _level_of_each(num_contrasts, alpha)
    attained = math.floor(level * 2.0 ** (n - 1) + 1e-9) / 2.0 ** (n - 1)
    critical = float(stdtrit(n - 1, 1 - attained / 2))
    shift = abs(effect) * math.sqrt(n)
    return float(1 - nctdtr(n - 1, shift, critical) + nctdtr(n - 1, shift, -critical))


@functools.lru_cache(maxsize=64)
def _level_of_each(num_contrasts: int, alpha: float) -> float:
    """Return the level of each of several normal contrasts with one reference, together `alpha`.

    Given the reference, they are independent, so the probability that none exceeds a limit is an
    integral over the reference alone (Dunnett, JASA 50, 1955).
    """
    if num_contrasts == 1:
        return alpha
    places, weights = np.polynomial.hermite_e.hermegauss(80)
    low, high = 0.0, 12.0
    while high - low > 1e-9:
        limit = (low + high) / 2
        inside = ndtr(math.sqrt(2) * limit + places) - ndtr(places - math.sqrt(2) * limit)
        held = float(weights @ inside**num_contrasts) / math.sqrt(2 * math.pi)
        low, high = (limit, high) if held < 1 - alpha else (low, limit)
    return float(2 * ndtr(-high))


@functools.lru_cache(maxsize=256)
def detectable_effect(
    n: int,
    *,
    num_contrasts: int = 1,
    steps: Steps | None = None,
    power: float = POWER,
    alpha: float = ALPHA,
) -> float | None:
    """Return the smallest effect (difference over its spread) that n pairs call with `power`.

    None if n pairs can call nothing at all. Rounded up by at most 0.01.
    """
    if not 0 < power < 1:
        raise ValueError(f"power must be between 0 and 1, not {power}")
    low, high = 0.0, MAX_EFFECT
    if power_of(high, n, num_contrasts=num_contrasts, steps=steps, alpha=alpha) < power:
        return None
    while high - low > 0.01:
        middle = (low + high) / 2
        if power_of(middle, n, num_contrasts=num_contrasts, steps=steps, alpha=alpha) < power:
            low = middle
        else:
            high = middle
    return high


def pairs_for(
    difference: float,
    *,
    spread: float,
    num_contrasts: int = 1,
    steps: Steps | None = None,
    power: float = POWER,
    alpha: float = ALPHA,
) -> int | None:
    """Return the fewest pairs that call a true difference with `power`; None beyond `MAX_PAIRS`.

    Args:
        difference: Difference to detect, in the unit of the spread.
        spread: Standard deviation of a paired difference.
        num_contrasts: Number of declared contrasts.
        steps: Steps that differences come in, in the unit of the spread; None for none.
        power: Desired probability of calling it.
        alpha: Family-wise level.

    Raises:
        ValueError: The difference is 0, or the spread or the power is out of range.
    """
    if not (difference and math.isfinite(difference)) or not 0 < power < 1:
        raise ValueError(f"no number of pairs finds {difference} with power {power}")
    effect, relative = abs(difference) / _spread(spread), _over(steps, spread)
    for n in range(pairs_needed(alpha=alpha), MAX_PAIRS + 1):
        found = power_of(effect, n, num_contrasts=num_contrasts, steps=relative, alpha=alpha)
        if found >= power:
            return n
    return None


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Steps that the differences of a metric come in, as accuracies over few clips do.

    Attributes:
        size: Size of a step, above 0.
        tie_break: Whether a second metric orders what ties.
    """

    size: float
    tie_break: bool = False


def _over(steps: Steps | None, spread: float) -> Steps | None:
    """Return steps in units of a spread, to two digits so that simulations are shared."""
    if steps is None:
        return None
    return dataclasses.replace(steps, size=float(f"{steps.size / _spread(spread):.2g}"))


@dataclass(frozen=True, kw_only=True)
class Needed:
    """Pairs that would find an observed difference again.

    Attributes:
        effect: Mean difference over the standard deviation of a difference.
        pairs: Pairs that find it with the wanted power; None beyond `MAX_PAIRS`.
        fewest: Pairs at the upper limit of the effect.
        most: Pairs at the lower limit; None beyond `MAX_PAIRS`, as where the effect may be 0.
        confidence: Coverage of the interval of the effect.
    """

    effect: float
    pairs: int | None
    fewest: int | None
    most: int | None
    confidence: float


def pairs_at_effect(
    differences: Iterable[float],
    *,
    num_contrasts: int = 1,
    power: float = POWER,
    confidence: float = 0.8,
    alpha: float = ALPHA,
) -> Needed | None:
    """Return how many pairs would find the observed effect, with its uncertainty.

    The interval of the effect is that of the noncentral t. Power is that of the t test at the level
    that joint flips leave to each contrast, which is quick; by simulation it takes a pair more or
    fewer.

    Args:
        differences: Arm minus reference per replicate.
        num_contrasts: Number of declared contrasts.
        power: Desired probability of calling the difference.
        confidence: Coverage of the interval of the effect.
        alpha: Family-wise level.

    Returns:
        None for fewer than three differences, or without a spread.
    """
    data = finite(differences)
    spread = float(data.std(ddof=1)) if data.size > 2 else 0.0
    if not spread:
        return None
    root = math.sqrt(data.size)
    effect = abs(float(data.mean())) / spread
    low, high = (
        float(nctdtrinc(data.size - 1, share, effect * root)) / root
        for share in ((1 + confidence) / 2, (1 - confidence) / 2)
    )
    pairs, fewest, most = (
        _pairs_by_t(one, num_contrasts=max(1, num_contrasts), power=power, alpha=alpha)
        for one in (effect, high, low)
    )
    return Needed(effect=effect, pairs=pairs, fewest=fewest, most=most, confidence=confidence)


def _pairs_by_t(effect: float, *, num_contrasts: int, power: float, alpha: float) -> int | None:
    if effect <= 0:
        return None
    return _fewest(
        lambda n: _power_of_t(effect, n, num_contrasts=num_contrasts, alpha=alpha),
        pairs_needed(alpha=alpha),
        MAX_PAIRS,
        power,
    )


@dataclass(frozen=True, kw_only=True)
class PooledSpread:
    """The spread of a paired difference, pooled over a pilot's contrasts.

    Attributes:
        estimate: Standard deviation; that of the noisiest contrast by its weights.
        upper: Upper limit of it.
        confidence: Probability that the limit is not below the true spread.
        num_contrasts: Number of contrasts that it is pooled over.
        num_pairs: Pairs of the contrast that has most.
        degrees: Degrees of freedom of its square.
    """

    estimate: float
    upper: float
    confidence: float
    num_contrasts: int
    num_pairs: int
    degrees: float

    def factor(self, *, more_pairs: int = 0) -> float:
        """Return the upper limit over the estimate, as it is or with more pairs per contrast."""
        degrees = self.degrees * (1 + more_pairs / (self.num_pairs - 1))
        return math.sqrt(degrees / float(chdtri(degrees, self.confidence)))


def pooled_spread(
    samples: Sequence[Iterable[float]],
    weights: Sequence[Mapping[str, float]],
    *,
    confidence: float = 0.8,
) -> PooledSpread:
    """Return the spread to plan with, from all contrasts of a pilot.

    A pilot of a few pairs often sees too small a spread, which makes the planned study too small;
    an upper limit makes the desired power likely (Browne, Statistics in Medicine 14, 1995).
    Variances are pooled as those of arms with equal noise. Contrasts that share arms say less
    together than as many of their own: the variances of two whose weights have the cosine r
    correlate by r^2, which gives the degrees of freedom.

    Args:
        samples: Per contrast, its differences, at least two.
        weights: Per contrast, arm -> weight.
        confidence: Probability that the limit is not below the true spread.

    Raises:
        ValueError: There is no contrast, one has fewer than two differences, or one is not finite.
    """
    data = [finite(sample) for sample in samples]
    if not data or min(values.size for values in data) < 2:
        raise ValueError("a spread needs at least two differences")
    arms = sorted({arm for own in weights for arm in own})
    table = np.array([[own.get(arm, 0.0) for arm in arms] for own in weights])
    lengths = np.sqrt(np.square(table).sum(axis=1))
    degrees = np.array([values.size - 1.0 for values in data])
    noise = np.array([values.var(ddof=1) for values in data]) / np.square(lengths)
    shared = np.square((table @ table.T) / np.outer(lengths, lengths))
    # Var of a pooled variance over its square, with weights in proportion to the pairs.
    relative = degrees @ (shared / np.sqrt(np.outer(degrees, degrees))) @ degrees
    freedom = float(np.square(degrees.sum()) / relative)
    estimate = float(lengths.max()) * math.sqrt(float(degrees @ noise) / float(degrees.sum()))
    return PooledSpread(
        estimate=estimate,
        upper=estimate * math.sqrt(freedom / float(chdtri(freedom, confidence))),
        confidence=confidence,
        num_contrasts=len(data),
        num_pairs=max(values.size for values in data),
        degrees=freedom,
    )


def pooled_components(
    tables: Sequence[Components],
    weights: Sequence[Mapping[str, float]],
    *,
    widened: float = 1.0,
) -> Components:
    """Return the variances to plan with, pooled over a pilot's contrasts as `pooled_spread` does.

    Args:
        tables: Per contrast, its variances.
        weights: Per contrast, arm -> weight.
        widened: Factor of the spread that allows for a small pilot: its upper limit over itself.
    """
    lengths = [math.fsum(weight**2 for weight in own.values()) for own in weights]
    factor = widened**2 * max(lengths) / len(tables)

    def pooled(variances: Iterable[float]) -> float:
        pairs = zip(variances, lengths, strict=True)
        return factor * math.fsum(variance / length for variance, length in pairs)

    return Components(
        of_seeds=pooled(table.of_seeds for table in tables),
        of_recordings=pooled(table.of_recordings for table in tables),
        of_rest=pooled(table.of_rest for table in tables),
    )


def power_over_recordings(
    difference: float,
    components: Components,
    *,
    seeds: int,
    recordings: int,
    num_contrasts: int = 1,
    alpha: float = ALPHA,
) -> float:
    """Return how likely the interval over seeds and recordings leaves 0 out.

    Args:
        difference: True difference over other recordings, in the unit of the components.
        components: Variances of a paired difference.
        seeds: Number of seeds, at least 2.
        recordings: Number of recordings, at least 2.
        num_contrasts: Number of declared contrasts, whose intervals hold at once.
        alpha: Probability that any of the intervals may miss its true difference.
    """
    variance = components.variance(seeds, recordings)
    if not variance:
        return 1.0
    df = components.degrees(seeds, recordings)
    critical = float(stdtrit(df, 1 - alpha / (2 * max(1, num_contrasts))))
    shift = abs(difference) / math.sqrt(variance)
    return float(1 - nctdtr(df, shift, critical) + nctdtr(df, shift, -critical))


def seeds_over_recordings(
    difference: float,
    components: Components,
    *,
    recordings: int,
    num_contrasts: int = 1,
    power: float = POWER,
    alpha: float = ALPHA,
) -> int | None:
    """Return the fewest seeds that find a difference on other recordings; None beyond `MAX_PAIRS`.

    Arguments as in `power_over_recordings`; `power` is the desired probability.
    """
    power_of_both = functools.partial(
        power_over_recordings, difference, components, num_contrasts=num_contrasts, alpha=alpha
    )
    return _fewest(
        lambda seeds: power_of_both(seeds=seeds, recordings=recordings),
        pairs_needed(alpha=alpha),
        MAX_PAIRS,
        power,
    )


def recordings_over_seeds(
    difference: float,
    components: Components,
    *,
    seeds: int,
    num_contrasts: int = 1,
    power: float = POWER,
    alpha: float = ALPHA,
) -> int | None:
    """Return the fewest recordings that show a difference; None beyond `MAX_RECORDINGS`.

    Arguments as in `seeds_over_recordings`, with the number of seeds.
    """
    power_of_both = functools.partial(
        power_over_recordings, difference, components, num_contrasts=num_contrasts, alpha=alpha
    )
    return _fewest(
        lambda recordings: power_of_both(seeds=seeds, recordings=recordings),
        2,
        MAX_RECORDINGS,
        power,
    )


def detectable_over_recordings(
    components: Components,
    *,
    seeds: int,
    recordings: int,
    num_contrasts: int = 1,
    power: float = POWER,
    alpha: float = ALPHA,
) -> float:
    """Return the smallest true difference over other recordings found with a power.

    Arguments as in `seeds_over_recordings`; rounded up by at most a hundredth of its error.
    """
    error = math.sqrt(components.variance(seeds, recordings))
    low, high = 0.0, 100.0 * error
    while high - low > 0.01 * error:
        middle = (low + high) / 2
        found = power_over_recordings(
            middle,
            components,
            seeds=seeds,
            recordings=recordings,
            num_contrasts=num_contrasts,
            alpha=alpha,
        )
        low, high = (middle, high) if found < power else (low, middle)
    return high


def _fewest(power_at: Callable[[int], float], least: int, most: int, power: float) -> int | None:
    """Return the smallest number with a power; None if the largest does not have it."""
    if power_at(most) < power:
        return None
    low, high = least - 1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if power_at(middle) < power else (low, middle)
    return high


def _spread(value: float) -> float:
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"a spread must be above 0, not {value}")
    return value


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """Simulated pilot noise under all sign patterns, the same for every effect.

    Attributes:
        noise: (simulations, pairs) of the contrast that differs, of unit spread once it is rounded.
        sums: (simulations, patterns) of the flipped noise.
        signs: (pairs, patterns), -1 where a sign turns.
        others: (simulations, patterns) largest statistic of the other contrasts; below 0 for none.
    """

    noise: NDArray[np.float32]
    sums: NDArray[np.float32]
    signs: NDArray[np.float32]
    others: NDArray[np.float32]

    @property
    def sums_of_ones(self) -> NDArray[np.float32]:
        """(1, patterns) sums of the signs."""
        return self.signs.sum(axis=0, keepdims=True)


@functools.lru_cache(maxsize=SIMULATED_UP_TO)
def _drawn(n: int, num_contrasts: int, steps: Steps | None = None) -> _Drawn:
    """Draw contrasts that share their reference, so that power rises smoothly with the effect."""
    simulations = max(MIN_SIMULATIONS, min(SIMULATIONS, SIMULATED_CONTRASTS // num_contrasts))
    rng = np.random.default_rng(n)
    arms = rng.standard_normal((num_contrasts + 1, simulations, n), dtype=np.float32)
    unrounded = 1.0 if steps is None else _before_rounding(steps.size)
    differences = (arms[1:] - arms[0]) * np.float32(unrounded / math.sqrt(2))
    places = np.arange(2 ** (n - 1), dtype=np.int64)
    turned: NDArray[np.int64] = (places >> np.arange(n, dtype=np.int64)[:, None]) & 1
    signs = (1 - 2 * turned).astype(np.float32)
    others = np.full((simulations, signs.shape[1]), -1, dtype=np.float32)
    for other in differences[1:]:
        values = other if steps is None else _whole(other, steps)
        size = np.sqrt(np.square(values).sum(axis=1, keepdims=True))
        np.maximum(others, np.abs(values @ signs) / np.where(size > 0, size, 1), out=others)
    noise = differences[0]
    return _Drawn(noise=noise, sums=noise @ signs, signs=signs, others=others)


def _whole(values: NDArray[np.float32], steps: Steps) -> NDArray[np.float32]:
    """Round (simulations, pairs) differences to whole steps; ties are broken if a metric does."""
    size = np.float32(steps.size)
    rounded = np.rint(values / size) * size
    if not steps.tie_break:
        return rounded
    total = np.abs(values).sum(axis=1, keepdims=True)
    return rounded + np.float32(10 * SMALL * steps.size) * values / total


@functools.lru_cache(maxsize=64)
def _before_rounding(step: float) -> float:
    """Return the spread of normal numbers that have a unit spread once rounded to steps."""
    places = np.arange(1, 2 + math.ceil(8 / step))
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        ends = step / middle * np.stack([places - 0.5, places + 0.5])
        chance = 2 * (ndtr(-ends[0]) - ndtr(-ends[1]))
        variance = float(np.square(step * places) @ chance)
        low, high = (middle, high) if variance < 1 else (low, middle)
    return high
