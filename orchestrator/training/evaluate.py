"""Build an experiment's chain and predict clips with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from models.chain import Chain, build_chain
from orchestrator.data.samplers import shard
from orchestrator.errors import ConfigError
from orchestrator.experiment.config import Component, Experiment
from orchestrator.metrics.predictions import Predictions
from orchestrator.training.data_parallel import Group
from orchestrator.training.inputs import Inputs


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
    inputs: Inputs,
    indices: np.ndarray,
    *,
    batch_size: int,
    epoch: int,
    precision: str,
    group: Group,
) -> Predictions:
    """Predict clips, shared over the workers; every worker returns all predictions.

    Args:
        chain: Model from waveform to logits.
        inputs: Inputs of the chain, which is on their device.
        indices: (clips,) positions in the pack.
        batch_size: Clips per forward pass over all workers.
        epoch: Epoch of the weights.
        precision: `fp32`, `tf32` or `bf16`.
        group: The data-parallel workers.
    """
    chain.eval()
    own_share = shard(indices, group.rank, group.world_size)
    clips, device = inputs.clips, inputs.device
    per_worker = max(1, batch_size // group.world_size)
    # Each worker fills its own rows and leaves 0 elsewhere, so the sum over workers has every row.
    logits = torch.zeros((len(indices), clips.num_classes), device=device)
    rows = logits[group.rank :: group.world_size]
    start = 0
    for batch in inputs.batches(parts_of(own_share, per_worker)):
        with autocast(device, precision):
            made = chain(**batch).clip_logits.float()
        rows[start : start + len(made)] = made
        start += len(made)
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
    inputs: Inputs,
    indices: np.ndarray,
    labels: np.ndarray,
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
        labels: (all clips,) training labels.
        batch_size: Clips per forward pass.
        precision: `fp32`, `tf32` or `bf16`.
    """
    if chain.backbone.set_support is None:
        return
    chain.eval()
    parts = []
    for batch in inputs.batches(parts_of(indices, batch_size)):
        with autocast(inputs.device, precision):
            parts.append(chain(**batch).embedding.float())
    chain.backbone.set_support(torch.cat(parts), torch.from_numpy(labels[indices]).long())


def parts_of(indices: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut positions into batches of a size; the last may be smaller."""
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the mixed-precision context of a precision."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
