"""A few training steps of an experiment on made-up clips, to see what it computes.

The steps are those of the trainer: its loss, optimizer, clipping and precision, other clips in
every step. There are two, because momentum and moments show in the second, and three clips, of
which two are of one class, because a loss on pairs has none otherwise. Outputs are computed in
float32, in which no rounding hides a small difference; a precision shows in what it trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.chain import Chain
from models.registry import create
from models.seeding import derive_seed
from orchestrator.config import Experiment
from orchestrator.data.samplers import clip_seeds
from orchestrator.evaluate import autocast, build
from orchestrator.losses import clip_losses
from orchestrator.state import Initial

LINKS = ("frontend", "augmentation", "transform", "model")
STEPS = 2
CLASSES = (0, 0, 1)


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What an experiment computed.

    Attributes:
        experiment: which.
        weights: link -> name -> initial value.
        before: (clips, classes) logits of the first batch before training.
        losses: (STEPS, clips) of the training steps.
        after: (2 * clips, classes) logits after them, without and with remembered clips; the same
            twice where the model remembers none.
        num_params: of the whole chain.
    """

    experiment: Experiment
    weights: Mapping[str, Mapping[str, Tensor]]
    before: Tensor
    losses: Tensor
    after: Tensor
    num_params: int


def made_up_clips(num_samples: int, sample_rate: int) -> Tensor:
    """Return (STEPS, clips, num_samples) of a tone in noise, the same at every call."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(STEPS, len(CLASSES), num_samples, generator=generator) * 0.1
    tone = torch.sin(torch.arange(num_samples) * (2 * torch.pi * 440 / sample_rate)) * 0.1
    return noise + tone


def rehearse(experiment: Experiment, clips: Tensor, *, num_classes: int) -> Rehearsal:
    """Build an experiment as a trial would, and take a training step with each batch of clips.

    Args:
        experiment: a completed experiment.
        clips: those of `made_up_clips`.
        num_classes: of the data set.
    """
    labels = torch.tensor(CLASSES) % num_classes
    chain = build(experiment, num_classes=num_classes)
    if experiment.initial.name == "checkpoint":
        Initial.read(experiment.initial.arguments["file"]).load(chain)
    features = chain.eval().frontend(clips[0]).double()
    chain.set_normalisation(features.mean().item(), max(features.std().item(), 1e-3))
    weights = {
        link: {n: p.detach().clone() for n, p in chain.get_submodule(link).named_parameters()}
        for link in LINKS
    }
    before = _logits(chain, clips[0])
    losses = _train(chain, experiment, clips, labels)
    after = _logits(chain, clips[0])
    return Rehearsal(
        experiment=experiment,
        weights=weights,
        before=before,
        losses=losses,
        after=torch.cat([after, _recalled(chain, clips[0], labels, otherwise=after)]),
        num_params=sum(p.numel() for p in chain.parameters()),
    )


@torch.no_grad()
def _logits(chain: Chain, clips: Tensor) -> Tensor:
    return chain.eval()(clips).clip_logits.float()


@torch.no_grad()
def _recalled(chain: Chain, clips: Tensor, labels: Tensor, *, otherwise: Tensor) -> Tensor:
    """Logits of a model that classifies by the clips it was shown (see `evaluate.remember`)."""
    keep: Any = getattr(chain.model, "remember", None)
    if keep is None:
        return otherwise
    keep(chain.eval()(clips).embedding.float(), labels)
    return _logits(chain, clips)


def _train(chain: nn.Module, experiment: Experiment, clips: Tensor, labels: Tensor) -> Tensor:
    """Take a step with each batch of clips; return (STEPS, batch) losses."""
    loss = create("loss", experiment.loss.name, **experiment.loss.arguments)
    optimizer = create(
        "optimizer",
        experiment.optimizer.name,
        list(chain.named_parameters()),
        **experiment.optimizer.arguments,
    )
    chain.train()
    seen: list[Tensor] = []
    for step, batch in enumerate(clips):
        torch.manual_seed(derive_seed(experiment.seed, f"proof/{step}"))
        seeds = clip_seeds(np.arange(len(batch)), seed=experiment.seed, epoch=step + 1)
        optimizer.zero_grad(set_to_none=True)
        with autocast(batch.device, experiment.precision):
            losses = clip_losses(loss, chain(batch, torch.from_numpy(seeds)), labels)
        losses.mean().backward()
        if experiment.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(chain.parameters(), experiment.clip_norm)
        optimizer.step()
        seen.append(losses.detach().float())
    return torch.stack(seen)
