"""Res-15 trained by a triplet loss, with nearest neighbors as its classifier, arXiv 2101.04792.

The authors' code is roman-vygon/triplet_loss_kws 0d92edd (MIT). The network is
`models.res15.model`, its embedding of a clip is scaled to length 1, and a clip is of the class that
most of its nearest training clips have. Trained by the loss `triplet`. Different from theirs:

- before it has a support set, and while it is trained, the logits are those of a linear layer on
  the embedding, which a loss on logits could train. Theirs is only ever used with training clips,
  or with a classifier that is trained after the encoder;
- votes become logits, log((votes + 1 / classes) / (neighbours + 1)), so that there are
  probabilities of all classes; the largest is theirs, the first class of equal ones;
- the support set is part of the state dict once there is one, and other weights remove it.
  Training sets it before every evaluation; elsewhere call `set_support`, or the linear layer
  answers.

The authors' features are 64 log-mels of NeMo, which no front end here makes to the bit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.errors import ModelError
from models.output import Output
from models.registry import register
from models.res15.model import Res15


@register("model")
class Res15Triplet(Res15):
    """Res-15 as an encoder with a classifier of nearest neighbors: 0.237 M parameters.

    It compares clips by their embeddings with those of a support set.
    """

    memory: Tensor
    memory_labels: Tensor
    support_buffers = ("memory", "memory_labels")
    head_arguments = ("neighbours",)

    def __init__(
        self,
        num_channels: int,
        input_size: tuple[int, int],
        num_classes: int,
        *,
        neighbours: int = 5,
        dim: int = 45,
        depth: int = 13,
        pool: tuple[int, ...] = (),
    ) -> None:
        """Draw PyTorch's initial weights; there is no support set yet.

        Args:
            num_channels: channels of the features.
            input_size: (rows, frames), mels or coefficients; any will do.
            num_classes: size of the logits.
            neighbours: how many of the nearest clips of the support set vote.
            dim: width of all convolutions, and of the embedding.
            depth: convolutions after the first; number i, from 0, is dilated by 2^(i // 3).
            pool: (rows, frames) that are averaged after the first convolution; empty for none.

        Raises:
            ModelError: sizes that make no network, or no neighbors.
        """
        super().__init__(num_channels, input_size, num_classes, dim=dim, depth=depth, pool=pool)
        if neighbours < 1:
            raise ModelError(f"neighbours={neighbours}: at least one votes")
        self.neighbours = neighbours
        self.num_classes = num_classes
        # In the state dict by the methods below: their length is that of the training clips.
        self.register_buffer("memory", torch.zeros(0, dim), persistent=False)
        self.register_buffer("memory_labels", torch.zeros(0, dtype=torch.long), persistent=False)

    def forward(self, features: Tensor) -> Output:
        """Classify a batch of features.

        Args:
            features: (B, num_channels, rows, frames).

        Returns:
            `Output` with clip_logits (B, num_classes) and embedding (B, dim) of length 1.

        Raises:
            ModelError: the features are smaller than `pool`.
        """
        x = self.embed(features)
        embedding = functional.normalize(x.to(torch.promote_types(x.dtype, torch.float32)))
        if self.training or not len(self.memory):
            return Output(self.head(embedding), embedding=embedding)
        return Output(self._votes(embedding), embedding=embedding)

    def set_support(self, embedding: Tensor, labels: Tensor, /) -> None:
        """Classify by these clips from now on.

        Args:
            embedding: (clips, dim), of length 1.
            labels: (clips,) int64.
        """
        self.memory = embedding.detach().to(self.memory)
        self.memory_labels = labels.to(self.memory_labels)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if len(self.memory):
            destination[f"{prefix}memory"] = self.memory
            destination[f"{prefix}memory_labels"] = self.memory_labels

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        memory = state_dict.pop(f"{prefix}memory", None)
        labels = state_dict.pop(f"{prefix}memory_labels", None)
        super()._load_from_state_dict(state_dict, prefix, *rest)
        if memory is None and labels is None:
            memory, labels = self.memory[:0], self.memory_labels[:0]
        try:
            memory, labels = self.check_support(memory, labels)
            self.set_support(memory.clone(), labels.clone())
        except ModelError as error:
            rest[-1].append(str(error))

    def check_support(
        self, memory: Tensor | None, labels: Tensor | None, /
    ) -> tuple[Tensor, Tensor]:
        """Return a support set, or refuse what a model like this one cannot have.

        Args:
            memory: (clips, dim).
            labels: (clips,) whole numbers below the number of classes.

        Raises:
            ModelError: one of them is missing or does not fit.
        """
        if (
            memory is None
            or labels is None
            or memory.shape != (len(labels), self.memory.shape[1])
            or labels.is_floating_point()
            or not bool(((labels >= 0) & (labels < self.num_classes)).all())
        ):
            shapes = [None if t is None else tuple(t.shape) for t in (memory, labels)]
            raise ModelError(
                f"a support set of shape {shapes[0]} with labels of shape {shapes[1]} does not "
                f"fit embeddings of {self.memory.shape[1]} and {self.num_classes} classes"
            )
        return memory, labels

    def _votes(self, embedding: Tensor) -> Tensor:
        count = min(self.neighbours, len(self.memory))
        nearest = (embedding @ self.memory.T).topk(count, dim=1).indices
        votes = functional.one_hot(self.memory_labels[nearest], self.num_classes).sum(dim=1)
        return ((votes + 1 / self.num_classes) / (count + 1)).log()
