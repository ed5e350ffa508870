"""Res-15 of honk: a residual network for keywords, arXiv 1710.10361 (ICASSP 2018).

The authors' code is castorini/honk c3aae75 (MIT). Equal to its model in values (a test holds parity
vectors), and different in:

- maps are (coefficients, frames), theirs the other way round;
- the features, as all of this project, are normalized by the chain; theirs are not. Weights of
  theirs want `chain.set_normalization(0.0, 0.5)`, which changes nothing;
- clips of any length. The input is `models.frontends.mfcc.HonkMfcc`: one second at 16 kHz makes 101
  frames of 40 coefficients.

The 97.0 that HTS-AT's table gives to "RES-15" are of the same network trained by a triplet loss,
see `models.res15.triplet`. The encoders that were published with it load into `res15` too; the
classifier then keeps its initial weights.
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
    """Classifies features by the mean over a map that keeps their size.

    Every second convolution adds what the pair before it gave; norms follow and have no weights.

    Variants:
        res15: Res-15: fifteen layers of 45 maps, 0.237 M parameters and a classifier.
        res15_laptop: Res-15 for a laptop: half the width on a map pooled as in honk's Res-26; no
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
        """Draw PyTorch's initial weights, as the authors do.

        Args:
            num_channels: channels of the features.
            input_size: (rows, frames), mels or coefficients; any will do.
            num_classes: size of the logits.
            dim: width of all convolutions.
            depth: convolutions after the first; number i, from 0, is dilated by 2^(i // 3).
            pool: (rows, frames) that are averaged after the first convolution; empty for none.

        Raises:
            ModelError: sizes that make no network, or the input is smaller than `pool`.
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
            ModelError: the features are smaller than `pool`.
        """
        x = self.embed(features)
        return Output(self.head(x), embedding=x)

    def embed(self, features: Tensor) -> Tensor:
        """Compute what the classifier gets to see: (B, dim); arguments as in `forward`."""
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
        """Give a state of the authors' files this model's names and orientation."""
        return rename_res15_state(state)
