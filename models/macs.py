"""Parameters and multiply-accumulate operations (MACs) of a model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from models.modes import evaluating

_aten = torch.ops.aten
_LAYERS = (_aten.convolution, _aten.mm, _aten.addmm)
_PRODUCTS = (_aten.bmm, _aten.baddbmm)
_SAMPLERS = (_aten.grid_sampler_2d,)


@dataclass(frozen=True)
class Macs:
    """MACs of one forward pass, by kind of operation.

    Attributes:
        layers: Convolutions and linear layers, as module-based counters and AST's and DATAR's
            tables count.
        attention: Products of queries, keys, and values.
        sampling: Bilinear lookups in maps and bias tables, four per value.
    """

    layers: int
    attention: int
    sampling: int

    @property
    def total(self) -> int:
        """Sum of all kinds."""
        return self.layers + self.attention + self.sampling


def count_macs(model: nn.Module, *inputs: Any) -> Macs:
    """Count the MACs of `model(*inputs)` in evaluation mode.

    Norms, activations, softmax, Fourier transforms, and fused PyTorch operations (`nn.LSTM`,
    `nn.Bilinear`, the fast path of `nn.TransformerEncoderLayer`) are not counted. A GRU counts as a
    layer on the CPU and the meta device, not on CUDA. A chain's count includes the mel filters;
    pass `chain.model` and a spectrogram to count as papers do.

    Args:
        model: Any module; its training mode is restored afterwards.
        *inputs: Inputs of the model; the count is for the whole batch.
    """
    samplers: dict[Any, Any] = {sampler: _sampling_flops for sampler in _SAMPLERS}
    # The math backend, so that the counter sees both products of attention.
    with evaluating(model), torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False, custom_mapping=samplers) as counter:
            model(*inputs)
    flops = counter.get_flop_counts().get("Global", {})

    def macs(kinds: tuple[Any, ...]) -> int:
        return sum(count for kind, count in flops.items() if kind in kinds) // 2

    return Macs(layers=macs(_LAYERS), attention=macs(_PRODUCTS), sampling=macs(_SAMPLERS))


def num_params(model: nn.Module) -> int:
    """Count all parameters, frozen ones included."""
    return sum(parameter.numel() for parameter in model.parameters())


def num_trained(model: nn.Module) -> int:
    """Count the parameters that training changes.

    None of a frozen part is, and none of a part that says `learns_nothing`.
    """
    return sum(
        parameter.numel()
        for part in model.modules()
        if not getattr(part, "learns_nothing", False)
        for parameter in part.parameters(recurse=False)
        if parameter.requires_grad
    )


def _sampling_flops(*shapes: Any, out_shape: Any, **_: Any) -> int:
    return 2 * 4 * math.prod(out_shape)
