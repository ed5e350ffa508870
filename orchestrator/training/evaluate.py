"""Build an experiment's chain and predict clips with it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.chain import Chain, build_chain
from models.frozen import freeze
from models.output import Output
from models.registry import create
from orchestrator.data.audio_folder import AudioFolder
from orchestrator.data.samplers import shard
from orchestrator.errors import ConfigError
from orchestrator.experiment.config import Component, Experiment
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.predictions import Frames, Predictions
from orchestrator.metrics.targets import Targets
from orchestrator.training.data_parallel import Group
from orchestrator.training.inputs import Inputs

_PROBED_S = 10
"""Length in seconds of the clip that shows how wide an embedding is."""


def build(
    experiment: Experiment, *, num_classes: int, heads: Mapping[str, int] | None = None
) -> Chain:
    """Build an experiment's chain with the initial weights of its seed.

    Args:
        experiment: Experiment to build.
        num_classes: Number of classes in the pack.
        heads: Heads of the pack -> number of classes, if there are several. The logits of a model
            are those of all heads, one after the other: its last layer is a linear one of each
            head on one embedding.

    Returns:
        The chain; of a frozen experiment one whose front end is the encoder.

    Raises:
        ConfigError: The model has other heads.
    """

    def link(component: Component) -> tuple[str, Mapping[str, Any]]:
        return component.name, component.arguments

    chain = build_chain(
        frontend=link(experiment.frontend),
        augmentation=link(experiment.augmentation),
        transform=link(experiment.transform),
        model=link(experiment.model),
        num_classes=num_classes,
        seed=experiment.seed,
    )
    # A model without an argument for heads need not know where one ends.
    told = chain.backbone.heads_split
    sizes = tuple((heads or {}).values())
    if told and told != (sizes or (num_classes,)):
        asked = f"the clips have {heads}" if heads else "the clips have one class each, of one head"
        raise ConfigError(
            f"model {experiment.model.name!r} has heads of {told} classes, and {asked}; set "
            f"model.heads to {sizes}"
        )
    if not experiment.frozen:
        return chain
    rate = experiment.dataset.arguments.get("sample_rate", 16000)
    return freeze(
        chain,
        head=experiment.head,
        num_classes=num_classes,
        num_samples=_PROBED_S * rate,
        seed=experiment.seed,
    )


def build_waveform_augmentation(
    component: Component, *, sample_rate: int
) -> Callable[..., Tensor] | None:
    """Build a waveform augmentation with the recordings of its folders; None if there is none.

    Raises:
        ConfigError: A folder has changed, or holds what cannot be decoded.
        RegistryError: The name or an argument is unknown, or a value has the wrong type.
        ModelError: A value is out of range.
    """
    arguments = {
        name: value.load(sample_rate) if isinstance(value, AudioFolder) else value
        for name, value in component.arguments.items()
    }
    return create("waveform_augmentation", component.name, sample_rate, **arguments)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Clips that were predicted, of which predictions over time still lie on their workers.

    Attributes:
        predictions: What is predicted of every clip, without frames; all workers have all.
        gather: Function that fetches the frames from all workers, which all must call.
    """

    predictions: Predictions
    gather: Callable[[], Frames | None]

    def whole(self) -> Predictions:
        """Return the predictions with frames, if there are any; every worker must call this."""
        return dataclasses.replace(self.predictions, frames=self.gather())


def evaluate(
    chain: torch.nn.Module,
    inputs: Inputs,
    indices: np.ndarray,
    *,
    batch_size: int,
    epoch: int,
    precision: str,
    group: Group,
    covered_s: float = 0.0,
    shifts: Sequence[int] = (0,),
) -> Evaluation:
    """Predict clips, shared over the workers.

    Predictions over time are made where clips have events and the model a frame head.

    Args:
        chain: Model from waveform to logits.
        inputs: Inputs of the chain, which is on their device.
        indices: (clips,) positions in the pack.
        batch_size: Clips per forward pass over all workers.
        epoch: Epoch of the weights.
        precision: `fp32`, `tf32` or `bf16`.
        group: The data-parallel workers.
        covered_s: What `covered_seconds` returns, for clips with events.
        shifts: See `predict_shifted`.

    Raises:
        ConfigError: Predictions over time would be shifted.
    """
    chain.eval()
    own_share = shard(indices, group.rank, group.world_size)
    clips, device = inputs.clips, inputs.device
    per_worker = max(1, batch_size // group.world_size)
    # Each worker fills its own rows and leaves 0 elsewhere, so the sum over workers has every row.
    logits = torch.zeros((len(indices), clips.num_classes), device=device)
    rows = logits[group.rank :: group.world_size]
    start = 0
    over_time: list[Tensor] = []
    timed = clips.targets.kind is TargetKind.EVENTS
    with torch.no_grad():
        for batch in inputs.batches(parts_of(own_share, per_worker)):
            with autocast(device, precision):
                output = predict_shifted(chain, batch, shifts=shifts, targets=clips.targets)
            made = output.clip_logits.float()
            if timed and output.frame_logits is not None:
                over_time.append(output.frame_logits.to(torch.float16))
            rows[start : start + len(made)] = made
            start += len(made)
        logits = group.total(logits)

    def gather() -> Frames | None:
        frames = None
        if timed:
            frames = _gathered(over_time, group, num_clips=len(indices), device=device)
        if frames is None:
            return None
        return Frames(
            logits=frames,
            row_s=covered_s / frames.shape[1],
            clip_s=clips.num_samples[indices] / clips.sample_rate,
        )

    return Evaluation(
        predictions=Predictions(
            epoch=epoch,
            clip_ids=tuple(str(clips.clip_ids[index]) for index in indices),
            targets=clips.targets.take(indices),
            logits=logits.cpu().numpy(),
        ),
        gather=gather,
    )


def predict_shifted(
    chain: torch.nn.Module,
    inputs: Mapping[str, Tensor],
    *,
    shifts: Sequence[int],
    targets: Targets,
) -> Output:
    """Predict clips at several shifts of their waveforms.

    Args:
        chain: Model from waveform to logits.
        inputs: Inputs of the chain; waveforms, where they are shifted.
        shifts: Numbers of samples by which the waveforms are rolled around, later where positive.
        targets: Targets of the data set, which say how logits become probabilities.

    Returns:
        Output of the chain; at several shifts the logits of the mean probabilities alone.

    Raises:
        ConfigError: The clips have events, and the model predicts over time.
    """
    if tuple(shifts) == (0,):
        return chain(**inputs)
    made: list[Tensor] = []
    for shift in shifts:
        output = chain(inputs["waveform"].roll(shift, dims=1))
        if targets.kind is TargetKind.EVENTS and output.frame_logits is not None:
            raise ConfigError(
                "test_shifts_s moves the events that the model predicts over time; take "
                "test_shifts_s=(0.0,), or a model without a frame head"
            )
        made.append(output.clip_logits.float())
    return Output(mean_logits(torch.stack(made), targets))


def mean_logits(logits: Tensor, targets: Targets) -> Tensor:
    """Return the logits (clips, classes) of the mean of probabilities.

    Args:
        logits: (predictions, clips, classes) float32.
        targets: Targets of the data set: probabilities are a softmax where a clip has one class,
            one of each head where it has several, and otherwise a sigmoid of every class.
    """
    if targets.kind in (TargetKind.MULTI_LABEL, TargetKind.EVENTS):
        sigmoid = torch.nn.functional.logsigmoid
        return sigmoid(logits).logsumexp(dim=0) - sigmoid(-logits).logsumexp(dim=0)
    heads = targets.parts().values() or (slice(None),)
    sums = [logits[..., part].log_softmax(dim=2).logsumexp(dim=0) for part in heads]
    return torch.cat(sums, dim=1) - math.log(len(logits))


def _gathered(
    parts: list[Tensor], group: Group, *, num_clips: int, device: torch.device
) -> np.ndarray | None:
    """Return (clips, rows, classes) float16 of all workers; None from a model without frames."""
    # The first worker has a clip, if any has; another may have none, and not know the shape.
    shape = torch.zeros(2, device=device)
    if group.rank == 0 and parts:
        shape = torch.tensor(parts[0].shape[1:], dtype=torch.float32, device=device)
    rows, classes = map(int, group.total(shape).tolist())
    if not rows:
        return None
    frames = torch.zeros((num_clips, rows, classes), device=device)
    if parts:
        frames[group.rank :: group.world_size] = torch.cat(parts).float()
    return group.total(frames).to(torch.float16).cpu().numpy()


@torch.no_grad()
def covered_seconds(chain: Chain, inputs: Inputs) -> float:
    """Return the time that the frame outputs of a chain cover, from the start of a clip.

    It is that of the front end's frames, which pad or cut clips to a fixed number; or the length of
    the longest clip for a front end without a hop.

    Raises:
        ConfigError: The model would put events of such clips at wrong places.
    """
    longest, rate = int(inputs.clips.num_samples.max()), inputs.clips.sample_rate
    if not chain.front.hop_length:
        return longest / rate
    frames = chain.frontend(torch.zeros(1, longest, device=inputs.device)).shape[-1]
    refuse_cropped_events(chain, frames)
    return frames * chain.front.hop_length / rate


def refuse_cropped_events(chain: Chain, num_frames: int) -> None:
    """Raise a `ConfigError` if frame logits of clips with so many frames are not in their place."""
    most = chain.backbone.max_frames_in_place
    if most and num_frames > most:
        raise ConfigError(
            f"clips with events have {num_frames} frames, and {type(chain.model).__name__} crops "
            f"what is longer than {most} without moving the events: cut the data set's clips "
            f"(seconds=...) to {most} frames, set frontend.num_frames={most}, or raise "
            "frontend.hop_length"
        )


@torch.no_grad()
def set_support(
    chain: Chain,
    inputs: Inputs,
    indices: np.ndarray,
    targets: Targets,
    *,
    batch_size: int,
    precision: str,
) -> None:
    """Show the training clips to a model that classifies by them; otherwise do nothing.

    Such a model has `set_support(embedding, labels)` and returns an embedding. Every worker shows
    all of the clips, without augmentation.

    Args:
        chain: Model from waveform to logits.
        inputs: Inputs of the chain, which is on their device.
        indices: (clips,) positions of the training clips.
        targets: (clips,) what the model is told of these clips.
        batch_size: Clips per forward pass.
        precision: `fp32`, `tf32` or `bf16`.

    Raises:
        ConfigError: The clips have any number of classes, and such a model votes for one.
    """
    if chain.backbone.set_support is None:
        return
    refuse_support(targets.kind)
    chain.eval()
    parts = []
    for batch in inputs.batches(parts_of(indices, batch_size)):
        with autocast(inputs.device, precision):
            parts.append(chain(**batch).embedding.float())
    chain.backbone.set_support(torch.cat(parts), torch.from_numpy(targets.labels))


def refuse_support(kind: TargetKind) -> None:
    """Raise a `ConfigError` for a model that remembers clips by their one class each."""
    if kind is not TargetKind.SINGLE_LABEL:
        raise ConfigError(
            "the model classifies a clip by the classes of the training clips nearest to it, one "
            f"class each, and the data set's targets are of kind {kind}; take another model"
        )


def parts_of(indices: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut positions into batches of a size; the last may be smaller."""
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the mixed-precision context of a precision."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
