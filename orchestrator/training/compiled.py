"""Training steps through `torch.compile`: the model's forward and backward pass as one program.

One program is made per class of models, arguments and batch size, in this process for all trials
that it trains, and on disk for later processes. It draws what the uncompiled model draws, so the
numbers differ by rounding alone. Evaluation and batches of another size stay uncompiled: each would
need a program of its own, which takes minutes to make.
"""

from __future__ import annotations

import functools
import os
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from models.cache import cache_folder
from orchestrator.errors import TrainingError

CACHE = "TORCHINDUCTOR_CACHE_DIR"

_MANY_PROGRAMS = 10_000


def compile_training(model: nn.Module, *, batch: int, mode: str) -> None:
    """Compile a model's training on batches of one size, in place.

    Parameters keep their names, and a copy of the weights needs no compiler.

    Args:
        model: Module called with (batch, ...) features.
        batch: Size of the batches to compile for.
        mode: `default`, or `reduce-overhead` for CUDA graphs; the same on a CPU.
    """
    _keep_programs()
    program = _program(type(model).forward, mode, torch.are_deterministic_algorithms_enabled())
    plain = type(model).forward
    reference = weakref.ref(model)  # the model must not hold itself: its memory is to go at once

    def forward(features: Tensor, *args: Any, **kwargs: Any) -> Any:
        own = reference()
        assert own is not None, "a module outlives its forward pass"
        if not own.training or len(features) != batch:
            return plain(own, features, *args, **kwargs)
        if mode == "reduce-overhead":
            torch.compiler.cudagraph_mark_step_begin()
        try:
            return program(own, features, *args, **kwargs)
        except _errors() as error:
            reason = str(error).strip().partition("\n")[0]
            raise TrainingError(
                f"torch.compile cannot compile {type(own).__name__} ({reason}); train without "
                "--compile"
            ) from error

    model.forward = forward


def _keep_programs() -> None:
    """Keep programs beside the other caches, unless the environment names another place."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    # PyTorch sets the variable itself when it is imported, to a folder in /tmp.
    if os.environ.get(CACHE, default_cache_dir()) == default_cache_dir():
        os.environ[CACHE] = str(cache_folder("compiled"))


@functools.cache
def _program(forward: Callable[..., Any], mode: str, deterministic: bool) -> Callable[..., Any]:
    import torch._dynamo

    # Beyond its limits PyTorch would go on uncompiled without a word; arms are many programs.
    config: Any = torch._dynamo.config
    config.recompile_limit = config.accumulated_recompile_limit = _MANY_PROGRAMS
    # Random numbers as without the compiler, so that compiled or not, dropout is the same.
    options: dict[str, Any] = {"fallback_random": True, "deterministic": deterministic}
    if mode == "reduce-overhead":
        options["triton.cudagraphs"] = True
    return torch.compile(forward, dynamic=False, options=options)


def _errors() -> tuple[type[Exception], ...]:
    import torch._dynamo.exc
    import torch._inductor.exc

    return (
        torch._dynamo.exc.TorchDynamoException,
        torch._inductor.exc.CppCompileError,
        torch._inductor.exc.InvalidCxxCompiler,
    )
