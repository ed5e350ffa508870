"""The published DAT checkpoints in this project's names and shapes.

Format (LeapLabTHU/DAT 797f187): a dict with `model`, a state dict of the names below. Bias tables
are resized by the authors' own rule for another resolution (`models/dat.py`, load_pretrained),
which holds for rectangles too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

# A name matches one pattern; layer norms are numbered through the two of every block.
_NAMES = (
    (r"patch_proj\.0\.(\w+)", r"stem.conv.\1"),
    (r"patch_proj\.1\.norm\.(\w+)", r"stem.norm.\1"),
    (r"down_projs\.(\d)\.0\.weight", r"downs.\1.conv.weight"),
    (r"down_projs\.(\d)\.1\.norm\.(\w+)", r"downs.\1.norm.\2"),
    (r"cls_norm\.norm\.(\w+)", r"norm.\1"),
    (r"cls_head\.(\w+)", r"head.\1"),
    (r"stages\.(\d)\.mlps\.(\d+)\.chunk\.linear1\.(\w+)", r"stages.\1.\2.mlp.up.\3"),
    (r"stages\.(\d)\.mlps\.(\d+)\.chunk\.linear2\.(\w+)", r"stages.\1.\2.mlp.down.\3"),
    (r"stages\.(\d)\.attns\.(\d+)\.proj_qkv\.(\w+)", r"stages.\1.\2.attention.qkv.\3"),
    (r"stages\.(\d)\.attns\.(\d+)\.proj_out\.(\w+)", r"stages.\1.\2.attention.out.\3"),
    (r"stages\.(\d)\.attns\.(\d+)\.proj_q\.(\w+)", r"stages.\1.\2.attention.query.\3"),
    (
        r"stages\.(\d)\.attns\.(\d+)\.(?:relative_position_bias|rpe)_table",
        r"stages.\1.\2.attention.bias_table",
    ),
    (
        r"stages\.(\d)\.attns\.(\d+)\.conv_offset\.0\.(\w+)",
        r"stages.\1.\2.attention.offset.depthwise.\3",
    ),
    (
        r"stages\.(\d)\.attns\.(\d+)\.conv_offset\.1\.norm\.(\w+)",
        r"stages.\1.\2.attention.offset.norm.\3",
    ),
    (
        r"stages\.(\d)\.attns\.(\d+)\.conv_offset\.3\.weight",
        r"stages.\1.\2.attention.offset.project.weight",
    ),
)
_LAYER_NORM = re.compile(r"stages\.(\d)\.layer_norms\.(\d+)\.norm\.(\w+)")
_KEY = re.compile(r"stages\.(\d)\.attns\.(\d+)\.proj_k\.(\w+)")
_COMPUTED = re.compile(r".*\.(relative_position_index|attn_mask)")


def rename_dat_state(state: Mapping[str, Tensor], *, num_channels: int) -> dict[str, Tensor] | None:
    """Give a published state this project's names and layer shapes.

    Args:
        state: the value of `model` in a published file.
        num_channels: input channels of the model to be. For another number than 3 the stem's
            weights are summed over RGB and shared out equally, so that one channel counts as if
            it were repeated three times (AST's rule).

    Returns:
        name -> tensor, without the buffers that every model computes for itself; names that are
        not known stay as they are. None if this is no such state.
    """
    if "patch_proj.0.weight" not in state or "cls_norm.norm.weight" not in state:
        return None
    renamed = {}
    for name, value in state.items():
        if _COMPUTED.fullmatch(name) or ".proj_v." in name:
            continue
        if found := _LAYER_NORM.fullmatch(name):
            stage, index, kind = found[1], int(found[2]), found[3]
            renamed[f"stages.{stage}.{index // 2}.norm{index % 2 + 1}.{kind}"] = value
        elif (found := _KEY.fullmatch(name)) and (pair := name.replace("_k", "_v")) in state:
            joined = torch.cat([value, state[pair]]).flatten(1 if found[3] == "weight" else 0)
            renamed[f"stages.{found[1]}.{found[2]}.attention.key_value.{found[3]}"] = joined
        else:
            ours = _rename(name)
            if ours.startswith("stages.") and value.dim() == 4 and "depthwise" not in ours:
                value = value.flatten(1)  # a 1x1 convolution is a linear layer here
            renamed[ours] = value
    stem = renamed["stem.conv.weight"]
    if stem.shape[1] == 3 != num_channels:
        summed = stem.sum(dim=1, keepdim=True) / num_channels
        renamed["stem.conv.weight"] = summed.repeat(1, num_channels, 1, 1)
    return renamed


def fit_dat_parameter(name: str, value: Tensor, shape: torch.Size) -> Tensor | None:
    """Resize a bias table to another map or window (bicubic); None where no rule applies.

    Args:
        name: the parameter's name in this project.
        value: (heads, 2H - 1, 2W - 1), or ((2w - 1)^2, heads) for a window.
        shape: the shape to reach, same number of heads.
    """
    if not name.endswith(".bias_table") or value.dim() != len(shape):
        return None
    value = value.float()
    if value.dim() == 3 and value.shape[0] == shape[0]:
        return functional.interpolate(value[None], tuple(shape[1:]), mode="bicubic")[0]
    if value.dim() == 2 and value.shape[1] == shape[1]:
        old, new = (math.isqrt(rows) for rows in (value.shape[0], shape[0]))
        if old * old == value.shape[0]:
            square = value.T.reshape(1, -1, old, old)
            return functional.interpolate(square, (new, new), mode="bicubic")[0].flatten(1).T
    return None


def _rename(name: str) -> str:
    for pattern, ours in _NAMES:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, ours, name)
    return name
