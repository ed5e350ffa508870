"""An arm against its reference, paired by block, and the verdict on it within its family.

`orchestrator.stats.family` has the test and the intervals that agree with it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

import numpy as np

from orchestrator.stats.family import Flipped, flip, simultaneous_bounds, step_down
from orchestrator.stats.intervals import MeanInterval, t_quantile
from orchestrator.stats.signflip import EXACT, SAMPLED, smallest_p
from orchestrator.stats.tie_break import break_ties
from orchestrator.stats.values import ALPHA, CONFIDENCE, common_blocks, finite, tolerance

FLIP_INTERVAL = "sign-flip interval"
SIMULTANEOUS = "simultaneous "
"""What the name of an interval begins with if it holds together with those of its family."""


@dataclass(frozen=True, kw_only=True)
class PairedDifference(MeanInterval):
    """Arm minus reference, paired by block.

    Attributes:
        n: Number of replicates: blocks that both have, or what `replicate` names.
        mean: Mean of the paired differences.
        low: Lower end of the interval of the mean difference.
        high: Upper end of the interval.
        p_value: Two-sided p; None if n is 1, since one pair can show nothing.
        smallest_p: Smallest p that these pairs can attain, whatever their signs: 2 / 2^k for the k
            pairs that are not tied, or 0 after a t test.
        p_error: Standard error of a sampled p; 0 if the test is exact.
        differences: Replicate -> arm minus reference, in the order of the arm's blocks.
        test_method: Name of the test.
        replicate: Unit that n counts: `block`, `seed` or `fold`.
        reason: Why blocks were averaged or left out; empty if they were not.
        test_per_train: Test clips over training clips of folds that share the latter; 0 if
            replicates are independent.
        ordered: Replicate -> what is tested, the difference with ties broken by a second metric
            (`orchestrator.stats.tie_break`); empty without one.
    """

    p_value: float | None
    smallest_p: float
    p_error: float
    differences: Mapping[Any, float]
    test_method: str = EXACT
    replicate: str = "block"
    reason: str = ""
    test_per_train: float = 0.0
    ordered: Mapping[Any, float] = field(default_factory=dict[Any, float])

    @property
    def tested(self) -> Mapping[Any, float]:
        """Replicate -> difference that is tested, with ties broken if a second metric does so."""
        return self.ordered or self.differences

    @property
    def num_tied(self) -> int:
        """Number of pairs that are tied in what is tested, which no flip changes."""
        return _num_tied(self.tested)

    @property
    def num_equal(self) -> int:
        """Number of pairs whose difference is 0, whether or not a second metric orders them."""
        return _num_tied(self.differences)

    @property
    def direction(self) -> float:
        """A number with the sign of the mean difference, ties broken."""
        return math.fsum(self.tested.values())

    @property
    def by_seed(self) -> Mapping[Any, float]:
        """Seed -> difference, for blocks of one fold and means over folds alike."""
        return _by_seed(self.differences)


def _by_seed(differences: Mapping[Any, float]) -> Mapping[Any, float]:
    by_seed: dict[Any, float] = {}
    for key, difference in differences.items():
        block = cast("tuple[Any, ...]", key if isinstance(key, tuple) else (key,))
        by_seed[block[0]] = difference
    return by_seed if len(by_seed) == len(differences) else differences


class Verdict(StrEnum):
    """The conclusion that a contrast's numbers support."""

    BETTER = "better"
    WORSE = "worse"
    NOT_DISTINGUISHABLE = "not distinguishable"
    UNDECIDED = "undecided"
    NOT_TESTED = "not tested"


def paired_difference(
    arm: Mapping[Any, float],
    reference: Mapping[Any, float],
    *,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> PairedDifference:
    """Compare an arm with a reference over the blocks that both have.

    The blocks must be independent replicates; several folds are not (`crossed_test`).

    Args:
        arm: Block -> value.
        reference: Block -> value.
        confidence: Coverage of the interval.
        seed: Seed of the test, which is sampled beyond `EXACT_UP_TO` pairs.

    Raises:
        ValueError: The two share no block, or a value is not finite.
    """
    blocks = common_blocks(arm, reference)
    return difference_of(
        {block: arm[block] - reference[block] for block in blocks},
        confidence=confidence,
        seed=seed,
    )


def difference_of(
    differences: Mapping[Any, float],
    *,
    tie_break: Mapping[Any, float] | None = None,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    replicate: str = "block",
    reason: str = "",
) -> PairedDifference:
    """Summarize and test differences that are independent replicates: see `paired_difference`.

    Args:
        differences: Replicate -> arm minus reference.
        tie_break: Replicate -> difference of a second metric that breaks ties, oriented as the
            first; None for none.
        confidence: Coverage of the interval.
        seed: Seed of the test.
        replicate: What a replicate is.
        reason: Why blocks were averaged or left out.
    """
    data = finite(differences.values())
    ordered = break_ties(differences, tie_break) if tie_break else {}
    flipped = flip([ordered or differences], seed=seed)
    p_value = float(flipped.p_values[0])
    low, high = simultaneous_bounds(flipped, alpha=1 - confidence)
    ends = unbroken_ends(float(low[0]), float(high[0]), differences, ordered)
    return PairedDifference(
        n=data.size,
        mean=float(data.mean()),
        low=ends[0] if data.size > 1 else None,
        high=ends[1] if data.size > 1 else None,
        confidence=confidence,
        interval_method=FLIP_INTERVAL,
        p_value=p_value if data.size > 1 else None,
        smallest_p=smallest_p(data.size - _num_tied(ordered or differences)),
        p_error=flipped.error_of(p_value),
        differences=dict(zip(differences, data.tolist(), strict=True)),
        test_method=EXACT if flipped.exact else f"{SAMPLED}, {flipped.num_patterns - 1:,} draws",
        replicate=replicate,
        reason=reason,
        ordered=ordered,
    )


def unbroken_ends(
    low: float, high: float, differences: Mapping[Any, float], ordered: Mapping[Any, float]
) -> tuple[float, float] | tuple[None, None]:
    """Return the ends of an interval over tie-broken differences, in those of the first metric.

    They differ by less than any difference of the first, so only an end at 0 or at the mean must be
    moved back: equal differences then have no spread, and no interval leaves its mean out.

    Args:
        low: Lower end; infinite if there is none.
        high: Upper end.
        differences: Replicate -> difference of the first metric, of those that were tested.
        ordered: Replicate -> difference with ties broken; empty without a second metric.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return None, None
    if not ordered:
        return low, high
    if not any(differences.values()):
        return 0.0, 0.0
    moved = 2 * max(abs(ordered[key] - different) for key, different in differences.items())
    mean = float(np.array(list(differences.values())).mean())

    def back(end: float) -> float:
        if abs(end) <= moved:
            return 0.0
        return mean if abs(end - mean) <= moved else end

    return back(low), back(high)


def _num_tied(differences: Mapping[Any, float]) -> int:
    data = np.array(list(differences.values()))
    return int(np.count_nonzero(np.abs(data) <= tolerance(data)))


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A comparison judged within its family.

    Attributes:
        difference: Its difference, with the interval that agrees with the adjusted p.
        adjusted_p: P value corrected over the family; None if there is no test.
        adjusted_error: Standard error of a sampled adjusted p; 0 if exact.
        smallest_adjusted_p: Bound below which no signs of its pairs bring the adjusted p. At most
            `ALPHA` is necessary for a call, not sufficient: beside other contrasts even pairs that
            all agree may not reach it.
        with_ties: Adjusted p by the first metric alone, which counts its ties; None if no second
            metric breaks them.
    """

    difference: PairedDifference | None
    adjusted_p: float | None
    adjusted_error: float
    smallest_adjusted_p: float
    with_ties: float | None = None

    @property
    def called(self) -> bool:
        """Whether the adjusted p calls the comparison."""
        return self.adjusted_p is not None and self.adjusted_p <= ALPHA


def judge(
    differences: Sequence[PairedDifference | None],
    *,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> list[Judged]:
    """Correct the tests of a family for being several, and give intervals that agree.

    Comparisons over independent replicates are tested by joint sign flips
    (`orchestrator.stats.family`), those over folds by Holm's correction of their t tests. If there
    are both, each kind gets the part of the level that its number is of the family. So do those
    without a test yet: filling in a missing trial takes nothing from the others' share.

    Args:
        differences: Comparisons in their order; None where nothing can be compared yet.
        confidence: Coverage of all intervals at once.
        seed: Seed of sampled flips.
    """
    judged = [
        Judged(difference=d, adjusted_p=None, adjusted_error=0.0, smallest_adjusted_p=1.0)
        for d in differences
    ]
    tested = [i for i, d in enumerate(differences) if d is not None and d.p_value is not None]
    kinds = (
        ([i for i in tested if not _of_folds(differences[i])], _judged_by_flips),
        ([i for i in tested if _of_folds(differences[i])], _judged_by_t),
    )
    for members, method in kinds:
        if not members:
            continue
        own = [d for i in members if (d := differences[i]) is not None]
        share = len(members) / len(differences)
        found = method(own, share=share, confidence=confidence, seed=seed)
        for i, one in zip(members, found, strict=True):
            judged[i] = _agreeing(one, several=len(differences) > 1)
    return judged


def _of_folds(difference: PairedDifference | None) -> bool:
    return difference is not None and bool(difference.test_per_train)


def _judged_by_flips(
    differences: Sequence[PairedDifference], *, share: float, confidence: float, seed: int
) -> list[Judged]:
    flipped = flip([_by_seed(d.tested) for d in differences], seed=seed)
    lows, highs = simultaneous_bounds(flipped, alpha=share * (1 - confidence))
    adjusted = step_down(flipped)
    with_ties = adjusted
    if any(d.ordered for d in differences):
        with_ties = step_down(flip([d.by_seed for d in differences], seed=seed))
    return [
        _judged(d, adjusted=p, with_ties=tied, low=low, high=high, share=share, flipped=flipped)
        for d, p, tied, low, high in zip(
            differences,
            adjusted.tolist(),
            with_ties.tolist(),
            lows.tolist(),
            highs.tolist(),
            strict=True,
        )
    ]


def _judged(
    difference: PairedDifference,
    *,
    adjusted: float,
    with_ties: float,
    low: float,
    high: float,
    share: float,
    flipped: Flipped,
) -> Judged:
    ends = unbroken_ends(low, high, difference.differences, difference.ordered)
    return Judged(
        difference=dataclasses.replace(difference, low=ends[0], high=ends[1]),
        adjusted_p=min(1.0, adjusted / share),
        adjusted_error=flipped.error_of(adjusted) / share,
        smallest_adjusted_p=min(1.0, difference.smallest_p / share),
        with_ties=min(1.0, with_ties / share) if difference.ordered else None,
    )


def _judged_by_t(
    differences: Sequence[PairedDifference], *, share: float, confidence: float, seed: int
) -> list[Judged]:
    """Correct by Holm; the intervals hold at once at an even part of the level each."""
    adjusted = holm([d.p_value for d in differences])
    alpha = share * (1 - confidence) / len(differences)
    return [
        Judged(
            difference=_widened(d, confidence, 1 - alpha),
            adjusted_p=None if p is None else min(1.0, p / share),
            adjusted_error=0.0,
            smallest_adjusted_p=d.smallest_p,
        )
        for d, p in zip(differences, adjusted, strict=True)
    ]


def _widened(difference: PairedDifference, given: float, wanted: float) -> PairedDifference:
    """Return a difference with its t interval at another confidence."""
    if difference.low is None or difference.high is None:
        return difference
    df = difference.n - 1
    ratio = t_quantile(df, wanted) / t_quantile(df, given)
    half = ratio * (difference.high - difference.low) / 2
    return dataclasses.replace(difference, low=difference.mean - half, high=difference.mean + half)


def _agreeing(judged: Judged, *, several: bool) -> Judged:
    """Move an end of the interval to 0 where it would contradict the adjusted p."""
    difference = judged.difference
    if difference is None:
        return judged
    low, high = agreeing_ends(
        difference.low, difference.high, mean=difference.direction, called=judged.called
    )
    method = SIMULTANEOUS * several + difference.interval_method
    difference = dataclasses.replace(difference, low=low, high=high, interval_method=method)
    return dataclasses.replace(judged, difference=difference)


def agreeing_ends(
    low: float | None, high: float | None, *, mean: float, called: bool
) -> tuple[float | None, float | None]:
    """Return the ends of an interval such that it holds 0 if and only if nothing is called.

    An end of exactly 0 belongs to the interval unless the comparison is called. There is no
    interval if all of it lies on the side that a call rules out.

    Args:
        low: Lower end; None if there is no interval.
        high: Upper end.
        mean: A number with the sign of the difference that was called.
        called: Whether a difference was called.
    """
    if low is None or high is None:
        return None, None
    if not called:
        return min(low, 0.0), max(high, 0.0)
    low, high = (max(low, 0.0), high) if mean > 0 else (low, min(high, 0.0))
    return (low, high) if low <= high else (None, None)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p values for multiple tests (Holm, Scandinavian Journal of Statistics 6, 1979).

    A contrast without a p yet (None) stays None but counts in the family, so that filling in a
    missing trial never makes the other contrasts harder to call.
    """
    order = sorted(range(len(p_values)), key=lambda i: _or_one(p_values[i]))
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * _or_one(p_values[i])))
        adjusted[i] = None if p_values[i] is None else running
    return adjusted


def pairs_needed(num_contrasts: int = 1, *, alpha: float = ALPHA) -> int:
    """Return the fewest pairs at which a contrast can be called at all.

    Args:
        num_contrasts: Number of contrasts that Holm's correction is for, as in a study until
            decided; joint sign flips call one of any number with as many pairs as a single one.
        alpha: Level.
    """
    return math.ceil(1 + math.log2(max(1, num_contrasts) / alpha) - 1e-12)


def _or_one(p_value: float | None) -> float:
    return 1.0 if p_value is None else p_value


def verdict(difference: PairedDifference, adjusted_p: float | None, *, sign: int) -> Verdict:
    """Return the verdict: better or worse needs an adjusted p of at most `ALPHA`.

    Args:
        difference: Arm minus reference.
        adjusted_p: The p after `holm`; None if there is no test.
        sign: +1 if larger is better, -1 if smaller is.
    """
    if adjusted_p is None:
        return Verdict.NOT_TESTED
    if adjusted_p > ALPHA:
        return Verdict.NOT_DISTINGUISHABLE
    return Verdict.BETTER if difference.direction * sign > 0 else Verdict.WORSE
