"""The cache folder, for everything that can be fetched or made again, such as weights and packs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(part: str) -> Path:
    """Return the user's cache folder for one kind of file, which may not exist yet.

    It is in `$XDG_CACHE_HOME`, or in `~/.cache` if that is unset or not absolute (the XDG
    specification says to ignore relative paths).

    Args:
        part: Kind of file, for example "weights".
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return root / "audio-ablation-orchestrator" / part
