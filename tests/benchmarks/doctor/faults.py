"""Faults to plant into a healthy experiment, each by a part or a setting that a user may have.

The data sets are made-up sounds and ESC-10 (five clips of each class and fold), as recordings of
two channels: the second is an echo of the first, half as loud.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from torch import Tensor

from models.frontends.log_mel import LogMel
from models.panns.model import PannsCnn
from orchestrator import recipes
from orchestrator.data.esc import esc
from orchestrator.data.source import Clip, Decoded, Source, digest
from orchestrator.data.synthetic import synthetic
from orchestrator.experiment.config import Component, Experiment

HERE = __name__
ECHO_S, PER_CLASS_AND_FOLD = 0.003, 5


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A planted fault.

    Attributes:
        name: Its name.
        first: Fact that departs first because of it; any of several where they are one cause.
        changes: Path -> value that plants it.
    """

    name: str
    first: tuple[str, ...]
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])


def stereo(
    root: str | None = None,
    *,
    base: str = "synthetic",
    fault: str = "",
    clips_per_class: int = 25,
    seconds: float = 2.0,
    sample_rate: int = 16000,
    fingerprint: str = "",
) -> Source:
    """Describe recordings of two channels, faultless or with a fault of the data."""
    if base == "esc":
        source = esc(root, sample_rate=sample_rate)
        ordered = sorted(source.clips, key=lambda clip: (clip.label, clip.fold, clip.clip_id))
        groups = groupby(ordered, key=lambda clip: (clip.label, clip.fold))
        clips = tuple(one for _, of in groups for one in [*of][:PER_CLASS_AND_FOLD])
    else:
        source = synthetic(clips_per_class=clips_per_class, seconds=seconds, sample_rate=16000)
        clips = source.clips
    names, seconds = source.class_names, source.seconds
    if fault == "label order":
        last = len(names) - 1
        names = tuple(reversed(names))
        clips = tuple(dataclasses.replace(clip, label=last - clip.classes[0]) for clip in clips)
    if fault == "labels moved":
        labels = [clip.label for clip in clips]
        moved = [*labels[1:], labels[0]]
        clips = tuple(
            dataclasses.replace(clip, label=label) for clip, label in zip(clips, moved, strict=True)
        )
    if fault == "missing class":
        names = names[:-1]
        clips = tuple(clip for clip in clips if clip.classes[0] < len(names))
    if fault == "clip length":
        seconds /= 2
    if fault == "rate":
        seconds *= 2

    def read(clip: Clip) -> Decoded:
        decoded = source.read(clip)
        left, rate_hz = decoded.samples, decoded.rate_hz
        echo = 0.5 * np.roll(left, round(ECHO_S * rate_hz))
        samples = left if fault == "channel" else ((left + echo) / 2).astype(np.float32)
        if fault == "clip length":
            samples = samples[: len(samples) // 2]
        # A header with half of the rate: everything is an octave lower and twice as long.
        return Decoded(samples, rate_hz // 2 if fault == "rate" else rate_hz, 2)

    return dataclasses.replace(
        source,
        name="stereo",
        sample_rate=sample_rate,
        class_names=names,
        clips=clips,
        read=read,
        seconds=seconds,
        fingerprint="",
        signature=digest([source.signature, base, fault, sample_rate, len(clips)]),
    )


class Log10Mel(LogMel):
    """Logarithms to the base of 10 where the log's are natural ones, in dB, or the reverse."""

    def forward(self, waveform: Tensor) -> Tensor:
        """Return the features over ln(10)."""
        return super().forward(waveform) / math.log(10)


class StuckCnn(PannsCnn):
    """A model that stays in training mode, whatever it is told."""

    def train(self, mode: bool = True) -> StuckCnn:
        """Ignore the mode."""
        return super().train(True)


_MODEL = {"dims": (8, 16, 32, 64), "kernel_size": 5, "num_convs": 1}
_FRONTEND = {
    "sample_rate": 16000,
    "n_fft": 512,
    "win_length": 512,
    "hop_length": 400,
    "n_mels": 32,
    "f_max": 8000.0,
}


def healthy(base: str = "synthetic", **data: Any) -> Experiment:
    """Return the experiment without a fault, ten epochs of a small CNN."""
    return dataclasses.replace(
        recipes.datar_laptop(),
        dataset=Component(f"{HERE}:stereo", base=base, **data),
        frontend=Component("log_mel", **_FRONTEND),
        augmentation=Component("spec_augment", freq_mask=4, time_mask=8),
        model=Component(f"{HERE}:PannsCnn", **_MODEL),
        optimizer=Component("adam_w", learning_rate=1e-3, weight_decay=0.05),
        schedule=Component("cosine", warmup_fraction=0.05),
        epochs=10,
        batch_size=16,
    )


FAULTS = (
    Fault(
        name="feature mean",
        first=("features.mean",),
        changes={"frontend": Component(f"{HERE}:Log10Mel", **_FRONTEND)},
    ),
    Fault(name="rate", first=("data.file_rates",), changes={"dataset.fault": "rate"}),
    Fault(name="channel", first=("data.levels",), changes={"dataset.fault": "channel"}),
    Fault(
        name="label order", first=("data.class_order",), changes={"dataset.fault": "label order"}
    ),
    Fault(
        name="missing class", first=("data.classes",), changes={"dataset.fault": "missing class"}
    ),
    Fault(name="sampler", first=("draws.distinct",), changes={"sampler": Component("weighted")}),
    Fault(
        name="evaluation in training mode",
        first=("eval.in_training",),
        changes={"model": Component(f"{HERE}:StuckCnn", **_MODEL)},
    ),
    Fault(
        name="learning rate x 10",
        first=("step.rates",),
        changes={"optimizer.learning_rate": 1e-2},
    ),
    Fault(name="batch size", first=("step.clips",), changes={"batch_size": 32}),
    Fault(name="epochs", first=("epochs",), changes={"epochs": 30}),
    Fault(
        name="mixup",
        first=("mixup.on",),
        changes={"mixup": Component("pairs", alpha=1.0)},
    ),
    Fault(name="clip length", first=("data.seconds",), changes={"dataset.fault": "clip length"}),
)
"""The twelve."""
