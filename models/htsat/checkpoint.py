"""Convert published HTS-AT and Swin checkpoints to this project's names.

HTS-AT (RetroCirce/HTS-Audio-Transformer 2e29471, weights MIT): a Lightning file whose `state_dict`
has the prefix `sed_model.`. Swin (microsoft/Swin-Transformer f82860b, weights MIT): a dict with
`model`; `swin_tiny_c24_patch4_window8_256.pth` initializes the HCP form. In both, a stage ends with
the layer that timm puts at the start of the next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_TRUNK = re.compile(r"(patch_embed|layers|norm)\..*")
_COMPUTED = re.compile(r".*\.(relative_position_index|attn_mask)")
_DOWNSAMPLE = re.compile(r"layers\.(\d+)\.downsample\.(.*)")
_STEM = "patch_embed.proj.weight"

# Prefixes of names that a model may lack, for `models.checkpoints.load`.
UNUSED = {
    "spectrogram_extractor.": "computed by the front end from its settings",
    "logmel_extractor.": "computed by the front end from its settings",
    "tscam_conv.": "the token-semantic head, which this model is without",
    "head.": "the linear head, which this model is without",
    "swin.head.": "a head that HTS-AT has no use for",
}


def rename_htsat_state(
    state: Mapping[str, Tensor], *, num_channels: int, token_semantic: bool
) -> dict[str, Tensor] | None:
    """Convert a published state to this project's names.

    Args:
        state: Value of `state_dict` or `model` in a published file.
        num_channels: Input channels of the model. A stem for three is averaged over RGB (the
            authors' rule) and divided equally.
        token_semantic: Whether the model has the token-semantic head.

    Returns:
        name -> tensor, without computed buffers; None for a state of another format. The head of an
        image model, and the unused linear head of the authors' token-semantic model, become
        `swin.head`.
    """
    state = {name.removeprefix("sed_model."): value for name, value in state.items()}
    if _STEM not in state or "layers.0.blocks.0.attn.qkv.weight" not in state:
        return None
    ends = "layers.0.downsample.reduction.weight" in state
    linear = "bn0.weight" in state and "tscam_conv.weight" not in state
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        if _COMPUTED.fullmatch(name):
            continue
        if ends and (found := _DOWNSAMPLE.fullmatch(name)):
            renamed[f"swin.layers.{int(found[1]) + 1}.downsample.{found[2]}"] = value
        elif name == _STEM and value.shape[1] == 3 != num_channels:
            mean = value.mean(dim=1, keepdim=True) / num_channels
            renamed[f"swin.{name}"] = mean.repeat(1, num_channels, 1, 1)
        elif _TRUNK.fullmatch(name):
            renamed[f"swin.{name}"] = value
        elif name.startswith("tscam_conv.") and token_semantic:
            renamed[name.replace("tscam_conv", "token_head")] = value
        elif name.startswith("head.") and not linear:
            renamed[f"swin.{name}"] = value
        else:
            renamed[name] = value
    return renamed
