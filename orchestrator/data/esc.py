"""Datasets laid out like ESC-50: one csv of clips, folds and classes, and a folder of audio.

Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015. ESC-50 has
2,000 clips of 5 s, 50 classes, 5 folds; ESC-10 is its subset of 10 classes. The folds of ESC-50
are meant to share no recording; four recordings (131943, 134049, 209698, 234879) cross folds. That
is noted, and left as the protocol has it.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from models.registry import register
from orchestrator.data.decode import decode
from orchestrator.data.layouts.tree import data_folder, license_of
from orchestrator.data.source import (
    MAX_INT,
    Clip,
    Decoded,
    RootMissing,
    Source,
    check_arguments,
    control_in,
    digest,
)
from orchestrator.errors import DataError, printable, shown

COLUMNS = ("filename", "fold", "target", "category")
_LAYOUT = (
    "expected <root>/meta/*.csv with the columns "
    + ", ".join(COLUMNS)
    + " and the files in <root>/audio"
)
_MAX_LIST_BYTES = 1 << 28
# Increment when a change of this file changes what a pack holds.
_REVISION = 1


@register("dataset")
def esc(
    root: str | None,
    *,
    sample_rate: int = 16000,
    on_broken: Literal["stop", "drop"] = "stop",
    seconds: float = 5.0,
    meta: str = "",
    fingerprint: str = "",
) -> Source:
    """Read the list of a dataset in the layout of ESC-50 or ESC-10.

    Args:
        root: Folder with `meta` and `audio`.
        sample_rate: Rate of the pack in Hz; files of any other rate are resampled once.
        on_broken: "stop" refuses broken clips, "drop" leaves them out and records it.
        seconds: Required length of every clip; a shorter one is broken; 0 accepts any length.
        meta: The csv to read, if several in `<root>/meta` fit.
        fingerprint: Pack that an experiment was made with; any other is refused.

    Returns:
        The source; labels are 0 to n - 1 in the order of the csv's targets, folds keep their
        numbers.

    Raises:
        DataError: The folder has another layout; the message says what is wrong and how to fix it.
    """
    check_arguments("esc", sample_rate=sample_rate, on_broken=on_broken)
    if seconds < 0:
        raise DataError(f"dataset 'esc': seconds is {seconds!r}; give a length, or 0 for any")
    if not root:
        raise RootMissing(
            "dataset 'esc' has no data root; give one with --data-root DIR, or use --dataset "
            f"synthetic, which needs no files ({_LAYOUT})"
        )
    try:
        folder = data_folder(root)
    except DataError as error:
        raise DataError(f"{error}; {_LAYOUT}") from error
    listing = find_list(folder, meta)
    content = read_bytes(listing)
    rows = read_rows(listing, content)
    audio = folder / "audio"
    if not os.path.isdir(audio):
        raise DataError(f"{folder} has no folder 'audio'; {_LAYOUT}")
    targets = sorted({target for _, _, target, _, _ in rows})
    label_of = {target: label for label, target in enumerate(targets)}
    names = {target: category for _, _, target, category, _ in rows}
    clips = tuple(
        Clip(filename, label_of[target], fold, source_id, str(audio / filename))
        for filename, fold, target, _, source_id in rows
    )
    files = _files(audio)
    if not files:
        raise DataError(f"{audio} is empty; {_LAYOUT}")
    listed = {clip.clip_id for clip in clips}
    digest_of_list = hashlib.sha256(content).hexdigest()
    arguments = [sample_rate, on_broken, seconds, meta]

    def read(clip: Clip) -> Decoded:
        return decode(clip.path, seconds=seconds)

    return Source(
        name="esc",
        sample_rate=sample_rate,
        class_names=tuple(names[target] for target in targets),
        fold_names={fold: str(fold) for fold in sorted({clip.fold for clip in clips})},
        clips=clips,
        read=read,
        signature=digest(["esc", _REVISION, str(folder), digest_of_list, files, arguments]),
        seconds=seconds,
        on_broken=on_broken,
        root=printable(str(folder)),
        license=license_of(folder),
        unlisted=tuple(name for name, _, _ in files if name not in listed),
        notes=_shared_recordings(clips),
    )


def _files(audio: Path) -> list[tuple[str, int, int]]:
    """Return name, size and time of every file, sorted; the audit reports what is not a file."""
    found = []
    try:
        with os.scandir(audio) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # a dangling or circular link
                    if entry.is_file() and not entry.name.startswith("."):
                        of = entry.stat()
                        found.append((entry.name, of.st_size, of.st_mtime_ns))
    except OSError as error:
        raise DataError(f"cannot read the folder {audio}: {error.strerror}") from error
    return sorted(found)


def find_list(folder: Path, meta: str) -> Path:
    """Return the one csv in `meta` that lists clips.

    Raises:
        DataError: There is none, or there are several and `meta` names none of them.
    """
    try:
        names = sorted(name for name in os.listdir(folder / "meta") if name.endswith(".csv"))
    except (FileNotFoundError, NotADirectoryError):
        names = []
    except OSError as error:
        raise DataError(f"cannot read the folder {folder / 'meta'}: {error.strerror}") from error
    found = [folder / "meta" / name for name in names]
    if not found:
        raise DataError(f"{folder} has no csv in its folder 'meta'; {_LAYOUT}")
    if meta:
        chosen = [path for path in found if path.name == meta]
        if not chosen:
            valid = ", ".join(path.name for path in found)
            raise DataError(f"{folder / 'meta'} has no {meta!r} (valid: {valid})")
        found = chosen
    reasons = {path: unfit(path) for path in found}
    fitting = [path for path in found if not reasons[path]]
    if not fitting:
        listed = "; ".join(f"{path.name} {reasons[path]}" for path in found)
        raise DataError(f"no csv in {folder / 'meta'} is a list of clips: {listed}; {_LAYOUT}")
    if len(fitting) > 1:
        # Guessing would decide which task is trained.
        names = ", ".join(path.name for path in fitting)
        raise DataError(
            f"{folder / 'meta'} has {len(fitting)} lists of clips: {names}; say which one with "
            f"the dataset argument meta, for example --set meta={fitting[0].name}"
        )
    return fitting[0]


def unfit(path: Path) -> str:
    """Return why a csv cannot be the list of clips, judged by its first line; "" if it can."""
    try:
        # Opening a pipe would block until someone writes to it.
        if not stat.S_ISREG(path.stat().st_mode):
            return "is not a file (a folder, a pipe or a device)"
        with path.open("rb") as file:
            line = file.readline(1 << 16)
        header = next(csv.reader([line.decode("utf-8-sig")]), [])
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except (UnicodeDecodeError, csv.Error) as error:
        return f"has a first line that is no csv in UTF-8 ({error})"
    lacking = [name for name in COLUMNS if name not in header]
    return f"lacks {', '.join(lacking)}" if lacking else ""


def read_bytes(path: Path) -> bytes:
    """Read a list.

    Raises:
        DataError: It cannot be read, or is too large to be a list.
    """
    try:
        if path.stat().st_size > _MAX_LIST_BYTES:
            raise DataError(
                f"{path} has more than {_MAX_LIST_BYTES >> 20} MiB; a list of clips is smaller"
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def read_rows(path: Path, content: bytes) -> list[tuple[str, int, int, str, str]]:
    """Return checked (filename, fold, target, category, source id) per row.

    Raises:
        DataError: Names every mistake with its line.
    """
    mistakes: list[str] = []
    rows: list[tuple[str, int, int, str, str]] = []
    category_of: dict[int, str] = {}
    seen: set[str] = set()
    for line, row in _table(content, mistakes):
        filename = row["filename"]
        fold, target = _integer(row["fold"], low=0), _integer(row["target"], low=-MAX_INT)
        if fold is None or target is None:
            mistakes.append(
                f"line {line}: fold {shown(row['fold'])} and target {shown(row['target'])} "
                f"must be whole numbers, folds from 0 to {MAX_INT}"
            )
            continue
        category = row["category"] or str(target)
        for column in ("filename", "category", "src_file"):
            value = row.get(column, "")
            if control := control_in(value):
                mistakes.append(
                    f"line {line}: {column} {shown(value)} has the control character {control}; "
                    "take it out"
                )
        if not category.strip():
            mistakes.append(f"line {line}: the category is blank")
        if filename in ("", "..") or Path(filename).name != filename:
            mistakes.append(f"line {line}: {shown(filename)} is not the name of a file in 'audio'")
        if filename in seen:
            mistakes.append(f"line {line}: {shown(filename)} is listed twice")
        if category_of.setdefault(target, category) != category:
            mistakes.append(
                f"line {line}: target {target} is {shown(category)} here and "
                f"{shown(category_of[target])} before"
            )
        seen.add(filename)
        source_id = row.get("src_file") or _recording(filename)
        rows.append((filename, fold, target, category, source_id))
    if len(set(category_of.values())) < len(category_of):
        mistakes.append("two targets have the same category")
    if not rows and not mistakes:
        mistakes.append("it has a header and no rows")
    if mistakes:
        more = f"\n  ... and {len(mistakes) - 10} more" if len(mistakes) > 10 else ""
        listed = "\n".join(f"  - {mistake}" for mistake in mistakes[:10])
        raise DataError(f"{path} cannot be used:\n{listed}{more}")
    return rows


def _table(content: bytes, mistakes: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and fields by column while the text is valid UTF-8 csv."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        mistakes.append(
            f"line {line}: the byte 0x{content[error.start]:02x} is not UTF-8; save the csv as "
            "UTF-8, for a guessed encoding would change the names of classes"
        )
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        twice = [name for name in (*COLUMNS, "src_file") if header.count(name) > 1]
        if twice:
            mistakes.append(f"the header has {', '.join(twice)} twice; keep one of each")
            return
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                mistakes.append(
                    f"line {reader.line_num}: {len(row)} fields, and the header has "
                    f"{len(header)}; put quotes around a field that holds a comma"
                )
                continue
            yield reader.line_num, dict(zip(header, row, strict=True))
    except csv.Error as error:
        mistakes.append(
            f"line {reader.line_num}: {error}; is a quote left open, or missing at the end of a "
            "field?"
        )


def _integer(text: str, *, low: int) -> int | None:
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,20}\s*", text, re.ASCII):
        return None
    return int(text) if low <= int(text) <= MAX_INT else None


def _recording(filename: str) -> str:
    """Return the recording from a name `{fold}-{recording}-{take}-{target}`, else the name."""
    parts = Path(filename).stem.split("-")
    return parts[1] if len(parts) == 4 else Path(filename).stem


def _shared_recordings(clips: tuple[Clip, ...]) -> tuple[str, ...]:
    folds: dict[str, set[int]] = defaultdict(set)
    for clip in clips:
        folds[clip.source_id].add(clip.fold)
    shared = sorted(source for source, numbers in folds.items() if len(numbers) > 1)
    if not shared:
        return ()
    some = ", ".join(shared[:6]) + (", ..." if len(shared) > 6 else "")
    return (f"{len(shared)} recordings have clips in more than one fold: {some}",)
