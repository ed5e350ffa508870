"""KWT, the Keyword Transformer: self-attention over the frames of a word, arXiv 2104.00769.

The authors' code is ARM-software/keyword-transformer 237e409 (Apache-2.0, TensorFlow). Numerically
equal to its models (tested with parity vectors). Differences:

- the chain normalizes the features, which the authors do not. Their weights need
  `chain.set_normalization(0.0, 0.5)`, the identity;
- attention is over time only, the paper's best domain; no distillation from a teacher;
- the authors' weights, TensorFlow checkpoints, cannot be read.

The input is `models.frontends.mfcc.Mfcc`: one second at 16 kHz gives 98 frames of 40 coefficients.
Parameters with twelve classes: 607,308, 2,394,252 and 5,360,844. The table in the authors' README
lists other MLP widths (128 and 256) than their training commands; its parameter counts match those
used here.

B batch, T time (frames), C token width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.output import Output
from models.registry import register

_STD = 0.02


@register(
    "model",
    variants={
        "kwt_1": {},
        "kwt_2": {"dim": 128, "num_heads": 2, "mlp_dim": 512},
        "kwt_3": {"dim": 192, "num_heads": 3, "mlp_dim": 768},
        "kwt_laptop": {"depth": 4},
    },
)
class Kwt(nn.Module):
    """Classifies spectrograms by a class token among the frames.

    Variants:
        kwt_1: KWT-1: 0.607 M parameters with 12 classes.
        kwt_2: KWT-2: 2.394 M parameters with 12 classes.
        kwt_3: KWT-3: 5.361 M parameters with 12 classes.
        kwt_laptop: KWT for a laptop: KWT-1 with a third of its blocks; not a published size. With
            `models.create_model` it takes 128 frames at a 40-ms hop, for clips of five seconds.
    """

    head_parameters = ("head.weight", "head.bias")

    def __init__(
        self,
        num_channels: int,
        input_size: tuple[int, int],
        num_classes: int,
        *,
        dim: int = 64,
        depth: int = 12,
        num_heads: int = 1,
        mlp_dim: int = 256,
        dropout: float = 0.0,
    ) -> None:
        """Initialize weights from N(0, 0.02) truncated at two deviations, and zero biases.

        Args:
            num_channels: Number of channels of the features.
            input_size: (coefficients, frames); both are fixed.
            num_classes: Number of classes.
            dim: Width of the tokens.
            depth: Number of transformer blocks.
            num_heads: Number of attention heads; must divide `dim`.
            mlp_dim: Hidden width of the MLP.
            dropout: Dropout rate at the end of both branches.

        Raises:
            ModelError: The sizes do not fit together, or the rate is not a probability.
        """
        super().__init__()
        rows, frames = input_size
        if frames < 1:
            raise ModelError("the model has a position for every frame; set the front end's frames")
        if min(dim, depth, num_heads, mlp_dim) < 1 or dim % num_heads:
            raise ModelError(
                f"dim={dim}, depth={depth}, num_heads={num_heads}, mlp_dim={mlp_dim}: each at "
                "least 1, and num_heads divides dim"
            )
        if not 0 <= dropout < 1:
            raise ModelError(f"dropout={dropout}: a probability in [0, 1)")
        self.input_size = tuple(input_size)
        self.embed = nn.Linear(num_channels * rows, dim)
        self.cls_token = nn.Parameter(torch.empty(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + frames, dim))
        self.blocks = nn.ModuleList(
            PostNormBlock(dim, num_heads, mlp_dim, dropout=dropout) for _ in range(depth)
        )
        self.head = nn.Linear(dim, num_classes)
        for parameter in (self.cls_token, self.pos_embed):
            nn.init.trunc_normal_(parameter, std=_STD, a=-2 * _STD, b=2 * _STD)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=_STD, a=-2 * _STD, b=2 * _STD)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, features: Tensor) -> Output:
        """Classify a batch of features.

        Args:
            features: (B, num_channels, coefficients, frames).

        Returns:
            `Output` with clip_logits (B, num_classes).

        Raises:
            ModelError: The size is not the one the model was built for.
        """
        if tuple(features.shape[2:]) != self.input_size:
            raise ModelError(
                f"the model was built for {self.input_size} coefficients and frames, not "
                f"{tuple(features.shape[2:])}; pad or cut by the front end's number of frames"
            )
        x = self.embed(features.flatten(1, 2).transpose(1, 2))
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        x = x[:, 0]
        return Output(self.head(x), embedding=x)


class PostNormBlock(nn.Module):
    """Attention and MLP, each added to its input and then normalized."""

    def __init__(self, dim: int, num_heads: int, mlp_dim: int, *, dropout: float) -> None:
        """Build the layers; queries, keys, and values have no bias."""
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.fc1 = nn.Linear(dim, mlp_dim)
        self.fc2 = nn.Linear(mlp_dim, dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        qkv = self.qkv(x).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(*qkv.unbind(0))
        branch = self.proj(attended.transpose(1, 2).flatten(2))
        x = self.norm1(x + functional.dropout(branch, self.dropout, self.training))
        branch = self.fc2(functional.gelu(self.fc1(x)))
        return self.norm2(x + functional.dropout(branch, self.dropout, self.training))
