"""The model zoo: a model is a chain of components that can each be swapped.

`import models` does not import torch; each name below is imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.checkpoints.files import weight_file
    from models.checkpoints.load import load_pretrained, load_state
    from models.factory import create_model, list_models
    from models.macs import count_macs, num_params, num_trained

__all__ = [
    "count_macs",
    "create_model",
    "list_models",
    "load_pretrained",
    "load_state",
    "num_params",
    "num_trained",
    "weight_file",
]

_HOMES = {
    "create_model": "models.factory",
    "list_models": "models.factory",
    "count_macs": "models.macs",
    "num_params": "models.macs",
    "num_trained": "models.macs",
    "load_pretrained": "models.checkpoints.load",
    "load_state": "models.checkpoints.load",
    "weight_file": "models.checkpoints.files",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
