"""Run what a plan is missing, then bring MLflow and the report up to date.

The order is fixed: the plan is stored before its first trial runs, every arm is proved to differ,
trials run block by block, and the table is made from what the store holds, whoever trained it.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.ablation import Trial
from orchestrator.plan import Plan
from orchestrator.points import read_points, write_points
from orchestrator.prepare import Ready, packs_of, with_data
from orchestrator.provenance import now
from orchestrator.publish import Publisher
from orchestrator.ray_session import ray_session, require_resources, terminal
from orchestrator.records import PlanRecord, Status
from orchestrator.search import Point
from orchestrator.store import Store

if TYPE_CHECKING:
    from orchestrator.proof import Proof


def launch(ready: Ready) -> int:
    """Run a sweep to its report; return the exit code."""
    require_resources(ready.options.runtime)
    store = Store.open(ready.options.runtime.store)
    ready = with_pack(ready)
    points = read_points(store, ready.plan.sweep) if ready.search else []
    plan = ready.search.with_points(points) if ready.search else ready.plan
    record = _declare(plan, ready, store)
    stages = [_unfinished(plan.prerequisite_trials(), store), _unfinished(plan.trials(), store)]
    to_search = max(0, ready.search.num_points - len(points)) if ready.search else 0
    publisher = Publisher(record, store=store, tracking_uri=ready.options.runtime.tracking_uri)
    if not any(stages) and not to_search:
        total = len(plan.trials())
        print(f"{plan.sweep}: all {total} trials are in the store {store.uri}; nothing to train")
    else:
        log = _log_path(store, plan)
        print(f"{plan.sweep}: {plan.question}")
        print(_what_is_to_do(plan, stages, to_search, store))
        print(f"messages of Ray and of the workers: {log}", flush=True)
        prove_arms(ready)
        with publisher:
            plan = _run(plan, points, stages, ready, store, log, publisher)
    publisher.finish()
    records = store.read_records(trial.id for trial in plan.trials())
    whole = all(t.id in records and records[t.id].status is Status.FINISHED for t in plan.trials())
    return 0 if whole else 1


def with_pack(ready: Ready) -> Ready:
    """Make the pack if it is not there, and pin it."""
    from orchestrator.data import prepare as prepare_pack

    dataset, runtime = ready.plan.base.dataset, ready.options.runtime
    data = prepare_pack(
        dataset.name,
        dataset.arguments,
        root=runtime.data_root or None,
        packs=packs_of(runtime.store),
    )
    for note in data.notes:
        print(f"data: {note}")
    for clip, reason in data.dropped.items():
        print(f"data: dropped {clip}: {reason}")
    ready = with_data(ready, data)
    for trial in ready.plan.prerequisite_trials():
        other = trial.experiment.dataset
        prepare_pack(other.name, other.arguments, root=None, packs=packs_of(runtime.store))
    return ready


def prove_arms(ready: Ready) -> tuple[Proof, ...]:
    """Build every arm and prove that it differs from the baseline where it says so.

    Raises:
        PlanError: an arm proves nothing.
    """
    from orchestrator.proof import prove

    assert ready.data is not None
    return prove(
        ready.plan,
        num_classes=ready.data.num_classes,
        num_samples=ready.data.num_samples,
        sample_rate=ready.data.sample_rate,
    )


def _declare(plan: Plan, ready: Ready, store: Store) -> PlanRecord:
    """Store what is to be asked before anything of it runs; keep an equal earlier declaration."""
    assert ready.data is not None
    data = ready.data
    record = plan.record(
        command=ready.command,
        declared_at=now(),
        name=data.name,
        fingerprint=data.fingerprint,
        class_names=list(data.class_names),
        num_clips=data.num_clips,
        folds=list(data.folds),
        dropped=dict(data.dropped),
    )
    return store.write_plan(record)


def _unfinished(trials: Sequence[Trial], store: Store) -> list[Trial]:
    records = store.read_records(trial.id for trial in trials)
    unique = {trial.id: trial for trial in trials}
    return [
        trial
        for trial in unique.values()
        if trial.id not in records or records[trial.id].status is not Status.FINISHED
    ]


def _what_is_to_do(
    plan: Plan, stages: Sequence[Sequence[Trial]], to_search: int, store: Store
) -> str:
    missing = sum(map(len, stages))
    stored = len(plan.trials()) - len(stages[-1])
    points = f" and {to_search} points to search" if to_search else ""
    return f"{missing} trials to train{points}, {stored} are in the store {store.uri}"


def _run(
    plan: Plan,
    points: list[Point],
    stages: Sequence[Sequence[Trial]],
    ready: Ready,
    store: Store,
    log: Path,
    publisher: Publisher,
) -> Plan:
    """Train what is missing; return the plan, with the new points of a search in it."""
    from orchestrator.progress import SweepProgress
    from orchestrator.sweep import bury, run_search, run_trials

    runtime, search = ready.options.runtime, ready.search
    known = [trial for stage in stages for trial in stage]

    def keep(point: Point) -> None:
        assert search is not None
        points.append(point)
        write_points(store, plan.sweep, points)
        publisher.declare(_declare(search.with_points(points), ready, store))

    with (
        terminal(log) as console,
        SweepProgress(console, known) as progress,
        ray_session(runtime),
    ):
        for stage in stages:
            if stage:
                run_trials(stage, runtime=runtime, store=store, progress=progress)
                bury(stage, store)
        if search is not None and len(points) < search.num_points:
            run_search(
                search, points, runtime=runtime, store=store, progress=progress, on_point=keep
            )
            plan = search.with_points(points)
            bury(plan.trials(), store)
    return plan


def _log_path(store: Store, plan: Plan) -> Path:
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    root = store.local_path or Path.home() / ".cache" / "audio-ablation-orchestrator"
    return root / "logs" / f"{plan.sweep}-{stamp}-{os.getpid()}.log"


def check(ready: Ready) -> int:
    """Build every arm and say how it differs from the baseline; return the exit code."""
    baseline, *arms = prove_arms(ready if ready.data is not None else with_pack(ready))
    for proof in (baseline, *arms):
        print(proof)
    shown = sum(proof.shows for proof in arms)
    if shown == len(arms):
        print("every arm differs from the baseline, and only where it says so")
    else:
        print(f"{shown} of {len(arms)} arms were seen to differ, and only where they say so")
    return 0


def smoke(ready: Ready) -> int:
    """Train the baseline for one epoch in this process, without Ray; return the exit code."""
    import torch

    from orchestrator.config import complete
    from orchestrator.trial import TrialRun

    store = Store.open(ready.options.runtime.store)
    trial = next(t for t in with_pack(ready).plan.trials() if t.arm == ready.plan.baseline_arm)
    torch.set_num_threads(ready.options.runtime.cpus_per_worker)
    with store.lock(trial.id, owner="smoke"):
        record = TrialRun(
            store=store, trial_id=trial.id, experiment=complete(trial.experiment)
        ).run()
    if record.status is not Status.FINISHED:
        print(record.error, file=sys.stderr)
        return 1
    metrics = record.metrics_at("last")
    print(
        f"smoke: {trial.arm}, {len(record.epochs)} epoch, {record.cost.seconds:.1f} s: "
        + ", ".join(f"{key} {value:.4g}" for key, value in metrics.items())
    )
    return 0
