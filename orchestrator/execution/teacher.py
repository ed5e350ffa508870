"""The outputs of a teacher on the clips of a pack, computed once and kept with the teacher's trial.

Every student, and every attempt at it, reads the same bits, wherever the first of them computed
them. A teacher that has heard a student's evaluated clips is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from orchestrator.data.partition import partition
from orchestrator.errors import CheckpointError, ConfigError, TrainingError
from orchestrator.experiment.identity import CompletedExperiment, complete
from orchestrator.experiment.overrides import from_canonical
from orchestrator.predict.loading import load_model
from orchestrator.records import Status
from orchestrator.store import Superseded
from orchestrator.terminal.waiting import to_terminal
from orchestrator.training.arithmetic import arithmetic
from orchestrator.training.data_parallel import Group
from orchestrator.training.evaluate import evaluate
from orchestrator.training.inputs import Inputs

if TYPE_CHECKING:
    from orchestrator.data import Pack
    from orchestrator.store import Store


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A teacher's outputs.

    Attributes:
        logits: (clips, classes) float32 on all clips of the pack.
        facts: What a student's record says of its teacher.
    """

    logits: np.ndarray
    facts: Mapping[str, Any]


def teacher_of(
    student: CompletedExperiment,
    *,
    clips: Pack,
    store: Store,
    group: Group,
    device: str,
    deterministic: bool,
) -> Teacher | None:
    """Return the outputs of a student's teacher, or None without one; every worker must call this.

    Args:
        student: Experiment with a distillation.
        clips: Its pack.
        store: Store that holds the teacher.
        group: The student's workers, which share the clips.
        device: Device to compute on what is not kept yet.
        deterministic: Whether to compute in a form that repeats to the bit.

    Raises:
        ConfigError: The teacher is no trial, was trained on another pack, or heard clips on which
            the student is evaluated.
        CheckpointError: The teacher is not finished, its kept outputs are damaged, or they are to
            be computed and its checkpoint is missing or damaged.
    """
    trial_id = student.distillation.arguments.get("teacher")
    if trial_id is None:
        return None
    taught = _experiment(trial_id, store)
    which = _weights_of(trial_id, taught)
    _refuse_leaks(student, trial_id, clips=clips, store=store)
    place = torch.device(device)
    with contextlib.ExitStack() as stack:
        kept = store.read_pack_predictions(trial_id, which) if group.is_main else None
        lease = 0
        if group.is_main and kept is None:  # another student may be computing it
            lease = stack.enter_context(
                store.lock(
                    trial_id,
                    owner=f"a student of trial {trial_id}",
                    on_wait=lambda holder: to_terminal(
                        f"waiting for the outputs of teacher {trial_id}, held by {holder}"
                    ),
                )
            )
            kept = store.read_pack_predictions(trial_id, which)
        state = None
        if kept is not None:
            state = {"logits": torch.from_numpy(np.array(kept[0].logits))}, {"digest": kept[1]}
        state = group.from_main(lambda: state, place)
        if state is not None:
            logits, digest = state[0]["logits"].numpy(), state[1]["digest"]
        else:
            if group.is_main:
                store.require_checkpoint(trial_id, which, lease=lease)
            with arithmetic(taught.precision, deterministic=deterministic):
                chain = load_model(store, trial_id, which=which).to(place)
                made = evaluate(
                    chain,
                    Inputs(clips, place),
                    np.arange(len(clips.clip_ids)),
                    batch_size=taught.batch_size,
                    epoch=0,
                    precision=taught.precision,
                    group=group,
                ).predictions
            logits, digest = made.logits, ""
            if not np.isfinite(logits).all():
                raise TrainingError(f"the outputs of teacher {trial_id} are not finite")
            if group.is_main:
                try:
                    attempt = store.attempt(trial_id, lease=lease)
                    digest = attempt.write_pack_predictions(trial_id, which, made)
                except Superseded as error:  # of the teacher's trial, not of the student's
                    raise CheckpointError(
                        f"teacher {trial_id} was trained again while its outputs were computed; "
                        "run the same command again"
                    ) from error
    return Teacher(
        logits=logits, facts={"trial": trial_id, "weights": which, "predictions": digest}
    )


def _experiment(trial_id: str, store: Store) -> CompletedExperiment:
    record = store.read_record(trial_id)
    if record is None or record.status is not Status.FINISHED:
        state = record.status if record else Status.MISSING
        raise CheckpointError(
            f"trial {trial_id}, the teacher, is {state} in {store.uri}; run the sweep that trains "
            "it to its end, then this one again"
        )
    return complete(from_canonical(record.experiment))


def _weights_of(trial_id: str, teacher: CompletedExperiment) -> Literal["last", "best"]:
    """Return which of a trial's weights teach: those that a report reads."""
    if teacher.selection == "best_on_test":
        raise ConfigError(
            f"trial {trial_id}, the teacher, is read at the epoch that is best on the clips it "
            "reports, and what it teaches would tell of them; give it selection='last' or "
            "'best_on_validation'"
        )
    return "last" if teacher.selection == "last" else "best"


def _refuse_leaks(
    student: CompletedExperiment, trial_id: str, *, clips: Pack, store: Store
) -> None:
    """Raise a `ConfigError` if what a student learns from was trained on its evaluated clips."""
    own = partition(clips, student)
    for other_id, other in _learned_from(trial_id, store):
        packs = [one.dataset.arguments.get("fingerprint") for one in (student, other)]
        if packs[0] != packs[1]:
            if other_id != trial_id:
                continue  # weights of other data
            raise ConfigError(
                f"trial {trial_id}, the teacher, was trained on the pack {packs[1]}, and the "
                f"student's is {packs[0]}; a teacher's logits are of the same classes and clips"
            )
        its = partition(clips, other)
        # Validation clips of both, which choose the epochs of both, are no leak.
        heard = np.union1d(
            np.intersect1d(its.train, np.union1d(own.test, own.validation)),
            np.intersect1d(its.validation, own.test),
        )
        if len(heard):
            what = "" if other_id == trial_id else f", from which teacher {trial_id} learned,"
            raise ConfigError(
                f"trial {other_id} (fold {other.fold}, seed {other.seed}){what} was trained or "
                f"chosen on {len(heard)} of the clips on which this trial (fold {student.fold}, "
                f"seed {student.seed}) is evaluated, such as "
                f"{clips.clip_ids[heard[0]]}, and would teach their labels; take a teacher of the "
                "same fold and selection: teacher='arm:NAME' takes that of the same fold and seed"
            )


def _learned_from(trial_id: str, store: Store) -> Iterator[tuple[str, CompletedExperiment]]:
    """Yield a teacher, its own teacher or the trial it starts from, and so on."""
    experiment = _experiment(trial_id, store)
    yield trial_id, experiment
    for before in (
        experiment.distillation.arguments.get("teacher"),
        experiment.initial.arguments.get("id"),
    ):
        if before is not None and store.read_record(before) is not None:
            yield from _learned_from(before, store)
