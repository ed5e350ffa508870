"""Metrics by key, each with its direction and unit, and the targets that they compare with.

What a data set lists (`labels`) is imported at once; what computes waits until first use, since it
imports numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from orchestrator.metrics.labels import Event, Label, TargetKind

if TYPE_CHECKING:
    from orchestrator.metrics.catalog import METRICS, USUAL, Direction, Metric, lookup, metric
    from orchestrator.metrics.postprocessing import post_processed
    from orchestrator.metrics.targets import Targets

__all__ = [
    "METRICS",
    "USUAL",
    "Direction",
    "Event",
    "Label",
    "Metric",
    "TargetKind",
    "Targets",
    "lookup",
    "metric",
    "post_processed",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    homes = {"Targets": "targets", "post_processed": "postprocessing"}
    home = homes.get(name, "catalog")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
