"""Published AST and DeiT checkpoints in this project's names and shapes.

Three formats are read:

- the authors' files (YuanGongND/ast 31088be): `v.*` and `mlp_head.*`, all behind `module.`;
- their Hugging Face mirrors `MIT/ast-*`: `audio_spectrogram_transformer.*` and `classifier.*`,
  with queries, keys and values apart. Transformers runs them with epsilon 1e-12 in every layer
  norm; here they run with the authors' own;
- distilled DeiT as in timm (`deit_*_distilled_patch16_*`), AST's start from ImageNet.

Position embeddings and input channels are fitted by the rules of the authors' `ASTModel`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

UNUSED = {
    "v.head": "one of DeiT's ImageNet heads, which AST does not use",
    "deit.head": "an ImageNet head",
    "mlp_head.0.": "the norm of a head for another number of classes",
}

# A name matches one pattern; those of DeiT come with `v.` before them.
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

# Number of patches -> (rows, columns) of what has been published; a file does not say.
_GRIDS = {
    1212: (12, 101),  # 10 s, strides of 10
    850: (10, 85),  # 10 s, strides of 12
    657: (9, 73),  # 10 s, strides of 14
    512: (8, 64),  # 10 s, strides of 16
    144: (12, 12),  # Speech Commands
    196: (14, 14),  # DeiT at 224
    576: (24, 24),  # DeiT at 384
}


def rename_ast_state(
    state: Mapping[str, Tensor], *, num_channels: int, num_classes: int
) -> dict[str, Tensor] | None:
    """Give a published state this project's names.

    Args:
        state: of one of the three formats, without the prefix `module.`.
        num_channels: input channels of the model to be. For another number the weights of the
            patches are summed over the file's channels and shared out equally: AST's rule for
            one channel, and such that several equal channels count as one.
        num_classes: of the model to be. A head for another number is left out whole, with its
            norm, as the authors start it anew.

    Returns:
        name -> tensor; names that are not known stay as they are. None if this is no such state.
    """
    if _TRUNK + "embeddings.cls_token" in state or "embeddings.distillation_token" in state:
        state = _from_hugging_face(state)
    elif {"dist_token", "patch_embed.proj.weight"} <= state.keys():
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
        renamed[name if kept else _rename(name, _NAMES)] = value
    patches = renamed["patch_embed.weight"]
    if patches.shape[1] != num_channels:
        summed = patches.sum(dim=1, keepdim=True) / num_channels
        renamed["patch_embed.weight"] = summed.repeat(1, num_channels, 1, 1)
    return renamed


def fit_ast_parameter(value: Tensor, *, grid: tuple[int, int]) -> Tensor | None:
    """Cut or interpolate a position embedding to another grid of patches.

    A shorter axis is cut out of the middle, a longer one is interpolated (bilinear), time first.

    Args:
        value: (1, 2 + rows * columns, C). Rows and columns are those of the published file with
            as many patches; else the rows are taken to be the model's.
        grid: (rows, columns) to reach.

    Returns:
        (1, 2 + grid rows * grid columns, C), or None if the patches make no such grid.
    """
    count = value.shape[1] - 2
    rows, columns = _GRIDS.get(count, (grid[0], count // grid[0]))
    if count < 1 or rows * columns != count:
        return None
    value = value.float()
    image = value[:, 2:].transpose(1, 2).reshape(1, -1, rows, columns)
    image = _fit_axis(image, axis=3, length=grid[1])
    image = _fit_axis(image, axis=2, length=grid[0])
    return torch.cat([value[:, :2], image.flatten(2).transpose(1, 2)], dim=1)


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
            renamed[_rename(name, _HUGGING_FACE)] = value
    return renamed


def _rename(name: str, patterns: tuple[tuple[str, str], ...]) -> str:
    for pattern, ours in patterns:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, ours, name)
    return name
