"""Linear layers by the faster of the two matrix libraries that PyTorch carries.

On a CPU PyTorch multiplies float32 matrices by MKL, which on other processors than Intel's keeps
to AVX2. oneDNN, which PyTorch takes for convolutions, uses AVX-512 there: twice the speed, in
float32 all the same. It is called by the operation that `torch.compile` puts in place of linear
layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_CPU_INFO = Path("/proc/cpuinfo")
_plain: ContextVar[bool] = ContextVar("plain", default=False)


class Linear(nn.Linear):
    """`torch.nn.Linear`, equal up to rounding.

    By oneDNN where MKL is slow: eager float32 on an AVX-512 CPU that is not Intel's.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        return linear(x, self.weight, self.bias)


def use_fast_linear(module: nn.Module) -> None:
    """Turn the plain linear layers of somebody else's module into `Linear`, in place.

    Parameters, their names and hooks stay as they are.
    """
    for part in module.modules():
        if type(part) is nn.Linear:
            part.__class__ = Linear


@contextmanager
def plain_linear() -> Iterator[None]:
    """Take PyTorch's own linear layers within, whose operations counters know."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute what `torch.nn.functional.linear` does.

    Args:
        x: (..., inputs).
        weight: (outputs, inputs).
        bias: (outputs,).

    Returns:
        (..., outputs).
    """
    if not takes_onednn(x, weight):
        return functional.linear(x, weight, bias)
    y = _OneDnnLinear.apply(x.reshape(-1, x.shape[-1]), weight, bias)
    return y.view(*x.shape[:-1], -1)


def linear_gelu(x: Tensor, layer: Linear) -> Tensor:
    """Compute gelu(layer(x)), the exact GELU, in one go where no gradient is asked for."""
    if torch.is_grad_enabled() or not takes_onednn(x, layer.weight):
        return functional.gelu(layer(x))
    return torch.ops.mkldnn._linear_pointwise(x, layer.weight, layer.bias, "gelu", [], "none")


def onednn_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute a linear layer of rows by oneDNN, whichever is faster, with all derivatives.

    Args:
        x: (M, inputs).
        weight: (outputs, inputs).
        bias: (outputs,).

    Returns:
        (M, outputs).
    """
    return _OneDnnLinear.apply(x, weight, bias)


class _OneDnnLinear(torch.autograd.Function):
    """(M, inputs), (outputs, inputs), (outputs,) -> (M, outputs)."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _ = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad = grad_outputs[0]
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        # First, while there is room for its copies. By itself, so that it can be differentiated.
        grad_weight = weight_gradient(x, grad) if needs_weight else None
        grad_bias = grad.sum(dim=0) if needs_bias else None
        grad_x = _OneDnnLinear.apply(grad, weight.t(), None) if needs_x else None
        return grad_x, grad_weight, grad_bias


def weight_gradient(x: Tensor, grad: Tensor) -> Tensor:
    """Compute grad^T x by oneDNN, with the factor first that costs the smaller copies.

    Of the first one oneDNN makes a copy by rows; where that is x, the result is transposed, of
    which autograd makes a copy in the weight's layout.

    Args:
        x: (M, inputs).
        grad: (M, outputs), the gradient of the layer's output.

    Returns:
        (outputs, inputs), the gradient of the layer's weight.
    """
    rows, outputs, inputs = len(x), grad.shape[1], x.shape[1]
    if rows * outputs <= rows * inputs + outputs * inputs:
        return onednn_linear(grad.t(), x.t())
    return onednn_linear(x.t(), grad.t()).t()


def takes_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether `linear` runs by oneDNN here and now."""
    return (
        x.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and x.numel() > 0
        and not _plain.get()
        and onednn_is_faster()
    )


@cache
def onednn_is_faster() -> bool:
    """Whether this machine's float32 matrix products are faster by oneDNN."""
    return (
        torch.backends.mkldnn.is_available()
        and torch.backends.mkl.is_available()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and _CPU_INFO.exists()
        and "GenuineIntel" not in _CPU_INFO.read_text()
    )
