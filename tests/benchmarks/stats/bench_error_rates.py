"""Simulate ablations and print how often each rule errs, as Markdown or JSON.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.stats.bench_error_rates

Prints `error_rates.md`. Run it from the root of the repository.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence

from models.command import run_command
from orchestrator.errors import OrchestratorError
from orchestrator.stats import ALPHA
from tests.benchmarks.stats import error_rates
from tests.benchmarks.stats.simulation import MEANINGS, SHAPES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.stats.bench_error_rates",
        description="Simulate ablations and print how often each rule errs.",
    )
    parser.add_argument(
        "--simulations",
        type=int,
        default=error_rates.SIMULATIONS,
        help="ablations per cell (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of all draws (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    if options.simulations < 1:
        parser.error(f"--simulations must be at least 1, not {options.simulations}")
    return run_command(lambda: _print(options), mistakes=OrchestratorError)


def _print(options: argparse.Namespace) -> int:
    simulations, seed = options.simulations, options.seed
    fixed = [
        error_rates.fixed_rates(shape, n, simulations=simulations, seed=seed)
        for shape in SHAPES
        for n in error_rates.SIZES
    ]
    sequential = [
        error_rates.sequential_rates(shape, effect, simulations=simulations, seed=seed)
        for shape in SHAPES
        for effect in (0.0, *error_rates.EFFECTS)
    ]
    other = error_rates.other_rates(simulations=simulations, seed=seed)
    if options.json:
        found = {
            "simulations": simulations,
            "seed": seed,
            "fixed": [dataclasses.asdict(row) for row in fixed],
            "sequential": [dataclasses.asdict(row) for row in sequential],
            "other": other,
        }
        json.dump(found, sys.stdout, indent=1)
        print()
        return 0
    for line in _lines(simulations, seed, fixed, sequential, other):
        print(line)
    return 0


def _lines(
    simulations: int,
    seed: int,
    fixed: Sequence[error_rates.Rates],
    sequential: Sequence[error_rates.SequentialRates],
    other: dict[str, float],
) -> Iterator[str]:
    arms, cap = error_rates.ARMS, error_rates.CAP
    error = 100 * error_rates.error_of(ALPHA, simulations)
    yield "# How often the rules err"
    yield ""
    yield "    python -m tests.benchmarks.stats.bench_error_rates " + (
        f"--simulations {simulations} --seed {seed}"
    )
    yield ""
    yield (
        f"Percent of {simulations:,} simulated ablations per cell (seed {seed}): a baseline and "
        f"{arms} arms. The standard error of 5 % is {error:.1f}. Effects are in standard "
        "deviations of a paired difference. Metrics:"
    )
    yield ""
    yield from (f"- {name}: {text}" for name, text in MEANINGS.items())
    yield ""
    yield "## Fixed n"
    yield ""
    yield (
        f"False calls: ablations in which one of {arms} contrasts is called that does not differ: "
        f"none differs, by joint flips and by Holm, or the first {error_rates.DIFFERING} do by a "
        "spread (some). Coverage of the 95 % intervals of differences: of one contrast alone, "
        f"where there is no difference (0) and where it is one spread (1); of all {arms} at once, "
        "with the ends that agree with the calls, where none differs, some do and all do (joint 0, "
        "some, 1). Width: of a contrast's interval over that of t, in the median. Cover mean: t of "
        "an arm's own mean, whose skew does not cancel as in a difference (`mean_intervals.md`). "
        f"Power: with one contrast, and with {arms}, all different, by joint flips and by Holm."
    )
    yield ""
    effects = error_rates.EFFECTS
    yield from _table(
        "metric,n,false calls,Holm,some,cover 0,cover 1,joint 0,joint some,joint 1,width,"
        "cover mean".split(","),
        [
            [row.shape, str(row.n)]
            + [
                _percent(value)
                for value in (
                    row.false_call,
                    row.false_call_holm,
                    row.false_call_mixed,
                    row.coverage,
                    row.coverage_shifted,
                    row.coverage_joint,
                    row.coverage_joint_mixed,
                    row.coverage_joint_shifted,
                )
            ]
            + ["-" if row.width is None else f"{row.width:.2f}", _percent(row.coverage_mean)]
            for row in fixed
        ],
    )
    yield ""
    yield from _table(
        ["metric", "n"]
        + [f"power {effect:g}" for effect in effects]
        + [f"{arms}: {effect:g}" for effect in effects]
        + [f"Holm {effect:g}" for effect in effects],
        [
            [row.shape, str(row.n)]
            + [
                _percent(value)
                for powers in (row.power, row.power_family, row.power_holm)
                for value in powers.values()
            ]
            for row in fixed
        ],
    )
    yield ""
    yield f"## Blocks added until all {arms} contrasts are decided, at most {cap}"
    yield ""
    yield (
        f"Called: contrasts called by the sequential rule, and by a fixed design of {cap} blocks. "
        "Peeking: ablations in which the fixed-n p, read after every block and corrected by Holm, "
        "calls a contrast. Covered: all intervals at the end, of the first "
        f"{error_rates.REPEATED} ablations."
    )
    yield ""
    yield from _table(
        "metric,effect,any call,peeking,called,called fixed,mean blocks,covered".split(","),
        [
            [row.shape, f"{row.effect:g}"]
            + [
                _percent(value)
                for value in (row.any_call, row.any_call_peeking, row.called, row.called_fixed)
            ]
            + [f"{row.blocks:.1f}", _percent(row.coverage)]
            for row in sequential
        ],
    )
    yield ""
    yield "## Other tests where there is nothing to find"
    yield ""
    yield from _table(
        ["test", "rejected at 5 %"], [[name, _percent(rate)] for name, rate in other.items()]
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
    for row in (head, None, *rows):
        if row is None:
            marks = ["-" * width + (":" if k else "-") for k, width in enumerate(widths)]
            yield "|" + "|".join(f"-{mark}" for mark in marks) + "|"
        else:
            cells = [
                cell.rjust(width) if k else cell.ljust(width)
                for k, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            yield "| " + " | ".join(cells) + " |"


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f}"


if __name__ == "__main__":
    sys.exit(main())
