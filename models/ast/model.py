"""AST: Audio Spectrogram Transformer, arXiv 2104.01778 (Interspeech 2021).

The authors' code is YuanGongND/ast 31088be (BSD-3-Clause), weights under the same license; the
ImageNet initialization is distilled DeiT (facebookresearch/deit, Apache-2.0). Numerically equal to
the authors' `ASTModel` (tested with parity vectors). Differences:

- input is (batch, channels, mels, frames) instead of (batch, frames, mels), of any size from one
  patch up;
- DeiT's two ImageNet heads of 1000 classes, which AST never runs, are not built. The published
  6.11, 22.83 and 88.13 M parameters (527 classes, 10 s) include them: 0.39, 0.77 and 1.54 M;
- `drop_path_rate`, which is 0 in AST;
- the trainer controls autocast; the authors enable it inside the model.

The input is `models.frontends.kaldi.KaldiFbank` with its defaults, 16 kHz and 128 mels;
`num_frames` is 1024 for AudioSet (10 s), 512 for ESC-50 and 128 for Speech Commands. Published
weights expect the normalization they were trained with, `Chain.set_normalization(mean, std)`:
-4.2677393, 4.5689974 for AudioSet; -6.845978, 5.5654526 for Speech Commands.

B batch, F rows of patches (mel), T columns of patches (time), C token width. Blocks are timm's,
pre-norm with exact GELU.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import cast

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from models.ast.checkpoint import UNUSED, fit_ast_parameter, rename_ast_state
from models.errors import ModelError
from models.output import Output
from models.protocols import Fitted
from models.registry import register


@register(
    "model",
    variants={
        "ast_tiny": {},
        "ast_small": {"dim": 384, "num_heads": 6},
        "ast_base": {"dim": 768, "num_heads": 12},
        "ast_laptop": {"dim": 96, "depth": 4},
    },
)
class Ast(nn.Module):
    """Classifies spectrograms by the mean of a class token and a distillation token.

    Layer norms have epsilon 1e-6 as in timm's DeiT, except PyTorch's 1e-5 in the head, as in the
    authors' checkpoints.

    Variants:
        ast_tiny: AST on DeiT-Ti: 5.72 M parameters at 128 mels x 1024 frames with 527 classes.
        ast_small: AST on DeiT-S: 22.06 M parameters at 128 mels x 1024 frames with 527 classes.
        ast_base: AST on DeiT-B, the paper's: 86.59 M parameters at 128 mels x 1024 frames, 527
            classes. 103.4 G MACs in layers, the paper's count, and 130.5 G with the products of
            attention.
        ast_laptop: AST for a laptop: 0.48 M parameters at 64 mels x 128 frames; not a published
            size. 28.9 M MACs a clip (layers), with ten classes and the front end of
            `models.create_model`.
    """

    head_parameters = ("head.weight", "head.bias")
    grid_parameters = ("pos_embed",)
    unused_published = UNUSED

    def __init__(
        self,
        num_channels: int,
        input_size: tuple[int, int],
        num_classes: int,
        *,
        freq_stride: int = 10,
        time_stride: int = 10,
        drop_path_rate: float = 0.0,
        patch_size: int = 16,
        dim: int = 192,
        depth: int = 12,
        num_heads: int = 3,
    ) -> None:
        """Initialize as the authors do without ImageNet weights.

        Args:
            num_channels: Number of channels of the spectrogram.
            input_size: (mels, frames), at least one patch; rows and columns beyond the last patch
                are dropped.
            num_classes: Number of classes.
            dim: Width of the tokens.
            depth: Number of transformer blocks.
            num_heads: Number of attention heads; must divide `dim`.
            patch_size: Side of a square patch in mels and frames.
            freq_stride: Stride of the patches in mels; they overlap if it is below `patch_size`.
            time_stride: Stride of the patches in frames.
            drop_path_rate: Drop path rate of the last block, rising linearly from 0 at the first; 0
                in AST.

        Raises:
            ModelError: The sizes do not fit together.
        """
        super().__init__()
        _check(input_size, dim, depth, num_heads, patch_size, freq_stride, time_stride)
        if not 0 <= drop_path_rate < 1:
            raise ModelError(f"drop_path_rate={drop_path_rate}: a probability in [0, 1)")
        self.num_channels = num_channels
        self.input_size = tuple(input_size)
        self.num_classes = num_classes
        rows, columns = (
            (length - patch_size) // stride + 1
            for length, stride in zip(input_size, (freq_stride, time_stride), strict=True)
        )
        self.grid = (rows, columns)
        norm = cast(type[nn.LayerNorm], partial(nn.LayerNorm, eps=1e-6))
        self.patch_embed = nn.Conv2d(
            num_channels, dim, patch_size, stride=(freq_stride, time_stride)
        )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.dist_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 2 + rows * columns, dim))
        self.blocks = nn.ModuleList(
            Block(
                dim,
                num_heads,
                qkv_bias=True,
                norm_layer=norm,
                drop_path=drop_path_rate * i / max(depth - 1, 1),
            )
            for i in range(depth)
        )
        self.norm = norm(dim)
        for parameter in (self.cls_token, self.dist_token, self.pos_embed):
            nn.init.trunc_normal_(parameter, std=0.02)
        for module in self.blocks.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        # Like the patches, with PyTorch's default initialization.
        self.head_norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, features: Tensor) -> Output:
        """Classify a batch of spectrograms.

        Args:
            features: (B, num_channels, mels, frames), normalized by (x - mean) / (2 std).

        Returns:
            `Output` with clip_logits (B, num_classes).

        Raises:
            ModelError: The size is not the one the model was built for.
        """
        if tuple(features.shape[2:]) != self.input_size:
            raise ModelError(
                f"the model was built for {self.input_size} mels and frames, not "
                f"{tuple(features.shape[2:])}"
            )
        x = self.patch_embed(features).flatten(2).transpose(1, 2)  # (B, F * T, C), mel by mel
        extra = torch.cat([self.cls_token, self.dist_token], dim=1).expand(x.shape[0], -1, -1)
        x = torch.cat([extra, x], dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        # Only the two tokens are needed from here on, and the norm is per token.
        x = self.head_norm(self.norm(x[:, :2]).mean(dim=1))
        return Output(self.head(x), embedding=x)

    def rename_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Convert a state of AST, its Hugging Face mirror, or DeiT to this model's names."""
        return rename_ast_state(state, num_channels=self.num_channels, num_classes=self.num_classes)

    def fit_parameter(
        self,
        name: str,
        value: Tensor,
        shape: torch.Size,
        *,
        state: Mapping[str, Tensor],
        source_grid: tuple[int, int] | None,
    ) -> Fitted | None:
        """Cut or interpolate the position embedding; see `models.ast.checkpoint`."""
        if name != "pos_embed" or value.dim() != 3 or value.shape[2:] != shape[2:]:
            return None
        return fit_ast_parameter(value, grid=self.grid, state=state, source_grid=source_grid)


def _check(
    input_size: tuple[int, int],
    dim: int,
    depth: int,
    num_heads: int,
    patch_size: int,
    freq_stride: int,
    time_stride: int,
) -> None:
    if min(patch_size, freq_stride, time_stride, depth, num_heads, dim) < 1:
        raise ModelError(
            f"patch_size={patch_size}, freq_stride={freq_stride}, time_stride={time_stride}, "
            f"depth={depth}, num_heads={num_heads}, dim={dim}: each is 1 or more"
        )
    if dim % num_heads:
        raise ModelError(f"num_heads={num_heads} does not divide dim={dim}")
    if min(input_size) < patch_size:
        raise ModelError(
            f"AST takes (mels, frames) of a patch of {patch_size} or more each, not "
            f"{tuple(input_size)}: change the front end's rows and frames (0 stands for as "
            "many frames as a clip has, and AST is built for one number)"
        )
