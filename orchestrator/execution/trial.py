"""One trial from its experiment to its record; every launcher ends up here.

The caller holds the trial's lease. Everything goes to the store: each finished epoch, a failure
with its traceback, the per-clip predictions, the last and the best weights. The record of an epoch
is written while the next one trains, as its checkpoint is. An attempt that a newer one has
superseded stops at the next of these, and leaves the trial to it.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from orchestrator.errors import CheckpointError, ConfigError, DivergedError, StoreError
from orchestrator.execution.failures import (
    FAILED_AT,
    error_text,
    is_of_the_group,
    is_out_of_memory,
    place_of,
)
from orchestrator.experiment.config import Runtime
from orchestrator.experiment.identity import CompletedExperiment, canonical
from orchestrator.metrics.catalog import load
from orchestrator.records import Cost, EpochRecord, Status, TrialRecord, experiment_id
from orchestrator.store import Superseded
from orchestrator.store.files import is_full
from orchestrator.store.provenance import now, provenance
from orchestrator.store.store import Made
from orchestrator.terminal.waiting import to_terminal
from orchestrator.training.arithmetic import arithmetic, arithmetic_facts
from orchestrator.training.background import Background
from orchestrator.training.data_parallel import Group
from orchestrator.training.inputs import drop_other_versions
from orchestrator.training.trainer import Stopped

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from orchestrator.data import Pack
    from orchestrator.data.partition import Partition
    from orchestrator.execution.teacher import Teacher
    from orchestrator.store import Store
    from orchestrator.training.state import Initial
    from orchestrator.training.trainer import Trainer

WHICH: tuple[Literal["last"], Literal["best"]] = ("last", "best")


@dataclass(frozen=True)
class TrialCheckpoints:
    """The `last` and `best` checkpoints of one trial in a store.

    Attributes:
        store: The store.
        trial_id: Id of the trial.
        damaged: What was wrong with each checkpoint that was set aside.
    """

    store: Store
    trial_id: str
    damaged: list[str] = field(default_factory=list)

    def load(self, which: Any) -> tuple[Mapping[str, Tensor], Mapping[str, Any]] | None:
        """See `orchestrator.training.state.Checkpoints`.

        A damaged `last` gives way to the one before it. Training starts anew without one, and
        without the weights of the best epoch, which only training brings back.
        """
        if which != "last":
            return self.store.load_checkpoint(self.trial_id, which)
        last = self._recovered("last")
        if last is not None and last[1]["best_epoch"] and not self._recovered("best"):
            self.store.set_aside_checkpoint(self.trial_id, "last")
            return None
        return last

    def save(self, which: Any, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """See `orchestrator.training.state.Checkpoints`."""
        self.store.save_checkpoint(
            self.trial_id, which, tensors, facts, keeps_before=which == "last"
        )

    def _recovered(self, which: Any) -> tuple[Mapping[str, Tensor], Mapping[str, Any]] | None:
        found, damaged = self.store.recover_checkpoint(self.trial_id, which)
        for reason in damaged:
            to_terminal(f"trial {self.trial_id}: {reason.partition(';')[0]}; it was set aside")
        self.damaged.extend(damaged)
        return found


@dataclass(kw_only=True)
class TrialRun:
    """One run of a trial.

    Attributes:
        store: Store for all results.
        experiment: Experiment to train.
        device: Device to train on.
        runtime: How to train; the caller has acted on where.
        lease: Number of the lease that the caller holds; None takes the newest.
        cache_dir: Local copies of packs from an object store.
        on_epoch: Callback for the record of each epoch.
        stop: Whether to stop soon, asked after every step of a single worker.
        is_pruned: Whether a search leaves the trial where it stops.
        out_of_memory: Whether the run ended because memory ran out.
    """

    store: Store
    trial_id: str
    experiment: CompletedExperiment
    device: str = "cpu"
    runtime: Runtime = field(default_factory=Runtime)
    lease: int | None = None
    cache_dir: str | None = None
    on_epoch: Callable[[EpochRecord], None] = field(default=lambda record: None)
    stop: Callable[[], bool] = field(default=lambda: False)
    is_pruned: Callable[[], bool] = field(default=lambda: False)
    out_of_memory: bool = field(default=False, init=False)
    _checkpoints: TrialCheckpoints = field(init=False)
    _teacher: Teacher | None = field(default=None, init=False)

    def run(self) -> TrialRecord:
        """Train the remaining epochs of the trial.

        Returns:
            Its record: finished, or failed or diverged with the traceback. An interrupt propagates
            and leaves a running record, from which the next run resumes.

        Raises:
            Stopped: `stop` asked for it; the next run goes on from that step. The record is
                running, or pruned if `is_pruned`.
            StoreError: The store cannot be written, which is no fault of the trial: it goes on
                from its last checkpoint once the store can.
            RuntimeError: Another worker of the trial was lost; the trial goes on, too.
            Superseded: Another process began a newer attempt, which goes on from here.
        """
        started = time.perf_counter()
        group = Group()
        if group.is_main:
            self.store = self.store.attempt(self.trial_id, lease=self.lease)
        self._checkpoints = TrialCheckpoints(self.store, self.trial_id)
        earlier = self.store.read_record(self.trial_id)
        record = TrialRecord(
            id=self.trial_id,
            status=Status.RUNNING,
            experiment=canonical(self.experiment),
            epochs=earlier.epochs if earlier else (),
            best_epoch=earlier.best_epoch if earlier else 0,
            cost=Cost(
                seconds=earlier.cost.seconds if earlier else 0.0,
                attempts=earlier.cost.attempts + 1 if earlier else 1,
            ),
            provenance={
                **provenance(),
                "pid": str(os.getpid()),
                "started_at": _started_at(earlier),
                **_memory_ran_out(earlier),
            },
        )
        self._before = record.cost.seconds
        self._started = started
        try:
            with arithmetic(
                self.experiment.precision,
                deterministic=self._repeats_on_gpu,
            ):
                for key in (*self.runtime.own_metrics, self.experiment.selection_metric):
                    load(key)
                trainer = self._build(group)
                record = self._describe(record, trainer, earlier)
                self._write(record, group)
                # An interrupt, too, waits for the checkpoint that is being written.
                with closing(trainer.epochs()) as epochs, Background("record") as writing:
                    for epoch in epochs:
                        record = self._progress(record, trainer)
                        writing.submit(functools.partial(self._write, record, group))
                        self.on_epoch(epoch)
                record = self._finish(record, trainer)
        except Superseded:
            raise
        except Stopped:
            record = self._timed(record)
            if self.is_pruned():
                record = self._ended(replace(record, status=Status.PRUNED))
            self._write(record, group)
            raise
        except Exception as error:
            if group.world_size > 1 and is_of_the_group(error):
                raise
            diverged = isinstance(error, DivergedError)
            status = Status.DIVERGED if diverged else Status.FAILED
            record = self._ended(replace(record, status=status, error=error_text(error)))
            self.out_of_memory = is_out_of_memory(error)
            facts = _memory_ran_out(record, times=1) if self.out_of_memory else {}
            if not diverged:
                facts[FAILED_AT] = place_of(error)
            record = replace(record, provenance={**record.provenance, **facts})
            if isinstance(error, StoreError):
                if is_full(error):
                    with suppress(StoreError):  # a record may still fit
                        self._write(record, group)
                raise
            self._write(record, group)
            if group.world_size > 1:
                raise  # other workers wait for this one
            return record
        self._write(record, group)
        if group.is_main:
            self.store.forget_checkpoint_before(self.trial_id, "last")
        return record

    @property
    def _repeats_on_gpu(self) -> bool:
        return self.device.startswith("cuda") and not self.runtime.fast

    def _build(self, group: Group) -> Trainer:
        from orchestrator.data import open_pack
        from orchestrator.execution.teacher import teacher_of
        from orchestrator.training.trainer import Trainer

        self._refuse_another()
        fingerprint = str(self.experiment.dataset.arguments["fingerprint"])
        clips = open_pack(fingerprint, packs=self.store.packs_uri, cache_dir=self.cache_dir)
        drop_other_versions(features_folder(clips))
        self._teacher = teacher_of(
            self.experiment,
            clips=clips,
            store=self.store,
            group=group,
            device=self.device,
            deterministic=self._repeats_on_gpu,
        )
        trainer = Trainer(
            self.experiment,
            clips=clips,
            checkpoints=self._checkpoints,
            device=self.device,
            group=group,
            initial=self._initial(),
            teacher=self._teacher.logits if self._teacher else None,
            features=features_folder(clips),
            feature_memory=self.runtime.feature_memory,
            activation_checkpointing=self.runtime.activation_checkpointing,
            stop=self.stop,
        )
        if self.runtime.compile:
            from orchestrator.training.compiled import compile_training

            clips_per_step = min(self.experiment.batch_size, len(trainer.train_indices))
            parts = min(self.experiment.accumulation_steps, clips_per_step)
            batch = math.ceil(clips_per_step / parts)
            compile_training(trainer.chain.model, batch=batch, mode=self.runtime.compile)
        return trainer

    def _refuse_another(self) -> None:
        """Raise a `ConfigError` if this host would train something different under this id.

        This happens if the source of a part, or this package, has changed since the declaration.
        """
        here = dataclasses.replace(self.experiment).id  # hashes this host's sources
        if here != self.trial_id:
            raise ConfigError(
                f"trial {self.trial_id} is {here} on {socket.gethostname()}: another version of "
                "this package is installed here than where the sweep was started; install the same "
                "on every host"
            )

    def _initial(self) -> Initial | None:
        from orchestrator.training.state import Initial

        initial = self.experiment.initial
        if initial.name == "trial":
            from models.registry import TRAINED_AS
            from orchestrator.training.state import model_state

            trial_id = initial.arguments["id"]
            record = self.store.read_record(trial_id)
            if record is None or record.status is not Status.FINISHED:
                state = record.status if record else Status.MISSING
                raise CheckpointError(
                    f"trial {trial_id}, whose weights this one starts from, is {state} in "
                    f"{self.store.uri}; run the sweep that trains it to its end"
                )
            tensors, facts = self.store.require_checkpoint(trial_id, "last")
            trained_as = facts.get(TRAINED_AS)
            if trained_as is not None and experiment_id(trained_as["experiment"]) != trial_id:
                raise CheckpointError(
                    f"the checkpoint of trial {trial_id} in {self.store.uri} is of trial "
                    f"{experiment_id(trained_as['experiment'])}; delete it and run the sweep that "
                    "trains it"
                )
            return Initial(model_state(tensors), f"trial {trial_id}", trained_as)
        if initial.name == "checkpoint":
            return Initial.read(initial.arguments["file"])
        return None

    def _describe(
        self, record: TrialRecord, trainer: Trainer, earlier: TrialRecord | None
    ) -> TrialRecord:
        from models import count_macs, num_params, num_trained

        manifest = trainer.clips.manifest  # type: ignore[attr-defined]
        macs = count_macs(trainer.chain, trainer.inputs.waveforms(trainer.val_indices[:1]))
        cost = replace(
            record.cost,
            device=_device_name(trainer.device),
            num_workers=trainer.group.world_size,
            set_up_s=time.perf_counter() - self._started,
            num_params=num_params(trainer.chain),
            num_trained=num_trained(trainer.chain),
            macs=macs.layers,
        )
        data = {
            "name": manifest["name"],
            "fingerprint": manifest["fingerprint"],
            "num_classes": trainer.clips.num_classes,
            "num_train": len(trainer.train_indices),
            "num_val": len(trainer.val_indices),
            "val_counts": trainer.val_counts,
            **_chosen_on(trainer.partition),
            **{key: manifest[key] for key in ("targets", "heads") if key in manifest},
            "dropped": manifest.get("dropped", {}),
            "feature_mean": trainer.statistics[0],
            "feature_std": trainer.statistics[1],
            "initial": trainer.initial,
            **self._taught_by(earlier),
        }
        computed = {**arithmetic_facts(trainer.device), "compiled": self.runtime.compile or "no"}
        if earlier is not None and earlier.epochs:  # which a resumed trial keeps
            if not _repeats(earlier):
                computed["deterministic"] = "no"
            if not self.runtime.compile:
                computed["compiled"] = earlier.provenance.get("compiled", "no")
        computed["features"] = trainer.inputs.kept
        earlier_damage = earlier.provenance.get(DAMAGED, "").split("\n") if earlier else []
        if damage := [line for line in (*earlier_damage, *self._checkpoints.damaged) if line]:
            computed[DAMAGED] = "\n".join(damage)
        return replace(record, cost=cost, data=data, provenance={**record.provenance, **computed})

    def _taught_by(self, earlier: TrialRecord | None) -> dict[str, Any]:
        """Return what a record says of the teacher; nothing without one.

        Raises:
            CheckpointError: Earlier epochs were trained against other outputs of the teacher.
        """
        if self._teacher is None:
            return {}
        facts = dict(self._teacher.facts)
        before = earlier.data.get("teacher") if earlier is not None and earlier.epochs else None
        if before is not None and before != facts and facts["predictions"]:
            raise CheckpointError(
                f"the outputs of teacher {facts['trial']} are others than those that the first "
                f"{len(earlier.epochs if earlier else ())} epochs of trial {self.trial_id} were "
                f"trained against ({before['predictions'][:12]}...); put that file back, or delete "
                "the trial, which then begins anew"
            )
        return {"teacher": facts}

    def _progress(self, record: TrialRecord, trainer: Trainer) -> TrialRecord:
        record = self._timed(record)
        cost = replace(
            record.cost,
            clips_per_s=trainer.clips_per_s,
            peak_memory_mb=max(e.metrics["memory/peak_mb"] for e in trainer.records),
        )
        return replace(
            record, epochs=tuple(trainer.records), best_epoch=trainer.best_epoch, cost=cost
        )

    def _timed(self, record: TrialRecord) -> TrialRecord:
        seconds = self._before + time.perf_counter() - self._started
        return replace(record, cost=replace(record.cost, seconds=seconds))

    def _finish(self, record: TrialRecord, trainer: Trainer) -> TrialRecord:
        predictions = trainer.final_predictions()
        digests: dict[str, str] = {}
        if trainer.group.is_main:
            for name in get_args(Made):
                if name in predictions:
                    digests[name] = self.store.write_predictions(
                        self.trial_id, name, predictions[name]
                    )
        record = self._progress(record, trainer)
        # A resumed run predicts again, on a GPU with different last digits: the record follows the
        # stored predictions, so that a report can check one against the other.
        scores = {predictions[which].epoch: predictions[which].scores() for which in WHICH}
        epochs = tuple(
            replace(epoch, metrics={**epoch.metrics, **scores.get(epoch.epoch, {})})
            for epoch in record.epochs
        )
        record = replace(record, epochs=epochs, predictions=digests, status=Status.FINISHED)
        return self._ended(record)

    def _ended(self, record: TrialRecord) -> TrialRecord:
        return replace(record, provenance={**record.provenance, "ended_at": now()})

    def _write(self, record: TrialRecord, group: Group) -> None:
        if group.is_main:
            self.store.write_record(record)


def features_folder(pack: Pack) -> Path:
    """Return where this version of the code keeps a pack's features."""
    return pack.path / "features" / provenance()["code"]


def _chosen_on(clips: Partition) -> dict[str, Any]:
    """Return what a record says of the clips that chose the epoch; nothing without any."""
    if not len(clips.validation):
        return {}
    return {
        "num_validation": len(clips.validation),
        "chosen_on": clips.chosen_on,
        "validation_rule": clips.rule,
    }


DAMAGED = "damaged_checkpoints"
"""Checkpoints that were set aside, one a line; in a trial's provenance."""
OUT_OF_MEMORY = "out_of_memory"
"""Number of attempts of a trial that ended because memory ran out; in its provenance."""


def _memory_ran_out(record: TrialRecord | None, *, times: int = 0) -> dict[str, str]:
    before = record.provenance.get(OUT_OF_MEMORY, "0") if record else "0"
    total = int(before) + times
    return {OUT_OF_MEMORY: str(total)} if total else {}


def _started_at(earlier: TrialRecord | None) -> str:
    return earlier.provenance.get("started_at", now()) if earlier else now()


def _repeats(earlier: TrialRecord) -> bool:
    """Whether the epochs of an earlier attempt repeat to the bit."""
    on_cpu = "yes" if earlier.cost.device == "cpu" else "no"  # versions that did not record it
    return earlier.provenance.get("deterministic", on_cpu) == "yes"


def _device_name(device: Any) -> str:
    if device.type == "cuda":
        import torch

        return f"cuda {torch.cuda.get_device_name(device)}"
    return str(device.type)
