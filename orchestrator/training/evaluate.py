"""Build an experiment's chain and predict clips with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from models.chain import Chain, build_chain
from orchestrator.data.samplers import shard
from orchestrator.errors import ConfigError
from orchestrator.experiment.config import Component, Experiment
from orchestrator.metrics.predictions import Predictions
from orchestrator.training.data_parallel import Group


class Clips(Protocol):
    """The part of a pack that the loop needs; see `orchestrator.data.pack.Pack`."""

    fingerprint: str
    class_names: tuple[str, ...]
    labels: np.ndarray
    num_samples: np.ndarray

    @property
    def clip_ids(self) -> Sequence[str]:
        """One name per clip."""
        ...

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        ...

    def split(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of the training and of the held-out clips."""
        ...

    def batch(self, indices: np.ndarray, num_samples: int) -> Tensor:
        """Return (batch, num_samples) float32 waveforms in [-1, 1]."""
        ...


def build(experiment: Experiment, *, num_classes: int) -> Chain:
    """Build an experiment's chain with the initial weights of its seed.

    Args:
        experiment: Experiment to build.
        num_classes: Number of classes in the pack.

    Raises:
        ConfigError: The model has several heads.
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
    heads = chain.backbone.heads_split
    if len(heads) > 1:
        raise ConfigError(
            f"model {experiment.model.name!r} has {len(heads)} heads, of {heads} classes; an "
            "experiment trains and scores one head, because a pack has one label per clip. Leave "
            "model.heads out, or give (); to run several heads, models.create_model builds them"
        )
    return chain


@torch.no_grad()
def evaluate(
    chain: torch.nn.Module,
    clips: Clips,
    indices: np.ndarray,
    *,
    batch_size: int,
    epoch: int,
    device: torch.device,
    precision: str,
    group: Group,
) -> Predictions:
    """Predict clips, shared over the workers; every worker returns all predictions.

    Args:
        chain: Model from waveform to logits.
        clips: The pack.
        indices: (clips,) positions in the pack.
        batch_size: Clips per forward pass over all workers.
        epoch: Epoch of the weights.
        device: Device that holds the chain.
        precision: `fp32`, `tf32` or `bf16`.
        group: The data-parallel workers.
    """
    chain.eval()
    own_share = shard(indices, group.rank, group.world_size)
    num_samples = int(clips.num_samples.max())
    per_worker = max(1, batch_size // group.world_size)
    # Each worker fills its own rows and leaves 0 elsewhere, so the sum over workers has every row.
    logits = torch.zeros((len(indices), clips.num_classes), device=device)
    rows = logits[group.rank :: group.world_size]
    for start in range(0, len(own_share), per_worker):
        waveform = clips.batch(own_share[start : start + per_worker], num_samples).to(device)
        with autocast(device, precision):
            rows[start : start + per_worker] = chain(waveform).clip_logits.float()
    logits = group.total(logits)
    return Predictions(
        epoch=epoch,
        clip_ids=tuple(str(clips.clip_ids[index]) for index in indices),
        labels=clips.labels[indices].astype(np.int64),
        logits=logits.cpu().numpy(),
    )


@torch.no_grad()
def set_support(
    chain: Chain,
    clips: Clips,
    indices: np.ndarray,
    labels: np.ndarray,
    *,
    batch_size: int,
    device: torch.device,
    precision: str,
) -> None:
    """Show the training clips to a model that classifies by them; otherwise do nothing.

    Such a model has `set_support(embedding, labels)` and returns an embedding. Every worker shows
    all of the clips, without augmentation.

    Args:
        chain: Model from waveform to logits.
        clips: The pack.
        indices: (clips,) positions of the training clips.
        labels: (all clips,) training labels.
        batch_size: Clips per forward pass.
        device: Device that holds the chain.
        precision: `fp32`, `tf32` or `bf16`.
    """
    if chain.backbone.set_support is None:
        return
    chain.eval()
    num_samples = int(clips.num_samples.max())
    parts = []
    for start in range(0, len(indices), batch_size):
        waveform = clips.batch(indices[start : start + batch_size], num_samples).to(device)
        with autocast(device, precision):
            parts.append(chain(waveform).embedding.float())
    chain.backbone.set_support(torch.cat(parts), torch.from_numpy(labels[indices]).long())


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the mixed-precision context of a precision."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
