"""The triplet loss: clips of one class nearer to each other than to those of others."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.output import EmbeddedOutput
from models.registry import register
from orchestrator.errors import TrainingError


@register("loss")
class Triplet(nn.Module):
    """Triplet loss on the pairs of a batch, each with a random negative that breaks the margin.

    A triplet is two clips of a class and one of another whose squared distance to the first is
    less than the pair's plus the margin; its loss is what is missing. Unlike other losses it
    depends on which clips share a batch: it sees those of one worker and of one part of an
    accumulated step, and a class that is there only once makes no pair.

    Source: arXiv 2101.04792; roman-vygon/triplet_loss_kws 0d92edd (`loss/triplet.py`,
    `loss/utils.py`).
    """

    takes_output = True

    def __init__(self, *, margin: float = 0.5):
        """Set by how much farther others shall be, in squared distance."""
        super().__init__()
        self.margin = margin

    def forward(self, output: EmbeddedOutput, labels: Tensor) -> Tensor:
        """Return (batch,) losses whose mean is that over all triplets of the batch.

        Args:
            output: of a model with an embedding (batch, dim) of length 1.
            labels: (batch,) int64.

        Raises:
            TrainingError: the model has no embedding.
        """
        embedding = getattr(output, "embedding", None)
        if embedding is None:
            raise TrainingError(
                "the triplet loss compares embeddings, and this model returns none; train "
                "res15_triplet, or take cross_entropy"
            )
        embedding = embedding.float()
        # Near neighbours differ by less than bfloat16 resolves, to which autocast takes products.
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
