"""Aggregates over several datasets: scores between chance and best, and who wins how often.

Datasets differ in difficulty and number of seeds, so raw numbers are not pooled. On every dataset a
score of 0 is chance and 1 the mean of the best arm there, and datasets have equal weight, however
many seeds they have.

Intervals are over other seeds on the same datasets. The variance of a dataset's score is that of
its seeds' pseudo-values, which is the bootstrap's variance widened by n / (n - 1): resampling n
seeds sees their spread with divisor n. The same seeds include the best arm's own noise. Datasets
are independent, so variances add, and Student's t takes Satterthwaite's degrees of freedom:
D (n - 1) for D datasets of equal spread, and fewer if one of them dominates, when D (n - 1) would
cover too little. `tests/benchmarks/stats/aggregate.md` has the coverage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats.intervals import t_quantile
from orchestrator.stats.values import CONFIDENCE, common_blocks, finite

Scores = Mapping[str, Mapping[Hashable, float]]
"""Data set -> block -> value."""

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """An aggregate over datasets with its interval.

    Attributes:
        value: The aggregate, as its function defines it.
        low: Lower end of the interval.
        high: Upper end of the interval.
        confidence: Nominal coverage.
        num_datasets: Number of datasets.
        num_runs: Runs of each arm.
        method: Kind of interval.
    """

    value: float
    low: float
    high: float
    confidence: float
    num_datasets: int
    num_runs: int
    method: str


def normalized_score(
    arm: Scores, best: Scores, *, chance: Mapping[str, float], confidence: float = CONFIDENCE
) -> Aggregate:
    """Return an arm's mean score over datasets, 0 at chance and 1 at the best arm's mean.

    Args:
        arm: Values of the arm.
        best: Values, on every dataset, of the arm that is best there.
        chance: Dataset -> value of chance; above the others if smaller is better.
        confidence: Coverage of the interval.

    Raises:
        ValueError: The datasets differ, one has fewer than two common blocks, a value is not
            finite, or the best mean of a dataset is chance.
    """
    return _over_datasets(
        {"arm": arm, "best": best}, chance, lambda values, level: values["arm"] - level, confidence
    )


def normalized_difference(
    arm: Scores,
    reference: Scores,
    best: Scores,
    *,
    chance: Mapping[str, float],
    confidence: float = CONFIDENCE,
) -> Aggregate:
    """Return the arm's mean score minus the reference's, paired by blocks.

    Args:
        arm: Values of the arm.
        reference: Values of the reference on the same datasets.
        best: Values of the best arm; see `normalized_score`.
        chance: Dataset -> value of chance.
        confidence: Coverage of the interval.

    Raises:
        ValueError: See `normalized_score`.
    """
    return _over_datasets(
        {"arm": arm, "reference": reference, "best": best},
        chance,
        lambda values, level: values["arm"] - values["reference"],
        confidence,
    )


def probability_of_improvement(
    arm: Scores, reference: Scores, *, confidence: float = CONFIDENCE, sign: int = 1
) -> Aggregate:
    """Return the mean probability over datasets that a run of the arm beats one of the reference.

    Each run is compared with every run of the reference, a tie counting half: Mann and Whitney's U
    over the number of pairs (Agarwal et al., NeurIPS 2021). The interval inverts a score test, so
    it has a width even if every run wins, with the variance of Newcombe (Statistics in Medicine 25,
    2006, method 5) at the mean probability, and t for the normal. It treats runs as unpaired, which
    widens it if seeds are shared.

    Args:
        arm: Values of the arm.
        reference: Values of the reference on the same datasets.
        confidence: Coverage of the interval.
        sign: +1 if larger is better, -1 if smaller is.

    Raises:
        ValueError: The datasets differ, one has fewer than two common blocks, or a value is not
            finite.
    """
    tables = _paired({"arm": arm, "reference": reference})
    sizes = [values["arm"].size for values in tables.values()]
    value = math.fsum(
        float(((np.sign(sign * (values["arm"][:, None] - values["reference"])) + 1) / 2).mean())
        for values in tables.values()
    ) / len(tables)
    quantile = t_quantile(sum(sizes) - len(sizes), confidence)
    grid = np.linspace(0.0, 1.0, 10_001)
    variance = sum(_newcombe(grid, size) for size in sizes) / len(sizes) ** 2
    inside = grid[np.abs(grid - value) <= quantile * np.sqrt(variance) + 1e-12]
    return Aggregate(
        value=value,
        low=min(value, float(inside.min(initial=value))),
        high=max(value, float(inside.max(initial=value))),
        confidence=confidence,
        num_datasets=len(sizes),
        num_runs=sum(sizes),
        method="score interval of Mann and Whitney's U",
    )


def _over_datasets(
    arms: Mapping[str, Scores],
    chance: Mapping[str, float],
    numerator: Callable[[Mapping[str, Values], float], Values],
    confidence: float,
) -> Aggregate:
    """Average ratios of means over datasets, each with the variance of its pseudo-values."""
    tables = _paired(arms)
    scores: list[float] = []
    variances: list[float] = []
    degrees: list[int] = []
    for name, values in tables.items():
        span = values["best"] - chance[name]
        length = float(span.mean())
        if not length:
            raise ValueError(f"the best mean of {name} is chance, so its scale has no length")
        top = numerator(values, chance[name])
        score = float(top.mean()) / length
        scores.append(score)
        variances.append(float(((top - score * span) / length).var(ddof=1)) / top.size)
        degrees.append(top.size - 1)
    value, total = math.fsum(scores) / len(scores), math.fsum(variances)
    half = 0.0
    if total > 0:
        # Satterthwaite (Biometrics Bulletin 2, 1946).
        freedom = total**2 / sum(v**2 / d for v, d in zip(variances, degrees, strict=True))
        half = t_quantile(freedom, confidence) * math.sqrt(total) / len(scores)
    return Aggregate(
        value=value,
        low=value - half,
        high=value + half,
        confidence=confidence,
        num_datasets=len(scores),
        num_runs=sum(degrees) + len(degrees),
        method="t interval",
    )


def _paired(arms: Mapping[str, Scores]) -> dict[str, dict[str, Values]]:
    """Return dataset -> arm -> values over the blocks that all arms share."""
    first, *others = arms.values()
    if not first:
        raise ValueError("there is no data set")
    for other in others:
        if other.keys() != first.keys():
            raise ValueError(f"the data sets differ: {sorted(first)} and {sorted(other)}")
    tables: dict[str, dict[str, Values]] = {}
    for name in first:
        blocks = common_blocks(*(scores[name] for scores in arms.values()))
        if len(blocks) < 2:
            raise ValueError(f"{name} has one common block; an interval needs two")
        tables[name] = {
            arm: finite([scores[name][block] for block in blocks]) for arm, scores in arms.items()
        }
    return tables


def _newcombe(theta: Values, size: int) -> Values:
    """Return the variance of U over its pairs, for two samples of one size, at a probability."""
    spread = (1 - theta) / (2 - theta) + theta / (1 + theta)
    return theta * (1 - theta) * (1 + (size - 1) * spread) / size**2
