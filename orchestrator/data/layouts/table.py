"""A list of paths and labels: csv, TSV, JSON lines or Parquet.

A label column next to an equal one of numbers (`class` and `classID`) is one label; without any,
columns of 0 and 1 are classes. `onset` and `offset` are the times of sound events. Other columns of
times are segments, and only if files are listed several times or the user names them, for they may
mean a place in a longer recording that is not here, as in UrbanSound8K.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.data.layouts.labels import event, listed_label, text_of
from orchestrator.data.layouts.lists import COLUMNS, SUFFIXES, List, column, named, open_list
from orchestrator.data.layouts.rows import (
    Asked,
    ListedLabel,
    Listing,
    Mistakes,
    Row,
    check_label,
    seconds,
    split_named,
)
from orchestrator.data.layouts.tree import Tree
from orchestrator.errors import DataError, shown
from orchestrator.metrics.labels import TargetKind

TITLE = "a csv, TSV, JSON lines or Parquet file with a column of paths and one of labels"
MAX_DEPTH = 2
"""Folders that a list may lie in, one in the other."""
_TRIED = 5
_MISTAKEN = 0.05
"""Share of lines in which a column of 0 and 1 may have something else, which is a mistake."""


def fits(tree: Tree) -> bool:
    """Whether a list has columns of paths and of labels with usual names."""
    return bool(_fitting(tree))


def nearly(tree: Tree) -> list[str]:
    """Return the lists that may be meant if no layout fits, likely ones first."""
    names = [name for name in tree.ending(SUFFIXES) if name.count("/") <= MAX_DEPTH]
    return sorted(names, key=lambda name: (not _names_audio(tree, name), name))


def read(tree: Tree, asked: Asked) -> Listing:
    """List the clips of one list, or of one per split."""
    mistakes = Mistakes(tree.root)
    found = [read_list(tree, name, asked, mistakes, "table") for name in _chosen(tree, asked)]
    mistakes.refuse()
    rows = tuple(row for one in found for row in one.rows)
    notes = tuple(dict.fromkeys(note for one in found for note in one.notes))
    return Listing(
        rows,
        notes=notes,
        left_out=tree.besides(row.audio.name for row in rows),
        recordings_are=found[0].recordings_are,
        labels_are=found[0].labels_are,
    )


def read_list(
    tree: Tree,
    name: str,
    asked: Asked,
    mistakes: Mistakes,
    layout: str,
    *,
    split: str = "",
) -> Listing:
    """List the clips of one list.

    Args:
        tree: The data root.
        name: Path of the list below it.
        asked: Columns that the user named.
        mistakes: Gets the mistakes of single lines.
        layout: Name of the layout, for the flags in messages.
        split: Official split of all its clips; "" takes it from a column or the list's name.

    Raises:
        DataError: The list or a column cannot be used.
    """
    listed = open_list(tree.root / name)
    lines = list(listed.rows)
    if not lines:
        raise DataError(f"{listed.path} has a header and no rows")
    use, notes = _columns(listed, lines, asked, layout)
    own_split = split or split_of(name)
    beside = os.path.dirname(name)
    rows = []
    for number, line in lines:
        where = f"{tree.name_of(listed.path)} line {number}"
        text = line.get(use.path)
        if not isinstance(text, str):
            mistakes.add(where, f"{shown(text)} is no path")
            continue
        audio = tree.locate(text, beside=beside, where=where, mistakes=mistakes)
        if audio is None:
            continue
        label = _label(line, use, where, mistakes)
        if label is None:
            continue
        start, end = (None, None) if use.as_events else _times(line, use, where, mistakes)
        rows.append(
            Row(
                where=where,
                audio=audio,
                label=label,
                split=text_of(line.get(use.split)) if use.split else own_split,
                fold=text_of(line.get(use.fold)) if use.fold else "",
                recording=text_of(line.get(use.recording)) if use.recording else "",
                start_s=start,
                end_s=end,
            )
        )
    return Listing(
        tuple(rows),
        notes=notes,
        recordings_are=f"of column {use.recording}" if use.recording else "",
        labels_are=f"{use.labels_are} of {name}",
    )


@dataclass(frozen=True)
class _Use:
    """Columns by what they mean; `one_hot` are classes, and times are of events or of segments."""

    path: str
    label: str
    split: str
    fold: str
    recording: str
    start: str
    end: str
    one_hot: tuple[str, ...] = ()
    as_events: bool = False

    @property
    def labels_are(self) -> str:
        if self.label:
            return f"column {self.label}"
        return f"{len(self.one_hot)} columns of 0 and 1, {self.one_hot[0]} to {self.one_hot[-1]},"


def _columns(
    listed: List, lines: Sequence[tuple[int, Mapping[str, Any]]], asked: Asked, layout: str
) -> tuple[_Use, tuple[str, ...]]:
    """Choose the columns; the second value says what was passed over."""
    columns = listed.columns

    def one(meaning: str) -> str:
        wanted = getattr(asked, meaning)
        return column(columns, meaning, wanted, path=listed.path, layout=layout)

    path = one("path")
    one_hot: tuple[str, ...] = ()
    if not asked.label and not named(columns, "label"):
        one_hot = _one_hot(columns, [line for _, line in lines])
    label = "" if one_hot else one("label")
    if label and not asked.label:
        label = _one_label(listed.path, [n for n in named(columns, "label") if n != path], lines)
    recording = "" if asked.recording == "file" else one("recording")
    split, fold = one("split"), one("fold")
    if split and not asked.split and len({text_of(line.get(split)) for _, line in lines}) < 2:
        split = ""
    if split and fold and not (asked.split or asked.fold):
        raise DataError(
            f"{listed.path} has a column {split!r} and a column {fold!r}, which divide the clips "
            f"in two ways; say which: --dataset folder:layout={layout},split={split} or "
            f"--dataset folder:layout={layout},fold={fold}"
        )
    if asked.fold or asked.split:
        split, fold = (split, "") if asked.split else ("", fold)
    start, end = one("start"), one("end")
    several = max(Counter(str(line.get(path)) for _, line in lines).values()) > 1
    as_events = asked.targets == TargetKind.EVENTS or start.strip().lower().startswith("onset")
    notes = []
    if (start or end) and not (asked.start or asked.end or several or as_events):
        names = " and ".join(repr(name) for name in (start, end) if name)
        notes.append(
            f"columns {names} not used, for every file is listed once; if they are segments of "
            f"it, say start={start or 'COLUMN'},end={end or 'COLUMN'}; if they are sound events "
            "in it, targets=events"
        )
        start = end = ""
    if bool(start) != bool(end):
        notes.append(f"column {start or end!r} not used, for a segment has a start and an end")
        start = end = ""
    if as_events and not start:
        as_events = False
    elif start and not as_events:
        notes.append(
            f"columns {start!r} and {end!r} cut a clip for every line; if they are sound events to "
            "be found in the whole file: --dataset folder:targets=events"
        )
    used = (path, label, split, fold, recording, start, end)
    return _Use(*used, one_hot=one_hot, as_events=as_events), tuple(notes)


def _one_hot(columns: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the columns without another meaning that are 0 or 1, two or more; else ()."""
    meant = {name for meaning in COLUMNS for name in named(columns, meaning)}
    found = tuple(
        name
        for name in columns
        if name not in meant
        and sum(_bit(line.get(name)) is None for line in lines) <= _MISTAKEN * len(lines)
    )
    return found if lines and len(found) > 1 else ()


def _bit(value: Any) -> bool | None:
    return {"0": False, "1": True, "false": False, "true": True}.get(text_of(value).lower())


def _one_label(
    path: Path, found: Sequence[str], lines: Sequence[tuple[int, Mapping[str, Any]]]
) -> str:
    """Return the one label column; of columns that say the same, the one with words.

    Raises:
        DataError: Two columns say different things.
    """
    first, *others = found
    for other in others:
        seen: dict[tuple[str, str], tuple[int, str]] = {}
        for number, line in lines:
            mine, theirs = text_of(line.get(first)), text_of(line.get(other))
            for key, partner in (((first, mine), theirs), ((other, theirs), mine)):
                before, known = seen.setdefault(key, (number, partner))
                if known != partner and mine and theirs:
                    raise DataError(
                        f"{path} has two columns of labels that say different things: {first!r} is "
                        f"{shown(mine)} and {other!r} {shown(theirs)} in line {number}, unlike "
                        f"line {before}; correct it, or say which counts: --dataset "
                        f"folder:label={first} or --dataset folder:label={other}"
                    )
    words = (
        name for name in found if not all(text_of(line.get(name)).isdecimal() for _, line in lines)
    )
    return next(words, first)


def _label(
    line: Mapping[str, Any], use: _Use, where: str, mistakes: Mistakes
) -> ListedLabel | None:
    """Return what a line lists of its audio; None after a mistake."""
    if use.one_hot:
        bits = {name: _bit(line.get(name)) for name in use.one_hot}
        for name, bit in bits.items():
            if bit is None:
                mistakes.add(
                    where,
                    f"column {shown(name)} is {shown(line.get(name))}, and 0 or 1 in other lines; "
                    "correct it, or name a column of labels: --dataset folder:label=COLUMN",
                )
                return None
        return tuple(name for name, bit in bits.items() if bit)
    value = line.get(use.label)
    if not use.as_events:
        return listed_label(value, where=where, mistakes=mistakes)
    times: list[Any] = [line.get(use.start), line.get(use.end)]
    if isinstance(value, list) and all(isinstance(of, list) for of in times):
        if len({len(value), *map(len, times)}) > 1:
            mistakes.add(
                where,
                f"{len(value)} labels, {len(times[0])} onsets and {len(times[1])} offsets; give as "
                "many of each",
            )
            return None
        return listed_label(list(zip(value, *times, strict=True)), where=where, mistakes=mistakes)
    label, blank = text_of(value), [text_of(time).lower() in ("", "nan") for time in times]
    if all(blank) and label.lower() in ("", "nan"):
        return ()  # a clip in which nothing sounds
    check_label(label, where, mistakes)
    if not label:
        return None
    if all(blank):
        return (label,)
    found = event(label, *times, where=where, mistakes=mistakes)
    return None if found is None else (found,)


def _times(
    line: Mapping[str, Any], use: _Use, where: str, mistakes: Mistakes
) -> tuple[float | None, float | None]:
    if not use.start:
        return None, None
    start, end = (seconds(text_of(line.get(name))) for name in (use.start, use.end))
    if start is None or end is None or end <= start:
        mistakes.add(
            where,
            f"the segment from {shown(line.get(use.start))} to {shown(line.get(use.end))} is none; "
            "give seconds, the end after the start",
        )
    return start, end


def _chosen(tree: Tree, asked: Asked) -> list[str]:
    """Return the lists to read.

    Raises:
        DataError: There are several that are not one per split.
    """
    if asked.table:
        if asked.table not in tree.files:
            valid = ", ".join(nearly(tree)) or "none"
            raise DataError(f"{tree.root} has no list {asked.table!r} (its lists: {valid})")
        return [asked.table]
    found = _fitting(tree) or nearly(tree)
    if not found:
        raise DataError(f"{tree.root} has no list of clips (.{', .'.join(SUFFIXES)})")
    if len(found) == 1 or len({split_of(name) for name in found} - {""}) == len(found):
        return found
    flags = "\n".join(f"  - --dataset folder:layout=table,table={name}" for name in found)
    raise DataError(f"{tree.root} has {len(found)} lists of clips; say which:\n{flags}")


def split_of(name: str) -> str:
    """Return the split that a list's name begins or ends with, such as `train_meta.csv`."""
    stem = os.path.basename(name).rpartition(".")[0].replace("-", "_").replace(".", "_").lower()
    parts = stem.split("_")
    return split_named(parts[0]) or split_named(parts[-1])


def _fitting(tree: Tree) -> list[str]:
    return [
        name
        for name in tree.ending(SUFFIXES)
        if name.count("/") <= MAX_DEPTH and _names_audio(tree, name, labels=True)
    ]


def _names_audio(tree: Tree, name: str, *, labels: bool = False) -> bool:
    """Whether one of the first rows of a list names audio that is here."""
    if os.path.basename(name).startswith("metadata."):  # see huggingface
        return False
    try:
        listed = open_list(tree.root / name)
        if labels and not named(listed.columns, "path"):
            return False
        columns = named(listed.columns, "path") or listed.columns
        first = [row for _, (_, row) in zip(range(_TRIED), listed.rows, strict=False)]
        if labels and not (named(listed.columns, "label") or _one_hot(listed.columns, first)):
            return False
    except DataError:
        return not labels and any(word in name for word in ("meta", "label", "list", "train"))
    values = [row.get(key) for row in first for key in columns] + (
        [] if labels else list(listed.columns)
    )
    return any(isinstance(v, str) and tree.find(v, beside=os.path.dirname(name))[0] for v in values)


assert set(COLUMNS) < set(Asked.__dataclass_fields__), "the user can name every column"
