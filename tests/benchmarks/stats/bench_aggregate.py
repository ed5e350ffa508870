"""How often the intervals over several data sets hold the truth.

    OMP_NUM_THREADS=1 python tests/benchmarks/stats/bench_aggregate.py

Prints the table of `aggregate.md`.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats import (
    Aggregate,
    normalized_difference,
    normalized_score,
    probability_of_improvement,
)

DATASETS = {
    "hard": (2.0, (5.0, 7.0, 9.0), 1.0),
    "middling": (10.0, (58.0, 61.0, 64.0), 2.5),
    "easy": (25.0, (93.0, 94.0, 95.0), 0.6),
    "noisy": (2.0, (30.0, 31.0, 36.0), 5.0),
}
"""Name -> chance, the arms' true means (baseline, arm, best), and deviation over seeds."""

SHARED = 0.5
"""Share of the variance that the arms of a block have in common."""

SKEWED = ("normal", "skewed")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=4_000, help="per cell (%(default)s)")
    simulations = parser.parse_args().simulations
    print("| data sets | seeds | noise | score | difference | P(better) |")
    print("|--:|:--|:--|--:|--:|--:|")
    for sizes in ((3, 3), (5, 5), (10, 10), (3, 10), (3, 3, 3), (5, 8, 3), (3,) * 4, (10,) * 4):
        for shape in SKEWED:
            covered = coverage(sizes, shape=shape, simulations=simulations, seed=0)
            cells = " | ".join(f"{100 * share:.1f}" for share in covered)
            said = ", ".join(map(str, sizes))
            print(f"| {len(sizes)} | {said} | {shape} | {cells} |", flush=True)


def coverage(
    sizes: tuple[int, ...], *, shape: str, simulations: int, seed: int
) -> tuple[float, float, float]:
    """Return how often intervals of score, difference and P(better) hold the truth.

    Args:
        sizes: seeds of each data set.
        shape: `normal` or `skewed`.
        simulations: studies.
        seed: of all draws.
    """
    rng = np.random.default_rng(seed)
    names = list(DATASETS)[: len(sizes)]
    chance = {name: DATASETS[name][0] for name in names}
    truth = _truth(names, shape)
    hits = np.zeros(3)
    for _ in range(simulations):
        drawn = {n: draw(n, size, shape, rng) for n, size in zip(names, sizes, strict=True)}
        tables = [{n: dict(enumerate(drawn[n][arm].tolist())) for n in names} for arm in range(3)]
        # As in a study, the best arm is the one that looks best.
        best = {n: tables[int(drawn[n].mean(axis=1).argmax())][n] for n in names}
        baseline, arm, _ = tables
        found = (
            normalized_score(arm, best, chance=chance),
            normalized_difference(arm, baseline, best, chance=chance),
            probability_of_improvement(arm, baseline),
        )
        hits += [_holds(own, value) for own, value in zip(found, truth, strict=True)]
    score, difference, better = (hits / simulations).tolist()
    return score, difference, better


def draw(name: str, size: int, shape: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (3 arms, seeds) values of a data set."""
    _, means, deviation = DATASETS[name]
    own = rng.normal(size=(3, size))
    if shape == "skewed":  # a long tail of runs that went wrong, as exponentials are
        own = 1 - rng.exponential(size=(3, size))
    common = rng.normal(size=size)
    noise = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * own
    return np.array(means)[:, None] + deviation * noise


def _truth(names: list[str], shape: str) -> tuple[float, float, float]:
    scores, gaps, wins = [], [], []
    rng = np.random.default_rng(1)
    for name in names:
        chance, (baseline, arm, best), _ = DATASETS[name]
        scores.append((arm - chance) / (best - chance))
        gaps.append((arm - baseline) / (best - chance))
        # Runs of different seeds share nothing.
        one, other = draw(name, 400_000, shape, rng)[1], draw(name, 400_000, shape, rng)[0]
        wins.append((one > other).mean())
    return float(np.mean(scores)), float(np.mean(gaps)), float(np.mean(wins))


def _holds(found: Aggregate, truth: float) -> bool:
    return found.low - 1e-9 <= truth <= found.high + 1e-9


if __name__ == "__main__":
    main()
