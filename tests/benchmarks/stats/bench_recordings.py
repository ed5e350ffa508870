"""Simulate trained pairs of arms on clips of shared recordings; print the coverage of both scopes.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.stats.bench_recordings

Prints `recordings.md`. Run it from the root of the repository.

Both arms are drawn alike, so over other recordings the true difference is 0. On the clips at hand
it is not: an arm is better on some recordings, in every seed. That difference is the mean over
further seeds on the same clips.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from orchestrator.metrics.classification import mean_average_precision
from orchestrator.stats import average_precision_of, over_recordings, paired_difference

CLASSES = 5
FURTHER_SEEDS = 400
METRICS = ("top-1", "mAP")
SEEDS = (6, 8, 12)
CLIPS = ((30, 1), (80, 1), (30, 4))
"""Recordings of a fold, and clips of each."""

SPREADS = {"seeds": (0.8, 0.3), "recordings": (0.2, 0.8)}
"""What varies most -> spread of an arm's effect over seeds, and over recordings."""

Values = NDArray[np.float64]


class Study:
    """Held-out clips with two arms whose effects on recordings are fixed.

    Args:
        rng: Generator of everything.
        recordings: Number of recordings.
        clips: Clips of each.
        of_seeds: Spread over seeds of an arm's effect on the logit of the true class.
        of_recordings: Spread of it over recordings.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        recordings: int,
        clips: int,
        of_seeds: float,
        of_recordings: float,
    ):
        self._rng, self._of_seeds = rng, of_seeds
        self.member = np.repeat(np.arange(recordings), clips)
        labels = rng.permutation(np.arange(recordings) % CLASSES)
        self.labels = labels[self.member]
        hard = rng.normal(1.2, 1.0, recordings)
        effects = of_recordings * rng.standard_normal((2, recordings))
        self._level = (hard + effects)[:, self.member]

    def logits(self, arm: int) -> Values:
        """(clips, classes) of a newly trained seed."""
        made = self._rng.normal(size=(len(self.labels), CLASSES))
        own = self._level[arm] + self._of_seeds * self._rng.standard_normal()
        made[np.arange(len(self.labels)), self.labels] += own
        return made

    def without(self, logits: Values, metric: str) -> tuple[float, Values]:
        """Return the metric, and its pseudo-values by recording."""
        size = int(self.member.max()) + 1
        kept = (self.member != np.arange(size)[:, None]).astype(np.float64)
        every = np.vstack([np.ones(len(self.labels)), kept])
        if metric == "top-1":
            right = (logits.argmax(axis=1) == self.labels).astype(np.float64)
            values = (every @ right) / every.sum(axis=1)
        else:
            targets = np.eye(CLASSES, dtype=bool)[self.labels]
            log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            values = average_precision_of(log_p, targets)(every)
        pseudo = size * values[0] - (size - 1) * values[1:]
        return float(values[0]), pseudo - pseudo.mean() + values[0]

    def value(self, logits: Values, metric: str) -> float:
        """Return the metric."""
        if metric == "top-1":
            return float(np.mean(logits.argmax(axis=1) == self.labels))
        return mean_average_precision(logits, self.labels)


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
) -> tuple[float, float, float, float]:
    """Return coverage: seeds on these clips; seeds alone, both, and the wider, elsewhere."""
    rng = np.random.default_rng(seed)
    held = np.zeros(4)
    for _ in range(simulations):
        made = [
            Study(
                rng,
                recordings=recordings,
                clips=clips,
                of_seeds=spreads[0],
                of_recordings=spreads[1],
            )
            for _ in range(folds)
        ]
        rows, values = [], []
        for _ in range(seeds):
            parts, own = [], []
            for study in made:
                (one, first), (two, second) = (
                    study.without(study.logits(arm), metric) for arm in (0, 1)
                )
                own.append(two - one)
                parts.append(second - first)
            rows.append(np.concatenate(parts))
            values.append(float(np.mean(own)))
        here = np.mean(
            [
                study.value(study.logits(1), metric) - study.value(study.logits(0), metric)
                for study in made
                for _ in range(FURTHER_SEEDS // folds)
            ]
        )
        alone = paired_difference(dict(enumerate(values)), dict.fromkeys(range(seeds), 0.0))
        both = over_recordings(np.array(rows), folds=np.repeat(np.arange(folds), recordings))
        assert alone.low is not None and alone.high is not None
        assert both.low is not None and both.high is not None
        held += [
            alone.low <= here <= alone.high,
            alone.low <= 0 <= alone.high,
            both.low <= 0 <= both.high,
            min(alone.low, both.low) <= 0 <= max(alone.high, both.high),
        ]
    here_, elsewhere, crossed, wider = (held / simulations).tolist()
    return here_, elsewhere, crossed, wider


def lines(simulations: int, seed: int) -> Iterator[str]:
    """Yield the table as Markdown."""
    yield "# Coverage over other seeds, and over other recordings"
    yield ""
    yield (
        "    python -m tests.benchmarks.stats.bench_recordings "
        f"--simulations {simulations} --seed {seed}"
    )
    yield ""
    yield (
        f"Percent of {simulations} simulated contrasts of two arms per cell; the standard error of "
        f"95 % is {100 * (0.95 * 0.05 / simulations) ** 0.5:.1f}. These clips: the sign-flip "
        "interval and the difference on the clips at hand. Elsewhere, over other recordings: the "
        "same interval, that of crossed mean squares, and the wider of the two, which a report "
        "shows."
    )
    yield ""
    yield (
        "| metric | varies most over | seeds | folds | recordings | clips of each | these clips | "
        "elsewhere | crossed | shown |"
    )
    yield "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    for metric, most, seeds, (recordings, clips) in itertools.product(
        METRICS, SPREADS, SEEDS, CLIPS
    ):
        for folds in (1, 3) if (seeds, clips) == (8, 1) and recordings == 30 else (1,):
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
            cells = (metric, most, seeds, folds, recordings, clips)
            shown = (f"{100 * rate:.1f}" for rate in found)
            yield f"| {' | '.join([*map(str, cells), *shown])} |"


def main() -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description="Simulate the coverage of both scopes.")
    parser.add_argument("--simulations", type=int, default=300, help="per cell (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all draws (%(default)s)")
    options = parser.parse_args()
    for line in lines(options.simulations, options.seed):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
