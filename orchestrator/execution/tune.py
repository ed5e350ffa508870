"""Run trials through Ray Tune.

Tune schedules and retries the trials missing from the store. Its own state is never restored: the
same command again is a fresh run over the missing trials.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import ray.cloudpickle
from ray import tune
from ray.tune.execution import class_cache
from ray.tune.search import ConcurrencyLimiter, Searcher

from orchestrator.analysis.search import Objective
from orchestrator.design.factors import Trial
from orchestrator.design.search_space import Point, Search
from orchestrator.errors import OrchestratorError, StoreError, TrainingError
from orchestrator.execution.capacity import asks, capacity, waits_for
from orchestrator.execution.failures import FAILED_AT, HOST_MEMORY, FailedAlike, why_lost
from orchestrator.execution.packing import at_a_time, fewer_at_a_time
from orchestrator.execution.progress import SweepProgress
from orchestrator.execution.ray_session import (
    first_interrupt_noted,
    is_stopping,
    raise_if_interrupted,
)
from orchestrator.execution.searchers import (
    OBJECTIVE,
    NotPickled,
    PointSearcher,
    QueueSearcher,
    objective_of,
)
from orchestrator.execution.stopping import StopRequest
from orchestrator.experiment.config import Runtime
from orchestrator.experiment.identity import canonical
from orchestrator.records import EpochRecord, Status, TrialRecord
from orchestrator.store import Holder, LockHeld, Store, Superseded
from orchestrator.store.files import is_full
from orchestrator.terminal.waiting import AFTER_S, EVERY_S, to_terminal

SECRETS = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
}
"""Variables that Tune sends to trials; nodes have rights of their own, or the environment here."""


def run_trials(
    trials: Sequence[Trial], *, runtime: Runtime, store: Store, progress: SweepProgress
) -> Runtime:
    """Train each trial once, in the given order as far as resources allow.

    Ray must be connected. When a trial runs out of memory, the running ones end, and it and those
    that are left train with half as many at a time, down to one.

    Args:
        trials: Trials missing from the store.
        runtime: Where and how to train.
        store: Store for all results.
        progress: Shows the epochs and the ends of trials.

    Returns:
        The runtime at the end, with as many trials at a time as their memory allowed.
    """
    while True:
        queue = QueueSearcher(trials)
        fewer = fewer_at_a_time(runtime, cpus=_total("CPU"))
        listener = _Listener(
            progress,
            runtime,
            store,
            fewer=fewer,
            stop=queue.stop,
            alike=FailedAlike((t.arm for t in trials), store=store.uri),
        )
        _fit(queue, len(trials), listener, runtime=runtime, store=store)
        if not listener.starved:
            return runtime
        assert fewer is not None
        runtime = fewer
        trials = [trial for trial in trials if trial.id not in progress.done]


def run_search(
    search: Search,
    points: list[Point],
    *,
    runtime: Runtime,
    store: Store,
    progress: SweepProgress,
    on_point: Callable[[Point], None],
) -> None:
    """Train the points that have no outcome yet, then new ones until the search has enough.

    Ray must be connected. When a trial runs out of memory, the search goes on with half as many at
    a time, as `run_trials` does, and begins with the points that memory was short for.

    Args:
        search: Search space, and the plan that each point joins.
        points: Points so far; the sampler learns from them.
        runtime: Where and how to train.
        store: Store for all results.
        progress: Shows the epochs and the ends of trials.
        on_point: Callback that adds each new point to `points`, before its trials start.
    """
    objective = objective_of(search)
    while True:
        searcher = PointSearcher(
            search, points, objective=objective, store=store, progress=progress, on_point=on_point
        )
        if not searcher.num_left:
            return
        fewer = fewer_at_a_time(runtime, cpus=_total("CPU"))
        listener = _Listener(progress, runtime, store, fewer=fewer, stop=searcher.stop)
        searcher.prune = listener.request.prune
        _fit(
            searcher,
            searcher.num_left,
            listener,
            objective=objective,
            prunes=bool(search.pruner),
            runtime=runtime,
            store=store,
        )
        if not listener.starved:
            return
        assert fewer is not None
        runtime = fewer


def _fit(
    searcher: Searcher,
    num_samples: int,
    listener: _Listener,
    *,
    objective: Objective | None = None,
    prunes: bool = False,
    runtime: Runtime,
    store: Store,
) -> None:
    with tempfile.TemporaryDirectory(prefix="orchestrator-") as scratch:
        local = store.local_path
        storage = str(local / "logs" / "ray") if local else scratch
        trainable = tune.with_parameters(
            _train,
            launch=_Launch(
                name=this_launch(),
                store=store,
                runtime=runtime,
                storage=storage,
                request=listener.request,
                prunes=prunes,
            ),
            objective=objective,
        )
        limit = _concurrency(runtime)
        limiter = ConcurrencyLimiter(searcher, max_concurrent=limit) if limit else None
        listener.limiter = limiter
        tuner = tune.Tuner(
            tune.with_resources(trainable, _resources(runtime)),
            tune_config=tune.TuneConfig(
                search_alg=searcher if limiter is None else limiter,
                num_samples=num_samples,
                reuse_actors=runtime.num_workers == 1,
                trial_name_creator=lambda trial: f"trial-{trial.trial_id}",
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name=f"tune-{uuid.uuid4().hex[:8]}",
                storage_path=storage,
                callbacks=[listener],
                # The listener gives up a trial that loses workers without getting on.
                failure_config=tune.FailureConfig(max_failures=-1 if runtime.retries else 0),
                verbose=0,
            ),
        )
        # Tune would put keys into arguments of processes, which every user of a host can read.
        class_cache.ENV_VARS_TO_PROPAGATE -= SECRETS
        try:
            with first_interrupt_noted():
                tuner.fit()
        finally:
            listener.request.forget()
        raise_if_interrupted()
        if is_stopping():
            raise KeyboardInterrupt
        listener.raise_if_over()


def this_launch() -> str:
    """Name this launch, so that those who wait for one of its trials know whom to ask."""
    return f"the launch of process {os.getpid()} on {socket.gethostname()}"


def _resources(runtime: Runtime) -> dict[str, float]:
    if runtime.num_workers > 1:
        # The trial only coordinates; Ray Train's workers hold the resources. The head node is safe.
        return {"cpu": 0, "node:__internal_head__": 0.001}
    return {"cpu": runtime.cpus_per_worker, "gpu": runtime.gpus_per_worker}


def _concurrency(runtime: Runtime) -> int | None:
    """Return the maximum number of trials at a time; None leaves it to Tune.

    Tune cannot see the resources of nested workers. On a cluster that may grow, it asks for a
    second trial's only once it has the first's, so that nodes would start one by one.
    """
    has = capacity(runtime)
    if runtime.num_workers == 1 and not has.types:
        return runtime.max_concurrent or None
    fits = has.at_most(runtime) // runtime.num_workers
    return max(1, min(fits, runtime.max_concurrent or fits))


def _total(kind: str) -> float:
    return ray.cluster_resources().get(kind, 0)


class _Listener(NotPickled, tune.Callback):
    """Forwards Tune's events to the sweep's progress, and reports why it is waiting.

    Attributes:
        request: The request to stop, which workers watch.
        starved: Whether a trial ran out of memory, and is to train with fewer beside it.
        limiter: Limits the trials at a time, and follows the nodes that join.
    """

    limiter: ConcurrencyLimiter | None = None

    def __init__(
        self,
        progress: SweepProgress,
        runtime: Runtime,
        store: Store,
        *,
        fewer: Runtime | None = None,
        stop: Callable[[], None] = lambda: None,
        alike: FailedAlike | None = None,
    ):
        self._progress = progress
        self._runtime = runtime
        self._store = store
        self._fewer = fewer
        self._stop = stop
        self._alike = alike or FailedAlike((), store=store.uri)
        self.request = StopRequest()
        self.starved = False
        self._is_stopping = False
        self._waits: set[str] = set()
        self._at_work: set[str] = set()
        self._losses: dict[str, int] = {}
        self._furthest: dict[str, int] = {}
        self._over: OrchestratorError | None = None
        self._speak_at = time.monotonic() + AFTER_S
        self._look_at = self._speak_at

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Report the missing resources while no trial runs; Tune calls this many times a second.

        Without a cluster, no other launch holds them.
        """
        self.raise_if_over()
        if is_stopping():
            self._wait_for_saving([trial for trial in trials if trial.status == "RUNNING"])
            return
        now = time.monotonic()
        if self.limiter is not None and self._runtime.address and now >= self._look_at:
            self._look_at = now + AFTER_S
            self.limiter.max_concurrent = _concurrency(self._runtime) or 1
        if any(self._is_at_work(trial) for trial in trials if trial.status == "RUNNING"):
            self._speak_at = now + AFTER_S
        elif self._runtime.address and now >= self._speak_at:
            self._speak_at = now + EVERY_S
            self._progress.say(
                waits_for(self._runtime, capacity(self._runtime), ray.available_resources())
            )

    def _wait_for_saving(self, running: Sequence[Any]) -> None:
        """Ask the running trials to stop, and end the sweep once they have."""
        at_work = [trial for trial in running if trial.trial_id not in self._waits]
        if not self._is_stopping:
            self._is_stopping = True
            self._stop()
            self.request.send()
            if at_work:
                who = f"{len(at_work)} running trials save what they have"
                if len(at_work) == 1:
                    who = "the running trial saves what it has"
                self._progress.say(f"stopping: {who}; Ctrl-C once more stops at once")
        if not at_work:
            raise KeyboardInterrupt

    def raise_if_over(self) -> None:
        """Raise the error that all other trials would fail with, if there is one.

        Raises:
            StoreError: A trial found the store full or read-only.
            TrainingError: Every arm failed alike.
        """
        if self._over is not None:
            raise self._over

    def _is_at_work(self, trial: Any) -> bool:
        # With several workers, the trial only coordinates and holds no resources.
        return self._runtime.num_workers == 1 or trial.trial_id in self._at_work

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        raise_if_interrupted()
        self._gets_on(self._epochs_of(trial))
        for planned in trial.config["trials"]:
            self._progress.started(planned.id)
            if not self._is_at_work(trial):
                self._progress.note(planned.id, f"waits for {asks(self._runtime)}")

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        raise_if_interrupted()
        self._at_work.add(trial.trial_id)
        self._waits.discard(trial.trial_id)
        if "full" in result:
            text = f"{result['full']}; then run the same command again, it goes on from here"
            self._over = StoreError(text)
            self._progress.ended(result["id"], Status.FAILED, "the store is full or read-only")
        elif result.get("out_of_memory") and self._fewer is not None:
            self.starved = True
            self._stop()
            self._progress.starved(result["id"], at_a_time(self._fewer))
        elif "status" in result:
            self._progress.ended(result["id"], Status(result["status"]), result["note"])
            self._compare(result["id"], note=result["note"], place=result["place"])
        elif "stopped" in result:
            self._progress.stopped(result["id"])
        elif "waits_for" in result:
            self._waits.add(trial.trial_id)
            self._progress.waits(result["id"], result["waits_for"])
        elif "at_work" in result:
            for planned in trial.config["trials"]:
                self._progress.note(planned.id, "epochs")
        elif "epoch" in result:
            trial_id = result.get("id", trial.config["trials"][0].id)
            if self._gets_on({trial_id: result["epoch"]}):
                self._losses.pop(trial.trial_id, None)
                trial.max_failures = -1 if self._runtime.retries else 0
            self._progress.epoch(trial_id, result["epoch"], result)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Go on with a trial that lost its worker; one that stands still is given up next time."""
        raise_if_interrupted()
        got_on = self._gets_on(self._epochs_of(trial))
        losses = 1 if got_on else self._losses.get(trial.trial_id, 0) + 1
        self._losses[trial.trial_id] = losses
        reason = _why_lost(trial)
        gives_up = self._starves(trial, reason) or losses >= self._runtime.retries
        trial.max_failures = trial.num_failures if gives_up else -1
        self._progress.recovers(self._next_of(trial).id, reason)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Drop what Tune keeps of a trial that has ended; the store has its results."""
        trial.run_metadata.metric_analysis.clear()
        trial.run_metadata.metric_n_steps.clear()
        trial.run_metadata.last_result = {}
        trial.config, trial.evaluated_params, trial.experiment_tag = {}, {}, ""
        trial._Trial__unresolved_config = {}

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        reason = _why_lost(trial)
        if self._starves(trial, reason):
            return
        times = self._losses.get(trial.trial_id, 0) + 1
        note = f"lost {times} workers in a row without finishing another epoch; last, {reason}"
        for planned in trial.config["trials"]:
            if planned.id not in self._progress.done:
                self._progress.lost[planned.id] = note
                self._progress.ended(planned.id, Status.FAILED, note)
                self._compare(planned.id, note=reason, place="in its worker")

    def _starves(self, trial: Any, reason: str) -> bool:
        """Whether a lost worker lacked memory that others took; then fewer train at a time."""
        if reason != HOST_MEMORY or self._fewer is None:
            return False
        if not self.starved:
            self.starved = True
            self._stop()
            self._progress.starved(self._next_of(trial).id, at_a_time(self._fewer))
        return True

    def _next_of(self, trial: Any) -> Trial:
        return next(one for one in trial.config["trials"] if one.id not in self._progress.done)

    def _compare(self, trial_id: str, *, note: str, place: str) -> None:
        if text := self._alike.ended(self._progress.trials[trial_id], note=note, place=place):
            self._over = TrainingError(text)

    def _epochs_of(self, trial: Any) -> dict[str, int]:
        """Return id -> number of epochs in the store, for what a Tune trial trains."""
        records = self._store.read_records([planned.id for planned in trial.config["trials"]])
        return {id_: len(record.epochs) for id_, record in records.items()}

    def _gets_on(self, epochs: Mapping[str, int]) -> bool:
        """Whether a trial has finished an epoch that it had not finished before."""
        further = {id_: n for id_, n in epochs.items() if n > self._furthest.get(id_, 0)}
        self._furthest |= further
        return bool(further)


def _why_lost(trial: Any) -> str:
    """Return what became of the worker of a Tune trial, from the error that Tune kept of it."""
    # Tune keeps them below /tmp, which may be full, and pickles no error for a lack of memory.
    with suppress(OSError, TypeError):
        last = Path(trial.error_file).read_text().rpartition("Failure # ")[2]
        if (reason := why_lost(last)) == HOST_MEMORY:
            return reason
    with suppress(OSError, TypeError):
        return why_lost(ray.cloudpickle.loads(Path(trial.pickled_error_file).read_bytes()))
    return "its worker was lost"


@dataclass(frozen=True, kw_only=True)
class _Launch:
    """What every process that trains knows of the launch.

    Attributes:
        name: See `this_launch`.
        store: Store of the trials.
        runtime: Resources and settings of a trial.
        storage: Folder for Ray's bookkeeping.
        request: The request to stop.
        prunes: Whether a search may leave a trial early.
    """

    name: str
    store: Store
    runtime: Runtime
    storage: str
    request: StopRequest
    prunes: bool

    def is_over(self, record: TrialRecord | None) -> bool:
        """Whether this launch leaves a trial as it is."""
        if record is None:
            return False
        return record.status.is_final or (self.prunes and record.status is Status.PRUNED)


def _train(config: Mapping[str, Any], *, launch: _Launch, objective: Objective | None) -> None:
    """Train the trials of one Tune trial, in a process that is reused for the next."""
    from orchestrator.training.trainer import Stopped

    records = []
    for trial in config["trials"]:
        try:
            if any(record.status is Status.PRUNED for record in records):
                record, note, starved = _leave(trial, launch), "with its point", False
            else:
                record, note, starved = _train_once(trial, launch)
        except Stopped:
            tune.report({"id": trial.id, "stopped": True})
            return
        except StoreError as error:
            if not is_full(error):
                raise
            tune.report({"id": trial.id, "full": str(error)})
            return
        records.append(record)
        last = trial is config["trials"][-1]
        counts = record.status is Status.FINISHED and last
        values = objective.values(records) if objective and counts else None
        tune.report(
            {
                "id": trial.id,
                "status": record.status.value,
                "note": note,
                "place": record.provenance.get(FAILED_AT, ""),
                "out_of_memory": starved,
                OBJECTIVE: values,
            }
        )


def _train_once(trial: Trial, launch: _Launch) -> tuple[TrialRecord, str, bool]:
    """Train a trial, or wait for the process that has taken it over; see `_train_locked`."""
    while True:
        try:
            return _train_locked(trial, launch)
        except Superseded as error:
            to_terminal(str(error))


def _leave(trial: Trial, launch: _Launch) -> TrialRecord:
    """Record a trial as pruned whose point was left at an earlier seed or fold."""
    store = launch.store
    with store.lock(trial.id, owner=launch.name) as lease:
        record = store.read_record(trial.id)
        if record is None or not launch.is_over(record):
            record = record or TrialRecord(
                id=trial.id, status=Status.PRUNED, experiment=canonical(trial.experiment)
            )
            record = replace(record, status=Status.PRUNED)
            store.attempt(trial.id, lease=lease).write_record(record)
    return record


def _train_locked(trial: Trial, launch: _Launch) -> tuple[TrialRecord, str, bool]:
    """Return the record, a note on it, and whether the memory that trials share ran out."""
    store, runtime, starved = launch.store, launch.runtime, False

    def wait(holder: Holder) -> None:
        own = holder.owner == launch.name
        who = "an earlier attempt of its own, until its lease ends" if own else "another launch"
        tune.report({"id": trial.id, "waits_for": f"{who}: {holder}"})

    with store.lock(trial.id, owner=launch.name, on_wait=wait) as lease:
        earlier = store.read_record(trial.id)
        if earlier is not None and launch.is_over(earlier):
            return earlier, "trained by another run meanwhile", False
        if runtime.num_workers > 1:
            from orchestrator.execution.ray_train import run_parallel

            record = run_parallel(
                trial.id,
                trial.experiment,
                lease=lease,
                store=store,
                runtime=runtime,
                storage_path=launch.storage,
                request=launch.request,
            )
        else:
            import torch

            from orchestrator.execution.trial import TrialRun
            from orchestrator.training.trainer import Stopped

            torch.set_num_threads(runtime.cpus_per_worker)
            reported: list[Future[None]] = []
            pruned = False

            def report(epoch: EpochRecord) -> None:
                nonlocal pruned
                facts = {"id": trial.id, "epoch": epoch.epoch, **epoch.metrics}
                reported.append(reports.submit(tune.report, facts))
                if launch.prunes:  # the search has decided by the time that the report returns
                    reported[-1].result()
                    pruned = launch.request.is_to_prune(trial.id)

            # A report returns when the sweep has dealt with it; the next epoch does not wait.
            with (
                ThreadPoolExecutor(1, thread_name_prefix="reports") as reports,
                launch.request.watched() as stop,
            ):
                run = TrialRun(
                    store=store,
                    trial_id=trial.id,
                    experiment=trial.experiment,
                    device="cuda" if runtime.gpus_per_worker > 0 else "cpu",
                    runtime=runtime,
                    lease=lease,
                    on_epoch=report,
                    stop=lambda: pruned or stop(),
                    is_pruned=lambda: pruned,
                )
                try:
                    record = run.run()
                except Stopped:
                    record = store.read_record(trial.id) if pruned else None
                    if record is None:
                        raise
            for one in reported:
                one.result()  # an error in a thread is nobody's until it is asked for
            starved = run.out_of_memory
            if starved and torch.cuda.is_available():
                torch.cuda.empty_cache()  # trials beside this one go on
    left = f"after epoch {len(record.epochs)}" if record.status is Status.PRUNED else ""
    return record, left or record.error_line, starved


def fail_stale_trials(trials: Sequence[Trial], store: Store, *, reasons: Mapping[str, str]) -> None:
    """Mark trials as failed if their workers were lost and nothing goes on with them.

    Trials that another process is training are left alone.

    Args:
        trials: Trials that were to be trained.
        store: Store with their records.
        reasons: Id of a trial that was given up -> what became of its workers.
    """
    for trial in trials:
        if _has_ended(store.read_record(trial.id)):
            continue
        try:
            with store.try_lock(trial.id, owner="sweep") as lease:
                record = store.read_record(trial.id)  # another process may have trained it
                if _has_ended(record):
                    continue
                record = record or TrialRecord(
                    id=trial.id, status=Status.RUNNING, experiment=canonical(trial.experiment)
                )
                error = reasons.get(trial.id, "its worker was lost")
                store.attempt(trial.id, lease=lease).write_record(
                    replace(record, status=Status.FAILED, error=error)
                )
        except (LockHeld, Superseded):
            continue


def _has_ended(record: TrialRecord | None) -> bool:
    return record is not None and record.status is not Status.RUNNING
