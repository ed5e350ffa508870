"""Other seeds and other recordings: the interval of a mean over two crossed samples.

Seeds and recordings are crossed: every seed scores every recording. The variance of the mean over
both is that of random effects (Searle, Casella and McCulloch, Variance Components, 1992, section
4.3), a part that more seeds shrink and a part that more recordings shrink, each from its mean
square. An interval over seeds alone holds for other seeds on these very clips; it covers the
difference on other recordings the less, the more seeds there are
(`tests/benchmarks/stats/recordings.md`).

Folds are kept: recordings vary within the fold that holds them out, and a seed is its mean over the
folds. That folds share training clips is left out, so "other recordings" means other ones to test
on, not to train on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats.intervals import MeanInterval, t_quantile
from orchestrator.stats.values import CONFIDENCE

CROSSED = "interval of crossed mean squares"


@dataclass(frozen=True, kw_only=True)
class RecordingsInterval(MeanInterval):
    """A mean with its interval over other seeds and other recordings; n is that of seeds.

    Attributes:
        num_recordings: Number of recordings.
        from_seeds: Part of the mean's variance that more seeds would shrink.
        from_recordings: Part that more recordings would shrink.
    """

    num_recordings: int
    from_seeds: float
    from_recordings: float

    @property
    def narrowed_by(self) -> tuple[str, ...]:
        """What as many times more of would narrow the interval most: seeds, recordings or either.

        Neither part can be told from 0 where all of the spread is of seeds on single recordings,
        which more of both shrink alike.
        """
        if self.from_seeds == self.from_recordings:
            return ("seeds", "recordings")
        return ("seeds",) if self.from_seeds > self.from_recordings else ("recordings",)


@dataclass(frozen=True, kw_only=True)
class Components:
    """Variances of a difference, for planning.

    Attributes:
        of_seeds: Variance over seeds, whatever the recording.
        of_recordings: Variance over recordings, whatever the seed.
        of_rest: Variance of a single seed on a single recording beside both.
    """

    of_seeds: float
    of_recordings: float
    of_rest: float

    def variance(self, seeds: float, recordings: float) -> float:
        """Return the variance of the mean over seeds and recordings."""
        rest = self.of_rest / (seeds * recordings)
        return self.of_seeds / seeds + self.of_recordings / recordings + rest

    def degrees(self, seeds: int, recordings: int) -> float:
        """Return Satterthwaite's degrees of freedom of that variance as it would be estimated."""
        squares = _Squares(
            of_seeds=self.of_rest + recordings * self.of_seeds,
            of_recordings=self.of_rest + seeds * self.of_recordings,
            of_rest=self.of_rest,
            seeds=seeds,
            recordings=recordings,
            within=recordings - 1,
        )
        return squares.total[1]


@dataclass(frozen=True, kw_only=True)
class _Squares:
    """Mean squares of a table, with its sizes; `within` is recordings less folds."""

    of_seeds: float
    of_recordings: float
    of_rest: float
    seeds: int
    recordings: int
    within: int

    @property
    def total(self) -> tuple[float, float]:
        """Cells times the variance of the mean, with its degrees of freedom.

        A part that is not above the rest is 0. Taken as less, it would be subtracted from the
        other one and leave a small difference of few degrees of freedom, and so an interval that
        may be a thousand times too wide.
        """
        if self.of_recordings <= self.of_rest:
            return self.of_seeds, self.seeds - 1.0
        if self.of_seeds <= self.of_rest:
            return self.of_recordings, float(self.within)
        total = self.of_seeds + self.of_recordings - self.of_rest
        terms = self.of_seeds**2 / (self.seeds - 1) + self.of_recordings**2 / self.within
        terms += self.of_rest**2 / ((self.seeds - 1) * self.within)
        return total, total**2 / terms  # Satterthwaite (Biometrics Bulletin 2, 1946)


def components(
    values: NDArray[np.float64], *, folds: NDArray[np.int64] | None = None
) -> Components:
    """Estimate the variances of a table of seeds and recordings; arguments as `over_recordings`."""
    squares = _mean_squares(values, folds)
    return Components(
        of_seeds=max(0.0, squares.of_seeds - squares.of_rest) / squares.recordings,
        of_recordings=max(0.0, squares.of_recordings - squares.of_rest) / squares.seeds,
        of_rest=squares.of_rest,
    )


def over_recordings(
    values: NDArray[np.float64],
    *,
    folds: NDArray[np.int64] | None = None,
    confidence: float = CONFIDENCE,
) -> RecordingsInterval:
    """Return the mean of a table of seeds and recordings with its interval over both.

    Args:
        values: (seeds, recordings), what a recording contributes, such that the mean of a row is
            the seed's own value: a difference of two arms, or its pseudo-values.
        folds: (recordings,) fold that holds out each; None for one.
        confidence: Coverage of the interval.

    Raises:
        ValueError: There are fewer than two seeds, or than two recordings in a fold.
    """
    squares = _mean_squares(values, folds)
    total, df = squares.total
    cells = values.size
    mean = float(values.mean(axis=1).mean())
    half = t_quantile(df, confidence) * math.sqrt(total / cells)
    return RecordingsInterval(
        n=squares.seeds,
        mean=mean,
        low=mean - half,
        high=mean + half,
        confidence=confidence,
        interval_method=CROSSED,
        num_recordings=squares.recordings,
        from_seeds=max(0.0, squares.of_seeds - squares.of_rest) / cells,
        from_recordings=max(0.0, squares.of_recordings - squares.of_rest) / cells,
    )


def over_recordings_alone(
    values: NDArray[np.float64],
    *,
    folds: NDArray[np.int64] | None = None,
    confidence: float = CONFIDENCE,
) -> MeanInterval:
    """Return the mean of a table with its t interval for other recordings and these very models.

    Args:
        values: (seeds, recordings), see `over_recordings`; one seed is enough.
        folds: (recordings,) fold that holds out each; None for one.
        confidence: Coverage of the interval.

    Raises:
        ValueError: A fold has fewer than two recordings.
    """
    # Seeds that repeat the mean have its variance over recordings and no other.
    repeated = np.repeat(values.mean(axis=0, keepdims=True), 2, axis=0)
    squares = _mean_squares(repeated, folds)
    mean = float(values.mean())
    error = math.sqrt(squares.of_recordings / repeated.size)
    half = t_quantile(squares.within, confidence) * error
    return MeanInterval(
        n=squares.recordings, mean=mean, low=mean - half, high=mean + half, confidence=confidence
    )


def _mean_squares(values: NDArray[np.float64], folds: NDArray[np.int64] | None) -> _Squares:
    seeds, recordings = values.shape
    member = np.zeros(recordings, dtype=np.int64) if folds is None else folds
    labels, member = np.unique(member, return_inverse=True)
    sizes = np.bincount(member)
    if seeds < 2 or sizes.min(initial=2) < 2:
        raise ValueError(
            f"crossed samples need two seeds and two recordings of each fold, not {values.shape}"
        )
    within = recordings - len(labels)
    share = np.eye(len(labels))[member] / sizes  # (recordings, folds), means by fold
    by_fold = values @ share
    columns = values.mean(axis=0)
    of_fold = (columns @ share)[member]
    rows = values.mean(axis=1)
    rest = values - by_fold[:, member] - columns + of_fold
    of_seeds = recordings * float(rows.var(ddof=1))
    of_recordings = seeds * float(np.square(columns - of_fold).sum()) / within
    of_rest = float(np.square(rest).sum()) / ((seeds - 1) * within)
    return _Squares(
        of_seeds=of_seeds,
        of_recordings=of_recordings,
        of_rest=of_rest,
        seeds=seeds,
        recordings=recordings,
        within=within,
    )
