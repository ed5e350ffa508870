"""Datasets laid out like ESC-50: one csv of clips, folds and classes, and a folder of audio.

Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015. ESC-50 has
2,000 clips of 5 s, 50 classes, 5 folds; ESC-10 is its subset of 10 classes. A fold of ESC-50 is
said to share no recording with another; four recordings do (131943, 134049, 209698, 234879), which
is noted, and left as the protocol has it.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections import defaultdict
from pathlib import Path
from typing import Literal

from models.registry import register
from orchestrator.data.decode import decode
from orchestrator.data.source import Clip, Decoded, RootMissing, Source, check_arguments, digest
from orchestrator.errors import DataError

COLUMNS = ("filename", "fold", "target", "category")
_LAYOUT = (
    "expected <root>/meta/*.csv with the columns "
    + ", ".join(COLUMNS)
    + " and the files in <root>/audio"
)
# Raised when a change of this file changes what a pack holds.
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
        root: the folder with `meta` and `audio`.
        sample_rate: rate of the pack in Hz; files of any other rate are resampled once.
        on_broken: "stop" refuses broken clips, "drop" leaves them out and records it.
        seconds: the length of every clip; a shorter one is broken. 0 takes clips of any length.
        meta: the csv to read, where `<root>/meta` has several that fit.
        fingerprint: the pack that an experiment was made with; another one is refused.

    Returns:
        The source; labels are 0 to n - 1 in the order of the csv's targets, folds keep their
        numbers.

    Raises:
        DataError: the folder is not what it should be; the message names what and the way out.
    """
    check_arguments("esc", sample_rate=sample_rate, on_broken=on_broken)
    if seconds < 0:
        raise DataError(f"dataset 'esc': seconds is {seconds!r}; give a length, or 0 for any")
    if not root:
        raise RootMissing(
            "dataset 'esc' has no data root; give one with --data-root DIR, or use --dataset "
            f"synthetic, which needs no files ({_LAYOUT})"
        )
    folder = Path(root).expanduser().resolve()
    if not folder.is_dir():
        raise DataError(f"data root {str(root)!r} is not a directory; {_LAYOUT}")
    listing = _find_listing(folder, meta)
    rows = _read_rows(listing)
    audio = folder / "audio"
    if not audio.is_dir():
        raise DataError(f"{folder} has no folder 'audio'; {_LAYOUT}")
    targets = sorted({target for _, _, target, _, _ in rows})
    label_of = {target: label for label, target in enumerate(targets)}
    names = {target: category for _, _, target, category, _ in rows}
    clips = tuple(
        Clip(filename, label_of[target], fold, source_id, str(audio / filename))
        for filename, fold, target, _, source_id in rows
    )
    files = sorted(
        (entry.name, entry.stat().st_size, entry.stat().st_mtime_ns)
        for entry in os.scandir(audio)
        if entry.is_file() and not entry.name.startswith(".")
    )
    if not files:
        raise DataError(f"{audio} is empty; {_LAYOUT}")
    listed = {clip.clip_id for clip in clips}
    digest_of_list = hashlib.sha256(listing.read_bytes()).hexdigest()
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
        root=str(folder),
        licence=_licence(folder),
        unlisted=tuple(name for name, _, _ in files if name not in listed),
        notes=_shared_recordings(clips),
    )


def _find_listing(folder: Path, meta: str) -> Path:
    found = sorted((folder / "meta").glob("*.csv"))
    if not found:
        raise DataError(f"{folder} has no csv in its folder 'meta'; {_LAYOUT}")
    if meta:
        chosen = [path for path in found if path.name == meta]
        if not chosen:
            valid = ", ".join(path.name for path in found)
            raise DataError(f"{folder / 'meta'} has no {meta!r} (valid: {valid})")
        found = chosen
    missing = {path: [name for name in COLUMNS if name not in _header(path)] for path in found}
    fitting = [path for path in found if not missing[path]]
    if not fitting:
        lacking = "; ".join(f"{path.name} lacks {', '.join(missing[path])}" for path in found)
        raise DataError(f"no csv in {folder / 'meta'} is a list of clips: {lacking}; {_LAYOUT}")
    if len(fitting) > 1:
        # Guessing would decide which task is trained.
        names = ", ".join(path.name for path in fitting)
        raise DataError(
            f"{folder / 'meta'} has {len(fitting)} lists of clips: {names}; say which one with "
            f"the dataset argument meta, for example --set meta={fitting[0].name}"
        )
    return fitting[0]


def _header(path: Path) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return next(csv.reader(file), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no csv in UTF-8 ({error}); save it as one") from error


def _read_rows(path: Path) -> list[tuple[str, int, int, str, str]]:
    """Return (filename, fold, target, category, source id) per row, checked."""
    rows, mistakes = [], []
    category_of: dict[int, str] = {}
    seen: set[str] = set()
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            filename = row["filename"] or ""
            try:
                fold, target = int(row["fold"]), int(row["target"])
            except (TypeError, ValueError):
                mistakes.append(
                    f"line {line}: fold {row['fold']!r} and target {row['target']!r} "
                    "must be whole numbers"
                )
                continue
            category = row["category"] or str(target)
            if not filename or Path(filename).name != filename:
                mistakes.append(f"line {line}: {filename!r} is not the name of a file in 'audio'")
            if filename in seen:
                mistakes.append(f"line {line}: {filename} is listed twice")
            if category_of.setdefault(target, category) != category:
                mistakes.append(
                    f"line {line}: target {target} is {category!r} here and "
                    f"{category_of[target]!r} before"
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


def _recording(filename: str) -> str:
    """ESC names a file `{fold}-{recording}-{take}-{target}`; any other name stands for itself."""
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


def _licence(folder: Path) -> str:
    for name in ("LICENSE.txt", "LICENSE", "LICENCE", "LICENSE.md"):
        path = folder / name
        if path.is_file():
            lines = path.read_text(errors="replace").splitlines()
            said = (line.strip() for line in lines if re.match(r"\s*licen[cs]e\b", line, re.I))
            return next(said, f"see {name}")
    return ""
