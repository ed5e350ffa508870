"""Losses as components: from a model's output and labels to one number per clip."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from models.output import Output
from models.registry import create, register
from orchestrator.errors import TrainingError
from orchestrator.experiment.config import Component


class Loss(Protocol):
    """A loss as training calls it, whichever part of the output it reads."""

    def __call__(self, output: Output, labels: Tensor) -> Tensor:
        """Return (batch,) losses of a model's output and (batch,) int64 labels."""
        ...


class OutputLoss(nn.Module):
    """Base class of the losses that read more of a model's output than its clip logits.

    Their `forward` takes (output, labels); that of any other loss takes (logits, labels).
    """


def build_loss(component: Component) -> Loss:
    """Build a loss by name, held to its contract whenever it is called.

    The callable raises a `TrainingError` where the loss does not return one number per clip. A mean
    over the batch would train at a fraction of its scale, without any other sign.

    Args:
        component: the loss of an experiment.

    Raises:
        RegistryError: the name or an argument is unknown, or a value is not of its declared type.
    """
    part = create("loss", component.name, **component.arguments)
    takes_output = isinstance(part, OutputLoss)

    def loss(output: Output, labels: Tensor) -> Tensor:
        losses = part(output if takes_output else output.clip_logits, labels)
        wanted = (len(labels),)
        fits = isinstance(losses, Tensor) and losses.shape == wanted
        if not fits or not losses.is_floating_point():
            raise TrainingError(
                f"loss {component.name!r} returned {described(losses)} for {len(labels)} clips; "
                f"one loss per clip, {wanted}, is needed: do not reduce over the batch"
            )
        return losses

    return loss


def described(value: object) -> str:
    """Say what a part returned: its shape, with the type where that is the surprise."""
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    kind = "" if value.is_floating_point() else f" and type {value.dtype}"
    return f"shape {tuple(value.shape)}{kind}"


@register("loss")
class CrossEntropy(nn.Module):
    """Cross entropy of single-label classification.

    Args:
        label_smoothing: share of the target spread over all classes, in [0, 1).
    """

    def __init__(self, *, label_smoothing: float = 0.0):
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return (batch,) losses in nats from (batch, classes) logits and (batch,) labels."""
        return torch.nn.functional.cross_entropy(
            logits.float(), labels, reduction="none", label_smoothing=self.label_smoothing
        )


@register("loss")
class BinaryCrossEntropy(nn.Module):
    """Binary cross entropy of every class by itself, as tagging systems are trained."""

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return (batch,) means over classes in nats from (batch, classes) logits and labels."""
        targets = torch.nn.functional.one_hot(labels, logits.shape[1]).float()
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            logits.float(), targets, reduction="none"
        )
        return losses.mean(dim=1)


@register("loss")
class Triplet(OutputLoss):
    """Triplet loss on the pairs of a batch, each with a random negative that breaks the margin.

    A triplet is two clips of a class and one of another whose squared distance to the first is
    less than the pair's plus the margin; its loss is what is missing. Unlike other losses it
    depends on which clips share a batch: it sees those of one worker and of one part of an
    accumulated step, and a class that is there only once makes no pair.

    Source: arXiv 2101.04792; roman-vygon/triplet_loss_kws 0d92edd (`loss/triplet.py`,
    `loss/utils.py`).
    """

    def __init__(self, *, margin: float = 0.5):
        """Set by how much farther others shall be, in squared distance."""
        super().__init__()
        self.margin = margin

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (batch,) losses whose mean is that over all triplets of the batch.

        Args:
            output: of a model with an embedding (batch, dim) of length 1.
            labels: (batch,) int64.

        Raises:
            TrainingError: the model has no embedding, or not one of length 1.
        """
        if output.embedding is None or not _of_length_1(output.embedding):
            raise TrainingError(
                "the triplet loss compares embeddings of length 1, and this model returns none; "
                "train res15_triplet, or take cross_entropy"
            )
        embedding = output.embedding.float()
        # Near neighbors differ by less than bfloat16 resolves, to which autocast takes products.
        with torch.autocast(embedding.device.type, enabled=False):
            distance = (2 - 2 * embedding @ embedding.T).clamp_min(0)
        same = labels[:, None] == labels[None, :]
        anchor, positive = torch.nonzero(same.triu(diagonal=1), as_tuple=True)
        missing = distance[anchor, positive, None] - distance[anchor] + self.margin
        broken = ((missing > 0) & ~same[anchor]).float()
        found = broken.any(dim=1)
        # The layer on the embedding is not trained; a zero keeps it in the graph of all workers.
        losses = 0.0 * output.clip_logits.float().sum(dim=1)
        if not found.any():
            return losses
        negative = torch.multinomial(broken[found], 1)
        chosen = missing[found].gather(1, negative)[:, 0]
        return losses.index_add(0, anchor[found], chosen * (len(labels) / len(chosen)))


def _of_length_1(embedding: Tensor) -> bool:
    """Whether (batch, dim) embeddings are scaled to length 1; zeros cannot be, and pass."""
    lengths = embedding.detach().float().norm(dim=1)
    return bool((((lengths - 1).abs() < 1e-3) | (lengths == 0)).all())
