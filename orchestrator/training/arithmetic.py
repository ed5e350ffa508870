"""How the device computes a trial: TF32 and deterministic algorithms.

PyTorch keeps these choices for the whole process, and a process trains trials of different
precision one after the other, so they are set for one trial and put back.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch

from orchestrator.errors import ConfigError, TrainingError

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
WORKSPACES = (":4096:8", ":16:8")
"""Settings with which cuBLAS adds in a fixed order; the first is faster and takes 32 MB."""

_NO_DETERMINISTIC_FORM = " does not have a deterministic implementation"
_TF32_SINCE = (8, 0)  # compute capability of Ampere


@contextlib.contextmanager
def arithmetic(precision: str, *, deterministic: bool) -> Iterator[None]:
    """Set how a trial is computed, and restore the process's state at the end.

    Must be entered before the process computes its first matrix product on a GPU, when cuBLAS reads
    its setting; a Ray worker has computed none before its first trial.

    Args:
        precision: `fp32`, `tf32` or `bf16`. Only `tf32` allows TF32, in matrix products and in
            cuDNN, whose own default allows it.
        deterministic: Whether operations must have a form that repeats to the bit.

    Raises:
        ConfigError: The environment has a setting of cuBLAS that does not repeat.
        TrainingError: An operation has no deterministic form.
    """
    # The older of PyTorch's two interfaces: the compiler of torch 2.11 reads TF32 by it, which
    # raises once the newer one, `fp32_precision`, was used.
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    memory: Any = torch.utils.deterministic
    before = (matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark)
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    was_filled = memory.fill_uninitialized_memory
    if deterministic:
        _fix_workspace()
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = precision == "tf32"
        if deterministic:
            torch.use_deterministic_algorithms(True)
            cudnn.benchmark = False  # it chooses algorithms by their time, which varies
            # Otherwise every new tensor is filled first, which costs a kernel each and guards only
            # against operations that read what they did not write.
            memory.fill_uninitialized_memory = False
        yield
    except RuntimeError as error:
        operation, found, _ = str(error).partition(_NO_DETERMINISTIC_FORM)
        if not found:
            raise
        raise TrainingError(
            f"{operation.strip()} has no form that repeats to the bit on this device; give --fast "
            "to train without that promise, or replace the operation"
        ) from error
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before
        torch.use_deterministic_algorithms(was_deterministic)
        memory.fill_uninitialized_memory = was_filled


def arithmetic_facts(device: torch.device) -> dict[str, str]:
    """Return how this process computes on a device now, as flat text for a record.

    Keys: `deterministic` (whether a rerun repeats to the bit), `tf32`, and on a GPU `cudnn`.
    """
    if device.type != "cuda":
        return {"deterministic": "yes", "tf32": "no"}
    has_tf32 = torch.cuda.get_device_capability(device) >= _TF32_SINCE
    return {
        "deterministic": _yes(torch.are_deterministic_algorithms_enabled()),
        "tf32": _yes(has_tf32 and bool(torch.backends.cuda.matmul.allow_tf32)),
        "cudnn": str(torch.backends.cudnn.version()),
    }


def _fix_workspace() -> None:
    setting = os.environ.setdefault(WORKSPACE, WORKSPACES[0])
    if setting not in WORKSPACES:
        raise ConfigError(
            f"{WORKSPACE} is {setting!r}, with which cuBLAS does not repeat to the bit (valid: "
            f"{', '.join(WORKSPACES)}); unset it, or give --fast"
        )


def _yes(value: bool) -> str:
    return "yes" if value else "no"
