"""NetVLAD pooling (arXiv 1511.07247): residuals of descriptors to learned centers.

B batch, D descriptor, N places, K clusters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.precision import full_precision

_SHARPNESS = 100.0


class NetVlad(nn.Module):
    """Assigns every place softly to clusters and sums its differences from their centers."""

    def __init__(self, dim: int, num_clusters: int) -> None:
        """Draw the centers, and the assignment that belongs to them.

        The authors of VGGSound draw the assignment's weights anew afterwards, by the rule for all
        convolutions of their network, which this does not.

        Args:
            dim: of a descriptor (D).
            num_clusters: K.
        """
        super().__init__()
        self.centroids = nn.Parameter(torch.rand(num_clusters, dim))
        self.assign = nn.Conv2d(dim, num_clusters, 1)
        with torch.no_grad():
            self.assign.weight.copy_(2 * _SHARPNESS * self.centroids[..., None, None])
            self.assign.bias.copy_(-_SHARPNESS * self.centroids.norm(dim=1))  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, height, width) -> (B, K * D), of length 1."""
        with full_precision(x):
            x = functional.normalize(x.float(), dim=1)
            shares = self.assign(x).flatten(2).softmax(dim=1)  # B K N
            sums = shares @ x.flatten(2).transpose(1, 2)  # B K D
            residuals = sums - shares.sum(dim=2, keepdim=True) * self.centroids
            clusters = functional.normalize(residuals, dim=2)
            return functional.normalize(clusters.flatten(1), dim=1)
