"""A pack: a dataset ready to train on, in one directory named after its fingerprint.

`clips.arrow` holds int16 samples at one rate and is memory-mapped, so every process of a host
shares one copy; `pack.json` says what they are and where they come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.data import fingerprints
from orchestrator.data.addresses import CLIPS
from orchestrator.data.info import DamagedPack, kind_in, read_manifest
from orchestrator.data.partition import split_folds
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.targets import Targets

if TYPE_CHECKING:
    import pyarrow as pa
    import torch

SCALE = 1.0 / 32768.0
COLUMNS = ("clip_id", "fold", "source_id", "num_samples", "waveform")
MEASURES = ("sha256", "rate_hz", "frames", "peak", "rms_dbfs")
"""Columns with what the audit measured of a clip as it was decoded; see `findings.ClipRecord`."""
TARGET_COLUMNS = {
    TargetKind.SINGLE_LABEL: ("label",),
    TargetKind.MULTI_LABEL: ("labels",),
    TargetKind.EVENTS: ("labels", "onset_s", "offset_s"),
    TargetKind.HEADS: ("labels",),
}
"""Kind of targets -> the columns that hold them; those of several entries a clip are lists."""


class Pack:
    """A memory-mapped pack. Pickles as its path, so it is cheap to send to a worker.

    Attributes:
        path: The pack's local directory.
        manifest: Content of `pack.json`.
        fingerprint: Digest of everything in the pack that decides a number.
        sample_rate: Rate in Hz.
        class_names: One per label.
        clip_ids: `(clips,)` unique names.
        source_ids: `(clips,)` recording that each clip was cut from.
        targets: What is true of the clips.
        folds: `(clips,)` int64 fold numbers, keys of `fold_names`.
        num_samples: `(clips,)` int64, length of each clip.
        fold_names: Fold number -> name.
    """

    def __init__(self, path: str | Path):
        """Map a pack.

        Args:
            path: Directory with `clips.arrow` and `pack.json`.

        Raises:
            DataError: There is no pack.
            DamagedPack: `pack.json` or the number of clips changed. `open_pack` also compares the
                samples.
        """
        import pyarrow as pa

        self.path = Path(path)
        self.manifest = read_manifest(self.path)
        self.fingerprint: str = self.manifest["fingerprint"]
        self.sample_rate: int = self.manifest["sample_rate"]
        self.class_names: tuple[str, ...] = tuple(self.manifest["class_names"])
        self.fold_names: dict[int, str] = {
            int(fold): name for fold, name in self.manifest["folds"].items()
        }
        try:
            with pa.memory_map(str(self.path / CLIPS)) as mapped:
                table = pa.ipc.open_file(mapped).read_all()
            # Offsets beyond the end of the file would otherwise be read unchecked.
            table.validate(full=True)
            columns = [table[name] for name in COLUMNS]
            self.targets = _targets(table, self.manifest, self.num_classes)
        except (OSError, pa.ArrowException, KeyError, ValueError) as error:
            raise DamagedPack(self.path, f"{CLIPS} cannot be read ({error})") from error
        clip_id, fold, source_id, num_samples, waveform = columns
        self.clip_ids: tuple[str, ...] = tuple(clip_id.to_pylist())
        self.source_ids: tuple[str, ...] = tuple(source_id.to_pylist())
        self.folds = fold.to_numpy().astype(np.int64)
        self.num_samples = num_samples.to_numpy().astype(np.int64)
        chunks = waveform.chunks
        self._values = [chunk.values.to_numpy(zero_copy_only=True) for chunk in chunks]
        self._chunk = np.repeat(np.arange(len(chunks)), [len(chunk) for chunk in chunks])
        self._start = np.concatenate(
            [np.zeros(0, np.int64), *(chunk.offsets.to_numpy()[:-1] for chunk in chunks)]
        )
        if len(self.clip_ids) != self.manifest["num_clips"]:
            raise DamagedPack(
                self.path,
                f"{CLIPS} holds {len(self.clip_ids)} clips and pack.json says "
                f"{self.manifest['num_clips']}",
            )

    def __len__(self) -> int:
        return len(self.clip_ids)

    def __reduce__(self) -> tuple[type[Pack], tuple[Path]]:
        return Pack, (self.path,)

    def __repr__(self) -> str:
        return f"Pack({str(self.path)!r}: {len(self)} clips, {self.num_classes} classes)"

    @property
    def labels(self) -> np.ndarray:
        """`(clips,)` int64 classes; a `DataError` unless every clip has one class."""
        return self.targets.labels

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def waveform(self, index: int) -> np.ndarray:
        """Return a clip's samples, `(time,)` int16, as a read-only view of the mapped file.

        Raises:
            IndexError: There is no such clip.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"clip {index} of a pack with {len(self)} clips")
        start = self._start[index]
        return self._values[self._chunk[index]][start : start + self.num_samples[index]]

    def pcm(self, indices: Sequence[int] | np.ndarray, num_samples: int) -> np.ndarray:
        """Gather clips as `(batch, time)` int16.

        Args:
            indices: `(batch,)` positions in the pack.
            num_samples: Length of every row. A longer clip is cut at the end, a shorter one is
                zero-padded: this is a model's input length, not a repair of broken clips.

        Raises:
            IndexError: There is no such clip.
        """
        rows = np.zeros((len(indices), num_samples), np.int16)
        for row, index in zip(rows, indices, strict=True):
            wave = self.waveform(int(index))[:num_samples]
            row[: len(wave)] = wave
        return rows

    def batch(self, indices: Sequence[int] | np.ndarray, num_samples: int) -> torch.Tensor:
        """Gather clips as `(batch, time)` float32 in [-1, 1]; see `pcm`."""
        import torch

        return torch.from_numpy(self.pcm(indices, num_samples)).float().mul_(SCALE)

    def split(self, fold: int | str) -> tuple[np.ndarray, np.ndarray]:
        """Divide the clips into those of a fold and the rest; see `partition.split_folds`."""
        return split_folds(self.folds, self.fold_names, fold)

    def summary(self) -> str:
        """Describe in one line what the pack holds."""
        seconds = int(self.num_samples.sum()) / self.sample_rate
        dropped = len(self.manifest["dropped"])
        return (
            f"{self.manifest['name']} {self.fingerprint}: {len(self)} clips, "
            f"{self.num_classes} classes, {len(self.fold_names)} folds, {self.sample_rate} Hz, "
            f"{seconds / 60:.1f} min" + (f", {dropped} clips dropped" if dropped else "")
        )

    def content_digest(self) -> str:
        """Hash the contents again; equal to `manifest["content_digest"]` unless damaged."""
        content = fingerprints.Content(
            self.sample_rate,
            self.class_names,
            self.fold_names,
            self.targets.kind,
            self.targets.heads,
        )
        for index, clip_id in enumerate(self.clip_ids):
            form = self.targets.form(index)
            content.add(clip_id, form, int(self.folds[index]), self.waveform(index))
        return content.digest()


def _targets(table: pa.Table, manifest: Mapping[str, Any], num_classes: int) -> Targets:
    """Read the targets of all clips; a `ValueError` or `KeyError` if the columns do not fit."""
    kind = kind_in(manifest)
    columns = {name: table[name].combine_chunks() for name in TARGET_COLUMNS[kind]}
    if kind is TargetKind.SINGLE_LABEL:
        return Targets.of_labels(columns["label"].to_numpy(), num_classes=num_classes)
    sizes = columns["labels"].value_lengths().to_numpy(zero_copy_only=False)
    flat = {name: column.flatten().to_numpy() for name, column in columns.items()}
    return Targets(
        kind=kind,
        num_classes=num_classes,
        starts=np.cumsum([0, *sizes], dtype=np.int64),
        classes=flat["labels"].astype(np.int64),
        onsets_s=flat.get("onset_s"),
        offsets_s=flat.get("offset_s"),
        heads=manifest.get("heads", {}),
    )
