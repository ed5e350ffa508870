"""Simulate trained arms on clips of shared recordings; print false calls and coverage.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.stats.bench_recordings

Prints the tables of `recordings.md`. Run it from the root of the repository.

*Coverage.* Two arms are drawn alike, so over other recordings the true difference is 0. On the
clips at hand it is not: an arm is better on some recordings, in every seed. That difference is the
mean over further seeds on the same clips.

*False calls.* Arms do not differ on any recording, only by what a seed makes of them. Power is that
where all arms but the baseline are better by a gain in the logits of the true classes.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats import (
    ALPHA,
    PairedDifference,
    RecordingsInterval,
    average_precision_of,
    holm,
    judge,
    over_recordings,
    paired_difference,
)

CLASSES = 5
FURTHER_SEEDS = 400
METRICS = ("top-1", "mAP", "multi-label mAP")
SEEDS = (6, 8, 12)
CLIPS = ((30, 1), (80, 1), (30, 4))
"""Recordings of a fold, and clips of each."""

SPREADS = {"seeds": (0.8, 0.3), "recordings": (0.2, 0.8)}
"""What varies most -> spread of an arm's effect over seeds, and over recordings."""

ARMS = 5
OF_SEEDS = 0.5
"""Spread over seeds of an arm's effect in studies of several contrasts."""

GAIN = 0.5
PRESENT = 0.3
"""How often a recording has a class, where it may have several."""

_ROUNDING = 1 + 1e-9

Values = NDArray[np.float64]


class Study:
    """Held-out clips with arms whose effects on recordings are fixed.

    Args:
        rng: Generator of everything.
        metric: Metric to score by.
        recordings: Number of recordings.
        clips: Clips of each.
        gains: Gain of each arm in the logits of the true classes.
        of_seeds: Spread of that over seeds.
        of_recordings: Spread of it over recordings, each arm's own.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        metric: str,
        *,
        recordings: int,
        clips: int,
        gains: Sequence[float],
        of_seeds: float,
        of_recordings: float,
    ):
        self._rng, self._of_seeds, self._metric = rng, of_seeds, metric
        self.member = np.repeat(np.arange(recordings), clips)
        self.labels = rng.permutation(np.arange(recordings) % CLASSES)[self.member]
        targets = np.eye(CLASSES, dtype=bool)[self.labels]
        if metric == "multi-label mAP":
            others = rng.random((recordings, CLASSES)) < PRESENT
            targets |= others[self.member]
        self.targets = targets
        hard = rng.normal(1.2, 1.0, recordings)
        effects = of_recordings * rng.standard_normal((len(gains), recordings))
        self._level = (hard + effects)[:, self.member] + np.array(gains)[:, None]

    def scores(self, arm: int, *, seeds: int = 1) -> Values:
        """(seeds, clips, classes) of newly trained seeds."""
        made = self._rng.normal(size=(seeds, len(self.labels), CLASSES))
        own = self._level[arm] + self._of_seeds * self._rng.standard_normal((seeds, 1))
        made += own[:, :, None] * self.targets
        if self._metric == "mAP":
            made -= np.log(np.exp(made).sum(axis=2, keepdims=True))
        return made

    def pseudo(self, scores: Values) -> Values:
        """(recordings,) pseudo-values of a seed's metric, whose mean it is."""
        size = int(self.member.max()) + 1
        kept = (self.member != np.arange(size)[:, None]).astype(np.float64)
        every = np.vstack([np.ones(len(self.labels)), kept])
        if self._metric == "top-1":
            right = (scores[0].argmax(axis=1) == self.labels).astype(np.float64)
            values = (every @ right) / every.sum(axis=1)
        else:
            values = average_precision_of(scores[0], self.targets)(every)
        pseudo = size * values[0] - (size - 1) * values[1:]
        return pseudo - pseudo.mean() + values[0]

    def values(self, scores: Values) -> Values:
        """(seeds,) values of the metric; scores do not tie."""
        if self._metric == "top-1":
            return (scores.argmax(axis=2) == self.labels).mean(axis=1)
        order = np.argsort(-scores, axis=1)
        hits = np.take_along_axis(np.broadcast_to(self.targets, scores.shape), order, axis=1)
        precision = np.cumsum(hits, axis=1) / np.arange(1, len(self.labels) + 1)[:, None]
        there = self.targets.any(axis=0)
        of_class = (precision * hits).sum(axis=1)[:, there] / self.targets.sum(axis=0)[there]
        return of_class.mean(axis=1)


def coverage(
    metric: str,
    *,
    seeds: int,
    recordings: int,
    clips: int,
    folds: int,
    spreads: tuple[float, float],
    simulations: int,
    seed: int,
) -> tuple[float, ...]:
    """Return coverage: seeds on these clips; seeds alone, both, and the wider, elsewhere."""
    rng = np.random.default_rng(seed)
    held = np.zeros(4)
    for _ in range(simulations):
        made = [
            Study(
                rng,
                metric,
                recordings=recordings,
                clips=clips,
                gains=(0.0, 0.0),
                of_seeds=spreads[0],
                of_recordings=spreads[1],
            )
            for _ in range(folds)
        ]
        table = np.array(
            [
                np.concatenate([s.pseudo(s.scores(1)) - s.pseudo(s.scores(0)) for s in made])
                for _ in range(seeds)
            ]
        )
        further = [
            [s.values(s.scores(arm, seeds=FURTHER_SEEDS // folds)).mean() for arm in (0, 1)]
            for s in made
        ]
        here = float(np.diff(further, axis=1).mean())
        values = dict(enumerate(table.mean(axis=1).tolist()))
        alone = paired_difference(values, dict.fromkeys(values, 0.0))
        both = over_recordings(table, folds=np.repeat(np.arange(folds), recordings))
        assert alone.low is not None and alone.high is not None
        assert both.low is not None and both.high is not None
        held += [
            alone.low <= here <= alone.high,
            alone.low <= 0 <= alone.high,
            both.low <= 0 <= both.high,
            min(alone.low, both.low) <= 0 <= max(alone.high, both.high),
        ]
    return tuple((held / simulations).tolist())


def family(
    metric: str,
    *,
    seeds: int,
    recordings: int,
    clips: int,
    folds: int,
    simulations: int,
    seed: int,
) -> tuple[float, ...]:
    """Return rates of studies of `ARMS` contrasts that share a baseline.

    Returns:
        Where no arm differs: studies with a call by joint flips and by Holm, studies whose
        intervals of both scopes all hold 0 (seeds; recordings, too). Where all differ: contrasts
        called by joint flips and by Holm.
    """
    rng = np.random.default_rng(seed)
    counted = np.zeros(6)
    by_fold = np.repeat(np.arange(folds), recordings)
    for gain in (0.0, GAIN):
        for _ in range(simulations):
            made = [
                Study(
                    rng,
                    metric,
                    recordings=recordings,
                    clips=clips,
                    gains=(0.0, *[gain] * ARMS),
                    of_seeds=OF_SEEDS,
                    of_recordings=0.0,
                )
                for _ in range(folds)
            ]
            scored = np.array(
                [
                    [
                        np.concatenate([_parts(s, s.scores(arm), whole=bool(gain)) for s in made])
                        for _ in range(seeds)
                    ]
                    for arm in range(ARMS + 1)
                ]
            )
            tables = scored[1:] - scored[0]
            alone = []
            for table in tables:
                values = dict(enumerate(table.mean(axis=1).tolist()))
                alone.append(paired_difference(values, dict.fromkeys(values, 0.0)))
            judged = judge(alone)
            by_holm = [p is not None and p <= ALPHA for p in holm([d.p_value for d in alone])]
            called = [found.called for found in judged]
            if gain:
                counted[4:] += [np.mean(called), np.mean(by_holm)]
                continue
            both = [over_recordings(t, folds=by_fold, confidence=1 - ALPHA / ARMS) for t in tables]
            counted[:4] += [
                any(called),
                any(by_holm),
                all(_holds(found.difference, found.called) for found in judged),
                all(_holds(f.difference, f.called, b) for f, b in zip(judged, both, strict=True)),
            ]
    return tuple((counted / simulations).tolist())


def _holds(
    difference: PairedDifference | None, called: bool, both: RecordingsInterval | None = None
) -> bool:
    """Return whether 0 is in an interval, or in the wider of two; one without ends has it."""
    assert difference is not None
    low, high = difference.low, difference.high
    if low is None or high is None:
        return not called
    if both is not None and both.low is not None and both.high is not None:
        return min(low, both.low) <= 0 <= max(high, both.high)
    return not called and low <= 0 <= high


def _parts(study: Study, scores: Values, *, whole: bool) -> Values:
    """Return a fold's pseudo-values, or its metric alone, which is quicker."""
    return study.values(scores) if whole else study.pseudo(scores)


def cells() -> Iterator[tuple[int, int, int, int]]:
    """Yield seeds, recordings, clips of each and folds."""
    for seeds, (recordings, clips) in itertools.product(SEEDS, CLIPS):
        yield seeds, recordings, clips, 1
        if (seeds, recordings, clips) == (8, 30, 1):
            yield seeds, recordings, clips, 3


def coverage_lines(metrics: Sequence[str], simulations: int, seed: int) -> Iterator[str]:
    """Yield the table of coverage as Markdown."""
    yield (
        "| metric | varies most over | seeds | folds | recordings | clips of each | studies | "
        "these clips | "
        "elsewhere | crossed | shown |"
    )
    yield "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    for metric, most in itertools.product(metrics, SPREADS):
        for seeds, recordings, clips, folds in cells():
            found = coverage(
                metric,
                seeds=seeds,
                recordings=recordings,
                clips=clips,
                folds=folds,
                spreads=SPREADS[most],
                simulations=simulations,
                seed=seed,
            )
            row = (metric, most, seeds, folds, recordings, clips, simulations)
            yield f"| {' | '.join([*map(str, row), *map(_percent, found)])} |"


def family_lines(metrics: Sequence[str], simulations: int, seed: int) -> Iterator[str]:
    """Yield the table of false calls and power as Markdown."""
    yield (
        "| metric | seeds | folds | recordings | clips of each | studies | false calls | Holm | "
        "joint, seeds "
        "| joint, both | power | Holm |"
    )
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    for metric in metrics:
        for seeds, recordings, clips, folds in cells():
            found = family(
                metric,
                seeds=seeds,
                recordings=recordings,
                clips=clips,
                folds=folds,
                simulations=simulations,
                seed=seed,
            )
            row = (metric, seeds, folds, recordings, clips, simulations)
            yield f"| {' | '.join([*map(str, row), *map(_percent, found)])} |"


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f}"


def main() -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description="Simulate false calls and coverage of two scopes.")
    parser.add_argument("--simulations", type=int, default=1_000, help="per cell (%(default)s)")
    parser.add_argument("--metrics", nargs="+", choices=METRICS, default=METRICS, help="(all)")
    parser.add_argument("--seed", type=int, default=0, help="of all draws (%(default)s)")
    options = parser.parse_args()
    for table in (coverage_lines, family_lines):
        for line in table(options.metrics, options.simulations, options.seed):
            print(line, flush=True)
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
