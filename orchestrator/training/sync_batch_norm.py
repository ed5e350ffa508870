"""Batch norms over all workers' clips, so that the number of workers changes only rounding.

PyTorch's own (`torch.nn.SyncBatchNorm`) needs a GPU and counts a worker that has no clips left.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.distributed
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from orchestrator.errors import ConfigError

SHARED = ("torch.nn.modules.batchnorm", "timm.layers.norm_act")
"""Modules whose batch norms compute what a shared one does; a subclass's own forward may not."""


class Group(Protocol):
    """What batch norms need of a group; see `orchestrator.training.data_parallel.Group`."""

    has_clips: bool
    world_size: int
    norms: torch.distributed.ProcessGroup | None


def share_batch_norms(module: nn.Module, group: Group) -> None:
    """Replace a module's batch norms with shared ones that keep their parameters and names.

    Args:
        module: Module whose batch norms are replaced in place; not itself a batch norm.
        group: The workers; one whose `has_clips` is False adds nothing to the statistics.

    Raises:
        ConfigError: A batch norm has a forward pass of its own.
    """
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, SharedBatchNorm(child, group))
        else:
            share_batch_norms(child, group)


class SharedBatchNorm(_BatchNorm):
    """A batch norm whose mean and variance in training are over all workers' clips."""

    def __init__(self, norm: _BatchNorm, group: Group) -> None:
        """Take over the parameters, buffers, and timm's dropout and activation of a batch norm.

        Raises:
            ConfigError: The norm has a forward pass of its own.
        """
        definer = next(kind for kind in type(norm).__mro__ if "forward" in vars(kind))
        if definer.__module__ not in SHARED:
            raise ConfigError(
                f"{type(norm).__qualname__} is a batch norm with a forward pass of its own, whose "
                "statistics several workers cannot share; use a batch norm of torch.nn in the "
                "model, or --num-workers 1"
            )
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
        self.training = norm.training
        self._group = group

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002, torch's name
        """Accept any number of dimensions."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, torch's name
        """Normalize (batch, channels, ...)."""
        if not self.training:
            return self.act(self.drop(super().forward(input)))
        y, mean, variance, count = _Normalize.apply(
            input, self.weight, self.bias, self.eps, self._group
        )
        if self.track_running_stats:
            self._track(mean, variance * count / (count - 1).clamp_min(1))
        return self.act(self.drop(y))

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:
            momentum = 1 / self.num_batches_tracked.float()
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


class _Normalize(torch.autograd.Function):
    """(x - mean) / deviation * weight + bias over all workers; one collective in each direction.

    Forward gathers every worker's mean, variance and count, and combines them by the formula of
    Chan, Golub and LeVeque (1979). Sums of squares would need only a sum over the workers, but they
    cancel where the mean is far from 0 unless all workers subtract a common shift, and there is
    none before the first batch. Every worker combines the same rows in the same order, so their
    running statistics stay equal to the bit.

    Backward sums the two sums over values that a gradient needs (Ioffe and Szegedy, 2015).
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
        group: Group,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return y as x, and float32 mean and variance (channels,) and count (1,)."""
        share = 1.0 if group.has_clips else 0.0
        dims = [0, *range(2, x.dim())]
        var, mean = torch.var_mean(x.float(), dims, correction=0)
        count = mean.new_full((1,), share * (x.numel() // x.shape[1]))
        own = torch.cat([mean, var, count])
        rows = own.new_empty(group.world_size * len(own))  # flat, for gloo
        torch.distributed.all_gather_into_tensor(rows, own, group=group.norms)
        means, variances, counts = rows.view(-1, len(own)).split([len(mean), len(var), 1], dim=1)
        total = counts.sum(dim=0)
        weights = counts / total
        mean = (weights * means).sum(dim=0)
        var = (weights * (variances + (means - mean).square())).sum(dim=0)
        y = functional.batch_norm(x, mean, var, weight, bias, training=False, eps=eps)
        ctx.save_for_backward(x, weight, mean, (var + eps).rsqrt(), share / total)
        ctx.group = group
        ctx.mark_non_differentiable(mean, var, total)
        return y, mean, var, total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale, per_value = ctx.saved_tensors
        dims = [0, *range(2, x.dim())]
        shape = [1, -1] + [1] * (x.dim() - 2)
        grad = grad_outputs[0].float()
        normed = (x.float() - mean.view(shape)) * scale.view(shape)
        own = torch.stack([grad.sum(dims), (grad * normed).sum(dims)])
        sums = own.clone()
        torch.distributed.all_reduce(sums, group=ctx.group.norms)
        # A worker without clips is in no statistic, so none passes its values a gradient.
        means = sums * per_value
        grad = grad - means[0].view(shape) - normed * means[1].view(shape)
        grad = grad * (scale if weight is None else scale * weight).view(shape)
        needs = ctx.needs_input_grad
        return (
            grad.to(x.dtype) if needs[0] else None,
            own[1] if needs[1] else None,
            own[0] if needs[2] else None,
            None,
            None,
        )
