"""Folders of Hugging Face `datasets`: `metadata.*` with `file_name`, or Parquet with audio bytes.

https://huggingface.co/docs/datasets/audio_dataset. Parquet is read by pyarrow; an Audio feature is
a column of {bytes, path}, and names of a ClassLabel lie in the schema's metadata.
"""

from __future__ import annotations

import functools
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.data.layouts import table
from orchestrator.data.layouts.labels import listed_label
from orchestrator.data.layouts.lists import column, in_seconds, open_parquet, parquet_rows
from orchestrator.data.layouts.rows import (
    Asked,
    Audio,
    Listing,
    Mistakes,
    Row,
    split_named,
)
from orchestrator.data.layouts.tree import Tree
from orchestrator.errors import DataError, shown

TITLE = (
    "a Hugging Face data set: metadata.csv, .jsonl or .parquet with file_name, or Parquet shards"
)
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_SHARD = re.compile(r"(?P<split>[A-Za-z_]+?)(-\d+-of-\d+)?(-[0-9a-f]+)?\.parquet")


def fits(tree: Tree) -> bool:
    """Whether there are lists named `metadata`, or Parquet files with a column of audio bytes."""
    return bool(_lists(tree)) or any(True for _ in _shards(tree))


def read(tree: Tree, asked: Asked) -> Listing:
    """List the clips of all splits."""
    mistakes = Mistakes(tree.root)
    metadata = _lists(tree)
    if metadata:
        found = [
            table.read_list(
                tree,
                name,
                Asked(**{**vars(asked), "path": asked.path or "file_name"}),
                mistakes,
                "huggingface",
                split=split_named(os.path.basename(os.path.dirname(name))),
            )
            for name in metadata
        ]
        labels = {one.labels_are.partition(" of ")[0] for one in found}
    else:
        shards = list(_shards(tree))
        found = [_read_shard(tree, name, key, asked, mistakes) for name, key in shards]
        labels = {one.labels_are for one in found}
    rows = tuple(row for one in found for row in one.rows)
    return Listing(
        rows,
        notes=tuple(dict.fromkeys(note for one in found for note in one.notes)),
        left_out=tree.besides(row.audio.name for row in rows),
        recordings_are=found[0].recordings_are,
        labels_are=" and ".join(sorted(labels)),
        mistakes=mistakes.found,
    )


def _lists(tree: Tree) -> list[str]:
    return [n for n in tree.files if os.path.basename(n) in _METADATA and n.count("/") <= 2]


def _shards(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield the Parquet files with audio bytes, each with the name of that column."""
    import pyarrow as pa

    for name in tree.ending(("parquet",)):
        try:
            schema = open_parquet(tree.root / name).schema_arrow
        except DataError:
            if _SHARD.fullmatch(os.path.basename(name)):
                raise
            continue
        for field in schema:
            if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
                yield name, field.name
                break


def _read_shard(tree: Tree, name: str, key: str, asked: Asked, mistakes: Mistakes) -> Listing:
    path = tree.root / name
    file = open_parquet(path)
    columns = [one for one in file.schema_arrow.names if one != key]
    label = column(columns, "label", asked.label, path=path, layout="huggingface")
    recording = (
        ""
        if asked.recording == "file"
        else column(columns, "recording", asked.recording, path=path, layout="huggingface")
    )
    times, as_events, notes = _times(file, label, columns, asked, path)
    named = _class_names(file, label)
    match = _SHARD.fullmatch(os.path.basename(name))
    split = split_named(match["split"]) if match else ""
    split = split or split_named(os.path.basename(os.path.dirname(name)))
    starts = [0]
    for group in range(file.num_row_groups):
        starts.append(starts[-1] + file.metadata.row_group(group).num_rows)
    rows, number = [], 0
    # The paths without the bytes; a column of a struct is named with a point.
    has_path = file.schema_arrow.field(key).type.get_field_index("path") >= 0
    wanted = [label, *filter(None, [recording]), *times, *([f"{key}.path"] if has_path else [])]
    group = 0
    for number, row in enumerate(parquet_rows(file, path, wanted)):
        while number >= starts[group + 1]:
            group += 1
        where = f"{name} row {number + 1}"
        value = row[label]
        stretch = [in_seconds(row[name], name) for name in times]
        if as_events:
            value = table.with_times(value, stretch, where=where, mistakes=mistakes)
        text = None
        if value is not None:
            text = listed_label(value, class_names=named, where=where, mistakes=mistakes)
        if text is None:
            continue
        start, end = (None, None) if as_events else table.segment(stretch, where, mistakes)
        inside = (row.get(key) or {}).get("path") or ""
        clip = f"{name.removesuffix('.parquet')}/{number + 1:06d}"
        load = functools.partial(_load, path, key, group, number - starts[group])
        rows.append(
            Row(
                where=where + (f" ({shown(inside)})" if inside else ""),
                audio=Audio(clip, path, load),
                label=text,
                split=split,
                recording=str(row[recording]) if recording else "",
                start_s=start,
                end_s=end,
            )
        )
    if not rows and not mistakes:
        raise DataError(f"{path} has no rows")
    return Listing(
        tuple(rows),
        notes=notes,
        recordings_are=f"of column {recording}" if recording else "",
        labels_are=f"column {label}",
    )


def _class_names(file: Any, label: str) -> tuple[str, ...]:
    """Return the names of a ClassLabel feature; () if the file does not say."""
    try:
        known = json.loads((file.schema_arrow.metadata or {})[b"huggingface"])
        feature = known["info"]["features"][label]
        while "names" not in feature:  # Sequence and List have it inside, as a key or bare
            feature = feature["feature"] if isinstance(feature, dict) else feature[0]
        return tuple(feature["names"])
    except (KeyError, ValueError, TypeError, IndexError):
        return ()


def _times(
    file: Any, label: str, columns: list[str], asked: Asked, path: Path
) -> tuple[list[str], bool, tuple[str, ...]]:
    """Return the columns of times, whether they are of events, and what was decided.

    Lists of times beside a list of labels are of events, whatever their names.
    """
    import pyarrow as pa

    start, end = (
        column(columns, meaning, getattr(asked, meaning), path=path, layout="huggingface")
        for meaning in ("start", "end")
    )
    types = [file.schema_arrow.field(name).type for name in (label, *filter(None, (start, end)))]
    if len(types) == 3 and all(pa.types.is_list(t) or pa.types.is_large_list(t) for t in types):
        return [start, end], True, ()
    start, end, as_events, notes = table.times_of(
        start, end, asked, several=False, where=str(path), layout="huggingface"
    )
    return [start, end] if start else [], as_events, notes


_reading = threading.Lock()


@functools.lru_cache(maxsize=2)
def _group(path: Path, key: str, group: int) -> Any:
    return open_parquet(path).read_row_group(group, columns=[f"{key}.bytes"])[key]


def _load(path: Path, key: str, group: int, row: int) -> bytes:
    """Read the bytes of one clip; the row groups that threads read from in turn stay in memory.

    Raises:
        OSError: The file cannot be read.
    """
    import pyarrow as pa

    with _reading:
        try:
            value = _group(path, key, group)[row].as_py()
        except (pa.ArrowException, DataError) as error:
            raise OSError(f"{path}: {error}") from error
    return (value or {}).get("bytes") or b""
