"""Lists of clips as csv, TSV, JSON lines or Parquet, and the columns that have usual names."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import DataError, shown, unknown

SUFFIXES = ("csv", "tsv", "jsonl", "ndjson", "parquet")
_SECONDS = ("", "_s", "_sec", "_secs", "_second", "_seconds")
_MILLISECONDS = ("_ms", "_msec", "_msecs", "_millis", "_millisecond", "_milliseconds")
_STARTS = ("start", "onset", "begin", "start_time", "onset_time", "begin_time")
_ENDS = ("end", "offset", "stop", "end_time", "offset_time", "stop_time")
COLUMNS = {
    "path": (
        *("path", "filename", "file_name", "file", "filepath", "file_path", "audio", "audio_path"),
        *(
            "audio_file",
            "audio_filename",
            "audio_filepath",
            "wav",
            "wav_path",
            "wav_file",
            "fname",
            "sound_file",
        ),
        *("slice_file_name", "clip_path"),
    ),
    "label": (
        *("label", "class", "category", "class_name", "label_name", "classname", "event_label"),
        *("target", "labels", "class_id", "classid", "label_id", "primary_label", "species"),
        *("genre", "emotion", "scene_label", "command", "instrument", "event_labels", "events"),
    ),
    "split": ("split", "subset", "partition"),
    "fold": ("fold", "folds", "fold_id", "cv_fold"),
    "recording": (
        *("recording", "recording_id", "source_id", "src_file", "freesound_id", "fsid", "session"),
        *("speaker", "speaker_id", "client_id", "spk", "identifier"),
    ),
    "start": tuple(f"{name}{unit}" for unit in _SECONDS + _MILLISECONDS for name in _STARTS),
    "end": tuple(f"{name}{unit}" for unit in _SECONDS + _MILLISECONDS for name in _ENDS),
}
"""What a column may mean, and its usual names in any case, with blanks, hyphens and parentheses
(`Begin Time (ms)`) for underscores."""

_MAX_BYTES = 1 << 28
_BATCH_ROWS = 4096
_NO_HEADER = "If this line is a clip already, write a header above it, such as path,label"
_WITH_HEADER = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class List:
    """A list that has been opened.

    Attributes:
        path: The file.
        columns: Names of its columns.
        rows: Line number, or row number from 1 in Parquet, and values by column. Reading them
            raises a `DataError` that names the line.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Iterator[tuple[int, dict[str, Any]]]


def open_list(path: Path, *, tabs: bool = False) -> List:
    """Open a list by its suffix.

    Args:
        path: The file.
        tabs: Read a text file as columns between tabs.

    Raises:
        DataError: It cannot be read, is empty, or its first line is no header.
    """
    suffix = path.suffix[1:].lower()
    if suffix == "parquet":
        return _open_parquet(path)
    text = read_text(path)
    if suffix in ("jsonl", "ndjson"):
        return _open_json_lines(path, text)
    return _open_csv(path, text, tabs=tabs or suffix == "tsv")


def rows_with(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Return the rows of a list as in `List.rows`.

    Args:
        path: The list.
        columns: What its header must have.

    Raises:
        DataError: It cannot be read, or its header lacks one of them.
    """
    listed = open_list(path)
    lacking = [name for name in columns if name not in listed.columns]
    if lacking:
        raise DataError(
            f"{path} line 1: the header lacks {', '.join(lacking)} (it has "
            f"{', '.join(map(shown, listed.columns))})"
        )
    return listed.rows


def read_text(path: Path) -> str:
    """Read a text file in UTF-8.

    Raises:
        DataError: It cannot be read, or is of another encoding; the message names the line.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} has more than {_MAX_BYTES >> 20} MiB; a list is smaller")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} line {line}: the byte 0x{content[error.start]:02x} is not UTF-8; save the "
            "file as UTF-8, for a guessed encoding would change the names of classes"
        ) from error


def _open_csv(path: Path, text: str, *, tabs: bool) -> List:
    first = text.partition("\n")[0]
    marks = "\t" if tabs else max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=marks, strict=True)

    def lines() -> Iterator[list[str]]:
        begun = 1  # a quote that is left open runs on to later lines: the first one is named
        try:
            for row in reader:
                yield row
                begun = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"{path} line {begun}: {error}; is a quote left open, or missing at the "
                "end of a field?"
            ) from error

    every = lines()
    header = [name.strip() for name in next(every, [])]
    if not any(header):
        raise DataError(f"{path} is empty; its first line names the columns, such as path,label")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(
            f"{path} line 1: the header has {', '.join(map(shown, twice))} twice; keep "
            f"one of each. {_NO_HEADER}"
        )

    def rows() -> Iterator[tuple[int, dict[str, Any]]]:
        for row in every:
            if not row:
                continue
            if len(row) != len(header):
                raise DataError(
                    f"{path} line {reader.line_num}: {len(row)} fields, and the header has "
                    f"{len(header)}; put quotes around a field that holds {marks!r}"
                )
            yield reader.line_num, dict(zip(header, row, strict=True))

    return List(path, tuple(header), rows())


def _open_json_lines(path: Path, text: str) -> List:
    columns: dict[str, None] = {}
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{path} line {number} is no JSON ({error}); write one object per line"
            ) from error
        if not isinstance(row, dict):
            raise DataError(f"{path} line {number} is {shown(row)}; write one object per line")
        columns |= dict.fromkeys(row)
        rows.append((number, row))
    if not rows:
        raise DataError(f"{path} is empty; write one object per line, with a path and a label")
    return List(path, tuple(columns), iter(rows))


def open_parquet(path: Path) -> Any:
    """Open a Parquet file with pyarrow.

    Raises:
        DataError: It cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"{path} cannot be read as Parquet ({reason}); fetch or write it again"
        ) from error


def _open_parquet(path: Path) -> List:
    file = open_parquet(path)

    def rows() -> Iterator[tuple[int, dict[str, Any]]]:
        number = 0
        for row in parquet_rows(file, path, file.schema_arrow.names):
            number += 1
            yield number, row

    return List(path, tuple(file.schema_arrow.names), rows())


def parquet_rows(file: Any, path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file, a few thousand in memory at a time.

    Raises:
        DataError: A part of it cannot be read.
    """
    import pyarrow as pa

    try:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns)):
            yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path} cannot be read to its end ({reason}); fetch it again") from error


def named(columns: Sequence[str], meaning: str) -> list[str]:
    """Return the columns whose names usually mean this, in the order of `COLUMNS`."""
    lower = {_plain(name): name for name in columns}
    return [lower[name] for name in COLUMNS[meaning] if name in lower]


def _plain(column: str) -> str:
    return re.sub(r"[ ()\[\]-]+", "_", column.strip().lower()).strip("_")


def in_seconds(value: Any, column: str) -> Any:
    """Return a time, or a list of them, in seconds: divided by 1000 if a column's name ends in ms.

    Args:
        value: What the column has; what is no number stays as it is, for messages.
        column: Name of the column.
    """
    if not _plain(column).endswith(_MILLISECONDS):
        return value
    if isinstance(value, list):
        return [in_seconds(one, column) for one in value]
    try:
        return float(str(value).strip().replace(",", ".")) / 1000
    except ValueError:
        return value


def header_of(path: Path) -> str:
    """Return where a list names its columns, for messages: its first line if it has a header."""
    return f"{path} line 1" if path.suffix.lower() in _WITH_HEADER else str(path)


def column(columns: Sequence[str], meaning: str, asked: str, *, path: Path, layout: str) -> str:
    """Return the column with a meaning; "" if there is none and it is not needed.

    Args:
        columns: The list's columns.
        meaning: A key of `COLUMNS`.
        asked: The column that the user named, or "".
        path: The list, for messages.
        layout: The layout, for the flag in messages.

    Raises:
        DataError: The named column does not exist, or a path or label column has no usual name.
    """
    if asked:
        if asked not in columns:
            raise DataError(f"{header_of(path)}: {unknown('column', asked, columns)}")
        return asked
    found = named(columns, meaning)
    if not found and meaning in ("path", "label"):
        where = header_of(path)
        hint = f". {_NO_HEADER}" if where != str(path) else ""
        raise DataError(
            f"{where}: no column has a usual name of a {meaning}; its columns are "
            f"{', '.join(map(shown, columns))}. Name one: --dataset "
            f"folder:layout={layout},{meaning}=COLUMN{hint}"
        )
    return found[0] if found else ""
