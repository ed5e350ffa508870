"""The folder of everything that can be fetched or made again: weights, packs, checkpoints, logs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(part: str) -> Path:
    """Return the user's folder for one kind of thing; it may not exist yet.

    It lies in `$XDG_CACHE_HOME`, or in `~/.cache` where that is not set or not absolute, which the
    XDG base directory specification says to ignore.

    Args:
        part: the kind, for example "weights".
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return root / "audio-ablation-orchestrator" / part
