"""Seeds and folds crossed: what counts as a replicate, and for what the result then holds.

n seeds on k folds are n * k runs but not n * k independent replicates. Two dependences stand in the
way, and each answers another question:

- *Other seeds, on these clips.* The folds are fixed, and what varies is the seed. The seed is the
  replicate: average its folds and test the n seed means by sign-flip. Exact, whatever the folds
  share, since they share it within a replicate.
- *Other clips.* Folds train on overlapping clips, so their differences correlate and the ordinary
  t test over folds errs too often (Dietterich 1998). The corrected resampled t test of Nadeau and
  Bengio (Machine Learning 52, 2003) widens the variance from 1/k to 1/k + n_test/n_train, for
  k-fold cross-validation 1/k + 1/(k - 1). Applied to fold means over seeds, it holds the seeds'
  spread within it, divided by their number.

A sign-flip test over single folds is exact for one thing only, that the arm changes nothing at all
on these very clips; five folds cannot reach 0.05 with it anyway. So it is not used on folds.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from orchestrator.stats.intervals import (
    IntervalMethod,
    MeanInterval,
    bounds,
    t_probability,
    t_quantile,
)
from orchestrator.stats.paired import PairedDifference, difference_of
from orchestrator.stats.replicates import Replicates, replicates_of
from orchestrator.stats.values import CONFIDENCE, common_blocks, finite, tolerance

CORRECTED_T = "corrected resampled t test"
CORRECTED_INTERVAL = "corrected resampled t interval"

Seed = TypeVar("Seed", bound=Hashable)
Fold = TypeVar("Fold", bound=Hashable)


def corrected_resampled_t(
    differences: Mapping[Hashable, float],
    *,
    test_per_train: float,
    confidence: float = CONFIDENCE,
    reason: str = "",
) -> PairedDifference:
    """Test differences over splits that share training clips (Nadeau and Bengio 2003).

    There is no p where all differences are equal and not 0, as there is no spread to hold them
    against.

    Args:
        differences: split -> arm minus reference.
        test_per_train: test clips over training clips of a split; 1 / (k - 1) for k folds.
        confidence: coverage of the interval.
        reason: why this test, for the result.

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
        replicate: `seed` or `fold`: what n counts.
        reason: why blocks were not taken as they come; empty where they were.
    """

    replicate: str
    reason: str


def crossed_difference(
    arm: Mapping[tuple[Seed, Fold], float],
    reference: Mapping[tuple[Seed, Fold], float],
    *,
    num_folds: int | None = None,
    num_contrasts: int = 1,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> PairedDifference:
    """Compare an arm with a reference over blocks of (seed, fold), each used for what it is.

    Args:
        arm: (seed, fold) -> value.
        reference: likewise.
        num_folds: into how many folds the clips were split; those that occur where None.
        num_contrasts: how many were declared, for what "enough seeds" means.
        confidence: coverage of the interval.
        seed: of the sampled test.

    Raises:
        ValueError: no block is in both, a value is not finite, or more folds occur than the clips
            were split into.
    """
    return crossed_test(
        {b: arm[b] - reference[b] for b in common_blocks(arm, reference)},
        num_folds=num_folds,
        num_contrasts=num_contrasts,
        confidence=confidence,
        seed=seed,
    )


def crossed_test(
    differences: Mapping[tuple[Seed, Fold], float],
    *,
    num_folds: int | None = None,
    num_contrasts: int = 1,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> PairedDifference:
    """Test differences, or weighted sums of several arms, over blocks of (seed, fold).

    The sign-flip test over seeds, or the corrected resampled t over folds: see `replicates_of`.

    Args:
        differences: (seed, fold) -> what is 0 on average if nothing differs.
        num_folds: as in `crossed_difference`.
        num_contrasts: likewise.
        confidence: likewise.
        seed: likewise.

    Raises:
        ValueError: as `crossed_difference`.
    """
    found = replicates_of(differences, num_folds=num_folds, num_contrasts=num_contrasts)
    if found.test_per_train:
        return corrected_resampled_t(
            found.values,
            test_per_train=found.test_per_train,
            confidence=confidence,
            reason=found.reason,
        )
    return difference_of(
        found.values,
        confidence=confidence,
        seed=seed,
        replicate=found.replicate,
        reason=found.reason,
    )


def crossed_interval(
    values: Mapping[tuple[Seed, Fold], float],
    *,
    num_folds: int | None = None,
    num_contrasts: int = 1,
    confidence: float = CONFIDENCE,
) -> CrossedInterval:
    """Return the mean over blocks of (seed, fold) with its interval over replicates, untested.

    Replicates are those of the test of the same blocks, so a study counts in one way throughout.

    Args:
        values: (seed, fold) -> value.
        num_folds: as in `crossed_difference`.
        num_contrasts: likewise.
        confidence: coverage of the interval.

    Raises:
        ValueError: as `crossed_difference`.
    """
    found = replicates_of(values, num_folds=num_folds, num_contrasts=num_contrasts)
    return replicate_interval(found, confidence=confidence)


def replicate_interval(found: Replicates, *, confidence: float = CONFIDENCE) -> CrossedInterval:
    """Return the mean of replicates with its t interval, widened where they share training clips.

    Args:
        found: from `replicates_of`.
        confidence: coverage of the interval.
    """
    data = finite(found.values.values())
    n, mean = data.size, float(data.mean())
    low, high = bounds(data, confidence=confidence)
    if found.test_per_train and low is not None and high is not None:
        wider = math.sqrt(1 + n * found.test_per_train)
        low, high = mean - (mean - low) * wider, mean + (high - mean) * wider
    return CrossedInterval(
        n=n,
        mean=mean,
        low=low,
        high=high,
        confidence=confidence,
        interval_method=CORRECTED_INTERVAL if found.test_per_train else IntervalMethod.T,
        replicate=found.replicate,
        reason=found.reason,
    )
