"""Two linear layers with GELU between them, learnt a few rows at a time.

What lies between the layers is several times as wide as the input and the largest thing that a
transformer block keeps for its gradients. By rows it stays in the cache, and of its two forms
only the one before GELU is kept; the other is computed again.

M rows, C inputs, H values between the layers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.layers.linear import Linear, linear_gelu, onednn_linear, takes_onednn, weight_gradient

# Values between the layers at a time: 2.3 MiB.
_CACHED_VALUES = 600_000


def feed_forward(x: Tensor, up: Linear, down: Linear) -> Tensor:
    """Compute down(gelu(up(x))), the exact GELU, equal up to rounding.

    Args:
        x: (..., C).
        up: from C to H.
        down: from H.

    Returns:
        (..., outputs of `down`).
    """
    rows = x.numel() // up.in_features
    many = rows > _rows_at_a_time(up.weight)
    if not (many and torch.is_grad_enabled() and takes_onednn(x, up.weight)):
        return down(linear_gelu(x, up))
    flat = x.reshape(rows, up.in_features)
    y, _ = _Mlp.apply(flat, up.weight, up.bias, down.weight, down.bias)
    return y.view(*x.shape[:-1], -1)


def _rows_at_a_time(up: Tensor) -> int:
    """So many fill the cache; not fewer than H, or adding up weights' gradients would cost more."""
    return max(_CACHED_VALUES // len(up), len(up))


class _Mlp(torch.autograd.Function):
    """(M, C) and both layers' weights and biases -> (M, outputs), and (M, H) to be kept."""

    @staticmethod
    def forward(
        x: Tensor, up: Tensor, up_bias: Tensor | None, down: Tensor, down_bias: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        hidden = onednn_linear(x, up, up_bias)
        parts = hidden.split(_rows_at_a_time(up))
        y = [onednn_linear(functional.gelu(part), down, down_bias) for part in parts]
        return torch.cat(y), hidden

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        x, up, up_bias, down, _ = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)  # zeros for the second output
        ctx.save_for_backward(x, up, up_bias, down, output[1])

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, up, up_bias, down, hidden = ctx.saved_tensors
        grad, rows = grad_outputs[0], _rows_at_a_time(up)
        if grad is None:
            return (None,) * 5
        if torch.is_grad_enabled():  # to be differentiated again: from the inputs, all at once
            hidden, rows = onednn_linear(x, up, up_bias), len(x)
        parts_x, sums = [], []
        for part in zip(x.split(rows), hidden.split(rows), grad.split(rows), strict=True):
            part_x, *others = _gradients(*part, up, down, ctx.needs_input_grad)
            parts_x.append(part_x)
            sums = [_add(a, b) for a, b in zip(sums, others, strict=True)] if sums else others
        return (torch.cat(parts_x) if ctx.needs_input_grad[0] else None, *sums)


def _gradients(
    x: Tensor, hidden: Tensor, grad: Tensor, up: Tensor, down: Tensor, needs: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    """What each input of `_Mlp` gets from some rows."""
    needs_x, needs_up, needs_up_bias, needs_down, needs_down_bias = needs
    grad_down = weight_gradient(functional.gelu(hidden), grad) if needs_down else None
    grad_down_bias = grad.sum(dim=0) if needs_down_bias else None
    grad = torch.ops.aten.gelu_backward(onednn_linear(grad, down.t()), hidden)
    return (
        onednn_linear(grad, up.t()) if needs_x else None,
        weight_gradient(x, grad) if needs_up else None,
        grad.sum(dim=0) if needs_up_bias else None,
        grad_down,
        grad_down_bias,
    )


def _add(total: Tensor | None, part: Tensor | None) -> Tensor | None:
    return total if total is None or part is None else total.add_(part)
