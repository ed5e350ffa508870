"""Measure the facts of an experiment: its clips, its features, and its first epoch as it trains.

What a part does is measured on the part and not read from its settings, so that a fault in a data
set, a front end or a model of one's own is seen as well as a wrong setting.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from models.macs import num_params
from orchestrator.data import Pack
from orchestrator.data.against import Copy
from orchestrator.data.mixup import Mixup
from orchestrator.data.partition import partition
from orchestrator.data.samplers import Sampler
from orchestrator.doctor.facts import Value
from orchestrator.errors import DataError
from orchestrator.experiment.identity import CompletedExperiment
from orchestrator.metrics.targets import Targets
from orchestrator.training.arithmetic import arithmetic
from orchestrator.training.optimizers import Schedule
from orchestrator.training.state import NoCheckpoints
from orchestrator.training.trainer import Trainer

SINGLE_CLIPS = 100
"""Clips that are compared one by one: those whose names have the lowest hashes, on any host."""
EPOCHS_DRAWN = 5
"""Epochs of draws that the shares of a sampler and of mixup are counted over."""
PLACES = 9
"""Places of the first epoch at which the learning rate is looked at."""
REPEATED = 8
"""Held-out clips that are evaluated together and one by one."""
METRICS = ("val/loss", "val/top1", "val/map")


def observe(
    experiment: CompletedExperiment,
    pack: Pack,
    *,
    device: str = "cpu",
    features: Path | None = None,
    trains: bool = True,
) -> dict[str, Value]:
    """Return the facts of an experiment, by key.

    Args:
        experiment: Experiment on the pack.
        pack: Its clips.
        device: Device to train on.
        features: Where to keep features; see `orchestrator.training.inputs.open_inputs`.
        trains: Whether to train the first epoch; otherwise only what is known before.
    """
    with arithmetic(experiment.precision, deterministic=device.startswith("cuda")):
        found = data_facts(pack, experiment)
        trainer = Trainer(
            experiment,
            clips=pack,
            checkpoints=NoCheckpoints(),
            device=device,
            features=features,
        )
        found |= _feature_facts(trainer)
        found["model.parameters"] = num_params(trainer.chain)
        found |= setup_facts(
            trainer.sampler,
            trainer.mixup,
            trainer.rate,
            targets=trainer.targets.take(trainer.train_indices),
            class_names=pack.class_names,
            experiment=experiment,
            steps=trainer.steps_per_epoch,
        )
        if trains:
            found |= _epoch_facts(trainer)
            found |= _evaluation_facts(trainer)
    return found


def data_facts(pack: Pack, experiment: CompletedExperiment) -> dict[str, Value]:
    """Return what the clips of an experiment are."""
    parts = partition(pack, experiment)
    used = np.concatenate([parts.train, parts.validation, parts.test])
    of_train = pack.targets.take(parts.train).counts().tolist()
    seconds = pack.num_samples[used] / pack.sample_rate
    found: dict[str, Value] = {
        "data.sample_rate": pack.sample_rate,
        "data.classes": list(pack.class_names),
        "data.num_classes": pack.num_classes,
        "data.class_order": list(pack.class_names),
        "data.clips": {
            "train": len(parts.train),
            **({"validation": len(parts.validation)} if len(parts.validation) else {}),
            "test": len(parts.test),
        },
        "data.clips_by_class": dict(zip(pack.class_names, of_train, strict=True)),
        "data.seconds": float(np.median(seconds)),
    }
    places = {name: n for n, name in enumerate(pack.clip_ids)}
    some = sorted(places, key=lambda name: hashlib.sha256(name.encode()).digest())[:SINGLE_CLIPS]
    found["data.labels"] = {name: _labels_of(pack, places[name]) for name in some}
    try:
        measures = Copy.read(pack.path).measures
    except DataError:  # a pack of an earlier version, which measured no clips
        return found
    rates = Counter(str(measures[name]["rate_hz"]) for name in places)
    found["data.file_rates"] = sorted(rates)
    found["data.levels"] = {name: measures[name]["rms_dbfs"] for name in some}
    return found


def setup_facts(
    sampler: Sampler,
    mixup: Mixup,
    rate: Schedule,
    *,
    targets: Targets,
    class_names: Sequence[str],
    experiment: CompletedExperiment,
    steps: int,
) -> dict[str, Value]:
    """Return what sampler, mixup and schedule do with training clips in the first epoch.

    Args:
        sampler: Sampler of the training clips.
        mixup: Mixup.
        rate: Step -> learning rate.
        targets: Targets of the training clips.
        class_names: Name of each class.
        experiment: Experiment with batch size, epochs and seed.
        steps: Optimizer steps of an epoch.
    """
    num_clips = len(targets)
    epochs = range(1, EPOCHS_DRAWN + 1)
    draws = [sampler(num_clips, seed=experiment.seed, epoch=epoch) for epoch in epochs]
    counts = targets.take(np.concatenate(draws)).counts()
    shares = counts / max(1, counts.sum())
    mixes = [
        mixup(
            sampler(mixup.draws_per_clip * num_clips, seed=experiment.seed, epoch=epoch),
            num_clips=num_clips,
            batch_size=experiment.batch_size,
            seed=experiment.seed,
            epoch=epoch,
        )
        for epoch in epochs
    ]
    first, partner, weight = (np.concatenate(parts) for parts in zip(*mixes, strict=True))
    is_mixed = (weight < 1) & (first != partner) & bool(mixup.on)
    found: dict[str, Value] = {
        "draws.count": int(counts.sum()),
        "draws.distinct": float(np.mean([len(np.unique(one)) / num_clips for one in draws])),
        "draws.by_class": dict(zip(class_names, shares.tolist(), strict=True)),
        "mixup.on": mixup.on or "nothing",
        "mixup.share": float(is_mixed.mean()),
        "step.clips": min(experiment.batch_size, num_clips),
        "epochs": experiment.epochs,
        "step.rates": _at_places([rate(step) for step in range(steps)]),
    }
    if is_mixed.any():
        larger = np.maximum(weight, 1 - weight)[is_mixed]
        found |= {"mixup.weight": float(larger.mean()), "mixup.labels": mixup.labels}
    return found


def _labels_of(pack: Pack, index: int) -> list[str]:
    classes = pack.targets.take(np.array([index])).classes
    return sorted({pack.class_names[place] for place in classes.tolist()})


def _at_places(rates: Sequence[float]) -> list[float]:
    """Return the rates at evenly spaced places of an epoch, whatever its number of steps."""
    last = len(rates) - 1
    return [float(rates[round(last * place / (PLACES - 1))]) for place in range(PLACES)]


def _feature_facts(trainer: Trainer) -> dict[str, Value]:
    mean, std = trainer.statistics
    with torch.no_grad():
        waveform = trainer.inputs.waveforms(trainer.val_indices[:1])
        shape = list(trainer.chain.frontend(waveform).shape[1:])
    return {"features.shape": shape, "features.mean": float(mean), "features.std": float(std)}


class _Watch:
    """What happens at the model's input and at the optimizer while an epoch is trained.

    Attributes:
        rates: Learning rate of each step.
        clips: Clips of each step.
        in_training: Names of modules that were in training mode while clips were evaluated.
    """

    def __init__(self, trainer: Trainer):
        self.rates: list[float] = []
        self.clips: list[int] = []
        self.in_training: set[str] = set()
        self._chain = trainer.chain
        self._pending = 0
        self._count, self._sum, self._squares = 0, 0.0, 0.0
        self._handles = [
            trainer.chain.model.register_forward_pre_hook(self._input),
            trainer.optimizer.register_step_post_hook(self._step),
        ]

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()

    @property
    def statistics(self) -> tuple[float, float]:
        """Mean and deviation of all that the model was trained on."""
        mean = self._sum / self._count
        return mean, math.sqrt(max(0.0, self._squares / self._count - mean**2))

    def _input(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if not torch.is_grad_enabled():
            self.in_training |= {name for name, one in self._chain.named_modules() if one.training}
            return
        features = inputs[0].detach().double()
        self._pending += len(features)
        self._count += features.numel()
        self._sum += float(features.sum())
        self._squares += float(features.square().sum())

    def _step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        self.rates.append(float(optimizer.param_groups[0]["lr"]))
        self.clips.append(self._pending)
        self._pending = 0


def _epoch_facts(trainer: Trainer) -> dict[str, Value]:
    """Train the first epoch and return what was seen of it."""
    with closing(_Watch(trainer)) as watch, closing(trainer.epochs()) as epochs:
        record = next(cast("Iterator[Any]", epochs))
    mean, std = watch.statistics
    # A step looks at its module's own names; the chain itself is named "".
    inner = sorted(name or "chain" for name in watch.in_training)
    return {
        "step.clips": watch.clips[0],
        "step.rates": _at_places(watch.rates),
        "input.mean": mean,
        "input.std": std,
        "eval.in_training": inner,
        "train/loss": record.metrics["train/loss"],
        **{key: record.metrics[key] for key in METRICS if key in record.metrics},
    }


@torch.no_grad()
def _evaluation_facts(trainer: Trainer) -> dict[str, Value]:
    """Evaluate a few clips together and one by one, over the size of their logits."""
    trainer.chain.eval()
    indices = trainer.val_indices[:REPEATED]
    together = trainer.chain(**trainer.test_inputs.batch(indices)).clip_logits.float()
    alone = [
        trainer.chain(**trainer.test_inputs.batch(indices[n : n + 1])).clip_logits.float()
        for n in range(len(indices))
    ]
    change = (together - torch.cat(alone)).abs().max() / together.abs().max().clamp(min=1.0)
    return {"eval.change": float(change)}
