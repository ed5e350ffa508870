"""Convert published Auditory SlowFast checkpoints to this project's names.

Format (ekazakos/auditory-slow-fast 6af3fd7, `.pyth`): a dict with `model_state`. Weights of a
single stream, slow or fast, belong to another network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from models.checkpoints.rename import share_channels
from models.errors import CheckpointError

_STEM = re.compile(r"s1\.pathway(\d)_stem\.(conv|bn)\.(\w+)")
_LATERAL = re.compile(r"s(\d)_fuse\.(conv_f2s|bn)\.(\w+)")
_BLOCK = re.compile(r"s(\d)\.pathway(\d)_res(\d+)\.(?:branch2\.)?(\w+)\.(\w+)")
_HEAD = re.compile(r"head\.projection(|_verb|_noun)\.(weight|bias)")
_KINDS = {"conv": "conv", "conv_f2s": "conv", "bn": "norm"}
_LAYERS = {
    "branch1": "shortcut_conv",
    "branch1_bn": "shortcut_norm",
    "a": "time_conv",
    "a_bn": "time_norm",
    "b": "mel_conv",
    "b_bn": "mel_norm",
    "c": "out_conv",
    "c_bn": "out_norm",
}


def rename_slowfast_state(
    state: Mapping[str, Tensor], *, num_channels: int
) -> dict[str, Tensor] | None:
    """Convert a published state to this project's names.

    Args:
        state: Value of `model_state` in a published file.
        num_channels: Input channels of the model; see `share_channels`.

    Returns:
        name -> tensor, with unknown names kept; None for a state of another format.

    Raises:
        CheckpointError: The file holds a single stream.
    """
    if "s1.pathway0_stem.conv.weight" not in state:
        return None
    if "s1_fuse.conv_f2s.weight" not in state:
        raise CheckpointError("it is of a single stream; take the authors' Slow-Fast file")
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        ours = _rename(name)
        stem = ours.startswith("stems.") and value.dim() == 4
        renamed[ours] = share_channels(value, num_channels) if stem else value
    return renamed


def _rename(name: str) -> str:
    if found := _STEM.fullmatch(name):
        return f"stems.{found[1]}.{_KINDS[found[2]]}.{found[3]}"
    if found := _LATERAL.fullmatch(name):
        return f"laterals.{int(found[1]) - 1}.{_KINDS[found[2]]}.{found[3]}"
    if (found := _BLOCK.fullmatch(name)) and found[4] in _LAYERS:
        block = f"stages.{int(found[1]) - 2}.{found[2]}.{found[3]}"
        return f"{block}.{_LAYERS[found[4]]}.{found[5]}"
    if found := _HEAD.fullmatch(name):
        return f"heads.{1 if found[1] == '_noun' else 0}.{found[2]}"
    return name
