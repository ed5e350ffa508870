"""What a trained chain does inside: the adaptor's share, moved keys, events over time.

Everything is computed from waveforms in evaluation mode; training mode and weights are unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.chain import Chain
from models.datar.deformable import DeformableAttention
from models.modes import evaluating


@dataclass(frozen=True)
class InputChange:
    """Effect of the input transform on clips (DATAR, arXiv 2312.16228, Figure 1).

    Attributes:
        before: Normalized features, (batch, channels, mels, frames).
        after: Input of the model, same shape.
    """

    before: Tensor
    after: Tensor


@dataclass(frozen=True)
class MovedKeys:
    """Key positions of one deformable block (DATAR, Figure 3; DAT, arXiv 2201.00520).

    Coordinates are (y, x); -1 and 1 are the centers of the outermost tokens of the block's map.

    Attributes:
        name: Name of the block in the model.
        map_size: (height, width) of the block's map in tokens.
        reference: Positions without offsets, (keys, 2).
        positions: Actual positions, (batch, groups, keys, 2).
    """

    name: str
    map_size: tuple[int, int]
    reference: Tensor
    positions: Tensor


@torch.no_grad()
def input_change(chain: Chain, waveform: Tensor) -> InputChange:
    """Return the features of (batch, time) waveforms before and after the input transform."""
    with evaluating(chain):
        before, _ = chain.normalized(waveform)
        return InputChange(before, chain.features(waveform))


@torch.no_grad()
def moved_keys(chain: Chain, waveform: Tensor) -> tuple[MovedKeys, ...]:
    """Return the key positions of every deformable block with moving keys, first to last.

    The result is empty for a chain without such blocks; `waveform` is (batch, time) in [-1, 1].
    """
    found: list[MovedKeys] = []
    blocks = {
        module: name
        for name, module in chain.model.named_modules()
        if isinstance(module, DeformableAttention) and module.offset is not None
    }

    def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, DeformableAttention)
        (x,) = inputs
        positions = module.positions(module.query(x))
        found.append(
            MovedKeys(
                name=blocks[module],
                map_size=(x.shape[1], x.shape[2]),
                reference=module.reference.flatten(0, 1).cpu(),
                positions=positions.flatten(2, 3).float().cpu(),
            )
        )

    hooks = [module.register_forward_pre_hook(keep) for module in blocks]
    try:
        with evaluating(chain):
            chain(waveform)
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(found)


@torch.no_grad()
def event_map(chain: Chain, waveform: Tensor, *, single_label: bool = True) -> Tensor | None:
    """Return class probabilities over time (HTS-AT, arXiv 2202.00874).

    Args:
        chain: The model.
        waveform: (batch, time) in [-1, 1].
        single_label: Whether the model was trained with one class per clip: its probabilities are a
            softmax over classes then, otherwise a sigmoid of each.

    Returns:
        (batch, frames, classes), or None for a model without frame outputs.
    """
    with evaluating(chain):
        logits = chain(waveform).frame_logits
    if logits is None:
        return None
    return logits.float().softmax(dim=2) if single_label else logits.float().sigmoid()
