"""Convert published DAT checkpoints to this project's names and shapes.

Format (LeapLabTHU/DAT 797f187): a dict with `model`, a state dict of the names below. Bias tables
are resized by the authors' rule for other resolutions (`models/dat.py`, load_pretrained), which
works for rectangles too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from models.checkpoints.rename import rename_by_patterns, share_channels
from models.errors import CheckpointError
from models.protocols import Fitted

# A name matches one pattern; layer norms are numbered consecutively, two per block.
_SHARED = (
    (r"down_projs\.(\d)\.0\.weight", r"downs.\1.conv.weight"),
    (r"down_projs\.(\d)\.1\.norm\.(\w+)", r"downs.\1.norm.\2"),
    (r"cls_norm\.norm\.(\w+)", r"norm.\1"),
    (r"cls_head\.(\w+)", r"head.\1"),
    (r"stages\.(\d)\.attns\.(\d+)\.proj_out\.(\w+)", r"stages.\1.\2.attention.out.\3"),
    (r"stages\.(\d)\.attns\.(\d+)\.proj_q\.(\w+)", r"stages.\1.\2.attention.query.\3"),
    (r"stages\.(\d)\.attns\.(\d+)\.rpe_table", r"stages.\1.\2.attention.bias_table"),
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
_NAMES = (
    (r"patch_proj\.0\.(\w+)", r"stem.conv.\1"),
    (r"patch_proj\.1\.norm\.(\w+)", r"stem.norm.\1"),
    (r"stages\.(\d)\.mlps\.(\d+)\.chunk\.linear1\.(\w+)", r"stages.\1.\2.mlp.up.\3"),
    (r"stages\.(\d)\.mlps\.(\d+)\.chunk\.linear2\.(\w+)", r"stages.\1.\2.mlp.down.\3"),
    (r"stages\.(\d)\.attns\.(\d+)\.proj_qkv\.(\w+)", r"stages.\1.\2.attention.qkv.\3"),
    (
        r"stages\.(\d)\.attns\.(\d+)\.relative_position_bias_table",
        r"stages.\1.\2.attention.bias_table",
    ),
)
_COLORS = 3
_LAYER_NORM = re.compile(r"stages\.(\d)\.layer_norms\.(\d+)\.norm\.(\w+)")
_KEY = re.compile(r"stages\.(\d)\.attns\.(\d+)\.proj_k\.(\w+)")
_COMPUTED = re.compile(r".*\.(relative_position_index|attn_mask)")


def rename_dat_state(state: Mapping[str, Tensor], *, num_channels: int) -> dict[str, Tensor] | None:
    """Convert a published state to this project's names and layer shapes.

    Args:
        state: Value of `model` in a published file.
        num_channels: Input channels of the model; see `rename_stages`.

    Returns:
        As in `rename_stages`; None for a state of another format.

    Raises:
        CheckpointError: The weights are of DAT++.
    """
    form = dat_form(state)
    if form == "DAT++":
        raise CheckpointError(
            "it holds DAT++ weights and the model is built on DAT; build "
            "datar_pp_tiny, datar_pp_small or datar_pp_base for it, or take a file of DAT "
            "(dat_tiny_in1k_224.pth)"
        )
    if form is None:
        return None
    return rename_stages(state, _NAMES, stem="stem.conv.weight", num_channels=num_channels)


def dat_form(state: Mapping[str, Tensor]) -> Literal["DAT", "DAT++"] | None:
    """Tell whether a state has the names of published DAT, of published DAT++, or others."""
    if "patch_proj.0.weight" not in state or "cls_norm.norm.weight" not in state:
        return None
    return "DAT++" if "patch_proj.3.weight" in state else "DAT"


def rename_stages(
    state: Mapping[str, Tensor],
    names: tuple[tuple[str, str], ...],
    *,
    stem: str,
    num_channels: int,
) -> dict[str, Tensor]:
    """Rename what DAT and DAT++ share, and the rest by patterns.

    Args:
        state: Value of `model` in a published file.
        names: Pairs (pattern, replacement) specific to one of them.
        stem: This project's name for the first convolution's weight.
        num_channels: Input channels of the model; see `share_channels`.

    Returns:
        name -> tensor, without computed buffers and with unknown names kept.
    """
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
            if value.shape[2:] == (1, 1):
                value = value.flatten(1)  # a 1x1 convolution is a linear layer here
            renamed[rename_by_patterns(name, (*_SHARED, *names))] = value
    if renamed[stem].shape[1] == _COLORS:
        renamed[stem] = share_channels(renamed[stem], num_channels)
    return renamed


def fit_dat_parameter(name: str, value: Tensor, shape: torch.Size) -> Fitted | None:
    """Resize a bias table to another map or window (bicubic); None if no rule applies.

    Args:
        name: Name of the parameter in this project.
        value: (heads, 2H - 1, 2W - 1), or ((2w - 1)^2, heads) for a window.
        shape: Target shape with the same number of heads.
    """
    if not name.endswith(".bias_table") or value.dim() != len(shape):
        return None
    value = value.float()
    if value.dim() == 3 and value.shape[0] == shape[0]:
        return Fitted(functional.interpolate(value[None], tuple(shape[1:]), mode="bicubic")[0])
    if value.dim() == 2 and value.shape[1] == shape[1]:
        old, new = (math.isqrt(rows) for rows in (value.shape[0], shape[0]))
        if (old * old, new * new) == (value.shape[0], shape[0]) and old % 2 and new % 2:
            square = value.T.reshape(1, -1, old, old)
            fitted = functional.interpolate(square, (new, new), mode="bicubic")[0].flatten(1).T
            return Fitted(fitted, f"a window of {old // 2 + 1}, fitted to {new // 2 + 1}")
    return None
