"""Res-15 of honk: a residual network for keywords, arXiv 1710.10361 (ICASSP 2018).

The authors' code is castorini/honk c3aae75 (MIT). Numerically equal to its model (tested with
parity vectors). Differences:

- maps are (coefficients, frames), the authors' are transposed;
- the chain normalizes the features, which the authors do not. Their weights need
  `chain.set_normalization(0.0, 0.5)`, the identity;
- clips of any length. The input is `models.frontends.mfcc.HonkMfcc`: one second at 16 kHz gives 101
  frames of 40 coefficients.

The 97.0 of "RES-15" in HTS-AT's table is for this network trained with a triplet loss, see
`models.res15.triplet`. The encoders published with it load into `res15` too; the classifier then
keeps its initial weights.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.output import Output
from models.registry import register
from models.res15.checkpoint import rename_res15_state


@register(
    "model",
    variants={
        "res15": {},
        "res15_laptop": {"dim": 24, "pool": (2, 2)},
    },
)
class Res15(nn.Module):
    """Classifies features by the mean over a map of the same size.

    Every second convolution adds the output of the pair before it; norms follow, without weights.

    Variants:
        res15: Res-15: fifteen layers of 45 maps, 0.237 M parameters and a classifier.
        res15_laptop: Res-15 for a laptop: half the width on a map pooled as in honk's Res-26; not a
            published size.
    """

    head_parameters = ("head.weight", "head.bias")

    def __init__(
        self,
        num_channels: int,
        input_size: tuple[int, int],
        num_classes: int,
        *,
        dim: int = 45,
        depth: int = 13,
        pool: tuple[int, ...] = (),
    ) -> None:
        """Initialize as PyTorch and the authors do.

        Args:
            num_channels: Number of channels of the features.
            input_size: (rows, frames) of any size; rows are mels or coefficients.
            num_classes: Number of classes.
            dim: Number of channels of all convolutions.
            depth: Number of convolutions after the first; dilations are 2^(i // 3), i from 0.
            pool: (rows, frames) of average pooling after the first convolution; empty for none.

        Raises:
            ModelError: The sizes do not define a network, or the input is smaller than `pool`.
        """
        super().__init__()
        if min(dim, depth) < 1 or (pool and (len(pool) != 2 or min(pool) < 1)):
            raise ModelError(
                f"dim={dim}, depth={depth}, pool={pool}: sizes are at least 1, pool is empty or two"
            )
        self.pool = tuple(pool) or (1, 1)
        rows, frames = input_size
        if rows < self.pool[0] or 0 < frames < self.pool[1]:
            raise ModelError(
                f"{tuple(input_size)} rows and frames leave nothing after pool={pool}; raise the "
                "front end's rows or frames"
            )
        self.stem = nn.Conv2d(num_channels, dim, 3, padding=1, bias=False)
        self.convs = nn.ModuleList(
            nn.Conv2d(dim, dim, 3, padding=1 << i // 3, dilation=1 << i // 3, bias=False)
            for i in range(depth)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(dim, affine=False) for _ in range(depth))
        self.head = nn.Linear(dim, num_classes)

    def forward(self, features: Tensor) -> Output:
        """Classify a batch of features.

        Args:
            features: (B, num_channels, rows, frames).

        Returns:
            `Output` with clip_logits (B, num_classes).

        Raises:
            ModelError: The features are smaller than `pool`.
        """
        x = self.embed(features)
        return Output(self.head(x), embedding=x)

    def embed(self, features: Tensor) -> Tensor:
        """Compute the classifier's input (B, dim); arguments as in `forward`."""
        if features.shape[2] < self.pool[0] or features.shape[3] < self.pool[1]:
            raise ModelError(
                f"{tuple(features.shape[2:])} rows and frames leave nothing after pool="
                f"{self.pool}; pad the clips"
            )
        x = functional.relu(self.stem(features))
        if self.pool != (1, 1):
            x = functional.avg_pool2d(x, self.pool)
        before = x
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = functional.relu(conv(x))
            if i % 2:
                before = x = x + before
            x = norm(x)
        return x.mean(dim=(2, 3))

    def rename_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Convert a published state to this model's names and orientation."""
        return rename_res15_state(state)
