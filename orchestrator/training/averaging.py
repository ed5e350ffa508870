"""Averages of weights over training, which are evaluated and kept in place of the trained ones.

Training goes on from its own weights. An average is part of the `last` checkpoint while a trial
runs, so that a resumed trial computes the same bits; a finished trial's checkpoints hold the
weights that were evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from models.registry import register
from orchestrator.errors import ConfigError


class Averaging:
    """The trained weights themselves, and the base class of their averages.

    Attributes:
        renews_norms: Whether the statistics of batch norms are measured again under the averaged
            weights, over the training clips.
        count: Number of states averaged so far.
    """

    renews_norms = False

    def __init__(self) -> None:
        self.count = 0
        self._mean: dict[str, Tensor] = {}

    def after_step(self, module: nn.Module) -> None:
        """Take in the weights after an optimizer step."""

    def after_epoch(self, module: nn.Module, epoch: int) -> None:
        """Take in the weights after an epoch, counted from 1."""

    @property
    def begun(self) -> bool:
        """Whether there is an average to evaluate."""
        return self.count > 0

    def add(self, module: nn.Module, share: float, *, dtype: torch.dtype | None = None) -> None:
        """Move the average toward a module's state: mean + share * (state - mean).

        Entries that are no floating-point numbers, such as counters, are taken as they are.

        Args:
            module: Module whose state dict is averaged, parameters and buffers.
            share: Share of the new state; the first counts whole.
            dtype: Type of the average; that of the state by default.
        """
        for name, value in module.state_dict().items():
            held = self._mean.get(name)
            if held is None or not value.is_floating_point():
                wider = dtype if value.is_floating_point() else None
                self._mean[name] = value.detach().to(wider or value.dtype, copy=True)
            else:
                held.lerp_(value.detach().to(held.dtype), share)
        self.count += 1

    @contextmanager
    def swapped_in(self, module: nn.Module, renew: Callable[[], None]) -> Iterator[None]:
        """Give a module the averaged state for a while, and its own back.

        Args:
            module: Module whose state was averaged.
            renew: Measures the statistics of its batch norms again.
        """
        if not self.begun:
            yield
            return
        own = {name: value.detach().clone() for name, value in module.state_dict().items()}
        module.load_state_dict(self._mean)
        try:
            if self.renews_norms:
                renew()
            yield
        finally:
            module.load_state_dict(own)

    def packed(self) -> dict[str, Tensor]:
        """Return copies of the average on the CPU; empty before the first state."""
        if not self.begun:
            return {}
        mean = {name: value.to("cpu", copy=True) for name, value in self._mean.items()}
        return {f"mean.{name}": value for name, value in mean.items()} | {
            "count": torch.tensor(self.count)
        }

    def unpack(self, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        """Take up what `packed` returned."""
        if tensors:
            self.count = int(tensors["count"])
            self._mean = {
                name.removeprefix("mean."): value.to(device)
                for name, value in tensors.items()
                if name != "count"
            }


@register("averaging")
def none(num_epochs: int) -> Averaging:
    """No average: the trained weights are evaluated."""
    return Averaging()


@register("averaging")
class EpochMean(Averaging):
    """The plain mean of the states at the ends of epochs, as AST and PSLA average checkpoints.

    Every entry of the state is averaged, running statistics of batch norms included. From the first
    epoch of the mean on, each epoch is evaluated with the mean so far.

    Source: `validate_wa` in `src/traintest.py` and the epochs in `egs/audioset/run.sh` of
    YuanGongND/ast 31088be (1 to 5 of 5; balanced part 6 to 25 of 25) and YuanGongND/psla 76aedd1
    (16 to 30 of 30; balanced part 41 to 60 of 60).
    """

    def __init__(self, num_epochs: int, *, first: int = 1, first_twice: bool = False) -> None:
        """Choose the epochs.

        Args:
            num_epochs: Number of epochs of the training.
            first: First epoch that is averaged, from 1; all later ones are.
            first_twice: Whether the first counts twice, as in PSLA's loop.

        Raises:
            ConfigError: No epoch is averaged.
        """
        super().__init__()
        if not 1 <= first <= num_epochs:
            raise ConfigError(
                f"averaging.first={first}: the first epoch that is averaged is one of 1 to "
                f"{num_epochs}"
            )
        self._first, self._first_twice = first, first_twice

    def after_epoch(self, module: nn.Module, epoch: int) -> None:
        """Add an epoch to the mean."""
        if epoch < self._first:
            return
        weight = epoch - self._first + 1 + int(self._first_twice)
        self.add(module, 1 / weight, dtype=torch.float64)


@register("averaging")
class Ema(Averaging):
    """The exponential moving average of the weights over optimizer steps.

    After step t the average is decay * average + (1 - decay) * weights, from the weights after the
    first step on; buffers are averaged too.
    """

    def __init__(self, num_epochs: int, *, decay: float = 0.999, warms_up: bool = False) -> None:
        """Choose the decay.

        Args:
            num_epochs: Number of epochs of the training.
            decay: Share of the average that a step keeps.
            warms_up: Whether the decay of step t is at most (1 + t) / (10 + t), so that the first
                steps are soon forgotten.

        Raises:
            ConfigError: The decay is no share.
        """
        super().__init__()
        if not 0 <= decay < 1:
            raise ConfigError(f"averaging.decay={decay}: a share of at least 0 and below 1")
        self._decay, self._warms_up = decay, warms_up

    def after_step(self, module: nn.Module) -> None:
        """Move the average toward the weights."""
        decay = self._decay
        if self._warms_up:
            decay = min(decay, (1 + self.count) / (10 + self.count))
        self.add(module, 1 - decay)


@register("averaging")
class Swa(EpochMean):
    """Stochastic weight averaging: the mean over the last part of training, with new batch norms.

    The statistics of batch norms are measured again under the averaged weights, over the training
    clips without augmentation. The learning rate is the schedule's: take one that stays high, such
    as `constant`.

    Source: Izmailov et al., arXiv 1803.05407, which averages the last quarter.
    """

    renews_norms = True

    def __init__(self, num_epochs: int, *, start: float = 0.75) -> None:
        """Choose the epochs.

        Args:
            num_epochs: Number of epochs of the training.
            start: Share of the epochs before the first that is averaged.

        Raises:
            ConfigError: It is no share that leaves an epoch.
        """
        if not 0 <= start < 1:
            raise ConfigError(f"averaging.start={start}: a share of at least 0 and below 1")
        super().__init__(num_epochs, first=int(start * num_epochs) + 1)


@torch.no_grad()
def renew_norms(module: nn.Module, run: Callable[[], None]) -> None:
    """Measure the statistics of all batch norms again: the mean over the batches that `run` passes.

    Args:
        module: Module in evaluation mode; its batch norms alone are set to training meanwhile.
        run: Passes the training clips through the module.
    """
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    norms = [norm for norm in norms if norm.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    module.eval()
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # of all batches alike
            norm.train()
        if norms:
            run()
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        module.eval()
