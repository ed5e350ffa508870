"""Convert published Res-15 checkpoints to this project's names.

Formats: a state dict of castorini/honk c3aae75 (`utils/model.py`), with (time, frequency) maps, or
of a classifier-free encoder of roman-vygon/triplet_loss_kws 0d92edd (`models/resnet.py`), with
(frequency, time) maps, as here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_CONV = re.compile(r"conv(\d+)\.weight")
_NORM = re.compile(r"bn(\d+)\.(\w+)")


def rename_res15_state(state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Convert a published state to this project's names and orientation.

    Args:
        state: Content of a published file.

    Returns:
        name -> tensor, with unknown names kept; None for a state of another format.
    """
    if "conv0.weight" not in state or "bn1.running_mean" not in state:
        return None
    time_first = "output.weight" in state
    renamed = {}
    for name, value in state.items():
        if found := _CONV.fullmatch(name):
            number = int(found[1])
            ours = f"convs.{number - 1}.weight" if number else "stem.weight"
            renamed[ours] = value.mT.contiguous() if time_first else value
        elif found := _NORM.fullmatch(name):
            renamed[f"norms.{int(found[1]) - 1}.{found[2]}"] = value
        else:
            renamed[name.replace("output.", "head.")] = value
    return renamed
