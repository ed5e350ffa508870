"""Test whether an arm is no worse than its reference by a margin, or equal to within it.

Two one-sided tests (Schuirmann 1987), each a sign-flip test of the differences moved by the margin.
Sign-flip rather than t for the same reason as for the contrasts themselves: it is exact at every n
if the differences are symmetric about their center, normal or not, and five pairs suffice
(1 / 2^5 = 0.031). It assumes a little more than the test of no difference: there, exchangeable arms
give the symmetry; here an effect must shift the differences as a whole.

Folds that share training clips are not replicates whose signs may be flipped: over them both tests
are the corrected resampled t (Nadeau and Bengio 2003), as is the test of no difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.stats.intervals import bounds, t_probability, t_quantile
from orchestrator.stats.signflip import Alternative, sign_flip
from orchestrator.stats.values import ALPHA, finite, tolerance


@dataclass(frozen=True, kw_only=True)
class Equivalence:
    """Paired differences tested against a margin.

    Attributes:
        n: Number of pairs.
        margin: Declared margin, in the unit of the differences.
        mean: Mean of the differences.
        low: Lower end of the t interval whose two ends each hold at `1 - ALPHA`, so 90 % in all.
        high: Upper end of the interval.
        p_not_worse: One-sided p against "worse by the margin or more".
        p_not_better: One-sided p against "better by the margin or more".
        p_error: Larger standard error of the two p if sampled; 0 if exact.
        test_method: Name of the two tests.
    """

    n: int
    margin: float
    mean: float
    low: float | None
    high: float | None
    p_not_worse: float
    p_not_better: float
    p_error: float
    test_method: str

    @property
    def p_equivalent(self) -> float:
        """The p against "differs by the margin or more": the larger of the two."""
        return max(self.p_not_worse, self.p_not_better)

    @property
    def not_worse(self) -> bool:
        """Whether a loss of the margin is ruled out, without correction for other such tests."""
        return self.p_not_worse <= ALPHA

    @property
    def equivalent(self) -> bool:
        """Whether both a loss and a gain of the margin are ruled out."""
        return self.p_equivalent <= ALPHA


def equivalence(
    differences: Iterable[float],
    *,
    margin: float,
    sign: int = 1,
    seed: int = 0,
    test_per_train: float = 0.0,
) -> Equivalence:
    """Test paired differences against a margin that was declared beforehand.

    Args:
        differences: Arm minus reference, one per replicate.
        margin: Margin above 0, in the unit of the differences.
        sign: +1 if larger is better, -1 if smaller is.
        seed: Seed of the tests, which are sampled beyond `EXACT_UP_TO` pairs.
        test_per_train: Test clips over training clips if the replicates are folds, as in
            `corrected_resampled_t`; 0 if they are independent.

    Raises:
        ValueError: The margin is not above 0, or a difference is not finite.
    """
    if not (margin > 0 and math.isfinite(margin)):
        raise ValueError(f"the margin must be above 0, not {margin}")
    data = finite(differences)
    n, mean = data.size, float(data.mean())
    low = high = None
    p_not_worse, p_not_better, p_error = 1.0, 1.0, 0.0
    method = "a corrected resampled t test"
    if not test_per_train:
        low, high = bounds(data, confidence=1 - 2 * ALPHA)
        not_worse = sign_flip(sign * data + margin, alternative=Alternative.GREATER, seed=seed)
        not_better = sign_flip(margin - sign * data, alternative=Alternative.GREATER, seed=seed)
        p_not_worse, p_not_better = not_worse.p_value, not_better.p_value
        p_error = max(not_worse.p_error, not_better.p_error)
        method = f"a{'' if not_worse.p_error else 'n'} {not_worse.method}"
    elif n > 1:
        error = float(data.std(ddof=1)) * math.sqrt(1 / n + test_per_train)
        # Folds that agree have no spread to compare the margin with, so nothing is ruled out.
        if error > float(tolerance(data)):
            half = t_quantile(n - 1, 1 - 2 * ALPHA) * error
            low, high = mean - half, mean + half
            p_not_worse = t_probability(n - 1, -(sign * mean + margin) / error)
            p_not_better = t_probability(n - 1, -(margin - sign * mean) / error)
    return Equivalence(
        n=n,
        margin=margin,
        mean=mean,
        low=low,
        high=high,
        p_not_worse=p_not_worse,
        p_not_better=p_not_better,
        p_error=p_error,
        test_method=f"two one-sided tests, each {method}",
    )
