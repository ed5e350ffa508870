"""Activation checkpointing: blocks keep their input and are computed again in the backward pass.

For what does not fit: it takes a second forward pass of the blocks and changes no number. Chen et
al., "Training Deep Nets with Sublinear Memory Cost" (arXiv 1604.06174).
"""

from __future__ import annotations

import contextlib
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from orchestrator.errors import ConfigError

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
MIN_SHARE = 0.5
"""Share of the parameters that a model's blocks hold at least."""


def checkpoint_activations(model: nn.Module) -> int:
    """Let every block of a model compute its activations again instead of keeping them.

    Only passes that record gradients change. Random numbers are drawn again as before; buffers
    (the running statistics of a batch norm) are updated by the first pass alone.

    Args:
        model: A backbone; changed in place, with the same names of parameters and buffers.

    Returns:
        The number of blocks.

    Raises:
        ConfigError: The model has no repeated blocks.
    """
    found = blocks(model)
    if not found:
        raise ConfigError(
            f"{type(model).__qualname__} is not made of repeated blocks, so there is nothing that "
            "--activation-checkpointing could compute again; leave it out, or take more "
            "accumulation_steps"
        )
    for block in found:
        block.forward = _recomputing(block)
    return len(found)


def blocks(model: nn.Module) -> list[nn.Module]:
    """Return the instances of the classes that the model repeats; empty if it repeats none.

    A block is a module with children that is no plain container, of a class that occurs at least
    twice and holds at least half of the parameters. Of several such classes (stages of blocks of
    attention and MLP), the one with the most instances counts, then the one with the most
    parameters: one block's activations are a small share of all, and its input is small beside
    them. The same is asked again of what is left, until it repeats nothing.
    """
    found: list[nn.Module] = []
    taken: set[int] = set()
    while True:
        by_class: dict[type, list[nn.Module]] = defaultdict(list)
        for module in _below(model):
            free = taken.isdisjoint(map(id, module.modules()))
            if free and not isinstance(module, CONTAINERS) and any(True for _ in module.children()):
                by_class[type(module)].append(module)
        left = _num_parameters(model) - sum(map(_num_parameters, found))
        candidates = []
        for instances in by_class.values():
            inner = {id(child) for instance in instances for child in _below(instance)}
            outermost = [instance for instance in instances if id(instance) not in inner]
            size = sum(map(_num_parameters, outermost))
            if len(outermost) > 1 and size >= MIN_SHARE * left > 0:
                candidates.append((len(outermost), size, outermost))
        if not candidates:
            return found
        chosen = max(candidates, key=lambda candidate: candidate[:2])[2]
        found += chosen
        taken.update(id(module) for block in chosen for module in block.modules())


def _below(module: nn.Module) -> Iterator[nn.Module]:
    return (child for child in module.modules() if child is not module)


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _recomputing(block: nn.Module) -> Callable[..., Any]:
    plain = type(block).forward
    reference = weakref.ref(block)  # a block must not hold itself: its memory is to go at once

    def recomputing(*args: Any, **kwargs: Any) -> Any:
        own = reference()
        assert own is not None, "a module outlives its forward pass"
        if not torch.is_grad_enabled():
            return plain(own, *args, **kwargs)

        def contexts() -> tuple[Any, Any]:
            return contextlib.nullcontext(), _spared_buffers(own)

        return checkpoint(plain, own, *args, use_reentrant=False, context_fn=contexts, **kwargs)

    return recomputing


@contextlib.contextmanager
def _spared_buffers(block: nn.Module) -> Iterator[None]:
    """Give a block copies of its buffers, so that a second pass updates none of them again."""
    kept = [
        (module, name, buffer)
        for module in block.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    for module, name, buffer in kept:
        setattr(module, name, buffer.clone())
    try:
        yield
    finally:
        for module, name, buffer in kept:
            setattr(module, name, buffer)
