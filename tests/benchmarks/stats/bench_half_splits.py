"""Split held-out recordings in halves: does the interval from one hold what the other shows?

    OMP_NUM_THREADS=1 python -m tests.benchmarks.stats.bench_half_splits STORE [SWEEP ...]

Prints the tables of `half_splits.md` from stored predictions. Run it from the root of the
repository. Clips of one recording go to the same half. Seeds are split in halves, too, so that the
target is of other seeds and other recordings. It is a mean of as many of both as the interval's, so
it has the same error, and the two means differ by sqrt(2) standard errors: an interval of the true
mean then holds the target in about 85 %, one that is wider by sqrt(2), of a next sample, in 95 %.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.metrics.classification import log_softmax
from orchestrator.metrics.predictions import Predictions
from orchestrator.report.sources import FromStore
from orchestrator.stats import over_recordings

SPLITS = 200
METRICS = ("top-1", "probability of the true class", "loss")
SIMULATED = 300
SPREADS = {"seeds": (1.0, 0.3), "both": (1.0, 3.0), "recordings": (0.3, 8.0)}
"""What varies most -> spread over seeds, and over recordings; that of the rest is 5."""

RECORDINGS = 61
"""Of a simulated study, as ESC-10's first fold has."""

LEAST_CHANGED = 50
"""Recordings times seeds in which two arms differ, below which halves mostly hold a handful."""

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Covered:
    """Shares of splits, between 0 and 1.

    Attributes:
        clips_only: Whose interval from one half of the clips holds the other half's mean, both with
            all seeds.
        target: The same where the other half has other seeds, too.
        widened: The same with the interval widened by the other half's own error.
        truth: Whose interval holds the true mean; 0 where it is not known.
        splits: Splits with an interval: one half may have no difference at all.
    """

    clips_only: float
    target: float
    widened: float
    truth: float
    splits: int


def by_clip(made: Predictions, metric: str) -> Values:
    """Return what each clip adds to a metric, (clips,)."""
    if metric == "top-1":
        return 100.0 * (made.logits.argmax(axis=1) == made.labels)
    log_p = log_softmax(made.logits)[np.arange(len(made)), made.labels]
    return -log_p if metric == "loss" else 100 * np.exp(log_p)


def by_recording(differences: Values, member: NDArray[np.int64], chosen: Values) -> Values:
    """Return (seeds, recordings) pseudo-values of the mean over the clips of chosen recordings.

    Args:
        differences: (seeds, clips) of two arms.
        member: (clips,) recording of each.
        chosen: (recordings,) numbers of those wanted.
    """
    of = (member == chosen[:, None]).astype(np.float64)
    sums, counts = differences @ of.T, of.sum(axis=1)
    total, clips = sums.sum(axis=1, keepdims=True), counts.sum()
    pseudo = len(chosen) * total / clips
    pseudo = pseudo - (len(chosen) - 1) * (total - sums) / (clips - counts)
    return pseudo - pseudo.mean(axis=1, keepdims=True) + total / clips


def covered(
    differences: Values,
    member: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    splits: int = SPLITS,
    truth: float | None = None,
) -> Covered:
    """Count how often the interval from half of the seeds and recordings holds the other half's."""
    seeds, recordings = len(differences), int(member.max()) + 1
    held, counted = np.zeros(4), 0
    for _ in range(splits):
        order, of_seeds = rng.permutation(recordings), rng.permutation(seeds)
        one, other = (
            by_recording(differences, member, half)
            for half in (order[: recordings // 2], order[recordings // 2 :])
        )
        every = over_recordings(one)
        on_others = float(other.mean())
        one, other = one[of_seeds[: seeds // 2]], other[of_seeds[seeds // 2 :]]
        if np.ptp(one) == 0:
            continue
        found = over_recordings(one)
        assert every.half_width is not None and found.half_width is not None
        away, half = abs(found.mean - float(other.mean())), found.half_width
        counted += 1
        held += [
            abs(every.mean - on_others) <= every.half_width,
            away <= half,
            away <= math.sqrt(2) * half,
            truth is not None and abs(found.mean - truth) <= half,
        ]
    clips_only, target, widened, of_truth = (held / max(1, counted)).tolist()
    return Covered(
        clips_only=clips_only, target=target, widened=widened, truth=of_truth, splits=counted
    )


def stored(source: FromStore, sweep: str, rng: np.random.Generator) -> Iterator[list[str]]:
    """Yield a row per metric and declared contrast of a stored sweep on one fold."""
    material = source.material(sweep)
    plan, recordings = material.plan, material.recordings() if material.recordings else {}
    trials = {(trial.arm, trial.seed): trial.id for trial in plan.trials}
    seeds = sorted({trial.seed for trial in plan.trials})
    load = material.predictions
    assert load is not None and recordings
    for contrast in plan.contrasts:
        made = [
            [load(trials[arm, seed]) for arm in (contrast.arm, contrast.reference)]
            for seed in seeds
        ]
        first = made[0][0]
        assert first is not None
        names = np.array([recordings[clip] for clip in first.clip_ids])
        member = np.unique(names, return_inverse=True)[1].astype(np.int64)
        for metric in METRICS:
            scored = [[by_clip(one, metric) for one in pair if one is not None] for pair in made]
            differences = np.array([one - two for one, two in scored])
            of = (member == np.arange(member.max() + 1)[:, None]).astype(np.float64)
            changed = int((np.abs(differences @ of.T) > 1e-9).sum())
            if changed < LEAST_CHANGED:
                continue
            found = covered(differences, member, rng)
            whole = over_recordings(by_recording(differences, member, np.arange(len(of))))
            yield [
                f"{contrast.arm} \N{MINUS SIGN} {contrast.reference}",
                metric,
                str(len(seeds)),
                str(changed),
                " or ".join(whole.narrowed_by),
                f"{100 * found.clips_only:.1f}",
                f"{100 * found.target:.1f}",
                f"{100 * found.widened:.1f}",
            ]


def simulated(seeds: int, recordings: int, spreads: tuple[float, float]) -> Values:
    """Return the four coverages of `Covered`, in percent, over simulated studies.

    Args:
        seeds: Seeds of a study.
        recordings: Recordings of a study, one clip each.
        spreads: Spread over seeds, and over recordings.
    """
    rng, total = np.random.default_rng(0), np.zeros(4)
    for _ in range(SIMULATED):
        table = spreads[0] * rng.standard_normal((seeds, 1))
        table = table + spreads[1] * rng.standard_normal((1, recordings))
        table = table + 5 * rng.standard_normal((seeds, recordings))
        found = covered(table, np.arange(recordings), rng, splits=20, truth=0.0)
        total += [found.clips_only, found.target, found.widened, found.truth]
    return 100 * total / SIMULATED


def lines(store: str, sweeps: list[str]) -> Iterator[str]:
    """Yield both tables as Markdown."""
    yield (
        "| contrast | metric | seeds | changed | varies most over | clips only | target | widened |"
    )
    yield "|---|---|--:|--:|---|--:|--:|--:|"
    source, rng = FromStore(store), np.random.default_rng(0)
    totals: list[list[float]] = []
    for sweep in sweeps or source.sweeps():
        for row in stored(source, sweep, rng):
            totals.append([float(cell) for cell in row[-3:]])
            yield f"| {' | '.join(row)} |"
    means = " | ".join(f"{mean:.1f}" for mean in np.mean(totals, axis=0))
    yield f"| **mean of {len(totals)}** | | | | | {means} |"
    yield ""
    yield "| varies most over | seeds | recordings | clips only | target | widened | truth |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for most, spreads in SPREADS.items():
        for seeds in (6, 8, 12):
            means = (f"{mean:.1f}" for mean in simulated(seeds, RECORDINGS, spreads))
            yield f"| {' | '.join([most, str(seeds), str(RECORDINGS), *means])} |"


def main() -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description="Check intervals on halves of real recordings.")
    parser.add_argument("store", help="folder of a store with predictions and packs")
    parser.add_argument("sweeps", nargs="*", help="stored sweeps on one fold; all by default")
    options = parser.parse_args()
    for line in lines(options.store, options.sweeps):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
