"""Batch norms over all workers' clips, so that the number of workers changes only rounding.

PyTorch's own (`torch.nn.SyncBatchNorm`) needs a GPU and counts a worker that has no clips left.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class Group(Protocol):
    """What batch norms need of a group; see `orchestrator.training.data_parallel.Group`."""

    has_clips: bool


def share_batch_norms(module: nn.Module, group: Group) -> None:
    """Replace a module's batch norms with shared ones that keep their parameters and names.

    Args:
        module: Module whose batch norms are replaced in place; not itself a batch norm.
        group: The workers; one whose `has_clips` is False adds nothing to the statistics.
    """
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, SharedBatchNorm(child, group))
        else:
            share_batch_norms(child, group)


class SharedBatchNorm(_BatchNorm):
    """A batch norm whose mean and variance in training are over all workers' clips."""

    def __init__(self, norm: _BatchNorm, group: Group) -> None:
        """Take over the parameters, buffers, and timm's dropout and activation of a batch norm."""
        super().__init__(
            norm.num_features,
            norm.eps,
            norm.momentum,
            norm.affine,
            norm.track_running_stats,
        )
        for name, parameter in norm.named_parameters(recurse=False):
            setattr(self, name, parameter)
        for name, buffer in norm.named_buffers(recurse=False):
            setattr(self, name, buffer)
        # timm's norms include dropout and activation.
        self.drop: Any = getattr(norm, "drop", None) or nn.Identity()
        self.act: Any = getattr(norm, "act", None) or nn.Identity()
        self._group = group

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002, torch's name
        """Accept any number of dimensions."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, torch's name
        """Normalize (batch, channels, ...)."""
        if not self.training:
            return self.act(self.drop(super().forward(input)))
        x = input.transpose(0, 1).flatten(1).float()  # (channels, values)
        share = 1.0 if self._group.has_clips else 0.0
        count = torch.tensor([share * x.shape[1]], device=x.device)
        torch.distributed.all_reduce(count)
        mean = _Sum.apply(share * x.sum(dim=1)) / count
        centered = x - mean[:, None]
        variance = _Sum.apply(share * centered.square().sum(dim=1)) / count
        if self.track_running_stats:
            self._track(mean.detach(), variance.detach() * count / (count - 1).clamp_min(1))
        y = centered * (variance + self.eps).rsqrt()[:, None]
        if self.affine:
            y = y * self.weight[:, None] + self.bias[:, None]
        y = y.view(input.shape[1], input.shape[0], *input.shape[2:]).transpose(0, 1)
        return self.act(self.drop(y.to(input.dtype)))

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:
            momentum = 1 / self.num_batches_tracked.item()
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


class _Sum(torch.autograd.Function):
    """The sum over the workers, whose gradient is the sum of all workers' gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        total = grad_outputs[0].clone()
        torch.distributed.all_reduce(total)
        return total
