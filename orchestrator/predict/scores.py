"""Class scores of a recording of any length over time, by a trained model in overlapping windows.

A model was trained on clips of one length, so a longer recording is cut into windows of that
length. A model with a frame head scores every row of a window; any other scores the window, and the
score holds for all of it. Where windows overlap, the mean of their scores counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.frozen import encoder_of
from models.protocols import Frontend
from models.registry import create
from orchestrator.data.decode import FULL_SCALE
from orchestrator.errors import ConfigError
from orchestrator.metrics.events import Events, detect
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.targets import parts_of
from orchestrator.predict.loading import TrainedModel
from orchestrator.training.evaluate import autocast, refuse_cropped_events

BATCH = 16
"""Windows per forward pass."""

SLACK = 1.1
"""Clips longer than what the front end sees by at most this factor are taken whole."""


@dataclass(frozen=True, kw_only=True)
class Windows:
    """How recordings are cut.

    Attributes:
        sample_rate: Rate in Hz that the model takes.
        window_s: Length of a window in seconds.
        hop_s: Time from one window to the next in seconds.
    """

    sample_rate: int
    window_s: float
    hop_s: float

    @classmethod
    def of(
        cls, model: TrainedModel, *, window_s: float | None = None, hop_s: float | None = None
    ) -> Windows:
        """Return the windows that fit a model.

        Args:
            model: The trained model.
            window_s: Length in seconds; None takes that of its training clips, or what its front
                end sees of them where they are of any length or longer.
            hop_s: Time between windows in seconds; None takes half a window.

        Raises:
            ConfigError: A value is out of range, or the length or the rate is not known.
        """
        for name, given in (("window", window_s), ("hop", hop_s)):
            if given is not None and not 0 < given < math.inf:
                raise ConfigError(f"--{name} {given:g}: it is a time in seconds above 0")
        experiment = model.experiment
        rates = [
            part.arguments.get("sample_rate") for part in (experiment.frontend, experiment.dataset)
        ]
        rate = int(next((rate for rate in rates if rate), 0))
        if not rate:
            raise ConfigError(
                f"neither the front end nor the data set of {model.source} has an argument "
                "sample_rate, so the rate that it takes is not known"
            )
        front = _front(model)
        clip_s = float(experiment.dataset.arguments.get("seconds") or model.clip_s)
        seen_s = front.output_size[1] * front.hop_length / rate
        if window_s is None:
            # A frame reaches beyond its hop, so clips may be a little longer than their frames.
            window_s = clip_s if 0 < clip_s <= SLACK * seen_s or not seen_s else seen_s
        if not window_s:
            raise ConfigError(
                f"how long the clips were that {model.source} was trained on is not known; give "
                "the length of a window in seconds (--window)"
            )
        hop_s = window_s / 2 if hop_s is None else hop_s
        if not (0 < hop_s <= window_s < math.inf) or round(hop_s * rate) < 1:
            raise ConfigError(
                f"windows of {window_s:g} s every {hop_s:g} s: a window is longer than 0 s, and "
                "the time between two (--hop) is above 0 and at most its length"
            )
        return cls(sample_rate=rate, window_s=window_s, hop_s=hop_s)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a model says of one recording.

    Attributes:
        seconds: Length of the recording.
        row_s: Length of a row in seconds; the first starts with the recording.
        rows: (rows, classes) float32 probabilities over time.
        whole: (classes,) float32 mean probability over the windows.
        groups: Classes that exclude each other, each a slice: all of them, those of each head, or
            none where any number of classes may sound at a time.
    """

    seconds: float
    row_s: float
    rows: NDArray[np.float32]
    whole: NDArray[np.float32]
    groups: tuple[slice, ...]

    def events(self, *, threshold: float = 0.5, gap_s: float = 0.0) -> Events:
        """Return the events that the scores over time say, by onset.

        Where classes exclude each other, the likeliest one of a row alone can sound in it.

        Args:
            threshold: A class sounds in the rows whose score is above it.
            gap_s: Longest gap in seconds between two events of a class that is closed.

        Returns:
            (events, 4) place (0), class, onset and offset in seconds.
        """
        scores = self.rows.copy()
        for group in self.groups:
            part = scores[:, group]
            part[part < part.max(axis=1, keepdims=True)] = 0.0
        found = detect(
            scores[None],
            row_s=self.row_s,
            threshold=threshold,
            gap_s=gap_s,
            clip_s=np.array([self.seconds]),
        )
        return found[np.lexsort((found[:, 1], found[:, 2]))]

    def mean_score(self, event: NDArray[np.float64]) -> float:
        """Return the mean score of an event's class over its rows."""
        first, end = round(event[2] / self.row_s), math.ceil(event[3] / self.row_s - 1e-6)
        return float(self.rows[first : max(end, first + 1), int(event[1])].mean())


@torch.no_grad()
def score(
    model: TrainedModel,
    pcm: NDArray[np.int16],
    windows: Windows,
    *,
    device: torch.device | None = None,
) -> Scores:
    """Score a recording.

    A window is scored at the `test_shifts_s` of the experiment, as its clips were, and the mean
    counts. Scores over time of a model with a frame head are those of the window as it is.

    Args:
        model: The trained model, on the device.
        pcm: (time,) 16-bit samples at the rate of the windows, as packs hold them.
        windows: How it is cut; what is shorter than a window is filled up with silence.
        device: Device of the model; None is the CPU.

    Raises:
        ConfigError: The frame outputs of such windows are not in their places.
    """
    device = device or torch.device("cpu")
    rate = windows.sample_rate
    length, hop = round(windows.window_s * rate), round(windows.hop_s * rate)
    last = max(0, len(pcm) - length)
    starts = [*range(0, last, hop), last]  # the last window ends with the recording
    padded = np.pad(pcm, (0, max(0, length - len(pcm))))
    groups = groups_of(model)
    shifts = [round(by * rate) for by in model.experiment.test_shifts_s]
    clips: list[NDArray[np.float32]] = []
    frames: list[NDArray[np.float32]] = []
    for begin in range(0, len(starts), BATCH):
        batch = np.stack(
            [padded[start : start + length] for start in starts[begin : begin + BATCH]]
        )
        waveform = torch.from_numpy(batch).float().div_(FULL_SCALE).to(device)
        with autocast(device, model.experiment.precision):
            output = model.chain(waveform)
            shifted = [
                model.chain(waveform.roll(shift, dims=1)) if shift else output for shift in shifts
            ]
        parts = [probabilities(one.clip_logits, groups) for one in shifted]
        clips.append(torch.stack(parts).mean(dim=0).cpu().numpy())
        if output.frame_logits is not None:
            frames.append(probabilities(output.frame_logits, groups).cpu().numpy())
    whole = np.concatenate(clips)
    seconds = len(pcm) / rate
    if frames:
        over_time = np.concatenate(frames)
        row_s = _covered_s(model, length, rate, device) / over_time.shape[1]
        # A front end may fill a window up to its number of frames; nothing sounds there.
        over_time = over_time[:, : max(1, min(over_time.shape[1], round(length / rate / row_s)))]
    else:
        over_time, row_s = whole[:, None], hop / rate
        over_time = np.repeat(over_time, max(1, round(length / hop)), axis=1)
    rows = _overlapped(over_time, [start / rate for start in starts], row_s, seconds)
    return Scores(seconds=seconds, row_s=row_s, rows=rows, whole=whole.mean(axis=0), groups=groups)


def _front(model: TrainedModel) -> Frontend:
    encoder = encoder_of(model.chain)
    return (encoder.chain if encoder else model.chain).front


def groups_of(model: TrainedModel) -> tuple[slice, ...]:
    """Return the classes of a model that exclude each other; see `Scores.groups`."""
    if model.heads:
        return tuple(parts_of(model.heads).values())
    return (slice(0, model.chain.num_classes),) if _is_one_class(model) else ()


def _is_one_class(model: TrainedModel) -> bool:
    """Whether the classes of a model exclude each other: its loss is of one class per clip."""
    loss = create("loss", model.experiment.loss.name, **model.experiment.loss.arguments)
    return TargetKind.MULTI_LABEL not in getattr(loss, "kinds", tuple(TargetKind))


def probabilities(logits: Tensor, groups: tuple[slice, ...]) -> Tensor:
    """Return the softmax of each group of the last dimension, or the sigmoid without groups."""
    logits = logits.float()
    if not groups:
        return logits.sigmoid()
    return torch.cat([logits[..., group].softmax(dim=-1) for group in groups], dim=-1)


def _covered_s(model: TrainedModel, length: int, rate: int, device: torch.device) -> float:
    """Return the seconds that the frame outputs of a window cover, from its start."""
    front = _front(model)
    if not front.hop_length:
        return length / rate
    frames = model.chain.frontend(torch.zeros(1, length, device=device)).shape[-1]
    refuse_cropped_events(model.chain, frames)
    return frames * front.hop_length / rate


def _overlapped(
    windows: NDArray[np.float32], starts_s: list[float], row_s: float, seconds: float
) -> NDArray[np.float32]:
    """Return the mean over windows (windows, rows, classes), each moved to its start."""
    count, per_window, classes = windows.shape
    total = max(1, math.ceil(seconds / row_s - 1e-6))
    sums = np.zeros((total, classes), np.float32)
    hits = np.zeros((total, 1), np.float32)
    for window in range(count):
        first = round(starts_s[window] / row_s)
        end = min(total, first + per_window)
        sums[first:end] += windows[window, : max(0, end - first)]
        hits[first:end] += 1
    # Rounding may leave a row between two windows, or the last one, to none of them.
    for row in np.flatnonzero(hits[:, 0] == 0):
        sums[row], hits[row] = sums[row - 1], hits[row - 1]
    return sums / hits
