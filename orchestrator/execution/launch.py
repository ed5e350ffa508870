"""Run a plan's missing trials, then bring MLflow and the report up to date.

The order is fixed: the plan is stored before its first trial runs, every arm must differ from the
baseline, trials run block by block, and the table covers everything in the store, no matter who
trained it.
"""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.cache import cache_folder
from orchestrator.analysis.search import search_results
from orchestrator.design.factors import Trial
from orchestrator.design.plan import Plan
from orchestrator.design.search_space import Point
from orchestrator.errors import ConfigError, printable
from orchestrator.execution.costs import unfinished
from orchestrator.execution.prepare import (
    LaunchPlan,
    clips_by_purpose,
    made_up,
    of_kind,
    packs_of,
    set_apart,
    with_data,
    without_tf32,
)
from orchestrator.execution.publish import Publisher
from orchestrator.execution.ray_session import ray_session, require_resources, terminal
from orchestrator.execution.stages import Ended, Stage, missing_trials, stages
from orchestrator.experiment.overrides import whole_parts
from orchestrator.metrics import TargetKind
from orchestrator.records import PlanRecord, Status, TrialRecord
from orchestrator.store import Store
from orchestrator.store.locks import LockHeld
from orchestrator.store.provenance import now
from orchestrator.store.verification import doubtful
from orchestrator.terminal.text import visible
from orchestrator.terminal.waiting import waiting

if TYPE_CHECKING:
    from orchestrator.execution.preflight.arms import ArmCheck
    from orchestrator.experiment.config import Runtime


def launch(prepared: LaunchPlan) -> int:
    """Run a sweep and write its report; return the exit code.

    Raises:
        ConfigError: The sweep would train on synthetic sounds at full size without an explicit
            request.
    """
    options = prepared.options
    if text := made_up(prepared):
        raise ConfigError(text)
    if text := without_tf32(prepared):
        print(text)
    require_resources(options.runtime)
    store = Store.open(options.runtime.store)
    return _launch(with_pack(prepared), store)


def _launch(prepared: LaunchPlan, store: Store) -> int:
    """Run a sweep whose pack is known, then what follows it; return the exit code."""
    options, search = prepared.options, prepared.search
    points: list[Point] = [*store.read_points(prepared.plan.sweep)] if search else []
    plan = search.with_points(points) if search else prepared.plan
    _check_cap(plan, store)
    set_aside_doubtful(plan, store)
    # The points of a search are no stage: all of them, old and new, are run by the search.
    steps = stages(
        search.with_points([]) if search else plan,
        store,
        budget_hours=options.budget_hours,
        num_workers=options.runtime.num_workers,
    )
    first = next(steps)
    if search:
        first = dataclasses.replace(first, plan=plan)
    record = declare(first.plan, prepared, store, points=points)
    to_search = max(0, search.num_points - len(points)) if search else 0
    publisher = Publisher(record, store=store, tracking_uri=options.runtime.tracking_uri)
    prunes = search is not None and bool(search.pruner)
    trials = first.plan.trials()
    missing = missing_trials([*first.plan.prerequisite_trials(), *trials], store, prunes=prunes)
    if isinstance(first, Ended) and not to_search and not (search and missing):
        print(
            f"{plan.sweep}: all {len(trials)} trials are in the store {store.uri}; nothing to train"
        )
        end = first
    else:
        log = _log_path(store, plan)
        print(f"{plan.sweep}: {visible(plan.question)}")
        num_stored = len({trial.id for trial in trials} - {trial.id for trial in missing})
        to_come = f" and {to_search} points to search" if to_search else ""
        if first.plan.cap:
            to_come += f", then block by block up to {first.plan.cap} blocks"
        print(f"{len(missing)} trials to train{to_come}, {num_stored} are in the store {store.uri}")
        print(f"messages of Ray and of the workers: {log}", flush=True)
        run_preflight(prepared)
        try:
            with publisher:
                end = _run(
                    itertools.chain((first,), steps),
                    missing=missing,
                    points=points,
                    prepared=prepared,
                    store=store,
                    log=log,
                    publisher=publisher,
                )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_what_is_left(missing, prepared, store)) from None
    if end.reason:
        print(end.reason)
    trials = end.plan.trials()
    records = store.read_records([trial.id for trial in trials])
    code = 1 if unfinished(trials, records, prunes=prunes) else 0
    if search:
        from orchestrator.execution.searchers import importances, journal_path

        shares = importances(search, points, store)
        if (study := journal_path(store, plan.sweep)) and study.exists():
            print(f"the search: optuna-dashboard {shlex.quote(str(study))}")
        publisher.declare(declare(end.plan, prepared, store, points=points, importances=shares))
    if following := _confirmation(prepared, points, records):
        print(flush=True)
        code = max(code, _launch(following, store))
    publisher.finish()
    return code


def _confirmation(
    prepared: LaunchPlan, points: Sequence[Point], records: Mapping[str, TrialRecord]
) -> LaunchPlan | None:
    """Return the ablation of a search's best points; None if there is nothing to confirm."""
    search = prepared.search
    if search is None or not search.confirm:
        return None
    found = search_results(search.describe(search.with_points(points).record(), points), records)
    best = [point.arm for point in found.ranked[: search.confirm]] if found else []
    if not best:
        print("no point of the search has a number, so that none can be confirmed")
        return None
    by_arm = {search.arm(point).name: point for point in points}
    plan = search.confirmation([by_arm[arm] for arm in best])
    return dataclasses.replace(prepared, plan=plan, search=None)


def set_aside_doubtful(plan: Plan, store: Store) -> None:
    """Set aside the records that cannot be believed, so that their trials train again."""
    for trial, reason in doubtful(store, plan.record()).items():
        with suppress(LockHeld), store.try_lock(trial, owner="another launch") as lease:
            names = ", ".join(store.attempt(trial, lease=lease).set_aside(trial))
            print(f"{reason}. It was set aside ({names}), and trial {trial} trains again.")


def with_pack(prepared: LaunchPlan) -> LaunchPlan:
    """Make the pack if it does not exist, and pin it."""
    from orchestrator.data import prepare as prepare_pack

    dataset, runtime = prepared.plan.base.dataset, prepared.options.runtime
    data = prepare_pack(
        dataset.name,
        dataset.arguments,
        root=runtime.data_root or None,
        packs=packs_of(runtime.store),
    )
    for note in data.notes:
        print(printable(f"data: {note}"))
    for clip, reason in data.dropped.items():
        print(printable(f"data: dropped {clip}: {reason}"))
    prepared = with_data(prepared, data)
    if kind := of_kind(prepared):
        print(f"data: {kind}")
    if apart := set_apart(prepared):
        print(f"data: {apart}")
    for line in clips_by_purpose(prepared):
        print(printable(f"data: {line}"))
    for trial in prepared.plan.prerequisite_trials():
        other = trial.experiment.dataset
        prepare_pack(other.name, other.arguments, root=None, packs=packs_of(runtime.store))
    return prepared


def run_preflight(prepared: LaunchPlan) -> tuple[ArmCheck, ...]:
    """Build every arm and check that it differs from the baseline as declared.

    Raises:
        PlanError: An arm fails its check.
    """
    from orchestrator.execution.preflight.arms import check_arms

    assert prepared.data is not None
    return check_arms(
        prepared.plan,
        num_classes=prepared.data.num_classes,
        num_samples=prepared.data.num_samples,
        sample_rate=prepared.data.sample_rate,
        num_clips=prepared.data.num_clips,
        kind=prepared.data.targets,
        heads=prepared.data.heads,
        on_gpu=prepared.options.runtime.gpus_per_worker > 0,
        activation_checkpointing=prepared.options.runtime.activation_checkpointing,
    )


def declare(
    plan: Plan,
    prepared: LaunchPlan,
    store: Store,
    *,
    points: Sequence[Point] = (),
    importances: Mapping[str, float] | None = None,
) -> PlanRecord:
    """Store the plan before any of its trials run; keep an equal earlier declaration.

    Args:
        plan: Plan to declare.
        prepared: Sweep and command line.
        store: Store of the plan.
        points: Points so far, if the sweep is a search; the plan is over them.
        importances: Importances of the searched settings; None keeps those declared before.
    """
    assert prepared.data is not None
    data = prepared.data
    record = plan.record(
        command=prepared.command,
        declared_at=now(),
        name=data.name,
        fingerprint=data.fingerprint,
        class_names=list(data.class_names),
        num_clips=data.num_clips,
        folds=list(data.folds),
        dropped=dict(data.dropped),
        # Plans of one class per clip keep the form that they had before there were other kinds.
        **({} if data.targets is TargetKind.SINGLE_LABEL else {"targets": str(data.targets)}),
        **({"heads": dict(data.heads)} if data.heads else {}),
    )
    if prepared.search is not None:
        if importances is None:
            earlier = store.read_plan(record.sweep)
            importances = earlier.search.importances if earlier and earlier.search else {}
        record = prepared.search.describe(record, points, importances=importances)
    return store.write_plan(record)


def _check_cap(plan: Plan, store: Store) -> None:
    """Refuse to move the cap of a study until decided: its error rate depends on the cap."""
    earlier = store.read_plan(plan.sweep)
    if earlier is not None and earlier.cap != plan.cap:
        raise ConfigError(
            f"{plan.sweep} was declared with at most {earlier.cap} blocks; its error rate holds "
            f"for that number alone: ask for {earlier.cap} again, or name another --store"
        )


def _run(
    steps: Iterable[Stage | Ended],
    *,
    missing: Sequence[Trial],
    points: list[Point],
    prepared: LaunchPlan,
    store: Store,
    log: Path,
    publisher: Publisher,
) -> Ended:
    """Train stage by stage, then search.

    Args:
        steps: Stages, followed by `Ended`.
        missing: Trials counted by the progress from the start.
        points: Points of earlier runs of a search; new points are appended.
        prepared: Sweep and command line.
        store: Store for all results.
        log: File for Ray's messages.
        publisher: Publisher that follows a growing plan.

    Returns:
        The end of the stages; for a search, the plan includes the new points.
    """
    from orchestrator.execution.capacity import require_capacity, with_cpu_share
    from orchestrator.execution.progress import SweepProgress
    from orchestrator.execution.tune import fail_stale_trials, run_search, run_trials

    runtime, search = prepared.options.runtime, prepared.search
    declared: Plan | None = None
    end: Ended | None = None

    def keep(point: Point) -> None:
        assert search is not None
        points.append(point)
        store.write_points(prepared.plan.sweep, points)
        plan = search.with_points(points)
        publisher.declare(declare(plan, prepared, store, points=points))

    def last_word(text: str) -> None:
        progress.last_word(
            f"error: {text}; nothing that was saved is lost, and the same command goes on from "
            f"here:\n  {printable(prepared.command)}"
        )

    with (
        terminal(log) as console,
        SweepProgress(console, missing) as progress,
        ray_session(runtime, say=progress.say, last_word=last_word),
    ):
        require_capacity(runtime)
        if prepared.options.fits_gpus and len(missing) > 1:
            runtime = _fitted(prepared.plan, runtime, store=store, say=progress.say)
        runtime = with_cpu_share(runtime)
        for step in steps:
            if search is None and declared is not None and step.plan != declared:
                publisher.declare(declare(step.plan, prepared, store))
            declared = step.plan
            if isinstance(step, Ended):
                end = step
                break
            for trial in step.trials:
                progress.add(trial)
            runtime = run_trials(step.trials, runtime=runtime, store=store, progress=progress)
            fail_stale_trials(step.trials, store, reasons=progress.lost)
        assert end is not None, "stages end with `Ended`"
        if search is not None:
            run_search(
                search, points, runtime=runtime, store=store, progress=progress, on_point=keep
            )
            end = Ended(plan=search.with_points(points))
            fail_stale_trials(end.plan.trials(), store, reasons=progress.lost)
    return end


def _what_is_left(trials: Sequence[Trial], prepared: LaunchPlan, store: Store) -> str:
    """Describe the trials of an interrupted launch, and how to go on."""
    records = store.read_records([trial.id for trial in trials])
    ended = [record for record in records.values() if record.status is not Status.RUNNING]
    left = len(trials) - len(records)
    return (
        f"interrupted: of {len(trials)} trials, {len(ended)} have ended, "
        f"{len(records) - len(ended)} were begun and {left} not; nothing that was saved is lost, "
        f"and the same command goes on from here:\n  {printable(prepared.command)}"
    )


def _fitted(plan: Plan, runtime: Runtime, *, store: Store, say: Callable[[str], None]) -> Runtime:
    """Let as many trials share a GPU as a pilot of the largest arm finds room for."""
    import ray
    from ray.exceptions import RayError

    from orchestrator.execution.capacity import capacity
    from orchestrator.execution.packing import Footprint, share_of_gpu
    from orchestrator.execution.pilot import run_pilot

    arms = {trial.arm: trial.experiment for trial in plan.trials()}
    say("pilot: a few steps of the largest arm on one GPU")
    remote: Any = ray.remote(num_gpus=1, num_cpus=1, max_retries=0)
    pilot = remote(run_pilot)
    try:
        with waiting("waiting for a GPU, and for the pilot on it", say=say):
            found: Footprint = ray.get(
                pilot.remote(arms, store=store, runtime=runtime, device="cuda")
            )
    except RayError as error:
        reason = str(error).strip().rpartition("\n")[2]
        say(f"pilot: failed ({reason}); each trial gets a GPU to itself")
        return runtime
    cpus = min((host.cpus / host.gpus for host in capacity(runtime).hosts if host.gpus), default=1)
    trials = found.trials_per_gpu(cpus)
    turns = "side by side (MPS runs)" if found.has_mps else "in turns (no MPS runs)"
    say(
        f"pilot: {found.arm} takes {found.peak_mb / 1e3:.1f} of {found.total_mb / 1e3:.0f} GB and "
        f"{found.busy:.0%} of the time; with {cpus:g} CPUs a GPU, {trials} trials share one, their "
        f"kernels {turns}"
    )
    return dataclasses.replace(runtime, gpus_per_worker=share_of_gpu(trials))


def _log_path(store: Store, plan: Plan) -> Path:
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    folder = store.local_path / "logs" if store.local_path else cache_folder("logs")
    return folder / f"{plan.sweep}-{stamp}-{os.getpid()}.log"


def check(prepared: LaunchPlan) -> int:
    """Build every arm and print how it differs from the baseline.

    Returns:
        The exit code: 2 if an arm showed no difference. A launch refuses such an arm only if none
        of its changes can take effect later in training.
    """
    if text := made_up(prepared):
        print(f"a launch will be refused: {text}", flush=True)
    if text := without_tf32(prepared):
        print(text, flush=True)
    baseline, *arms = run_preflight(prepared if prepared.data is not None else with_pack(prepared))
    for arm in (baseline, *arms):
        print(arm)
    unseen = [arm for arm in arms if not arm.shows]
    if not unseen:
        print("every arm differs from the baseline, and only where it says so")
        return 0
    seen = f"{len(arms) - len(unseen)} of {len(arms)} arms were seen to differ"
    print(f"{seen}, and only where they say so", flush=True)
    for arm in unseen:
        print(
            f"arm {arm.arm!r} was not seen to differ: it changes "
            f"{', '.join(whole_parts(arm.settings))}, and what that does comes with time, with "
            "other clips or with a checkpoint that is trained first, which no few steps before "
            "launch can show; the sweep itself still trains this arm",
            file=sys.stderr,
        )
    return 2


def smoke(prepared: LaunchPlan) -> int:
    """Train the baseline for one epoch in this process, without Ray; return the exit code."""
    import torch

    from orchestrator.execution.trial import TrialRun

    store = Store.open(prepared.options.runtime.store)
    trial = next(
        t for t in with_pack(prepared).plan.trials() if t.arm == prepared.plan.baseline_arm
    )
    torch.set_num_threads(max(1, prepared.options.runtime.cpus_per_worker))
    with store.lock(trial.id, owner="smoke") as lease:
        earlier = store.read_record(trial.id)
        record = TrialRun(
            store=store,
            trial_id=trial.id,
            experiment=trial.experiment,
            runtime=prepared.options.runtime,
            lease=lease,
        ).run()
    if record.status is not Status.FINISHED:
        print(_without_traceback(record.error), file=sys.stderr)
        return 1
    metrics = record.metrics_at("last")
    print(
        f"smoke: {trial.arm}, {len(record.epochs)} epoch, {record.cost.seconds:.1f} s: "
        + ", ".join(f"{key} {value:.4g}" for key, value in metrics.items())
    )
    if earlier is not None and earlier.status is Status.FINISHED:
        print(
            f"it was trained before and is in {store.uri}; to train it once more, give another "
            "--store"
        )
    return 0


def _without_traceback(error: str) -> str:
    """Return the message alone for an `OrchestratorError`, and any other error in full."""
    raised = error.rpartition("Traceback (most recent call last):")[2]  # the last of a chain
    match = re.search(r"^(?:orchestrator|models)\.\w+\.\w+: (.*)", raised, re.MULTILINE | re.DOTALL)
    return f"error: {match[1].strip()}" if match else error
