"""One number over several data sets: interquartile mean and probability of improvement.

After Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice (NeurIPS
2021). Scores of different data sets must share a scale: accuracies do, losses do not. Intervals
are percentiles of a bootstrap that draws blocks within each data set. Where two arms are compared,
both are drawn by the same blocks, since theirs are paired; rliable draws them apart.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats.values import CONFIDENCE, common_blocks, finite

RESAMPLES = 5_000

Scores = Mapping[str, Mapping[Hashable, float]]
"""Data set -> block -> value."""


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """A number over data sets with its interval.

    Attributes:
        value: as its function says.
        low: of the interval.
        high: likewise.
        confidence: nominal coverage.
        num_datasets: that it rests on.
        num_runs: per arm.
        method: how the interval was made.
    """

    value: float
    low: float
    high: float
    confidence: float
    num_datasets: int
    num_runs: int
    method: str = "stratified percentile bootstrap"


def interquartile_mean(
    scores: Scores, *, confidence: float = CONFIDENCE, seed: int = 0
) -> Aggregate:
    """Return the mean of the middle half of all runs of all data sets.

    Robust against a collapsed seed or one odd data set, at less variance than the median.

    Args:
        scores: of one arm.
        confidence: coverage of the interval.
        seed: of the bootstrap.

    Raises:
        ValueError: there is no data set, or one has no run, or a value is not finite.
    """
    tables = [finite(own.values()) for own in _some(scores).values()]
    rng = np.random.default_rng(seed)
    drawn = np.concatenate([own[_draws(rng, own.size)] for own in tables], axis=1)
    every = np.concatenate(tables)[None]
    return _aggregate(_middle_mean(every)[0], _middle_mean(drawn), tables, confidence)


def interquartile_mean_difference(
    arm: Scores, reference: Scores, *, confidence: float = CONFIDENCE, seed: int = 0
) -> Aggregate:
    """Return the arm's interquartile mean minus the reference's, over the blocks that both have.

    Args:
        arm: its scores.
        reference: of the same data sets.
        confidence: coverage of the interval.
        seed: of the bootstrap.

    Raises:
        ValueError: the data sets differ, one has no common block, or a value is not finite.
    """
    ours, theirs = _paired(arm, reference)
    rng = np.random.default_rng(seed)
    picks = [_draws(rng, own.size) for own in ours]

    def drawn(tables: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        parts = [own[pick] for own, pick in zip(tables, picks, strict=True)]
        return _middle_mean(np.concatenate(parts, axis=1))

    whole = _middle_mean(np.concatenate(ours)[None]) - _middle_mean(np.concatenate(theirs)[None])
    return _aggregate(whole[0], drawn(ours) - drawn(theirs), ours, confidence)


def probability_of_improvement(
    arm: Scores, reference: Scores, *, confidence: float = CONFIDENCE, seed: int = 0, sign: int = 1
) -> Aggregate:
    """Return how likely a run of the arm beats a run of the reference, averaged over data sets.

    Any run against any run, a tie counting half: Mann and Whitney's U over the number of pairs.

    Args:
        arm: its scores.
        reference: of the same data sets.
        confidence: coverage of the interval.
        seed: of the bootstrap.
        sign: +1 where larger is better, -1 where smaller is.

    Raises:
        ValueError: the data sets differ, one has no common block, or a value is not finite.
    """
    ours, theirs = _paired(arm, reference)
    rng = np.random.default_rng(seed)
    whole, drawn = 0.0, np.zeros(RESAMPLES)
    for one, other in zip(ours, theirs, strict=True):
        wins = (np.sign(sign * (one[:, None] - other[None, :])) + 1) / 2
        whole += wins.mean()
        counts = rng.multinomial(one.size, np.full(one.size, 1 / one.size), size=RESAMPLES)
        drawn += np.einsum("ri,ij,rj->r", counts, wins, counts) / one.size**2
    return _aggregate(whole / len(ours), drawn / len(ours), ours, confidence)


def _some(scores: Scores) -> Scores:
    if not scores:
        raise ValueError("there is no data set")
    return scores


def _paired(
    arm: Scores, reference: Scores
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    if _some(arm).keys() != reference.keys():
        raise ValueError(f"the data sets differ: {sorted(arm)} and {sorted(reference)}")
    blocks = {name: common_blocks(arm[name], reference[name]) for name in arm}
    ours = [finite([arm[name][block] for block in own]) for name, own in blocks.items()]
    theirs = [finite([reference[name][block] for block in own]) for name, own in blocks.items()]
    return ours, theirs


def _draws(rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    return rng.integers(0, size, size=(RESAMPLES, size))


def _middle_mean(runs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the 25 % trimmed mean of each row of (rows, runs)."""
    cut = runs.shape[1] // 4
    return np.sort(runs, axis=1)[:, cut : runs.shape[1] - cut].mean(axis=1)


def _aggregate(
    value: float,
    drawn: NDArray[np.float64],
    tables: list[NDArray[np.float64]],
    confidence: float,
) -> Aggregate:
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Aggregate(
        value=float(value),
        low=float(low),
        high=float(high),
        confidence=confidence,
        num_datasets=len(tables),
        num_runs=sum(own.size for own in tables),
    )
