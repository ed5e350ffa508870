"""Per-clip predictions as Arrow: one row per clip, the epoch in the schema's metadata."""

from __future__ import annotations

from orchestrator.errors import StoreError
from orchestrator.metrics.predictions import Predictions
from orchestrator.store import forms

_WAY_OUT = "put it back from a copy, or delete it and its trial's record, and run the sweep again"


def dump(predictions: Predictions) -> bytes:
    """Return the Arrow IPC file.

    Columns: `clip_id` string, `label` int64, `logits` fixed-size list of float32.
    """
    import numpy as np
    import pyarrow as pa

    clips, classes = predictions.logits.shape
    if len(predictions.clip_ids) != clips or len(predictions.labels) != clips:
        raise ValueError(
            f"{len(predictions.clip_ids)} clip ids and {len(predictions.labels)} labels do not "
            f"fit logits of {clips} clips"
        )
    flat = pa.array(np.ascontiguousarray(predictions.logits, dtype=np.float32).reshape(-1))
    table = pa.table(
        {
            "clip_id": pa.array(predictions.clip_ids, pa.string()),
            "label": pa.array(np.asarray(predictions.labels, dtype=np.int64)),
            "logits": pa.FixedSizeListArray.from_arrays(flat, classes),
        },
        metadata={"epoch": str(predictions.epoch), "classes": str(classes)},
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
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
    import numpy as np
    import pyarrow as pa

    try:
        table = pa.ipc.open_file(pa.BufferReader(data)).read_all().combine_chunks()
        if not digest:
            table.validate(full=True)
        metadata = table.schema.metadata or {}
        classes = int(metadata[b"classes"])
        labels, flat = np.zeros(0, np.int64), np.zeros(0, np.float32)
        if len(table):
            # DLPack, since Arrow's own conversion to numpy imports pandas and its kernels (0.12 s).
            labels = np.asarray(np.from_dlpack(table["label"].chunk(0)), np.int64)
            logits = table["logits"].chunk(0)
            values = logits.values.slice(logits.offset * classes)
            flat = np.asarray(np.from_dlpack(values), np.float32)
        if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(f"a label is none of its {classes} classes")
        return Predictions(
            epoch=int(metadata[b"epoch"]),
            clip_ids=tuple(table["clip_id"].to_pylist()),
            labels=labels,
            logits=flat.reshape(-1, classes)[: len(labels)],
        )
    except (pa.ArrowException, OSError, LookupError, TypeError, AttributeError, ValueError) as e:
        raise StoreError(f"{where} cannot be read ({e}); {_WAY_OUT}") from e
