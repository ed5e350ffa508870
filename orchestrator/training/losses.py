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
    """Base class of losses that read more of a model's output than its clip logits.

    Their `forward` takes (output, labels); that of any other loss takes (logits, labels).
    """


def build_loss(component: Component) -> Loss:
    """Build a loss by name, with its contract checked on every call.

    The callable raises a `TrainingError` if the loss does not return one number per clip: a mean
    over the batch would silently train at a fraction of its scale.

    Args:
        component: The loss of an experiment.

    Raises:
        RegistryError: The name or an argument is unknown, or a value has the wrong type.
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
    """Describe what a part returned: its shape, with the type if that is unexpected."""
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    kind = "" if value.is_floating_point() else f" and type {value.dtype}"
    return f"shape {tuple(value.shape)}{kind}"


@register("loss")
class CrossEntropy(nn.Module):
    """Cross entropy of single-label classification.

    Args:
        label_smoothing: Share of the target spread over all classes, in [0, 1).
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
    """Binary cross entropy of every class on its own, as tagging systems are trained."""

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

    A triplet is two clips of a class and one of another whose squared distance to the first is less
    than the pair's plus the margin; its loss is the difference. Unlike other losses it depends on
    which clips share a batch: those of one worker and one part of an accumulated step. A class with
    only one clip there makes no pair.

    Source: arXiv 2101.04792; roman-vygon/triplet_loss_kws 0d92edd (`loss/triplet.py`,
    `loss/utils.py`).
    """

    def __init__(self, *, margin: float = 0.5):
        """Set how much farther other classes shall be, in squared distance."""
        super().__init__()
        self.margin = margin

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (batch,) losses whose mean is the mean over all triplets of the batch.

        Args:
            output: Model output with an embedding (batch, dim) of length 1.
            labels: Class indices (batch,) int64.

        Raises:
            TrainingError: The model has no embedding, or not one of length 1.
        """
        if output.embedding is None or not _of_length_1(output.embedding):
            raise TrainingError(
                "the triplet loss compares embeddings of length 1, and this model returns none; "
                "train res15_triplet, or take cross_entropy"
            )
        embedding = output.embedding.float()
        # Near neighbors differ by less than bfloat16, autocast's type for products, resolves.
        with torch.autocast(embedding.device.type, enabled=False):
            distance = (2 - 2 * embedding @ embedding.T).clamp_min(0)
        same = labels[:, None] == labels[None, :]
        anchor, positive = torch.nonzero(same.triu(diagonal=1), as_tuple=True)
        missing = distance[anchor, positive, None] - distance[anchor] + self.margin
        broken = ((missing > 0) & ~same[anchor]).float()
        found = broken.any(dim=1)
        # The layer on the embedding is not trained; a zero keeps it in every worker's graph.
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
