"""Per-clip predictions as Arrow: one row per clip, the epoch in the schema's metadata."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchestrator.errors import StoreError
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.predictions import Frames, Predictions
from orchestrator.metrics.targets import Targets
from orchestrator.store import forms

if TYPE_CHECKING:
    import pyarrow as pa

_WAY_OUT = "put it back from a copy, or delete it and its trial's record, and run the sweep again"


def dump(predictions: Predictions) -> bytes:
    """Return the Arrow IPC file.

    Columns: `clip_id` string, `label` int64, `logits` fixed-size list of float32. Where a clip has
    any number of classes, `labels`, a list of int64, takes the place of `label`, beside `onset_s`
    and `offset_s`, lists of float64, for events; several heads are in the metadata, as JSON.
    Predictions over time add `clip_s` float64 and `frame_logits`, a fixed-size list of float16, row
    by row.
    """
    import numpy as np
    import pyarrow as pa

    targets, frames = predictions.targets, predictions.frames
    clips, classes = predictions.logits.shape
    if len(predictions.clip_ids) != clips or len(targets) != clips:
        raise ValueError(
            f"{len(predictions.clip_ids)} clip ids and {len(targets)} labels do not fit logits of "
            f"{clips} clips"
        )

    def rows(values: np.ndarray, dtype: type) -> pa.FixedSizeListArray:
        flat = pa.array(np.ascontiguousarray(values, dtype=dtype).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, int(np.prod(values.shape[1:])))

    def lists(values: np.ndarray) -> pa.ListArray:
        starts = pa.array(targets.starts.astype(np.int32))
        return pa.ListArray.from_arrays(starts, pa.array(values))

    columns = {"clip_id": pa.array(predictions.clip_ids, pa.string())}
    metadata = {"epoch": str(predictions.epoch), "classes": str(classes)}
    if targets.kind is TargetKind.SINGLE_LABEL:
        columns["label"] = pa.array(np.asarray(targets.labels, dtype=np.int64))
    else:
        metadata["targets"] = str(targets.kind)
        if targets.heads:
            metadata["heads"] = json.dumps(dict(targets.heads))
        columns["labels"] = lists(targets.classes)
        if targets.onsets_s is not None and targets.offsets_s is not None:
            columns["onset_s"] = lists(targets.onsets_s)
            columns["offset_s"] = lists(targets.offsets_s)
    columns["logits"] = rows(predictions.logits, np.float32)
    if frames is not None:
        metadata |= {"rows": str(frames.logits.shape[1]), "row_s": repr(frames.row_s)}
        columns["clip_s"] = pa.array(frames.clip_s)
        columns["frame_logits"] = rows(frames.logits, np.float16)
    table = pa.table(columns, metadata=metadata)
    # Models repeat the logits of a time step over its frames.
    options = pa.ipc.IpcWriteOptions(compression="zstd" if frames is not None else None)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def parse(data: bytes, *, where: str, digest: str = "") -> Predictions:
    """Read the form that `dump` writes. The arrays are read-only.

    Args:
        data: Content of the file.
        where: Location of the file, for messages.
        digest: Required digest; empty checks none.

    Raises:
        StoreError: It is not an Arrow file of that form, or has another digest; names `where`.
    """
    if digest and forms.digest_of(data) != digest:
        raise StoreError(
            f"{where} is not the file that its trial's record was written with: it was edited, "
            f"replaced or damaged; {_WAY_OUT}"
        )
    import pyarrow as pa

    try:
        table = pa.ipc.open_file(pa.BufferReader(data)).read_all().combine_chunks()
        if not digest:
            table.validate(full=True)
        return _predictions(table)
    except (pa.ArrowException, OSError, LookupError, TypeError, AttributeError, ValueError) as e:
        raise StoreError(f"{where} cannot be read ({e}); {_WAY_OUT}") from e


def _predictions(table: pa.Table) -> Predictions:
    import numpy as np

    metadata = table.schema.metadata or {}
    classes, clips = int(metadata[b"classes"]), len(table)
    kind = TargetKind(metadata.get(b"targets", b"single_label").decode())

    # DLPack, since Arrow's own conversion to numpy imports pandas and its kernels (0.12 s).
    def column(name: str, dtype: type) -> np.ndarray:
        return (
            np.asarray(np.from_dlpack(table[name].chunk(0)), dtype) if clips else np.zeros(0, dtype)
        )

    def rows(name: str, dtype: type, *shape: int) -> np.ndarray:
        if not clips:
            return np.zeros((0, *shape), dtype)
        part, width = table[name].chunk(0), int(np.prod(shape))
        values = np.asarray(np.from_dlpack(part.values.slice(part.offset * width)), dtype)
        return values.reshape(-1, *shape)[:clips]

    def entries(name: str, dtype: type) -> np.ndarray:
        values = table[name].combine_chunks().flatten()
        return np.asarray(np.from_dlpack(values), dtype) if len(values) else np.zeros(0, dtype)

    if kind is TargetKind.SINGLE_LABEL:
        targets = Targets.of_labels(column("label", np.int64), num_classes=classes)
    else:
        sizes = table["labels"].combine_chunks().value_lengths().to_pylist()
        timed = kind is TargetKind.EVENTS
        targets = Targets(
            kind=kind,
            num_classes=classes,
            starts=np.cumsum([0, *sizes], dtype=np.int64),
            classes=entries("labels", np.int64),
            onsets_s=entries("onset_s", np.float64) if timed else None,
            offsets_s=entries("offset_s", np.float64) if timed else None,
            heads=json.loads(metadata.get(b"heads", b"{}")),
        )
    frames = None
    if b"rows" in metadata:
        frames = Frames(
            logits=rows("frame_logits", np.float16, int(metadata[b"rows"]), classes),
            row_s=float(metadata[b"row_s"]),
            clip_s=column("clip_s", np.float64),
        )
    return Predictions(
        epoch=int(metadata[b"epoch"]),
        clip_ids=tuple(table["clip_id"].to_pylist()),
        targets=targets,
        logits=rows("logits", np.float32, classes),
        frames=frames,
    )
