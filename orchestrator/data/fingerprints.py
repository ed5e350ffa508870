"""The digest of a pack's contents: everything that decides a number, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np

LENGTH = 32
_FORMAT = 1


class Content:
    """A running sha256 over clips in order: ids, labels, folds, rate, samples, class names.

    It excludes file locations, tools and dropped clips: the same clips give the same digest
    everywhere.
    """

    def __init__(self, sample_rate: int, class_names: Sequence[str], fold_names: Mapping[int, str]):
        self._hash = hashlib.sha256()
        folds = {str(fold): name for fold, name in fold_names.items()}
        self._say([_FORMAT, sample_rate, list(class_names), folds])

    def add(self, clip_id: str, label: int, fold: int, pcm: np.ndarray) -> None:
        """Add one clip; `pcm` is `(time,)` int16."""
        self._say([clip_id, label, fold, len(pcm)])
        self._hash.update(np.ascontiguousarray(pcm, dtype="<i2").data)

    def digest(self) -> str:
        """Return the digest as 64 hexadecimal digits."""
        return self._hash.hexdigest()

    def _say(self, value: list[object]) -> None:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        self._hash.update(text.encode() + b"\n")
