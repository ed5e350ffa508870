"""The digest of a pack's contents: everything that decides a number, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np

from orchestrator.metrics.labels import TargetKind

LENGTH = 32
_FORMAT = 1


class Content:
    """A running sha256 over clips in order: ids, targets, folds, rate, samples, class names.

    It excludes file locations, tools and dropped clips: the same clips give the same digest
    everywhere.
    """

    def __init__(
        self,
        sample_rate: int,
        class_names: Sequence[str],
        fold_names: Mapping[int, str],
        kind: TargetKind,
        heads: Mapping[str, int] | None = None,
    ):
        self._hash = hashlib.sha256()
        folds = {str(fold): name for fold, name in fold_names.items()}
        # Packs of one class per clip keep the digests that they had before there were other kinds.
        others: list[object] = [] if kind is TargetKind.SINGLE_LABEL else [str(kind)]
        others += [list(heads.items())] if heads else []
        self._say([_FORMAT, sample_rate, list(class_names), folds, *others])

    def add(self, clip_id: str, form: object, fold: int, pcm: np.ndarray) -> None:
        """Add one clip.

        Args:
            clip_id: Name of the clip.
            form: What is known of it, as `Targets.form` returns it.
            fold: Number of its fold.
            pcm: `(time,)` int16.
        """
        self._say([clip_id, form, fold, len(pcm)])
        self._hash.update(np.ascontiguousarray(pcm, dtype="<i2").data)

    def digest(self) -> str:
        """Return the digest as 64 hexadecimal digits."""
        return self._hash.hexdigest()

    def _say(self, value: list[object]) -> None:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        self._hash.update(text.encode() + b"\n")
