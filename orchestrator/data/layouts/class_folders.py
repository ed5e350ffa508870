"""A folder per class, with Speech Commands' lists of official splits where they lie beside them."""

from __future__ import annotations

import os
import re

from orchestrator.data import video
from orchestrator.data.layouts.rows import (
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
    Asked,
    Audio,
    Listing,
    Mistakes,
    Row,
    check_label,
)
from orchestrator.data.layouts.tree import Tree
from orchestrator.errors import DataError, shown

TITLE = "a folder per class with its audio files"
_SPLIT_LISTS = {"validation_list.txt": VALIDATION, "testing_list.txt": TEST}
_NO_CLASS = re.compile(r"(fold|part|chunk|shard|disc|cd)[ _-]*\d+", re.IGNORECASE)
"""Folders that divide the audio without saying what is in it."""
_SPEAKER = re.compile(r"([^/_]+)_nohash_[^/]*")


INNER = "([^/]+)/[^/]+$"
"""Pattern that finds the innermost folder of a path."""


def fits(tree: Tree) -> bool:
    """Whether two or more folders with audio lie side by side and are no splits or folds."""
    names = classes_below(tree, class_root(tree))
    return len(names) > 1 and not all(_divides(name) for name in names)


def nested(tree: Tree) -> tuple[str, str] | None:
    """Return an outer and an inner folder if all audio lies two folders deep; else None.

    Either may be the class: `birds/owl/1.wav` and `speaker3/yes/1.wav` look alike.
    """
    root = class_root(tree)
    start = f"{root}/" if root else ""
    classes = set(classes_below(tree, root))
    parts = [name[len(start) :].split("/") for name in tree.audio if name.startswith(start)]
    parts = [one for one in parts if one[0] in classes]
    if not parts or min(map(len, parts)) < 3:
        return None
    return parts[0][0], parts[0][-2]


def class_root(tree: Tree) -> str:
    """Return the folder in which the audio branches: the root, or one such as `audio`."""
    tops = {name.split("/")[0] for name in tree.audio if "/" in name}
    loose = any("/" not in name for name in tree.audio)
    if len(tops) != 1 or loose:
        return ""
    (top,) = tops
    return top if any(name.count("/") > 1 for name in tree.audio) else ""


def classes_below(tree: Tree, folder: str) -> list[str]:
    """Return the names of the folders directly below one that hold audio, at any depth."""
    start = f"{folder}/" if folder else ""
    inside = (name[len(start) :] for name in tree.audio if name.startswith(start))
    names = {name.split("/")[0] for name in inside if "/" in name}
    return sorted(name for name in names if not name.startswith("_"))


def read(tree: Tree, asked: Asked) -> Listing:
    """List the clips; folders that begin with an underscore hold none, as in Speech Commands."""
    mistakes = Mistakes(tree.root)
    folder = class_root(tree)
    rows, left_out = read_classes(tree, folder, mistakes)
    lists = {n: s for n, s in _SPLIT_LISTS.items() if os.path.join(folder, n) in tree.files}
    notes: tuple[str, ...] = ()
    if len(lists) == len(_SPLIT_LISTS):
        rows = _officially(tree, folder, rows, mistakes)
        notes = (f"splits from {' and '.join(lists)}; every other clip trains",)
    mistakes.refuse()
    return Listing(
        rows,
        notes=notes,
        left_out=left_out,
        recordings_are="speakers" if notes else "",
        labels_are="folders",
    )


def read_classes(
    tree: Tree, folder: str, mistakes: Mistakes, *, split: str = ""
) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """List the clips of the class folders below a folder, and the files that are not used."""
    start = f"{folder}/" if folder else ""
    classes = classes_below(tree, folder)
    audio, not_decoded = set(tree.audio), set(tree.not_decoded)
    for below in tree.folders:
        name = below.removeprefix(start)
        if not below.startswith(start) or "/" in name or name in classes or name.startswith("_"):
            continue
        inside = [file for file in tree.files if file.startswith(f"{below}/")]
        other = [file for file in inside if file in not_decoded]
        if other:
            mistakes.add(
                below,
                f"its audio, such as {other[0]}, is not decoded by libsndfile; {video.INSTALL} "
                "(ffmpeg -i IN OUT.flac), or remove the folder",
            )
        elif not inside:
            mistakes.add(below, "the folder of this class is empty; fill it, or remove it")
    rows, left_out = [], []
    for name in tree.files:
        if not name.startswith(start):
            continue
        label, _, rest = name[len(start) :].partition("/")
        if not rest or label not in classes or name not in audio:
            left_out.append(name)
            continue
        check_label(label, name, mistakes)
        rows.append(Row(where=name, audio=Audio(name, tree.root / name), label=label, split=split))
    return tuple(rows), tuple(left_out)


def _officially(
    tree: Tree, folder: str, rows: tuple[Row, ...], mistakes: Mistakes
) -> tuple[Row, ...]:
    """Return the rows with the splits of the lists, and the speakers that their names give."""
    start = f"{folder}/" if folder else ""
    known = {row.audio.name for row in rows}
    split_of: dict[str, tuple[str, str]] = {}
    for list_name, split in _SPLIT_LISTS.items():
        path = tree.root / folder / list_name
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read {path}: {error}") from error
        for number, line in enumerate(lines, start=1):
            name = start + line.strip()
            where = f"{start}{list_name} line {number}"
            if not line.strip():
                continue
            if name not in known:
                mistakes.add(where, f"{shown(line)} is no clip of a class folder")
            elif (first := split_of.setdefault(name, (split, where)))[0] != split:
                mistakes.add(where, f"{shown(line)} is also in {first[1]}; keep it in one list")
    return tuple(
        Row(
            where=row.where,
            audio=row.audio,
            label=row.label,
            split=split_of.get(row.audio.name, (TRAIN, ""))[0],
            recording=match[1] if (match := _SPEAKER.search(row.audio.name)) else "",
        )
        for row in rows
    )


def _divides(name: str) -> bool:
    return bool(_NO_CLASS.fullmatch(name)) or any(
        name.lower() in names for names in SPLITS.values()
    )
