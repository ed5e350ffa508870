"""Run a sweep by a plain process pool, where Ray is not installed, to its table.

    python -m tests.benchmarks.gpu.study tests/benchmarks/gpu/table4.py --device cuda --out DIR \
        [--packs DIR] [--store DIR] [--processes 6] [--seconds 450] [-- --seeds 4]

What follows `--` is the sweep's own command line. Trials are the same as under Ray: the same ids,
the same training, the same store; a second run on the same `--store` trains what is missing.
`--packs` is a folder with the pack to train on; without it the sweep's own data set is used. Blocks
of paired seeds are trained one after the other, and no trial begins after `--seconds`, so that a
run that is cut short still has a table. Results: `study.txt`, the report; `study.json` and
`study.md`, every trial.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from orchestrator.design.plan import Plan, Trial
from orchestrator.execution.costs import unfinished
from orchestrator.execution.launch import declare, with_pack
from orchestrator.execution.options import parse
from orchestrator.execution.prepare import prepare
from orchestrator.report.__main__ import main as report
from orchestrator.store import Store
from tests.benchmarks.gpu import machine

ROOM = 40e9
"""Bytes that the checkpoints of 48 trials of DATAR-T fit in, with those being written."""


def declared(sweep: Path, argv: Sequence[str]) -> tuple[Plan, Store]:
    """Return a sweep's plan, declared in its store, whose pack is made.

    Args:
        sweep: A sweep file with a PLAN.
        argv: Its command line.
    """
    spec = importlib.util.spec_from_file_location(sweep.stem, sweep)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    options = parse(argv, description="")
    prepared = with_pack(prepare(module.PLAN, options))
    store = Store.open(options.runtime.store)
    declare(prepared.plan, prepared, store)
    return prepared.plan, store


def trained(
    plan: Plan, store: Store, *, processes: int, device: str, seconds: float = 1e9
) -> Iterator[Trial]:
    """Train what a plan is missing, and yield each trial that has finished.

    Args:
        plan: Plan in the store.
        store: Store with its pack.
        processes: How many train at once.
        device: Device as PyTorch names it.
        seconds: No trial begins after these.
    """
    started = time.perf_counter()
    trials = plan.trials()
    missing = iter(unfinished(trials, store.read_records(trial.id for trial in trials)))
    running: dict[Future[None], Trial] = {}
    with ProcessPoolExecutor(processes, machine.PROCESSES) as pool:

        def begin(count: int) -> None:
            if time.perf_counter() - started < seconds:
                for trial in itertools.islice(missing, count):
                    job = pool.submit(machine.train, store.uri, trial.experiment, device)
                    running[job] = trial

        begin(processes)
        while running:
            for job in wait(running, return_when="FIRST_COMPLETED").done:
                trial, error = running.pop(job), job.exception()
                begin(1)
                if error is None:
                    yield trial
                else:
                    print(f"{trial.arm}, seed {trial.seed}: {error}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the sweep, write its report and its trials."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add: Any = parser.add_argument
    add("sweep", type=Path)
    add("--device", default="cuda")
    add("--out", type=Path, default=Path("."))
    add("--packs", default="", help="folder with the pack to train on")
    add("--store", default="", help="folder of the store (default: one that is not kept)")
    add("--processes", type=int, default=6)
    add("--seconds", type=float, default=1e9)
    own, rest = _divided(sys.argv[1:] if argv is None else argv)
    arguments = parser.parse_args(own)
    kept = arguments.store
    with contextlib.nullcontext(kept) if kept else _new_folder() as store:
        _study(arguments, store, rest)


def _study(arguments: argparse.Namespace, store: str, argv: list[str]) -> None:
    argv = [*argv, "--store", store]
    if arguments.packs:
        with contextlib.suppress(FileExistsError):
            (Path(store) / "packs").symlink_to(Path(arguments.packs).resolve())
        chosen = machine.dataset(Path(arguments.packs))
        argv += ["--dataset", f"{chosen.name}:fingerprint={chosen.arguments['fingerprint']!r}"]
    plan, results = declared(arguments.sweep, argv)
    started = time.perf_counter()
    table = machine.Table(
        arguments.out / "study",
        "A study by a process pool",
        about=f"{plan.sweep}, {len(plan.trials())} trials, {arguments.processes} at once.",
        device=arguments.device,
    )
    with contextlib.suppress(SystemExit):  # out of time: report what there is
        for trial in trained(
            plan,
            results,
            processes=arguments.processes,
            device=arguments.device,
            seconds=arguments.seconds,
        ):
            record = results.read_record(trial.id)
            assert record is not None
            last = record.epochs[-1].metrics
            table.add(
                trial=record.id,
                arm=trial.arm,
                seed=trial.seed,
                **{key: last[key] for key in ("train/loss", "val/loss", "val/top1")},
                seconds=record.cost.seconds,
                **{key: record.provenance[key] for key in ("deterministic", "features")},
            )
    with (arguments.out / "study.txt").open("w") as file:
        seconds = time.perf_counter() - started
        print(f"{len(table.rows)} trials in {seconds:.0f} s", file=file)
        report([plan.sweep, "--store", store, "--format", "text", "--width", "100"], out=file)
    print((arguments.out / "study.txt").read_text(), flush=True)


def _new_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a folder for a while, in memory if it has room: DATAR-T writes 440 MB per epoch."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > ROOM
    return tempfile.TemporaryDirectory(prefix="study-", dir=memory if roomy else None)


def _divided(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what stands before and after `--`."""
    own = list(itertools.takewhile(lambda word: word != "--", argv))
    return own, list(argv[len(own) + 1 :])


if __name__ == "__main__":
    machine.tidy_up_when_ended()
    main()
