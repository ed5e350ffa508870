"""What a plan needs to know of a pack, without opening it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.data.source import Source


@dataclass(frozen=True)
class PackInfo:
    """What a plan needs to know of a pack.

    Attributes:
        fingerprint: the pack's name.
        name: the dataset's registered name.
        num_classes: number of classes.
        class_names: one per label.
        sample_rate: in Hz.
        folds: fold numbers.
        fold_names: one per fold; "train" marks an official split.
        num_clips: clips kept.
        num_samples: length of the longest clip, in samples at `sample_rate`.
        counts: class name -> clips kept.
        dropped: clip id -> why it was left out.
        made: whether this call made the pack.
        notes: what was done to the clips, in sentences.
        licence: as far as it is known.
    """

    fingerprint: str
    name: str
    num_classes: int
    class_names: tuple[str, ...]
    sample_rate: int
    folds: tuple[int, ...]
    fold_names: tuple[str, ...]
    num_clips: int
    num_samples: int
    counts: Mapping[str, int]
    dropped: Mapping[str, str] = field(default_factory=dict)
    made: bool = False
    notes: tuple[str, ...] = ()
    licence: str = ""


def from_manifest(manifest: Mapping[str, Any]) -> PackInfo:
    """Read a pack's description from its `pack.json`."""
    return PackInfo(
        fingerprint=manifest["fingerprint"],
        name=manifest["name"],
        num_classes=len(manifest["class_names"]),
        class_names=tuple(manifest["class_names"]),
        sample_rate=manifest["sample_rate"],
        folds=tuple(int(fold) for fold in manifest["folds"]),
        fold_names=tuple(manifest["folds"].values()),
        num_clips=manifest["num_clips"],
        num_samples=manifest["num_samples"],
        counts=manifest["kept"],
        dropped=manifest["dropped"],
        notes=tuple(manifest["notes"]),
        licence=manifest["licence"],
    )


def foreseen(source: Source) -> PackInfo:
    """Describe the pack that a source with a fingerprint will become."""
    labels = [clip.label for clip in source.clips]
    return PackInfo(
        fingerprint=source.fingerprint,
        name=source.name,
        num_classes=len(source.class_names),
        class_names=source.class_names,
        sample_rate=source.sample_rate,
        folds=tuple(source.fold_names),
        fold_names=tuple(source.fold_names.values()),
        num_clips=len(source.clips),
        num_samples=round(source.seconds * source.sample_rate),
        counts={name: labels.count(label) for label, name in enumerate(source.class_names)},
        licence=source.licence,
    )
