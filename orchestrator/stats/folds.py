"""Crossed seeds and folds: what counts as a replicate, and what the result generalizes to.

n seeds on k folds are n * k runs but not n * k independent replicates. There are two dependences,
and each belongs to another question:

- *Other seeds, on these clips.* The folds are fixed and the seed varies. The seed is the replicate:
  average its folds and test the n seed means by sign-flip. This is exact, whatever the folds share,
  since they share it within a replicate.
- *Other clips.* Folds train on overlapping clips, so their differences correlate and the ordinary
  t test over folds errs too often (Dietterich 1998). The corrected resampled t test of Nadeau and
  Bengio (Machine Learning 52, 2003) widens the variance from 1/k to 1/k + n_test/n_train, for
  k-fold cross-validation 1/k + 1/(k - 1). Applied to fold means over seeds, it includes the seeds'
  spread, divided by their number.

A sign-flip test over single folds is exact only for the hypothesis that the arm changes nothing on
these very clips, and five folds cannot reach 0.05 with it. So it is not used on folds.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from orchestrator.stats.intervals import (
    T_INTERVAL,
    UNBOUNDED,
    MeanInterval,
    bounds,
    t_probability,
    t_quantile,
)
from orchestrator.stats.paired import PairedDifference, difference_of, pairs_needed
from orchestrator.stats.values import CONFIDENCE, finite, tolerance

CORRECTED_T = "corrected resampled t test"
CORRECTED_INTERVAL = "corrected resampled t interval"

Seed = TypeVar("Seed", bound=Hashable)
Fold = TypeVar("Fold", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class Replicates:
    """Replicates, after blocks of seeds and folds were averaged.

    Attributes:
        values: Replicate -> mean over its blocks.
        replicate: Either `seed` or `fold`.
        test_per_train: Test clips over training clips if replicates are folds, which share
            training clips; 0 if they are independent.
        reason: Why blocks were averaged or left out; empty if they were not.
    """

    values: Mapping[Any, float]
    replicate: str
    test_per_train: float = 0.0
    reason: str = ""


def replicates_of(
    values: Mapping[tuple[Seed, Fold], float],
    *,
    num_folds: int | None = None,
) -> Replicates:
    """Average blocks of (seed, fold) into replicates.

    With one fold, seeds are the replicates. With several, they are seed means over the folds, if
    there are enough complete seeds for the sign-flip test to call a contrast; otherwise fold means
    over the seeds, which share training clips. The choice looks at counts and never at values. Only
    complete seeds and folds are averaged, keeping as many blocks as possible, since a mean over
    other folds is not comparable.

    Args:
        values: (seed, fold) -> value.
        num_folds: Number of folds that the clips were split into; those that occur if None.

    Raises:
        ValueError: There is no block, a value is not finite, or more folds occur than the clips
            were split into.
    """
    finite(values.values())
    seeds = list(dict.fromkeys(seed for seed, _ in values))
    folds = list(dict.fromkeys(fold for _, fold in values))
    split_into = len(folds) if num_folds is None else num_folds
    if split_into < len(folds):
        raise ValueError(f"{len(folds)} folds occur, but the clips were split into {split_into}")
    if len(folds) == 1:
        return Replicates(values=dict(values), replicate="seed")
    complete = [s for s in seeds if all((s, fold) in values for fold in folds)]
    if len(complete) >= pairs_needed():
        return Replicates(
            values={s: math.fsum(values[s, fold] for fold in folds) / len(folds) for s in complete},
            replicate="seed",
            reason=f"{_left_out(seeds, complete, 'seed')}each of the {len(complete)} seeds is "
            f"averaged over the {len(folds)} folds, which share training clips; the result holds "
            "for other seeds on these clips",
        )
    kept_seeds, kept_folds = _largest_complete(values, seeds, folds, complete)
    left_out = _left_out(seeds, kept_seeds, "seed") + _left_out(folds, kept_folds, "fold")
    averaged = f", each averaged over {len(kept_seeds)} seeds," if len(kept_seeds) > 1 else ""
    return Replicates(
        values={
            f: math.fsum(values[s, f] for s in kept_seeds) / len(kept_seeds) for f in kept_folds
        },
        replicate="fold",
        test_per_train=1 / (split_into - 1),
        reason=f"{left_out}the {len(kept_folds)} folds{averaged} share training clips, so their "
        "variance is widened (Nadeau and Bengio 2003)",
    )


def _largest_complete(
    values: Mapping[tuple[Seed, Fold], float],
    seeds: Sequence[Seed],
    folds: Sequence[Fold],
    complete: Sequence[Seed],
) -> tuple[Sequence[Seed], Sequence[Fold]]:
    """Return the largest choice of seeds and folds in which every combination is present."""
    whole = [fold for fold in folds if all((s, fold) in values for s in seeds)]
    folds_of = {s: [fold for fold in folds if (s, fold) in values] for s in seeds}
    fullest = max(seeds, key=lambda s: len(folds_of[s]))
    ways = ((complete, folds), (seeds, whole), ([fullest], folds_of[fullest]))
    return max(ways, key=lambda way: len(way[0]) * len(way[1]))


def _left_out(planned: Sequence[Hashable], kept: Sequence[Hashable], what: str) -> str:
    missing = len(planned) - len(kept)
    return f"{missing} incomplete {what}{'s' * (missing > 1)} left out; " if missing else ""


def corrected_resampled_t(
    differences: Mapping[Hashable, float],
    *,
    test_per_train: float,
    confidence: float = CONFIDENCE,
    reason: str = "",
) -> PairedDifference:
    """Test differences over splits that share training clips (Nadeau and Bengio 2003).

    There is no p if all differences are equal and not 0, since they have no spread to test against.

    Args:
        differences: Split -> arm minus reference.
        test_per_train: Test clips over training clips of a split; 1 / (k - 1) for k folds.
        confidence: Coverage of the interval.
        reason: Why this test was chosen, for the result.

    Raises:
        ValueError: `test_per_train` is not above 0, or a difference is not finite.
    """
    if not test_per_train > 0:
        raise ValueError(f"test clips per training clip must be above 0, not {test_per_train}")
    data = finite(differences.values())
    n, mean = data.size, float(data.mean())
    low = high = p_value = None
    if n > 1:
        error = float(data.std(ddof=1)) * math.sqrt(1 / n + test_per_train)
        half = t_quantile(n - 1, confidence) * error
        low, high = mean - half, mean + half
        # Equal differences have no spread to test against: accuracies over few clips often tie.
        if error > float(tolerance(data)):
            p_value = 2 * t_probability(n - 1, -abs(mean) / error)
        elif not mean:
            p_value = 1.0
    return PairedDifference(
        n=n,
        mean=mean,
        low=low,
        high=high,
        confidence=confidence,
        interval_method=CORRECTED_INTERVAL,
        p_value=p_value,
        smallest_p=0.0 if n > 1 else 1.0,
        p_error=0.0,
        differences=dict(zip(differences, data.tolist(), strict=True)),
        test_method=CORRECTED_T,
        replicate="fold",
        reason=reason,
        test_per_train=test_per_train,
    )


@dataclass(frozen=True, kw_only=True)
class CrossedInterval(MeanInterval):
    """A mean over blocks with its interval over replicates, and no test.

    Attributes:
        replicate: Unit that n counts: `seed` or `fold`.
        reason: Why blocks were averaged or left out; empty if they were not.
        values: Values of the replicates.
    """

    replicate: str
    reason: str
    values: tuple[float, ...]

    @property
    def is_flat(self) -> bool:
        """Whether all replicates are equal, but for rounding."""
        ends = min(self.values), max(self.values)
        return ends[1] - ends[0] <= 1e-9 * max(map(abs, ends))


def crossed_test(
    differences: Mapping[tuple[Seed, Fold], float],
    *,
    tie_break: Mapping[tuple[Seed, Fold], float] | None = None,
    num_folds: int | None = None,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> PairedDifference:
    """Test differences, or weighted sums of several arms, over blocks of (seed, fold).

    Uses the sign-flip test over seeds or the corrected resampled t over folds: see `replicates_of`.

    Args:
        differences: (seed, fold) -> number that is 0 on average if nothing differs.
        tie_break: (seed, fold) -> the same of a second metric, oriented as the first, which breaks
            the ties of the sign-flip test; None for none.
        num_folds: Number of folds that the clips were split into; those that occur if None.
        confidence: Coverage of the interval.
        seed: Seed of the sampled test.

    Raises:
        ValueError: See `replicates_of`.
    """
    replicates = replicates_of(differences, num_folds=num_folds)
    if replicates.test_per_train:
        return corrected_resampled_t(
            replicates.values,
            test_per_train=replicates.test_per_train,
            confidence=confidence,
            reason=replicates.reason,
        )
    second = None
    if tie_break:
        whole = {block: tie_break.get(block, 0.0) for block in differences}
        second = replicates_of(whole, num_folds=num_folds).values
    return difference_of(
        replicates.values,
        tie_break=second,
        confidence=confidence,
        seed=seed,
        replicate=replicates.replicate,
        reason=replicates.reason,
    )


def replicate_interval(
    replicates: Replicates,
    *,
    within: tuple[float, float] = UNBOUNDED,
    confidence: float = CONFIDENCE,
) -> CrossedInterval:
    """Return the mean of replicates with its t interval, widened if they share training clips.

    Args:
        replicates: Result of `replicates_of`.
        within: Smallest and largest value that a mean can have, at which the interval ends.
        confidence: Coverage of the interval.
    """
    data = finite(replicates.values.values())
    n, mean = data.size, float(data.mean())
    low, high = bounds(data, confidence=confidence)
    if replicates.test_per_train and low is not None and high is not None:
        wider = math.sqrt(1 + n * replicates.test_per_train)
        low, high = mean - (mean - low) * wider, mean + (high - mean) * wider
    if low is not None and high is not None:
        low, high = max(low, within[0]), min(high, within[1])
    return CrossedInterval(
        n=n,
        mean=mean,
        low=low,
        high=high,
        confidence=confidence,
        interval_method=CORRECTED_INTERVAL if replicates.test_per_train else T_INTERVAL,
        replicate=replicates.replicate,
        reason=replicates.reason,
        values=tuple(data.tolist()),
    )
