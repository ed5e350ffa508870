"""Res-15 trained with a triplet loss, with a nearest-neighbor classifier, arXiv 2101.04792.

The authors' code is roman-vygon/triplet_loss_kws 0d92edd (MIT). The network is `models.res15.model`
with embeddings scaled to length 1; a clip gets the majority class of its nearest training clips.
Train it with the loss `triplet`. Differences:

- in training and without a support set, the logits come from a linear layer on the embedding, which
  a loss on logits could train. The authors always use training clips, or a classifier trained after
  the encoder;
- votes become logits (`models.layers.nearest`), of which the largest is the authors' prediction;
- training sets the support set before every evaluation; elsewhere call `set_support`, or the linear
  layer is used.

The authors' features are 64 NeMo log-mels, which no front end here reproduces exactly.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.layers.nearest import Nearest
from models.output import Output
from models.registry import register
from models.res15.model import Res15


@register("model")
class Res15Triplet(Res15, Nearest):
    """Res-15 as an encoder with a nearest-neighbor classifier: 0.237 M parameters.

    It compares embeddings of clips with those of a support set.
    """

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
        self.remember(dim, num_classes=num_classes, neighbours=neighbours)

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
        return Output(self.votes(embedding), embedding=embedding)
