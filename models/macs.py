"""Parameters and multiply-accumulate operations (MACs) of a model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

_aten = torch.ops.aten
_LAYERS = (_aten.convolution, _aten.mm, _aten.addmm)
_PRODUCTS = (_aten.bmm, _aten.baddbmm)
_SAMPLERS = (_aten.grid_sampler_2d,)


@dataclass(frozen=True)
class Macs:
    """MACs of one forward pass, by the conventions found in papers.

    Attributes:
        layers: convolutions and linear layers, which is all that the usual counters of modules
            see, and what AST's and DATAR's tables give.
        attention: products of queries, keys and values.
        sampling: bilinear look-ups, four per value, in maps and bias tables.
    """

    layers: int
    attention: int
    sampling: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.layers + self.attention + self.sampling


def count_macs(model: nn.Module, *inputs: Any) -> Macs:
    """Count the MACs of `model(*inputs)` in evaluation mode.

    Norms, activations, softmax and Fourier transforms are not counted, nor what PyTorch runs as one
    operation of its own (`nn.LSTM`, `nn.Bilinear`, the fast path of `nn.TransformerEncoderLayer`).
    A GRU is counted with the layers on a CPU and on the meta device, not on CUDA.
    A chain's count includes the mel filters; give `chain.model` and a spectrogram to count what
    papers count.

    Args:
        model: any module; its training mode is restored.
        *inputs: what it is called with; the count is for the whole batch.
    """
    samplers: dict[Any, Any] = {sampler: _sampling_flops for sampler in _SAMPLERS}
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        # The plain form of attention, whose two products the counter sees one by one.
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            with FlopCounterMode(display=False, custom_mapping=samplers) as counter:
                model(*inputs)
    finally:
        for module, training in modes:
            module.training = training
    flops = counter.get_flop_counts().get("Global", {})

    def macs(kinds: tuple[Any, ...]) -> int:
        return sum(count for kind, count in flops.items() if kind in kinds) // 2

    return Macs(layers=macs(_LAYERS), attention=macs(_PRODUCTS), sampling=macs(_SAMPLERS))


def num_params(model: nn.Module) -> int:
    """Count the parameters, trained or not."""
    return sum(parameter.numel() for parameter in model.parameters())


def _sampling_flops(*shapes: Any, out_shape: Any, **_: Any) -> int:
    return 2 * 4 * math.prod(out_shape)
