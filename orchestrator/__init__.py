"""Experiments and ablations for audio event recognition, distributed on Ray.

`import orchestrator` loads nothing else; the names below load what they need on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.loading import load_model

__all__ = ["load_model"]
__version__ = "0.1.0"

_HOMES = {"load_model": "orchestrator.loading"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
