"""Convert published PSLA and EfficientNet checkpoints to this project's names.

PSLA (YuanGongND/psla 76aedd1): a state dict under `module.`, with the trunk as `effnet.` in the
names of efficientnet_pytorch 0.7.1 and the heads as 1x1 convolutions. EfficientNet's ImageNet files
hold only the trunk. Like the authors, this replaces the RGB stem by a new one for one channel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from models.checkpoints.rename import share_channels

UNUSED = {
    "imagenet_stem.": "the stem is for colors; the authors too draw one for spectrograms anew",
    "_fc.": "a head for images",
    "effnet._fc.": "a head for images",
}

_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_SQUEEZE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
# Blocks of the first stage have no expansion.
_FIRST = _SQUEEZE | {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_OTHERS = _SQUEEZE | {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(\w+)")
_HEAD = re.compile(r"attention\.(att|cla)\.(?:(\d+)\.)?(weight|bias)")
_STEM = "trunk.conv_stem.weight"


def rename_psla_state(
    state: Mapping[str, Tensor], *, num_channels: int, depths: Sequence[int]
) -> dict[str, Tensor] | None:
    """Convert a published state to this project's names and layer shapes.

    Args:
        state: Content of a published file, without `module.`.
        num_channels: Input channels of the model; see `share_channels`.
        depths: Number of blocks in each stage of the trunk.

    Returns:
        name -> tensor, with unknown names kept; None for a state of another format.
    """
    images = "_conv_stem.weight" in state and "_blocks.0._depthwise_conv.weight" in state
    if not images and "effnet._conv_stem.weight" not in state:
        return None
    places = [f"{stage}.{i}" for stage, depth in enumerate(depths) for i in range(depth)]
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        if found := _HEAD.fullmatch(name):
            layer = {"att": "attention", "cla": "classify"}[found[1]]
            # A 1x1 convolution is a linear layer here.
            value = value.flatten(2)[..., 0] if value.dim() == 4 else value
            renamed[f"{layer}.{found[2] or 0}.{found[3]}"] = value
        elif name == "attention.head_weight":
            renamed["head_weight"] = value
        else:
            ours = _of_trunk(name.removeprefix("effnet."), places)
            renamed[f"trunk.{ours}" if ours else name] = value
    stem = renamed[_STEM]
    if stem.shape[1] != num_channels and images:
        renamed["imagenet_stem.weight"] = renamed.pop(_STEM)
    else:
        renamed[_STEM] = share_channels(stem, num_channels)
    return renamed


def _of_trunk(name: str, places: Sequence[str]) -> str:
    """Return the name within the trunk, or an empty string."""
    if found := _BLOCK.fullmatch(name):
        number, layer, kind = int(found[1]), found[2], found[3]
        place = places[number] if number < len(places) else ""
        layers = _FIRST if place.startswith("0.") else _OTHERS
        if not place or layer not in layers:
            return ""
        return f"blocks.{place}.{layers[layer]}.{kind}"
    layer, _, kind = name.rpartition(".")
    return f"{_OUTER[layer]}.{kind}" if layer in _OUTER else ""
