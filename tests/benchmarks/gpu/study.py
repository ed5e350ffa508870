"""Run a sweep by a plain process pool, where Ray is not installed, to its table.

    python tests/benchmarks/gpu/study.py sweeps/adaptor_lambda.py --processes 6 --device cuda \
        -- --demo --store DIR --dataset esc:fingerprint=...

What follows `--` is the sweep's own command line. Trials are the same as under Ray: the same ids,
the same training, the same store; `python -m orchestrator.report` reads the result. A second run
trains what is missing.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from orchestrator.execution.costs import unfinished
from orchestrator.execution.launch import declare, with_pack
from orchestrator.execution.options import parse
from orchestrator.execution.prepare import prepare
from orchestrator.experiment.identity import CompletedExperiment
from orchestrator.records import Status, TrialRecord
from orchestrator.store import Store


def run(
    sweep: Path, argv: list[str], *, processes: int, device: str
) -> tuple[str, list[TrialRecord]]:
    """Train what a sweep is missing; return its stored name and the records of its trials.

    Args:
        sweep: a sweep file with a PLAN.
        argv: its command line.
        processes: how many train at once.
        device: as PyTorch names it.
    """
    spec = importlib.util.spec_from_file_location(sweep.stem, sweep)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    options = parse(argv, description="")
    prepared = with_pack(prepare(module.PLAN, options))
    store = Store.open(options.runtime.store)
    declare(prepared.plan, prepared, store)
    trials = prepared.plan.trials()
    missing = unfinished(trials, store.read_records(trial.id for trial in trials))
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, _one_thread) as pool:
        jobs = [pool.apply_async(train, (store.uri, trial.experiment, device)) for trial in missing]
        for job in jobs:
            job.get()
    records = store.read_records(trial.id for trial in trials)
    return prepared.plan.sweep, [records[trial.id] for trial in trials]


def train(store: str, experiment: CompletedExperiment, device: str) -> None:
    """Train one trial in this process.

    Raises:
        RuntimeError: it failed; with its traceback.
    """
    from orchestrator.execution.trial import TrialRun

    record = TrialRun(
        store=Store.open(store), trial_id=experiment.id, experiment=experiment, device=device
    ).run()
    if record.status is not Status.FINISHED:
        raise RuntimeError(record.error)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def main() -> None:
    """Run the sweep and print its table and how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--device", default="cuda")
    own, _, rest = " ".join(sys.argv[1:]).partition(" -- ")
    arguments = parser.parse_args(own.split())
    started = time.perf_counter()
    name, records = run(
        arguments.sweep, rest.split(), processes=arguments.processes, device=arguments.device
    )
    seconds = time.perf_counter() - started
    store = parse(rest.split(), description="").runtime.store
    command = (sys.executable, "-m", "orchestrator.report", name, "--store", store)
    print(f"{len(records)} trials in {seconds:.1f} s, {arguments.processes} at once", flush=True)
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
