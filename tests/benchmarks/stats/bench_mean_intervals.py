"""How often other intervals than t would cover an arm's own mean, and how wide they are.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.stats.bench_mean_intervals

Prints the table of `mean_intervals.md`. The shapes are those of `simulation.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from tests.benchmarks.stats.simulation import SHAPES, simulate

SIZES = (5, 6, 8, 10)
RESAMPLES = 999
Values = NDArray[np.float64]
Ends = tuple[Values, Values]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=2_000, help="per cell (%(default)s)")
    simulations = parser.parse_args().simulations
    print("| metric | n | " + " | ".join(METHODS) + " |")
    print("|:--|--:|" + "--:|" * len(METHODS))
    for shape in SHAPES:
        for n in SIZES:
            drawn = simulate(shape, simulations=simulations, arms=1, blocks=n, effect=0.0, seed=0)
            ends = [method(drawn.baseline) for method in METHODS.values()]
            widths = [float((high - low).mean()) for low, high in ends]
            cells = [
                f"{100 * _covered(own, drawn.level):.1f} ({width / widths[0]:.2f})"
                for own, width in zip(ends, widths, strict=True)
            ]
            print(f"| {shape} | {n} | " + " | ".join(cells) + " |", flush=True)


def _covered(ends: Ends, truth: float) -> float:
    low, high = ends
    return float(np.mean((low - 1e-9 <= truth) & (truth <= high + 1e-9)))


def _moments(rows: Values) -> tuple[Values, Values, float]:
    """Return mean, standard error and the t quantile of (rows, n) values."""
    n = rows.shape[1]
    return rows.mean(1), rows.std(1, ddof=1) / np.sqrt(n), float(stdtrit(n - 1, 0.975))


def student(rows: Values) -> Ends:
    """The t interval."""
    mean, error, quantile = _moments(rows)
    return mean - quantile * error, mean + quantile * error


def logit(rows: Values) -> Ends:
    """The t interval on the logit of a percentage, its error by the delta method."""
    mean, error, quantile = _moments(rows)
    share = np.clip(mean / 100, 1e-9, 1 - 1e-9)
    center, half = np.log(share / (1 - share)), quantile * error / 100 / (share * (1 - share))
    low, high = (100 / (1 + np.exp(-np.clip(center + way * half, -700, 700))) for way in (-1, 1))
    return np.where(error > 0, low, mean), np.where(error > 0, high, mean)


def hall(rows: Values) -> Ends:
    """Hall's monotone transform of t against skew (JRSS B 54, 1992), with t quantiles."""
    mean, error, quantile = _moments(rows)
    n, deviation = rows.shape[1], rows.std(1)
    third = ((rows - mean[:, None]) ** 3).mean(1)
    skew = np.divide(third, deviation**3, out=np.zeros_like(mean), where=deviation > 0)
    a = skew / np.sqrt(n)
    a = np.where(np.abs(a) < 1e-9, 1e-9, a)

    def inverse(value: float) -> Values:
        return 3 / a * (np.cbrt(1 + a * (value - a / 6)) - 1)

    return mean - inverse(quantile) * error, mean - inverse(-quantile) * error


def wider(rows: Values) -> Ends:
    """The wider of t and Hall's at either end."""
    one, other = student(rows), hall(rows)
    return np.minimum(one[0], other[0]), np.maximum(one[1], other[1])


def studentized(rows: Values) -> Ends:
    """The bootstrap t, over the same draws for every row."""
    mean, error, _ = _moments(rows)
    picks = _picks(rows.shape[1])
    low, high = mean.copy(), mean.copy()
    for i, row in enumerate(rows):
        drawn = row[picks]
        drawn = drawn[np.ptp(drawn, axis=1) > 0]
        if len(drawn):
            own = drawn.std(1, ddof=1) / np.sqrt(len(row))
            ends = np.quantile((drawn.mean(1) - mean[i]) / own, [0.025, 0.975])
            low[i], high[i] = mean[i] - ends[1] * error[i], mean[i] - ends[0] * error[i]
    return low, high


def bca(rows: Values) -> Ends:
    """Efron's bias-corrected and accelerated percentiles (JASA 82, 1987)."""
    picks = _picks(rows.shape[1])
    low, high = rows.mean(1), rows.mean(1)
    for i, row in enumerate(rows):
        if np.ptp(row) == 0:
            continue
        drawn, mean = row[picks].mean(1), row.mean()
        below = ((drawn < mean).mean() + (drawn <= mean).mean()) / 2
        bias = float(ndtri(np.clip(below, 1 / RESAMPLES, 1 - 1 / RESAMPLES)))
        left_out = (mean * len(row) - row) / (len(row) - 1)
        pull = left_out.mean() - left_out
        speed = (pull**3).sum() / (6 * (pull**2).sum() ** 1.5)
        levels = [ndtr(bias + (bias + z) / (1 - speed * (bias + z))) for z in (-1.96, 1.96)]
        low[i], high[i] = np.quantile(drawn, levels)
    return low, high


def _picks(n: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, n, size=(RESAMPLES, n))


METHODS: dict[str, Callable[[Values], Ends]] = {
    "t": student,
    "t on the logit": logit,
    "Hall": hall,
    "wider of t and Hall": wider,
    "bootstrap t": studentized,
    "BCa": bca,
}

if __name__ == "__main__":
    main()
