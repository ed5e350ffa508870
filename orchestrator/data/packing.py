"""Make a pack from a source: one pass over the clips, audited as they are written."""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.digests import file_digest
from orchestrator.data import fingerprints, integrity
from orchestrator.data.addresses import CLIPS, MANIFEST, is_local, local_path, publish, workshop
from orchestrator.data.audit import Examined, Progress, examine
from orchestrator.data.decode import tools
from orchestrator.data.findings import ClipRecord, decide, notes_of
from orchestrator.data.info import PACK_FORMAT, SINGLE_LABEL_FORMAT, manifest_digest
from orchestrator.data.pack import MEASURES, TARGET_COLUMNS
from orchestrator.data.source import Clip, Source, digest
from orchestrator.data.unfinished import Unfinished
from orchestrator.errors import DataError
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.targets import Targets

if TYPE_CHECKING:
    import pyarrow as pa

_CLIPS_PER_BATCH = 64


@dataclass(frozen=True)
class Made:
    """A pack that has just been written.

    Attributes:
        fingerprint: The pack's name.
        manifest: Content of its `pack.json`.
        records: The audit, one record per listed clip.
    """

    fingerprint: str
    manifest: dict[str, Any]
    records: tuple[ClipRecord, ...]


def make_pack(
    source: Source, *, packs: str, progress: Progress | None = None, signature: str = ""
) -> Made:
    """Decode, audit, resample and write every clip of a source.

    An existing pack with the same contents stays as it is; a damaged one is set aside. What a
    killed process wrote of the same source is not decoded again.

    Args:
        source: The dataset.
        packs: Directory or address to write below.
        progress: Called with (clips done, clips in total).
        signature: Changes whenever what the source reads or how it reads it does; "" begins anew.

    Raises:
        DataError: See `findings.decide`; or `packs` cannot be written, or lacks space (the
            message says how much is needed).
    """
    _require_space(source, packs)
    key = digest([signature, PACK_FORMAT, tools()]) if signature else ""
    with workshop(packs, key=key) as making:
        try:
            unfinished = Unfinished(making)
            writer = _Writer(making / CLIPS, source)
            records: list[ClipRecord] = []
            with writer:
                for seen in _examined(source, unfinished, records, progress):
                    records.append(seen.record)
                    unfinished.add(seen, written=writer.add(seen))
            unfinished.forget()
            dropped = decide(source, records)
            manifest = _manifest(source, records, dropped, writer.content.digest())
            manifest["num_bytes"] = (making / CLIPS).stat().st_size
            manifest["file_digest"] = file_digest(making / CLIPS)
            manifest["manifest_digest"] = manifest_digest(manifest)
            text = json.dumps(manifest, indent=1, ensure_ascii=False)
            (making / MANIFEST).write_text(text + "\n", encoding="utf-8")
            integrity.whole_or_set_aside(packs, manifest["fingerprint"])
            publish(making, packs, manifest["fingerprint"])
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _no_space(packs, making.parent, _size(source)) from error
            raise DataError(f"cannot write packs to {packs!r}: {error}") from error
    return Made(manifest["fingerprint"], manifest, tuple(records))


def _examined(
    source: Source, unfinished: Unfinished, records: list[ClipRecord], progress: Progress | None
) -> Iterator[Examined]:
    """Yield what a killed process wrote, then the rest; the caller appends each record."""
    yield from unfinished.recover(source)
    yield from examine(source, progress=progress, done=records)


def _size(source: Source) -> int:
    """Return the bytes of the samples of all clips; 0 if their lengths are unknown."""
    return len(source.clips) * round(source.seconds * source.sample_rate) * 2


def _require_space(source: Source, packs: str) -> None:
    """Refuse a dataset that cannot fit, before decoding it; dropped clips are not deducted."""
    if source.on_broken != "stop" or not is_local(packs):
        return
    place = local_path(packs).absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    with contextlib.suppress(OSError):
        disk = shutil.disk_usage(place)
        if disk.total and disk.free < _size(source):
            raise _no_space(packs, place, _size(source))


def _no_space(packs: str, place: Path, size: int) -> DataError:
    needed = f"about {_megabytes(size)} MB" if size else "16 bit per sample of all clips"
    free = _megabytes(shutil.disk_usage(place).free)
    return DataError(
        f"no space to pack the dataset: {packs} needs {needed}, and {free} MB are free on the disk "
        f"of {place}. Nothing was packed; make space there, or name another place (--packs, in a "
        "sweep --store)"
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f}"


def _manifest(
    source: Source, records: list[ClipRecord], dropped: dict[str, str], content_digest: str
) -> dict[str, Any]:
    kept = [record for record in records if not record.broken]

    single = source.kind is TargetKind.SINGLE_LABEL
    return {
        "format": SINGLE_LABEL_FORMAT if single else PACK_FORMAT,
        "name": source.name,
        "fingerprint": source.fingerprint or content_digest[: fingerprints.LENGTH],
        "content_digest": content_digest,
        "sample_rate": source.sample_rate,
        "class_names": list(source.class_names),
        "folds": {str(fold): name for fold, name in source.fold_names.items()},
        "num_clips": len(kept),
        "num_samples": max(_pack_length(record, source) for record in kept),
        "kept": source.class_counts(record.clip for record in kept),
        "dropped_per_class": source.class_counts(r.clip for r in records if r.broken),
        "dropped": dropped,
        "notes": list(notes_of(source, records)),
        "tools": tools(),
        "root_hint": source.root,
        "licence": source.license,
        **({} if single else {"targets": str(source.kind)}),
        **({"heads": dict(source.heads)} if source.heads else {}),
    }


def _pack_length(record: ClipRecord, source: Source) -> int:
    return round((record.frames or 0) * source.sample_rate / (record.rate_hz or 1))


class _Writer:
    """Writes the usable clips in batches, so memory does not grow with the dataset."""

    def __init__(self, path: Path, source: Source):
        import pyarrow as pa

        self.content = fingerprints.Content(
            source.sample_rate, source.class_names, source.fold_names, source.kind, source.heads
        )
        self._kind, self._num_classes = source.kind, len(source.class_names)
        self._heads = source.heads
        types = {"label": pa.int32(), "labels": pa.list_(pa.int32())}
        measured = (pa.string(), pa.int32(), pa.int64(), pa.float64(), pa.float64())
        self._schema = pa.schema(
            [
                ("clip_id", pa.string()),
                *(
                    (name, types.get(name, pa.list_(pa.float64())))
                    for name in TARGET_COLUMNS[source.kind]
                ),
                ("fold", pa.int32()),
                ("source_id", pa.string()),
                ("num_samples", pa.int64()),
                *zip(MEASURES, measured, strict=True),
                pa.field("waveform", pa.large_list(pa.field("item", pa.int16(), nullable=False))),
            ]
        )
        self._writer = pa.ipc.new_file(str(path), self._schema)
        self._records: list[ClipRecord] = []
        self._waves: list[np.ndarray] = []

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
            self._writer.close()
            return
        # Remove a partial file; a full disk refuses even the end of the file.
        with contextlib.suppress(OSError):
            self._writer.close()

    def add(self, seen: Examined) -> bool:
        """Add a clip if it is usable; return whether a batch was written."""
        if seen.pcm is None:
            return False
        clip = seen.record.clip
        targets = self._targets([clip])
        self.content.add(clip.clip_id, targets.form(0), clip.fold, seen.pcm)
        self._records.append(seen.record)
        self._waves.append(seen.pcm)
        if len(self._records) < _CLIPS_PER_BATCH:
            return False
        self._flush()
        return True

    def _targets(self, clips: Sequence[Clip]) -> Targets:
        labels = [clip.label for clip in clips]
        return Targets.of(labels, num_classes=self._num_classes, kind=self._kind, heads=self._heads)

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._records:
            return
        clips = [record.clip for record in self._records]
        lengths = np.array([len(wave) for wave in self._waves], np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        waveform: pa.LargeListArray = pa.LargeListArray.from_arrays(
            pa.array(offsets, pa.int64()),
            pa.array(np.concatenate(self._waves)),
            type=self._schema.field("waveform").type,
        )
        targets = self._targets(clips)
        values = {"label": targets.classes, "labels": targets.classes}
        values |= {"onset_s": targets.onsets_s, "offset_s": targets.offsets_s}
        own = {name: values[name] for name in TARGET_COLUMNS[self._kind]}
        starts = pa.array(targets.starts, pa.int32())
        columns = [
            pa.array([clip.clip_id for clip in clips]),
            *(
                pa.array(column, self._schema.field(name).type)
                if name == "label"
                else pa.ListArray.from_arrays(
                    starts, pa.array(column, self._schema.field(name).type.value_type)
                )
                for name, column in own.items()
            ),
            pa.array([clip.fold for clip in clips], pa.int32()),
            pa.array([clip.source_id for clip in clips]),
            pa.array(lengths),
            *(
                pa.array([getattr(r, name) for r in self._records], self._schema.field(name).type)
                for name in MEASURES
            ),
            waveform,
        ]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
        self._records, self._waves = [], []
