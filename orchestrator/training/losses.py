"""Losses as components: from a model's output and labels to one number per clip."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from models.output import Output
from models.registry import create, register
from orchestrator.errors import ConfigError, TrainingError
from orchestrator.experiment.config import Component
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.targets import Targets

FrameTargets = Callable[[int], Tensor]
"""From the rows of a model's frame logits to (batch, rows, classes) float32: 1 where a class
sounds, 0 where it does not, NaN throughout a clip whose events have no times."""


class Loss(Protocol):
    """A loss as training calls it, whichever part of the output it reads."""

    def __call__(
        self, output: Output, labels: Tensor, frames: FrameTargets | None = None
    ) -> Tensor:
        """Return (batch,) losses.

        Args:
            output: The model's output.
            labels: (batch,) int64 where a clip has one class, (batch, heads) int64 where it has one
                of each head, (batch, classes) float32 of 0 and 1 otherwise.
            frames: Targets over time, of clips with events.
        """
        ...


class OutputLoss(nn.Module):
    """Base class of losses that read more of a model's output than its clip logits.

    Their `forward` takes (output, labels); that of any other loss takes (logits, labels).
    """


class FrameLoss(nn.Module):
    """Base class of losses that read a model's frame logits.

    Their `forward` takes (output, labels, frames), `frames` with the shape of the frame logits; see
    `FrameTargets`.
    """


def build_loss(
    component: Component,
    *,
    kind: TargetKind = TargetKind.SINGLE_LABEL,
    heads: Sequence[int] = (),
    mixes_labels: bool = False,
    moves_time: bool = False,
    class_weights: Sequence[Tensor] = (),
) -> Loss:
    """Build a loss by name, with its contract checked on every call.

    The callable raises a `TrainingError` if the loss does not return one number per clip: a mean
    over the batch would silently train at a fraction of its scale. A loss that is not for every
    kind of targets says which in its attribute `kinds`.

    Where there are several heads, a loss of one class per clip is computed of each and averaged
    over them, as the models of EPIC-KITCHENS are trained (`tools/train_net.py` of
    ekazakos/auditory-slow-fast).

    Args:
        component: The loss of an experiment.
        kind: Kind of the data set's targets.
        heads: Number of classes of each head, if there are several.
        mixes_labels: Whether the labels of two clips are mixed, which a loss on pairs of clips,
            with an attribute `is_per_clip = False`, cannot count.
        moves_time: Whether clips are shifted or stretched, so that targets over time would lie
            beside what sounds.
        class_weights: What `orchestrator.training.class_weights.weigh_classes` returns. A clip of
            one class counts by the weight of that class, also if the loss looks at all classes, as
            in Cui et al.; one of each head, by that of each in the head's loss. Where clips have
            any number of classes, each class's term counts by its weight, whether a clip has it or
            not, which takes a loss with a method `by_class`.

    Raises:
        RegistryError: The name or an argument is unknown, or a value has the wrong type.
        ConfigError: The loss is not defined for such targets, for mixed or moved clips, or for
            class weights.
    """
    part = create("loss", component.name, **component.arguments)
    kinds = getattr(part, "kinds", tuple(TargetKind))
    takes_output, takes_frames = isinstance(part, OutputLoss), isinstance(part, FrameLoss)
    of_heads = kind is TargetKind.HEADS and not (takes_output or takes_frames)
    if kind not in kinds and not (of_heads and TargetKind.SINGLE_LABEL in kinds):
        raise ConfigError(
            f"loss {component.name!r} is for targets of kind {', '.join(kinds)}, and those of the "
            f"data set are {kind}; take binary_cross_entropy, which takes every kind"
        )
    if mixes_labels and not getattr(part, "is_per_clip", True):
        raise ConfigError(
            f"loss {component.name!r} compares the clips of a batch by their classes, and a mixed "
            "clip has those of two; take mixup.labels=False, no mixup, or a loss such as "
            "cross_entropy"
        )
    if moves_time and takes_frames:
        raise ConfigError(
            f"loss {component.name!r} counts when a class sounds, and the waveform augmentation "
            "moves clips in time; take waveform_augmentation.shift_s=0.0 and .stretch=0.0, or a "
            "loss of whole clips such as binary_cross_entropy"
        )

    any_number = kind in (TargetKind.MULTI_LABEL, TargetKind.EVENTS)
    of_clips = kind is TargetKind.SINGLE_LABEL and not takes_frames
    takes_weights = hasattr(part, "by_class") if any_number else of_heads or of_clips
    if class_weights and not (takes_weights and getattr(part, "is_per_clip", True)):
        prefix = "binary_" if any_number else ""
        raise ConfigError(
            f"loss {component.name!r} takes no class weights on targets of kind {kind}; take "
            f'{prefix}cross_entropy or {prefix}focal, or class_weights=Component("none")'
        )

    def loss(output: Output, labels: Tensor, frames: FrameTargets | None = None) -> Tensor:
        if takes_frames:
            if output.frame_logits is None or frames is None:
                raise TrainingError(
                    f"loss {component.name!r} reads frame logits, and the model has no frame head; "
                    "take a model with one (htsat, cnn14_decision_level_att, talnet and others), "
                    "or binary_cross_entropy"
                )
            losses = part(output, labels, frames(output.frame_logits.shape[1]))
        elif of_heads:
            split = output.clip_logits.split(list(heads), dim=1)
            every = [part(*pair) for pair in zip(split, labels.unbind(dim=1), strict=True)]
            if class_weights:
                of_labels = zip(class_weights, labels.unbind(dim=1), strict=True)
                shares = [weights[classes] for weights, classes in of_labels]
                every = [share * own for share, own in zip(shares, every, strict=True)]
            losses = torch.stack(every).mean(dim=0)
        elif class_weights and any_number:
            losses = (class_weights[0] * part.by_class(output.clip_logits, labels)).mean(dim=1)
        else:
            losses = part(output if takes_output else output.clip_logits, labels)
            if class_weights:
                losses = class_weights[0][labels] * losses
        wanted = (len(labels),)
        fits = isinstance(losses, Tensor) and losses.shape == wanted
        if not fits or not losses.is_floating_point():
            raise TrainingError(
                f"loss {component.name!r} returned {described(losses)} for {len(labels)} clips; "
                f"one loss per clip, {wanted}, is needed: do not reduce over the batch"
            )
        return losses

    return loss


def batch_targets(
    targets: Targets, parts: Sequence[np.ndarray], *, device: torch.device, covered_s: float = 0.0
) -> Iterator[tuple[Tensor, FrameTargets | None]]:
    """Yield what a loss takes beside the output, batch by batch, on the device.

    Args:
        targets: Targets of all clips.
        parts: (batch,) positions of the clips of each batch.
        device: The training device.
        covered_s: Time that frame logits cover, of clips with events.
    """
    if targets.kind in (TargetKind.SINGLE_LABEL, TargetKind.HEADS):
        heads = targets.by_head()
        every = np.stack(list(heads.values()), axis=1) if heads else targets.labels
        labels = torch.from_numpy(every[np.concatenate(parts)]).to(device)
        yield from ((of_part, None) for of_part in labels.split([len(part) for part in parts]))
        return

    def placed(values: np.ndarray) -> Tensor:
        made = torch.from_numpy(values).float()
        # Pinned memory is copied while the device works.
        return (made.pin_memory() if device.type == "cuda" else made).to(device, non_blocking=True)

    def frames(of_part: Targets, num_rows: int) -> Tensor:
        active = of_part.frames(num_rows, seconds=covered_s).astype(np.float32)
        active[~of_part.have_times] = np.nan
        return placed(active)

    for part in parts:
        of_part = targets.take(part)
        timed = targets.kind is TargetKind.EVENTS
        yield placed(of_part.multi_hot()), functools.partial(frames, of_part) if timed else None


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

    kinds = (TargetKind.SINGLE_LABEL,)

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
        """Return (batch,) means over classes in nats.

        Args:
            logits: (batch, classes).
            labels: (batch,) class indices, or (batch, classes) of 0 and 1.
        """
        return self.by_class(logits, labels).mean(dim=1)

    def by_class(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return (batch, classes) losses in nats; see `forward`."""
        return torch.nn.functional.binary_cross_entropy_with_logits(
            logits.float(), _multi_hot(labels, logits.shape[1]), reduction="none"
        )


def _multi_hot(labels: Tensor, num_classes: int) -> Tensor:
    """Return (batch, classes) of 0 and 1 from these or from (batch,) class indices."""
    if labels.ndim == 1:
        return torch.nn.functional.one_hot(labels, num_classes).float()
    return labels


@register("loss")
class Focal(nn.Module):
    """Cross entropy that counts a clip less the better it is classified: -(1 - p)^gamma log p.

    `p` is the softmax of the clip's class. The paper's alpha, a weight of each class, is
    `Experiment.class_weights`.

    Source: Lin et al., arXiv 1708.02002, equation 4, with a softmax in place of its sigmoid.
    """

    kinds = (TargetKind.SINGLE_LABEL,)

    def __init__(self, *, gamma: float = 2.0):
        """Set how fast a clip counts less; 0 is cross entropy.

        Raises:
            ConfigError: Gamma is negative.
        """
        super().__init__()
        self.gamma = _exponent(gamma)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return (batch,) losses in nats from (batch, classes) logits and (batch,) labels."""
        log_p = logits.float().log_softmax(dim=1).gather(1, labels[:, None])[:, 0]
        return _focused(-log_p, -torch.expm1(log_p), self.gamma)


@register("loss")
class BinaryFocal(nn.Module):
    """Binary cross entropy that counts a class less the better a clip is told to have it or not.

    -alpha (1 - p)^gamma log p of a class that the clip has, and -(1 - alpha) p^gamma log(1 - p) of
    one that it has not, with p the sigmoid of the class.

    Source: Lin et al., arXiv 1708.02002, equation 5; the mean over classes in place of the sum over
    the number of objects.
    """

    def __init__(self, *, gamma: float = 2.0, alpha: float | None = 0.25):
        """Set gamma and alpha.

        Args:
            gamma: How fast a class counts less; 0 is binary cross entropy.
            alpha: Weight of the classes that a clip has; those that it has not weigh 1 - alpha.
                None weighs both by 1.

        Raises:
            ConfigError: Gamma is negative, or alpha not between 0 and 1.
        """
        super().__init__()
        self.gamma = _exponent(gamma)
        if alpha is not None and not 0 < alpha < 1:
            raise ConfigError(f"alpha={alpha}: it is between 0 and 1, or None for no weights")
        self.alpha = alpha

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return (batch,) means over classes in nats.

        Args:
            logits: (batch, classes).
            labels: (batch,) class indices, or (batch, classes) of 0 and 1.
        """
        return self.by_class(logits, labels).mean(dim=1)

    def by_class(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return (batch, classes) losses in nats; see `forward`."""
        present = _multi_hot(labels, logits.shape[1])
        wrong = (1 - 2 * present) * logits.float()  # the logit of what is not so
        losses = _focused(torch.nn.functional.softplus(wrong), wrong.sigmoid(), self.gamma)
        if self.alpha is None:
            return losses
        return torch.where(present == 1, self.alpha, 1 - self.alpha) * losses


def _exponent(gamma: float) -> float:
    if not gamma >= 0:
        raise ConfigError(f"gamma={gamma}: it is at least 0, and 2 in its paper")
    return gamma


def _focused(losses: Tensor, wrong: Tensor, gamma: float) -> Tensor:
    """Return losses times the probability of what is not so to the power gamma."""
    # At 0 a power below 1 has no finite slope.
    return wrong.clamp_min(torch.finfo(wrong.dtype).tiny) ** gamma * losses


@register("loss")
class FrameBinaryCrossEntropy(FrameLoss):
    """Binary cross entropy of every class in every row of the frame logits, of clips with events.

    A clip whose events have no times has no frame loss; with `clip_weight`, its classes still
    count.

    Args:
        clip_weight: Weight of the binary cross entropy of the clip logits, which is added.
    """

    kinds = (TargetKind.EVENTS,)

    def __init__(self, *, clip_weight: float = 0.0):
        super().__init__()
        self.clip_weight = clip_weight

    def forward(self, output: Output, labels: Tensor, frames: Tensor) -> Tensor:
        """Return (batch,) means over rows and classes in nats.

        Args:
            output: Model output with frame_logits (batch, rows, classes).
            labels: (batch, classes) of 0 and 1.
            frames: (batch, rows, classes) of 0 and 1, or NaN.
        """
        assert output.frame_logits is not None
        entropy = torch.nn.functional.binary_cross_entropy_with_logits
        known = ~frames.isnan()
        losses = entropy(
            output.frame_logits.float(), torch.where(known, frames, 0.0), reduction="none"
        )
        of_frames = (losses * known).mean(dim=(1, 2))
        # With weight 0 too: a head that is not trained stays in every worker's graph.
        of_clip = entropy(output.clip_logits.float(), labels, reduction="none").mean(dim=1)
        return of_frames + self.clip_weight * of_clip


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

    kinds = (TargetKind.SINGLE_LABEL,)
    is_per_clip = False

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
