"""Two trained models on the same test clips: exact McNemar, and the paired bootstrap over clips.

The results generalize to other clips for these two models, not to other seeds, and every result
says so: two runs that differ only in their seed are often "significantly" different over clips.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# scipy ships no types.
from scipy.special import bdtr  # pyright: ignore[reportMissingTypeStubs]

from orchestrator.stats.signflip import BATCH_VALUES
from orchestrator.stats.values import CONFIDENCE, finite

CAVEAT = (
    "One pair of runs: this speaks of other clips for these two trained models, and says nothing "
    "about other seeds."
)
RESAMPLES = 2_000

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""(resamples, clips) how often each clip was drawn -> (resamples,) values of a metric."""


@dataclass(frozen=True, kw_only=True)
class ClipTest:
    """A difference of two runs over the same clips.

    Attributes:
        num_clips: Number of clips that both runs were scored on.
        difference: Run minus reference, in the unit of the metric.
        low: Lower end of the interval over clips; None if the method gives none.
        high: Upper end of the interval.
        confidence: Nominal coverage of the interval.
        p_value: Two-sided p.
        method: Name of the test, and of its interval.
        only_run: Number of clips that only the run has right; None if clips are not right or wrong.
        only_reference: Number of clips that only the reference has right; None as before.
        caveat: Sentence on what the result cannot show.
    """

    num_clips: int
    difference: float
    low: float | None = None
    high: float | None = None
    confidence: float = CONFIDENCE
    p_value: float
    method: str
    only_run: int | None = None
    only_reference: int | None = None
    caveat: str = CAVEAT


def mcnemar(run: ArrayLike, reference: ArrayLike) -> ClipTest:
    """Compare two runs by which clips they have right (McNemar 1947, exact binomial form).

    Args:
        run: (clips,) booleans, right or wrong.
        reference: (clips,) booleans of the same clips in the same order.

    Raises:
        ValueError: The arrays are empty, or differ in shape.
    """
    run_right, reference_right = np.asarray(run, dtype=bool), np.asarray(reference, dtype=bool)
    if run_right.shape != reference_right.shape or run_right.ndim != 1 or not run_right.size:
        raise ValueError(
            f"both need the same clips, not shapes {run_right.shape} and {reference_right.shape}"
        )
    gained, lost = (
        int((run_right & ~reference_right).sum()),
        int((reference_right & ~run_right).sum()),
    )
    p_value = min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5)))
    return ClipTest(
        num_clips=run_right.size,
        difference=(gained - lost) / run_right.size,
        p_value=p_value,
        method="exact McNemar test",
        only_run=gained,
        only_reference=lost,
    )


def clip_bootstrap(
    run: Statistic,
    reference: Statistic,
    *,
    num_clips: int,
    sources: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> ClipTest:
    """Compare two runs by a metric, resampling the test clips for both runs at once.

    The interval consists of percentiles of the difference (Efron 1979); the p inverts it: p is
    below 0.05 if the 95 % interval excludes 0. Percentiles suit the hundreds of clips of a test
    set, not the few replicates of an ablation.

    Args:
        run: Metric of the run as a function of how often each clip is drawn: `mean_of`,
            `average_precision_of`, or the caller's own.
        reference: Metric of the reference as such a function.
        num_clips: Number of test clips.
        sources: (clips,) recording that each clip was cut from; clips of one recording are not
            independent and are drawn together. None draws each clip on its own.
        resamples: Number of draws.
        confidence: Coverage of the interval.
        seed: Seed of the draws.

    Raises:
        ValueError: There are fewer than two clips or sources, or `sources` has another length than
            the clips.
    """
    labels = np.arange(num_clips) if sources is None else np.asarray(sources)
    if labels.shape != (num_clips,):
        raise ValueError(f"{num_clips} clips need as many sources, not shape {labels.shape}")
    member = np.unique(labels, return_inverse=True)[1]
    groups = int(member.max(initial=-1)) + 1
    if groups < 2:
        raise ValueError(f"drawing clips needs at least two independent ones, not {groups}")
    rng = np.random.default_rng(seed)
    differences: list[NDArray[np.float64]] = []
    step = max(1, BATCH_VALUES // (8 * num_clips))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        counts = rng.multinomial(groups, np.full(groups, 1 / groups), size=rows)
        weights = counts[:, member].astype(np.float64)
        differences.append(run(weights) - reference(weights))
    drawn = np.concatenate(differences)
    drawn = drawn[np.isfinite(drawn)]
    all_clips = np.ones((1, num_clips))
    difference = float((run(all_clips) - reference(all_clips))[0])
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    least = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    unit = "clips" if sources is None else f"{groups} sources"
    return ClipTest(
        num_clips=num_clips,
        difference=difference,
        low=float(low),
        high=float(high),
        confidence=confidence,
        p_value=min(1.0, 2 * (int(least) + 1) / (drawn.size + 1)),
        method=f"paired percentile bootstrap over {unit}, {drawn.size:,} resamples",
    )


def mean_of(values: ArrayLike) -> Statistic:
    """Return the mean of (clips,) values as a function of how often each clip is drawn."""
    data = finite(np.asarray(values, dtype=np.float64))
    return lambda weights: (weights @ data) / weights.sum(axis=1)


def average_precision_of(scores: ArrayLike, targets: ArrayLike) -> Statistic:
    """Return mAP, the mean over classes of average precision, as a function of the draws.

    As `sklearn.metrics.average_precision_score(average="macro")` with the draws as weights; tied
    scores count as one threshold. A class without a positive clip in a resample is left out of both
    runs' means.

    Args:
        scores: (clips, classes), larger is more certain.
        targets: (clips, classes), 1 if the class is present and 0 otherwise.

    Raises:
        ValueError: The shapes differ, a score is not finite, or no class has a positive clip.
    """
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(targets, dtype=bool)
    if values.shape != truth.shape or values.ndim != 2:
        raise ValueError(f"scores and targets differ in shape: {values.shape} and {truth.shape}")
    finite(values)
    classes = np.nonzero(truth.any(axis=0))[0]
    if not classes.size:
        raise ValueError("no class has a positive clip")
    prepared: list[tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.intp]]] = []
    for index in classes:
        order = np.argsort(-values[:, index], kind="stable")
        ranked = values[order, index]
        ends = np.append(np.nonzero(np.diff(ranked))[0], len(ranked) - 1)
        prepared.append((order, truth[order, index], ends))

    def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        total, counted = np.zeros(len(weights)), np.zeros(len(weights))
        for order, positive, ends in prepared:
            drawn = weights[:, order]
            seen = np.cumsum(drawn, axis=1)[:, ends]
            hits = np.cumsum(drawn * positive, axis=1)[:, ends]
            precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
            gained = np.diff(hits, axis=1, prepend=0.0)
            there = hits[:, -1] > 0
            total[there] += (precision * gained).sum(axis=1)[there] / hits[there, -1]
            counted += there
        return np.divide(total, counted, out=np.full(len(weights), np.nan), where=counted > 0)

    return statistic
