"""Convert published PANNs checkpoints to this project's names.

Format (qiuqiangkong/audioset_tagging_cnn d2f4b8c): a dict with `model`, a state dict of the names
below. The front end inside is dropped, since its filters are computed, not learned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from models.checkpoints.rename import share_channels

UNUSED = {
    "spectrogram_extractor.": "the front end is a link of its own",
    "logmel_extractor.": "the front end is a link of its own",
    "att_block.bn_att.": "a norm that the authors' model never runs",
}

# Suffixes of a block's name, and of the ResNet's blocks.
_LAYERS = {"conv": "convs", "bn": "norms"}
_RESIDUAL = {
    "conv1": "conv1",
    "conv2": "conv2",
    "bn1": "norm1",
    "bn2": "norm2",
    "downsample.1": "shortcut_conv",
    "downsample.2": "shortcut_norm",
}
_HEADS = {
    "bn0": "mel_norm",
    "fc1": "embed",
    "fc_audioset": "head",
    "att_block.cla": "head",
    "att_block.att": "attention",
}
_BLOCK = re.compile(r"conv_block(\d|_after1)\.(conv|bn)(\d)\.(\w+)")
_RESNET = re.compile(r"resnet\.layer(\d)\.(\d+)\.(conv\d|bn\d|downsample\.\d)\.(\w+)")


def rename_panns_state(
    state: Mapping[str, Tensor], *, num_channels: int
) -> dict[str, Tensor] | None:
    """Convert a published state to this project's names and layer shapes.

    Args:
        state: Value of `model` in a published file.
        num_channels: Input channels of the model; see `share_channels`.

    Returns:
        name -> tensor, with unknown names kept; None for a state of another format.
    """
    if "bn0.weight" not in state or "conv_block1.conv1.weight" not in state:
        return None
    renamed = {}
    for name, value in state.items():
        ours = _rename(name)
        if name.startswith("att_block.") and name.endswith(".weight") and value.dim() == 3:
            value = value.squeeze(2)  # a convolution of width 1 is a linear layer here
        renamed[ours] = value
    first = "stages.0.convs.0.weight"
    return renamed | {first: share_channels(renamed[first], num_channels)}


def _rename(name: str) -> str:
    if found := _BLOCK.fullmatch(name):
        stage = 2 if found[1] == "_after1" else int(found[1]) - 1
        return f"stages.{stage}.{_LAYERS[found[2]]}.{int(found[3]) - 1}.{found[4]}"
    if (found := _RESNET.fullmatch(name)) and found[3] in _RESIDUAL:
        return f"stages.1.{int(found[1]) - 1}.{found[2]}.{_RESIDUAL[found[3]]}.{found[4]}"
    layer, _, kind = name.rpartition(".")
    return f"{_HEADS[layer]}.{kind}" if layer in _HEADS else name
