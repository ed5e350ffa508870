"""Res-15 trained with a triplet loss, with a nearest-neighbor classifier, arXiv 2101.04792.

The authors' code is roman-vygon/triplet_loss_kws 0d92edd (MIT). The network is `models.res15.model`
with embeddings scaled to length 1; a clip gets the majority class of its nearest training clips.
Train it with the loss `triplet`. Differences:

- in training and without a support set, the logits come from a linear layer on the embedding, which
  a loss on logits could train. The authors always use training clips, or a classifier trained after
  the encoder;
- votes become logits, log((votes + 1 / classes) / (neighbours + 1)), which gives all classes a
  probability; the largest is the authors' prediction, the first class in a tie;
- the support set, once set, is part of the state dict; loading other weights removes it. Training
  sets it before every evaluation; elsewhere call `set_support`, or the linear layer is used.

The authors' features are 64 NeMo log-mels, which no front end here reproduces exactly.
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
    """Res-15 as an encoder with a nearest-neighbor classifier: 0.237 M parameters.

    It compares embeddings of clips with those of a support set.
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
        """Initialize as PyTorch does, without a support set.

        Args:
            num_channels: Number of channels of the features.
            input_size: (rows, frames) of any size; rows are mels or coefficients.
            num_classes: Number of classes.
            neighbours: Number of nearest clips of the support set that vote.
            dim: Number of channels of all convolutions and of the embedding.
            depth: Number of convolutions after the first; dilations are 2^(i // 3), i from 0.
            pool: (rows, frames) of average pooling after the first convolution; empty for none.

        Raises:
            ModelError: The sizes do not define a network, or there are no neighbors.
        """
        super().__init__(num_channels, input_size, num_classes, dim=dim, depth=depth, pool=pool)
        if neighbours < 1:
            raise ModelError(f"neighbours={neighbours}: at least one votes")
        self.neighbours = neighbours
        self.num_classes = num_classes
        # The methods below add them to the state dict, since their length varies.
        self.register_buffer("memory", torch.zeros(0, dim), persistent=False)
        self.register_buffer("memory_labels", torch.zeros(0, dtype=torch.long), persistent=False)

    def forward(self, features: Tensor) -> Output:
        """Classify a batch of features.

        Args:
            features: (B, num_channels, rows, frames).

        Returns:
            `Output` with clip_logits (B, num_classes) and embedding (B, dim) of length 1.

        Raises:
            ModelError: The features are smaller than `pool`.
        """
        x = self.embed(features)
        embedding = functional.normalize(x.to(torch.promote_types(x.dtype, torch.float32)))
        if self.training or not len(self.memory):
            return Output(self.head(embedding), embedding=embedding)
        return Output(self._votes(embedding), embedding=embedding)

    def set_support(self, embedding: Tensor, labels: Tensor, /) -> None:
        """Replace the support set by (clips, dim) embeddings of length 1 and int64 labels."""
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
        """Return a support set, or raise if it does not fit the model.

        Args:
            memory: (clips, dim).
            labels: (clips,) integers below the number of classes.

        Raises:
            ModelError: One is missing or does not fit.
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
