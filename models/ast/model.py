"""AST: Audio Spectrogram Transformer, arXiv 2104.01778 (Interspeech 2021).

The authors' code is YuanGongND/ast 31088be (BSD-3-Clause), weights under the same licence; the
ImageNet start is distilled DeiT (facebookresearch/deit, Apache-2.0). Equal to the authors'
`ASTModel` in values (a test holds parity vectors), and different in:

- input (batch, 1, mels, frames) instead of (batch, frames, mels), of any channels and any size
  of a patch or more;
- DeiT's two ImageNet heads of 1000 classes, which AST carries but never runs, are not built. The
  published 6.11, 22.83 and 88.13 M parameters (527 classes, 10 s) count them: 0.39, 0.77 and
  1.54 M;
- `drop_path_rate`, which AST leaves at 0;
- autocast is the trainer's choice; the authors switch it on inside the model.

The features are those of `models.frontends.kaldi.KaldiFbank` with its defaults, 16 kHz and 128
mels; `num_frames` is 1024 for AudioSet (10 s), 512 for ESC-50 and 128 for Speech Commands.
Published weights expect the normalisation they were trained with, `Chain.set_normalisation(mean,
std)`: -4.2677393, 4.5689974 for AudioSet; -6.845978, 5.5654526 for Speech Commands.
"""

from __future__ import annotations

from models.ast.blocks import Ast
from models.registry import register


@register("model")
def ast_tiny(
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
) -> Ast:
    """AST on DeiT-Ti: 5.72 M parameters at 128 mels x 1024 frames with 527 classes.

    Arguments, shapes and errors as in `models.ast.blocks.Ast`.
    """
    return Ast(
        num_channels,
        input_size,
        num_classes,
        dim=dim,
        depth=depth,
        num_heads=num_heads,
        patch_size=patch_size,
        freq_stride=freq_stride,
        time_stride=time_stride,
        drop_path_rate=drop_path_rate,
    )


@register("model")
def ast_small(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    freq_stride: int = 10,
    time_stride: int = 10,
    drop_path_rate: float = 0.0,
    patch_size: int = 16,
    dim: int = 384,
    depth: int = 12,
    num_heads: int = 6,
) -> Ast:
    """AST on DeiT-S: 22.06 M parameters at 128 mels x 1024 frames with 527 classes.

    Arguments, shapes and errors as in `models.ast.blocks.Ast`.
    """
    return Ast(
        num_channels,
        input_size,
        num_classes,
        dim=dim,
        depth=depth,
        num_heads=num_heads,
        patch_size=patch_size,
        freq_stride=freq_stride,
        time_stride=time_stride,
        drop_path_rate=drop_path_rate,
    )


@register("model")
def ast_base(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    freq_stride: int = 10,
    time_stride: int = 10,
    drop_path_rate: float = 0.0,
    patch_size: int = 16,
    dim: int = 768,
    depth: int = 12,
    num_heads: int = 12,
) -> Ast:
    """AST on DeiT-B, the paper's: 86.59 M parameters at 128 mels x 1024 frames, 527 classes.

    103.4 G MACs in layers, the paper's count, and 130.5 G with the products of attention.

    Arguments, shapes and errors as in `models.ast.blocks.Ast`.
    """
    return Ast(
        num_channels,
        input_size,
        num_classes,
        dim=dim,
        depth=depth,
        num_heads=num_heads,
        patch_size=patch_size,
        freq_stride=freq_stride,
        time_stride=time_stride,
        drop_path_rate=drop_path_rate,
    )


@register("model")
def ast_laptop(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    freq_stride: int = 10,
    time_stride: int = 10,
    drop_path_rate: float = 0.0,
    patch_size: int = 16,
    dim: int = 96,
    depth: int = 4,
    num_heads: int = 3,
) -> Ast:
    """AST for a laptop: 0.48 M parameters at 64 mels x 128 frames; not a published size.

    28.9 M MACs a clip (layers), with ten classes and the front end of `models.create_model`.

    Arguments, shapes and errors as in `models.ast.blocks.Ast`.
    """
    return Ast(
        num_channels,
        input_size,
        num_classes,
        dim=dim,
        depth=depth,
        num_heads=num_heads,
        patch_size=patch_size,
        freq_stride=freq_stride,
        time_stride=time_stride,
        drop_path_rate=drop_path_rate,
    )
