"""An arm against its reference, paired by block, and the verdict on it within its family."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from orchestrator.stats.intervals import MeanInterval, bounds
from orchestrator.stats.signflip import EXACT, sign_flip, smallest_p
from orchestrator.stats.values import ALPHA, CONFIDENCE, common_blocks, finite


@dataclass(frozen=True, kw_only=True)
class PairedDifference(MeanInterval):
    """Arm minus reference, paired by block.

    Attributes:
        n: Number of replicates: blocks that both have, or what `replicate` names.
        mean: Mean of the paired differences.
        low: Lower end of the interval of the mean difference.
        high: Upper end of the interval.
        p_value: Two-sided p; None if n is 1, since one pair can show nothing.
        smallest_p: Smallest p that n pairs can attain: 2 / 2^n, or 0 after a t test.
        p_error: Standard error of a sampled p; 0 if the test is exact.
        differences: Replicate -> arm minus reference, in the order of the arm's blocks.
        test_method: Name of the test.
        replicate: Unit that n counts: `block`, `seed` or `fold`.
        reason: Why blocks were averaged or left out; empty if they were not.
        test_per_train: Test clips over training clips of folds that share the latter; 0 if
            replicates are independent.
    """

    p_value: float | None
    smallest_p: float
    p_error: float
    differences: Mapping[Any, float]
    test_method: str = EXACT
    replicate: str = "block"
    reason: str = ""
    test_per_train: float = 0.0


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
    confidence: float = CONFIDENCE,
    seed: int = 0,
    replicate: str = "block",
    reason: str = "",
) -> PairedDifference:
    """Summarize and test differences that are independent replicates: see `paired_difference`."""
    data = finite(differences.values())
    low, high = bounds(data, confidence=confidence)
    test = sign_flip(data, seed=seed)
    return PairedDifference(
        n=data.size,
        mean=float(data.mean()),
        low=low,
        high=high,
        confidence=confidence,
        p_value=test.p_value if data.size > 1 else None,
        smallest_p=smallest_p(data.size),
        p_error=test.p_error,
        differences=dict(zip(differences, data.tolist(), strict=True)),
        test_method=test.method,
        replicate=replicate,
        reason=reason,
    )


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


def pairs_needed(num_contrasts: int, *, alpha: float = ALPHA) -> int:
    """Return the fewest pairs at which one of several contrasts can be called at all."""
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
    return Verdict.BETTER if difference.mean * sign > 0 else Verdict.WORSE
