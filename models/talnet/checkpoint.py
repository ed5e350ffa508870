"""Convert the published TALNet checkpoint to this project's names.

Format (MaigoAkisame/cmu-thesis 7578dda, `code/audioset/train.py`): a dict with `model`, a state
dict of the names below, and the optimizer's state. The features' normalization is in another file,
see `models.talnet.model.TalNet.set_input_statistics`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_CONV = re.compile(r"conv(\d+)\.(conv|bn)\.(\w+)")
_LAYERS = {"conv": "convs", "bn": "norms"}
_REST = {"gru.": "recurrent.", "fc_prob.": "head."}


def rename_talnet_state(state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Convert a published state to this project's names.

    Args:
        state: Value of `model` in a published file.

    Returns:
        name -> tensor, with unknown names kept; None for a state of another format.
    """
    if "conv1.conv.weight" not in state or "gru.weight_ih_l0" not in state:
        return None
    return {_rename(name): value for name, value in state.items()}


def _rename(name: str) -> str:
    if found := _CONV.fullmatch(name):
        return f"{_LAYERS[found[2]]}.{int(found[1]) - 1}.{found[3]}"
    for theirs, ours in _REST.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name
