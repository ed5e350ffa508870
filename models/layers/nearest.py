"""Classification by the classes of the nearest clips of a support set."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError


class Nearest(nn.Module):
    """Base class of models that compare embeddings of length 1 with those of a support set.

    Votes become logits, log((votes + 1 / classes) / (neighbours + 1)), which gives all classes a
    probability; the largest is the class with most votes, the first in a tie. The support set, once
    set, is part of the state dict; loading other weights removes it.
    """

    memory: Tensor
    memory_labels: Tensor
    support_buffers = ("memory", "memory_labels")

    def remember(self, dim: int, *, num_classes: int, neighbours: int) -> None:
        """Make room for a support set, which is empty at first.

        Args:
            dim: Width of the embedding.
            num_classes: Number of classes.
            neighbours: Number of nearest clips of the support set that vote.

        Raises:
            ModelError: There are no neighbors.
        """
        if neighbours < 1:
            raise ModelError(f"neighbours={neighbours}: at least one votes")
        self.neighbours = neighbours
        self.num_classes = num_classes
        # The methods below add them to the state dict, since their length varies.
        self.register_buffer("memory", torch.zeros(0, dim), persistent=False)
        self.register_buffer("memory_labels", torch.zeros(0, dtype=torch.long), persistent=False)

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

    def votes(self, embedding: Tensor) -> Tensor:
        """Return logits (batch, classes) of embeddings (batch, dim) of length 1."""
        count = min(self.neighbours, len(self.memory))
        nearest = (embedding @ self.memory.T).topk(count, dim=1).indices
        votes = functional.one_hot(self.memory_labels[nearest], self.num_classes).sum(dim=1)
        return ((votes + 1 / self.num_classes) / (count + 1)).log()
