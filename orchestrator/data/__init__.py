"""Datasets as packs: audited once, decoded once, memory-mapped by every trial.

`prepare` makes a pack, `peek` describes it, `pinned` names it, `open_pack` maps it. Heavy imports
wait until first use, so a plan can name and check datasets in milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.data.entry import open_pack, peek, pinned, prepare
    from orchestrator.data.info import PackInfo
    from orchestrator.data.integrity import local_copy
    from orchestrator.data.pack import Pack
    from orchestrator.data.samplers import clip_seeds, epoch_order, shard

__all__ = [
    "Pack",
    "PackInfo",
    "clip_seeds",
    "epoch_order",
    "local_copy",
    "open_pack",
    "peek",
    "pinned",
    "prepare",
    "shard",
]

_HOME = {
    "Pack": "pack",
    "PackInfo": "info",
    "clip_seeds": "samplers",
    "epoch_order": "samplers",
    "local_copy": "integrity",
    "open_pack": "entry",
    "peek": "entry",
    "pinned": "entry",
    "prepare": "entry",
    "shard": "samplers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
