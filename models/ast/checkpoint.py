"""Convert published AST and DeiT checkpoints to this project's names and shapes.

Formats:

- the authors' files (YuanGongND/ast 31088be): `v.*` and `mlp_head.*`, prefixed with `module.`;
- their Hugging Face mirrors `MIT/ast-*`: `audio_spectrogram_transformer.*` and `classifier.*`, with
  separate queries, keys, and values. Transformers uses epsilon 1e-12 in every layer norm; this
  project uses the authors' values;
- distilled DeiT as in timm (`deit_*_distilled_patch16_*`), AST's ImageNet initialization.

Position embeddings and input channels are fitted by the rules of the authors' `ASTModel`. Files do
not record the grid of their positions: it is the published grid with that number of patches, the
square of an image model, the model's own, or given by the user. If several fit, the file is
refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from models.checkpoints.rename import rename_by_patterns, share_channels
from models.errors import CheckpointError
from models.protocols import Fitted

UNUSED = {
    "v.head": "one of DeiT's ImageNet heads, which AST does not use",
    "deit.head": "an ImageNet head",
    "mlp_head.0.": "the norm of a head for another number of classes",
}

# A name matches one pattern; DeiT's names are prefixed with `v.` first.
_NAMES = (
    (r"v\.(cls_token|dist_token|pos_embed)", r"\1"),
    (r"v\.patch_embed\.proj\.(\w+)", r"patch_embed.\1"),
    (r"v\.(blocks\..*|norm\.\w+)", r"\1"),
    (r"mlp_head\.0\.(\w+)", r"head_norm.\1"),
    (r"mlp_head\.1\.(\w+)", r"head.\1"),
)
_HUGGING_FACE = (
    (r"embeddings\.cls_token", r"v.cls_token"),
    (r"embeddings\.distillation_token", r"v.dist_token"),
    (r"embeddings\.position_embeddings", r"v.pos_embed"),
    (r"embeddings\.patch_embeddings\.projection\.(\w+)", r"v.patch_embed.proj.\1"),
    (r"encoder\.layer\.(\d+)\.attention\.output\.dense\.(\w+)", r"v.blocks.\1.attn.proj.\2"),
    (r"encoder\.layer\.(\d+)\.layernorm_before\.(\w+)", r"v.blocks.\1.norm1.\2"),
    (r"encoder\.layer\.(\d+)\.layernorm_after\.(\w+)", r"v.blocks.\1.norm2.\2"),
    (r"encoder\.layer\.(\d+)\.intermediate\.dense\.(\w+)", r"v.blocks.\1.mlp.fc1.\2"),
    (r"encoder\.layer\.(\d+)\.output\.dense\.(\w+)", r"v.blocks.\1.mlp.fc2.\2"),
    (r"layernorm\.(\w+)", r"v.norm.\1"),
    (r"classifier\.layernorm\.(\w+)", r"mlp_head.0.\1"),
    (r"classifier\.dense\.(\w+)", r"mlp_head.1.\1"),
)
_QUERY = re.compile(r"encoder\.layer\.(\d+)\.attention\.attention\.query\.(\w+)")
_KEY_OR_VALUE = re.compile(r"encoder\.layer\.\d+\.attention\.attention\.(key|value)\.\w+")
_TRUNK = "audio_spectrogram_transformer."

# Number of patches -> (rows, columns) of the authors' AST files.
_PUBLISHED = {
    1212: (12, 101),  # 10 s, strides of 10
    850: (10, 85),  # 10 s, strides of 12
    657: (9, 73),  # 10 s, strides of 14
    512: (8, 64),  # 10 s, strides of 16
    144: (12, 12),  # Speech Commands
}
_DEIT = frozenset({"dist_token", "patch_embed.proj.weight"})
_SHOWN = 8


def rename_ast_state(
    state: Mapping[str, Tensor], *, num_channels: int, num_classes: int
) -> dict[str, Tensor] | None:
    """Convert a published state to this project's names.

    Args:
        state: State in one of the three formats, without the prefix `module.`.
        num_channels: Input channels of the model; see `share_channels`.
        num_classes: Number of classes of the model. A head for another number is dropped with its
            norm, which the authors initialize anew as well.

    Returns:
        name -> tensor, with unknown names kept; None for a state of another format.
    """
    if _TRUNK + "embeddings.cls_token" in state or "embeddings.distillation_token" in state:
        state = _from_hugging_face(state)
    elif state.keys() >= _DEIT:
        state = {
            ("deit." if name.startswith("head") else "v.") + name: value
            for name, value in state.items()
        }
    if "v.patch_embed.proj.weight" not in state or "v.dist_token" not in state:
        return None
    head = state.get("mlp_head.1.weight")
    other_head = head is None or len(head) != num_classes
    renamed = {}
    for name, value in state.items():
        kept = name.startswith("mlp_head.0.") and other_head
        renamed[name if kept else rename_by_patterns(name, _NAMES)] = value
    stem = "patch_embed.weight"
    return renamed | {stem: share_channels(renamed[stem], num_channels)}


def fit_ast_parameter(
    value: Tensor,
    *,
    grid: tuple[int, int],
    state: Mapping[str, Tensor],
    source_grid: tuple[int, int] | None,
) -> Fitted:
    """Cut or interpolate a position embedding to another grid of patches.

    A shorter axis is cropped to its center, a longer one interpolated (bilinear), time first.

    Args:
        value: (1, 2 + patches, C), with patches row by row.
        grid: Target (rows, columns).
        state: The published state, whose names tell whether it is an image model.
        source_grid: (rows, columns) of the file, if known.

    Returns:
        (1, 2 + grid rows * grid columns, C).

    Raises:
        CheckpointError: The grid of the file is impossible or ambiguous.
    """
    (rows, columns), why = _grid_of_file(value.shape[1] - 2, grid, state, source_grid)
    how = f"grid {rows} x {columns}, {why}"
    if (rows, columns) == grid:
        return Fitted(value, how)
    value = value.float()
    image = value[:, 2:].transpose(1, 2).reshape(1, -1, rows, columns)
    image = _fit_axis(image, axis=3, length=grid[1])
    image = _fit_axis(image, axis=2, length=grid[0])
    fitted = torch.cat([value[:, :2], image.flatten(2).transpose(1, 2)], dim=1)
    return Fitted(fitted, f"{how}, fitted to the model's {grid[0]} x {grid[1]}")


def _grid_of_file(
    count: int,
    grid: tuple[int, int],
    state: Mapping[str, Tensor],
    source_grid: tuple[int, int] | None,
) -> tuple[tuple[int, int], str]:
    """Return the file's (rows, columns), and the reason."""
    if source_grid is not None:
        if len(source_grid) != 2 or min(source_grid) < 1 or math.prod(source_grid) != count:
            raise CheckpointError(
                f"source_grid={tuple(source_grid)} is not the grid of its {count} patches; rows "
                f"times columns make that number, for example {_factors(count)}"
            )
        return (source_grid[0], source_grid[1]), "as stated"
    if state.keys() >= _DEIT:
        side = math.isqrt(max(count, 0))
        if side and side * side == count:
            return (side, side), "the square of an image model"
        raise _cannot_tell(count, "which is no square, as an image model has")
    published = _PUBLISHED.get(count)
    if published is not None and (published == grid or math.prod(grid) != count):
        return published, "the published one of as many patches"
    if published is not None:
        raise _cannot_tell(
            count,
            f"which are {published[0]} x {published[1]} in the published files and "
            f"{grid[0]} x {grid[1]} in this model",
        )
    if math.prod(grid) == count:
        return grid, "the model's own, which has as many patches"
    raise _cannot_tell(
        count,
        f"and neither a published file nor this model, of {grid[0]} x {grid[1]}, has as many",
    )


def _cannot_tell(count: int, why: str) -> CheckpointError:
    return CheckpointError(
        f"it holds positions of {count} patches, {why}; the grid cannot be told from the number, "
        f"and another one would scramble time and frequency. State it: "
        f"load_pretrained(model, source, source_grid=(rows, columns)), one of {_factors(count)}. "
        "An experiment starts from a file that was loaded so and saved again"
    )


def _factors(count: int) -> str:
    pairs = [(rows, count // rows) for rows in range(1, count + 1) if count % rows == 0]
    wide = [pair for pair in pairs if pair[0] <= pair[1]]
    return ", ".join(f"({rows}, {columns})" for rows, columns in wide[-_SHOWN:]) or "none"


def _fit_axis(image: Tensor, *, axis: int, length: int) -> Tensor:
    own = image.shape[axis]
    if length <= own:
        return image.narrow(axis, own // 2 - length // 2, length)
    size = [length if i == axis else image.shape[i] for i in (2, 3)]
    return functional.interpolate(image, size, mode="bilinear")


def _from_hugging_face(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    state = {name.removeprefix(_TRUNK): value for name, value in state.items()}
    renamed = {}
    for name, value in state.items():
        if found := _QUERY.fullmatch(name):
            parts = [state.get(name.replace("query", part)) for part in ("query", "key", "value")]
            if all(part is not None for part in parts):
                joined = torch.cat([part for part in parts if part is not None])
                renamed[f"v.blocks.{found[1]}.attn.qkv.{found[2]}"] = joined
        elif not _KEY_OR_VALUE.fullmatch(name):
            renamed[rename_by_patterns(name, _HUGGING_FACE)] = value
    return renamed
