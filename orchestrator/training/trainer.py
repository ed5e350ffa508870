"""The training loop, in plain PyTorch, independent of Ray, stores and MLflow.

Order, augmentation and dropout are functions of (seed, epoch, clip or step). Nothing random is
carried from one step to the next, so a run resumed at any step computes bit-identical numbers on
one device type, and any number of workers sees the same clips.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import resource
import statistics
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.chain import Chain
from models.frontends.base import FeatureSums, feature_statistics
from models.frozen import encoder_of
from models.output import Output
from models.registry import TRAINED_AS, create
from models.seeding import derive_seed
from orchestrator.data.mixup import Mixed, Mixup
from orchestrator.data.partition import partition
from orchestrator.data.samplers import Sampler, draw_seeds, shard, shuffle_targets
from orchestrator.errors import DivergedError
from orchestrator.experiment.identity import CompletedExperiment, canonical
from orchestrator.metrics import catalog
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.predictions import Predictions
from orchestrator.records import VALIDATION_PART, EpochRecord, best_epoch, experiment_id
from orchestrator.training.activation_checkpointing import checkpoint_activations
from orchestrator.training.averaging import Averaging, renew_norms
from orchestrator.training.background import Background
from orchestrator.training.class_weights import weigh_classes
from orchestrator.training.data_parallel import Group
from orchestrator.training.distillation import build_distillation
from orchestrator.training.evaluate import (
    Evaluation,
    autocast,
    build,
    build_waveform_augmentation,
    covered_seconds,
    evaluate,
    parts_of,
    set_support,
)
from orchestrator.training.inputs import CHUNK, Clips, Inputs, open_inputs
from orchestrator.training.losses import FrameTargets, batch_targets, build_loss
from orchestrator.training.optimizers import build_schedule, clip_gradients, learning_rate
from orchestrator.training.state import (
    Checkpoints,
    Initial,
    model_state,
    pack_state,
    refuse_other,
    unpack_state,
)

LOSSES = "losses_so_far"
"""Fact of a checkpoint within an epoch: the losses of its steps so far."""
_ASK_EVERY = 10
"""Steps after which several workers agree on whether to stop, for which a GPU waits."""
EVALUATION_FACTOR = 4
"""Batch of an evaluation on a GPU over that of a step, which keeps activations and takes more."""


class Stopped(Exception):
    """Training was asked to stop, and has saved all that it needs to go on."""


_Targets = tuple[Tensor, FrameTargets | None]


@dataclass(frozen=True)
class _Batch:
    """A share of a step on the device.

    Attributes:
        weight: Weight of each clip's loss.
        inputs: Keyword arguments of the chain.
        targets: What the loss takes beside the output.
        partner: Targets of the partners and the shares of the first, where labels are mixed.
        teacher: The teacher's logits of the clips, and of the partners where labels are mixed;
            empty without a teacher.
    """

    weight: float
    inputs: Mapping[str, Tensor]
    targets: _Targets
    partner: tuple[_Targets, Tensor] | None
    teacher: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class _Draws:
    """The draws of an epoch, or some of them; partners are those of mixup.

    Attributes:
        first: (clips,) positions in the pack.
        partner: (clips,) positions in the pack.
        weight: (clips,) float32 share of the first.
        first_seeds: (clips,) int64 seeds of the draws.
        partner_seeds: (clips,) int64 seeds of the partners.
    """

    first: np.ndarray
    partner: np.ndarray
    weight: np.ndarray
    first_seeds: np.ndarray
    partner_seeds: np.ndarray

    @classmethod
    def of(cls, mixed: Mixed, train: np.ndarray, *, seed: int, epoch: int) -> _Draws:
        """Return an epoch's draws with seeds, from positions among the training clips."""
        first, partner = train[mixed.first], train[mixed.partner]
        seeds = draw_seeds(np.concatenate([first, partner]), seed=seed, epoch=epoch)
        return cls(first, partner, mixed.weight, seeds[: len(first)], seeds[len(first) :])


@dataclass(frozen=True)
class _Share:
    """One worker's clips of an equal part of a step.

    Attributes:
        rows: Positions in the epoch's draws; never empty, since every worker takes part in every
            step.
        weight: Weight of each clip's loss; 0 for a worker that no clip is left for.
    """

    rows: np.ndarray
    weight: float

    @classmethod
    def of(cls, part: np.ndarray, group: Group, num_clips: int) -> _Share:
        """Return a worker's share of a part of a step of `num_clips` clips."""
        own = shard(part, group.rank, group.world_size)
        return cls(own, 1 / num_clips) if len(own) else cls(part[:1], 0.0)


@dataclass(frozen=True)
class _Step:
    """One optimizer step.

    Attributes:
        num_clips: Clips over all workers.
        shares: This worker's share of each part.
    """

    num_clips: int
    shares: list[_Share]


class Trainer:
    """One experiment in training: built, resumed if there is a checkpoint, trained epoch by epoch.

    Attributes:
        chain: The whole model, from waveform to logits.
        records: Records of the finished epochs, those before a resume included.
        partition: Which clips train, choose the epoch and are reported.
        predictions: Predictions `last` and `best` on the test clips, if made yet.
        best_epoch: Earliest epoch that is best by the experiment's `selection_metric`, on the
            validation clips where there are any, else on the test clips; 0 before the first.
        statistics: Mean and standard deviation of the front end on the training clips.
        augment: Augmentation of training waveforms, if there is one.
        targets: What training takes for true of the pack's clips: some may be shuffled.
        covered_s: Time that frame outputs cover, for clips with events.
        initial: What was loaded from an initial checkpoint, as text; empty from scratch.
    """

    def __init__(
        self,
        experiment: CompletedExperiment,
        *,
        clips: Clips,
        checkpoints: Checkpoints,
        device: torch.device | str = "cpu",
        group: Group | None = None,
        initial: Initial | None = None,
        teacher: np.ndarray | None = None,
        features: Path | None = None,
        feature_memory: int = 0,
        activation_checkpointing: bool = False,
        stop: Callable[[], bool] = lambda: False,
    ):
        """Build everything, and resume from the `last` checkpoint if there is one.

        Args:
            experiment: Experiment to train.
            clips: The pack.
            checkpoints: Checkpoints of this trial alone.
            device: Device to train on.
            group: The data-parallel workers; a single one by default.
            initial: Weights that a fresh start loads.
            teacher: (clips, classes) float32 logits of the teacher on all clips of the pack, for an
                experiment with a distillation.
            features: Where to keep features; see `orchestrator.training.inputs.open_inputs`.
            feature_memory: Most that features may take of the device's memory, in bytes.
            activation_checkpointing: See
                `orchestrator.training.activation_checkpointing.checkpoint_activations`.
            stop: Whether to stop soon. A single worker asks before every step, several before
                every tenth step.
        """
        self.experiment = experiment
        self._stop = stop
        self._losses_so_far: list[float] = []
        self.clips = clips
        self.checkpoints = checkpoints
        self.device = torch.device(device)
        _reset_peak_memory(self.device)
        self.group = group or Group()
        self.partition = partition(clips, experiment)
        self.train_indices, self.val_indices = self.partition.train, self.partition.test
        self.targets = shuffle_targets(
            clips.targets,
            self.train_indices,
            share=experiment.shuffled_labels,
            seed=derive_seed(experiment.seed, "labels"),
        )
        self.chain = build(experiment, num_classes=clips.num_classes, heads=clips.targets.heads)
        self.records: list[EpochRecord] = []
        self.predictions: dict[str, Predictions] = {}
        self.best_epoch = 0
        self.initial = ""
        saved = self.group.from_main(lambda: checkpoints.load("last"), self.device)
        if saved is None and initial is not None:
            self.initial = initial.load(self.chain).summary()
        self.chain.to(self.device)
        opened = {"device": self.device, "folder": features, "memory_bytes": feature_memory}
        if (encoder := encoder_of(self.chain)) is not None:
            if saved is not None:
                self.chain.load_state_dict(model_state(saved[0]))
            else:
                self.inputs, sums = open_inputs(clips, encoder.chain.frontend, **opened)
                encoder.chain.set_normalization(*self._measure(sums, encoder.chain))
            encoder.identify()
        self.inputs, sums = open_inputs(clips, self.chain.frontend, **opened)
        self.sampler: Sampler = create(
            "sampler",
            experiment.sampler.name,
            self.targets.take(self.train_indices),
            **experiment.sampler.arguments,
        )
        self.mixup: Mixup = create("mixup", experiment.mixup.name, **experiment.mixup.arguments)
        self.augment = build_waveform_augmentation(
            experiment.waveform_augmentation, sample_rate=clips.sample_rate
        )
        if isinstance(self.augment, torch.nn.Module):
            self.augment.to(self.device)
        # Waveforms that are augmented or mixed have features that no file keeps.
        takes_waveforms = self.augment is not None or self.mixup.on == "waveform"
        self.train_inputs = Inputs(clips, self.device) if takes_waveforms else self.inputs
        self.shifts = tuple(round(by * clips.sample_rate) for by in experiment.test_shifts_s)
        self.test_inputs = self.inputs if self.shifts == (0,) else Inputs(clips, self.device)
        self.statistics = self._measure(sums, self.chain)
        self.chain.set_normalization(*self.statistics)
        timed = clips.targets.kind is TargetKind.EVENTS
        self.covered_s = covered_seconds(self.chain, self.inputs) if timed else 0.0
        self._saving = Background("checkpoint")
        self.loss = build_loss(
            experiment.loss,
            kind=clips.targets.kind,
            heads=tuple(clips.targets.heads.values()),
            mixes_labels=self.mixup.mixes_labels,
            moves_time=getattr(self.augment, "moves_time", False),
            class_weights=weigh_classes(
                experiment.class_weights,
                self.targets.take(self.train_indices),
                device=self.device,
            ),
        )
        self.optimizer = create(
            "optimizer",
            experiment.optimizer.name,
            list(self.chain.named_parameters()),
            **experiment.optimizer.arguments,
        )
        self.taught = build_distillation(
            experiment.distillation,
            kind=clips.targets.kind,
            heads=tuple(clips.targets.heads.values()),
        )
        assert (self.taught is None) == (teacher is None), "a distillation needs a teacher's logits"
        self.teacher = teacher
        peak = self.optimizer.param_groups[0]["lr"]
        self.steps_per_epoch = math.ceil(len(self.train_indices) / experiment.batch_size)
        self.rate = build_schedule(
            experiment.schedule,
            num_steps=self.steps_per_epoch * experiment.epochs,
            peak=peak,
            steps_per_epoch=self.steps_per_epoch,
        )
        self.averaging: Averaging = create(
            "averaging",
            experiment.averaging.name,
            experiment.epochs,
            **experiment.averaging.arguments,
        )
        if saved is not None:
            self._resume(*saved)
        if activation_checkpointing:
            checkpoint_activations(self.chain.model)
        self.parallel = self.group.wrap(self.chain, self.device)

    def epochs(self) -> Generator[EpochRecord]:
        """Train the remaining epochs, one record each.

        The state of an epoch is written while the next one trains, and is there when the iterator
        ends or is closed; a process that is killed before loses that epoch, not its checkpoint.

        Raises:
            Stopped: `stop` asked for it; the state is saved.
            DivergedError: A loss or a prediction is not finite.
            TrainingError: A loss is not one per clip, or the learning rate is invalid.
        """
        try:
            for epoch in range(len(self.records) + 1, self.experiment.epochs + 1):
                started = time.perf_counter()
                share = 1 - len(self._losses_so_far) / self.steps_per_epoch
                train_loss, rate = self._train_epoch(epoch)
                trained_s = time.perf_counter() - started
                self.averaging.after_epoch(self.chain, epoch)
                with self._averaged():
                    made = self._evaluate_parts(epoch)
                    scores: dict[str, float] = {}
                    for part, evaluation in made.items():
                        for key, value in _scored(evaluation).scores().items():
                            scores[catalog.selection_key(key) if part else key] = value
                    evaluated = pack_state(self.chain, None) if self.averaging.begun else None
                record = EpochRecord(
                    epoch=epoch,
                    metrics={
                        catalog.TRAIN_LOSS: train_loss,
                        **scores,
                        catalog.LEARNING_RATE: rate,
                        catalog.EPOCH_S: time.perf_counter() - started,
                        catalog.CLIPS_PER_S: share * len(self.train_indices) / trained_s,
                        catalog.PEAK_MEMORY_MB: _peak_memory_mb(self.device),
                    },
                )
                self.records.append(record)
                better = epoch == best_epoch(self.records, self.chosen_by)
                self._keep(made, better=better)
                # After the last epoch nobody needs the optimizer, two thirds of a checkpoint.
                resumes = epoch < self.experiment.epochs
                self._save(
                    better=better,
                    optimizer=self.optimizer if resumes else None,
                    evaluated=evaluated,
                )
                yield record
        finally:
            self._saving.wait()

    @property
    def chosen_by(self) -> str:
        """Key of the metric, and so of the clips, by which the best epoch is chosen."""
        metric = self.experiment.selection_metric
        return catalog.selection_key(metric) if len(self.partition.validation) else metric

    @property
    def val_counts(self) -> list[int]:
        """Held-out clips by class."""
        return self.clips.targets.take(self.val_indices).counts().tolist()

    @property
    def clips_per_s(self) -> float:
        """Training throughput in clips per second, median over epochs."""
        rates = [record.metrics[catalog.CLIPS_PER_S] for record in self.records]
        return statistics.median(rates) if rates else 0.0

    def final_predictions(self) -> dict[str, Predictions]:
        """Return predictions with the last and the best weights; every worker must call this.

        A resumed run predicts again, from the checkpoints, what it no longer has in memory.

        Returns:
            `last` and `best` on the test clips, and on the validation clips, if there are any, the
            same with `VALIDATION_PART` behind.
        """
        last, best = self._names("last"), self._names("best")
        if last[0] not in self.predictions:
            with self._averaged():
                self._take(last, self._evaluate_parts(len(self.records)))
        if best[0] not in self.predictions and self.best_epoch == len(self.records):
            self.predictions |= {b: self.predictions[a] for a, b in zip(last, best, strict=True)}
        if best[0] not in self.predictions:
            self._saving.wait()
            saved = self.group.from_main(lambda: self.checkpoints.load("best"), self.device)
            assert saved is not None, "a best epoch is saved before its record is"
            weights = pack_state(self.chain, None)
            self.chain.load_state_dict(model_state(saved[0]))
            self._take(best, self._evaluate_parts(self.best_epoch))
            self.chain.load_state_dict(model_state(weights))
        return self.predictions

    def _names(self, which: str) -> list[str]:
        """Return the names of an epoch's predictions, one per part of the evaluated clips."""
        return [which + part for part in self._evaluated]

    def _take(self, names: Sequence[str], made: Mapping[str, Evaluation]) -> None:
        self.predictions |= {
            name: one.whole() for name, one in zip(names, made.values(), strict=True)
        }

    def _averaged(self) -> AbstractContextManager[None]:
        """Evaluate the average of the weights, if there is one, in place of the weights."""
        return self.averaging.swapped_in(self.chain, self._renew_norms)

    def _renew_norms(self) -> None:
        """Measure the statistics of batch norms again, over the training clips."""
        parts = parts_of(self.train_indices, self.experiment.batch_size)
        own = [_Share.of(part, self.group, len(part)) for part in parts]

        def run() -> None:
            with contextlib.closing(self.inputs.batches([share.rows for share in own])) as inputs:
                for share, batch in zip(own, inputs, strict=True):
                    self.group.has_clips = share.weight > 0
                    with autocast(self.device, self.experiment.precision):
                        self.chain(**batch)

        renew_norms(self.chain, run)

    @property
    def _evaluated(self) -> dict[str, np.ndarray]:
        """Part of the evaluated clips -> positions; that of the test clips, the first, is empty."""
        parts = {"": self.val_indices, VALIDATION_PART: self.partition.validation}
        return {part: indices for part, indices in parts.items() if not part or len(indices)}

    def _keep(self, made: Mapping[str, Evaluation], *, better: bool) -> None:
        """Keep the predictions of the last and the best epoch, which alone are stored.

        Predictions over time stay where they are after all other epochs: to gather them takes as
        long as to send rows times classes numbers per clip.
        """
        last = self._names("last")
        for name in last:
            self.predictions.pop(name, None)
        if better or len(self.records) == self.experiment.epochs:
            self._take(last, made)
        if better:
            self.best_epoch = len(self.records)
            for one, other in zip(last, self._names("best"), strict=True):
                self.predictions[other] = self.predictions[one]

    def _evaluate_parts(self, epoch: int) -> dict[str, Evaluation]:
        return {part: self._evaluate(epoch, indices) for part, indices in self._evaluated.items()}

    def _evaluate(self, epoch: int, indices: np.ndarray) -> Evaluation:
        # Noise in evaluation draws from here: the same whenever an epoch is predicted.
        _seed_generators(self.device, derive_seed(self.experiment.seed, f"evaluate/{epoch}"))
        set_support(
            self.chain,
            self.inputs,
            self.train_indices,
            self.targets.take(self.train_indices),
            batch_size=self.experiment.batch_size,
            precision=self.experiment.precision,
        )
        made = evaluate(
            self.chain,
            self.test_inputs,
            indices,
            batch_size=self.experiment.batch_size
            * (EVALUATION_FACTOR if self.device.type == "cuda" else 1),
            epoch=epoch,
            precision=self.experiment.precision,
            group=self.group,
            covered_s=self.covered_s,
            shifts=self.shifts,
        )
        if not np.isfinite(made.predictions.logits).all():
            raise DivergedError(
                f"the predictions after epoch {epoch} are not finite; lower the learning rate or "
                "use fp32"
            )
        return made

    def _train_epoch(self, epoch: int) -> tuple[float, float]:
        """Train one epoch; return the mean loss and the last learning rate.

        Nothing in here waits for the device: the losses are looked at once, at the end.
        """
        self.parallel.train()
        seed = self.experiment.seed
        steps = self._steps()
        losses = torch.zeros(len(steps), dtype=torch.float64, device=self.device)
        before, self._losses_so_far = self._losses_so_far, []
        if self.group.is_main:  # they are of all workers
            losses[: len(before)] = torch.tensor(before, dtype=torch.float64)
        rate = 0.0
        shares = [share for step in steps[len(before) :] for share in step.shares]
        with contextlib.closing(self._batches(shares, epoch)) as batches:
            for number, step in enumerate(steps[len(before) :], start=len(before)):
                if self._is_to_stop(number):
                    self._save_within(self.group.total(losses[:number]).tolist())
                    raise Stopped
                total = (epoch - 1) * self.steps_per_epoch + number
                rate = learning_rate(self.rate, total, name=self.experiment.schedule.name)
                for parameters in self.optimizer.param_groups:
                    parameters["lr"] = rate
                # Dropout and drop path draw from here; every step has its own stream.
                own = derive_seed(seed, f"{epoch}/{number}/{self.group.rank}")
                _seed_generators(self.device, own)
                try:
                    losses[number] = self._step(itertools.islice(batches, len(step.shares)), step)
                except RuntimeError:
                    # The first cause, if it is one; the other workers are not here to add theirs.
                    self._mean_loss(losses[:number], steps, epoch)
                    raise
        return self._mean_loss(self.group.total(losses), steps, epoch), rate

    def _is_to_stop(self, step: int) -> bool:
        """Whether to stop before a step; several workers stop together once any is asked to."""
        if self.group.world_size == 1:
            return self._stop()
        if step % _ASK_EVERY:
            return False
        return bool(self.group.total(torch.tensor(float(self._stop()), device=self.device)) > 0)

    def _save_within(self, losses: list[float]) -> None:
        """Save the state within an epoch, of which these are the losses so far.

        Nothing is saved where the state is that of the last checkpoint.
        """
        if losses:
            self._save(better=False, optimizer=self.optimizer, losses=losses)

    def _steps(self) -> list[_Step]:
        """Return this worker's share of every step of an epoch."""
        steps = []
        for rows in parts_of(np.arange(len(self.train_indices)), self.experiment.batch_size):
            # Parts first, then shares: what is normalized together does not depend on the workers.
            parts = np.array_split(rows, min(self.experiment.accumulation_steps, len(rows)))
            steps.append(
                _Step(len(rows), [_Share.of(part, self.group, len(rows)) for part in parts])
            )
        return steps

    def _draws(self, epoch: int) -> _Draws:
        """Return the draws of an epoch, the same on every worker."""
        seed, num_clips = self.experiment.seed, len(self.train_indices)
        mixed = self.mixup(
            self.sampler(self.mixup.draws_per_clip * num_clips, seed=seed, epoch=epoch),
            num_clips=num_clips,
            batch_size=self.experiment.batch_size,
            seed=seed,
            epoch=epoch,
        )
        return _Draws.of(mixed, self.train_indices, seed=seed, epoch=epoch)

    def _batches(self, shares: Sequence[_Share], epoch: int) -> Generator[_Batch]:
        """Yield an epoch's shares on the device."""
        draws = self._draws(epoch)
        parts = [draws.first[share.rows] for share in shares]
        seeds = [draws.first_seeds[share.rows] for share in shares]
        partners: Iterator[tuple[_Targets, Tensor] | None] = itertools.repeat(None)
        mixes: Iterator[dict[str, Tensor]] = itertools.repeat({})
        taken = parts
        taught: Iterable[tuple[np.ndarray, ...]] = ((part,) for part in parts)
        if self.mixup.on:
            second = [draws.partner[share.rows] for share in shares]
            taken = [np.concatenate(both) for both in zip(parts, second, strict=True)]
            of_second = [draws.partner_seeds[share.rows] for share in shares]
            seeds = [np.concatenate(both) for both in zip(seeds, of_second, strict=True)]
            rows = np.concatenate([share.rows for share in shares])
            weights = torch.from_numpy(draws.weight[rows]).to(self.device)
            split = weights.split([len(share.rows) for share in shares])
            name = "mix_waveforms" if self.mixup.on == "waveform" else "mix_features"
            mixes = ({name: weight} for weight in split)
            if self.mixup.mixes_labels:
                partners = zip(self._targets_of(second), split, strict=True)
                taught = zip(parts, second, strict=True)
        sizes = [len(part) for part in taken]
        all_seeds = torch.from_numpy(np.concatenate(seeds)).to(self.device).split(sizes)
        with contextlib.closing(self.train_inputs.batches(taken)) as inputs:
            for share, given, own, mix, targets, partner, of_teacher in zip(
                shares,
                self._augmented(inputs, taken, all_seeds),
                all_seeds,
                mixes,
                self._targets_of(parts),
                partners,
                taught,
                strict=False,  # repeats have no end
            ):
                teacher = tuple(map(self._teacher_logits, of_teacher if self.taught else ()))
                chain_inputs = {**given, "clip_seeds": own, **mix}
                yield _Batch(share.weight, chain_inputs, targets, partner, teacher)

    def _teacher_logits(self, part: np.ndarray) -> Tensor:
        assert self.teacher is not None
        logits = torch.from_numpy(self.teacher[part])
        # Pinned memory is copied while the device works.
        return (logits.pin_memory() if self.device.type == "cuda" else logits).to(
            self.device, non_blocking=True
        )

    def _augmented(
        self,
        inputs: Iterator[dict[str, Tensor]],
        parts: Sequence[np.ndarray],
        seeds: Sequence[Tensor],
    ) -> Iterator[dict[str, Tensor]]:
        """Yield inputs with their waveforms augmented, if the experiment augments waveforms.

        Args:
            inputs: Inputs of the parts.
            parts: Positions in the pack.
            seeds: Seeds of their draws, on the device.
        """
        if self.augment is None:
            yield from inputs
            return
        lengths = torch.from_numpy(self.clips.num_samples[np.concatenate(parts)]).to(self.device)
        of_parts = lengths.split([len(part) for part in parts])
        for given, own, num_samples in zip(inputs, seeds, of_parts, strict=True):
            waveform = self.augment(given["waveform"], clip_seeds=own, num_samples=num_samples)
            yield {"waveform": waveform}

    def _targets_of(self, parts: Sequence[np.ndarray]) -> Iterator[_Targets]:
        return batch_targets(self.targets, parts, device=self.device, covered_s=self.covered_s)

    def _mean_loss(self, losses: Tensor, steps: Sequence[_Step], epoch: int) -> float:
        """Return the mean loss per clip.

        Args:
            losses: (steps,) of all workers, or of this one.
            steps: This worker's share of the steps.
            epoch: For the message.

        Raises:
            DivergedError: A step's loss is not finite.
        """
        total = 0.0
        for number, loss in enumerate(losses.tolist()):
            if not math.isfinite(loss):
                raise DivergedError(
                    f"the loss is {loss} at epoch {epoch}, step {number + 1} of {len(steps)}; "
                    "lower the learning rate or use fp32"
                )
            total += loss * steps[number].num_clips
        return total / len(self.train_indices)

    def _step(self, batches: Iterator[_Batch], step: _Step) -> Tensor:
        """Take one optimizer step; return this worker's share of the mean loss."""
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for number, batch in enumerate(batches, start=1):
            last = number == len(step.shares)
            with contextlib.nullcontext() if last else self.group.without_sync(self.parallel):
                total += self._backward(batch)
        if self.experiment.clip_norm > 0:
            clip_gradients(self.chain.parameters(), self.experiment.clip_norm)
        self.optimizer.step()
        self.averaging.after_step(self.chain)
        return total

    def _backward(self, batch: _Batch) -> Tensor:
        """Add the gradients of this worker's share of a part; return its share of the loss."""
        self.group.has_clips = batch.weight > 0
        with autocast(self.device, self.experiment.precision):
            output = self.parallel(**batch.inputs)
            losses = self._losses(output, batch.targets, *batch.teacher[:1])
            if batch.partner is not None:
                of_partner, share = batch.partner
                others = self._losses(output, of_partner, *batch.teacher[1:])
                losses = share * losses + (1 - share) * others
            loss = losses.sum() * batch.weight
        # Data parallelism averages gradients, but their sum over the workers is needed.
        (loss * self.group.world_size).backward()
        return loss.detach()

    def _losses(self, output: Output, targets: _Targets, teacher: Tensor | None = None) -> Tensor:
        losses = self.loss(output, *targets)
        if self.taught is None:
            return losses
        assert teacher is not None
        return self.taught(losses, output.clip_logits, teacher)

    def _measure(self, sums: FeatureSums | None, chain: Chain) -> tuple[float, float]:
        if sums is not None:
            return sums.statistics(self.train_indices)
        parts = parts_of(self.train_indices, CHUNK)
        return feature_statistics(chain.frontend, map(self.inputs.waveforms, parts))

    def _save(
        self,
        *,
        better: bool,
        optimizer: torch.optim.Optimizer | None,
        evaluated: Mapping[str, Tensor] | None = None,
        losses: Sequence[float] = (),
    ) -> None:
        """Copy the state, and write it while the next epoch trains.

        Args:
            better: Whether the epoch is the best so far.
            optimizer: The optimizer of a training that goes on; after the last epoch None, and the
                weights that were evaluated are all that is kept.
            evaluated: The weights that were evaluated, if they are not the chain's.
            losses: Losses of the steps since the last whole epoch.
        """
        if not self.group.is_main:
            return
        facts = {
            "epochs": [{"epoch": r.epoch, "metrics": dict(r.metrics)} for r in self.records],
            "best_epoch": self.best_epoch,
            "statistics": list(self.statistics),
            "initial": self.initial,
            TRAINED_AS: self._trained_as(),
            **({LOSSES: list(losses)} if losses else {}),
        }
        tensors = pack_state(self.chain, optimizer, self.averaging if optimizer else None)

        weights = evaluated or model_state(tensors)

        def write() -> None:
            if better:
                self.checkpoints.save("best", weights, facts)
            self.checkpoints.save("last", tensors if optimizer else weights, facts)

        self._saving.submit(write)

    def _trained_as(self) -> dict[str, Any]:
        """Return what a checkpoint records about itself; see `models.checkpoints.load`."""
        mean, std = self.statistics
        frontend: Any = self.chain.frontend
        form = canonical(self.experiment)
        return {
            "trial": experiment_id(form),
            "experiment": form,
            "num_classes": self.clips.num_classes,
            "class_names": list(self.clips.class_names),
            **({"heads": dict(heads)} if (heads := self.clips.targets.heads) else {}),
            "input_size": list(frontend.output_size),
            "seconds": float(self.clips.num_samples.max()) / self.clips.sample_rate,
            "mean": mean,
            "std": std,
        }

    def _resume(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        trained_as = facts.get(TRAINED_AS)  # absent in earlier versions
        if trained_as is not None:
            refuse_other(
                trained_as["experiment"], canonical(self.experiment), where="in the experiment"
            )
        unpack_state(tensors, self.chain, self.optimizer, self.averaging, device=self.device)
        self.records = [EpochRecord(**record) for record in facts["epochs"]]
        self._losses_so_far = facts.get(LOSSES, [])
        self.best_epoch = facts["best_epoch"]
        self.initial = facts["initial"]
        mean, std = facts["statistics"]
        self.statistics = (mean, std)


def _scored(made: Evaluation) -> Predictions:
    """Return what the metrics of an epoch are computed from, with frames where one needs them."""
    metrics = (metric for metric in catalog.METRICS.values() if metric.compute is not None)
    by_frame = any(metric.by_frame and not metric.at_report for metric in metrics)
    return made.whole() if by_frame else made.predictions


def _reset_peak_memory(device: torch.device) -> None:
    """Reset the peak, as far as the system allows."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with contextlib.suppress(OSError):  # Linux only: 5 resets the high-water mark
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory_mb(device: torch.device) -> float:
    """Return the peak memory in MB: of the device on CUDA, of this process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    with contextlib.suppress(OSError):
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if peak:
            return int(peak[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _seed_generators(device: torch.device, seed: int) -> None:
    """Seed what a trial on a device draws from.

    As `torch.manual_seed`, which on a CPU formats a traceback for every kind of device that is not
    there: 3 % of a small step.
    """
    seed_all = torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed
    seed_all(seed)
