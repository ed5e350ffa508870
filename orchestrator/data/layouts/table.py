"""A list of paths and labels: csv, TSV, JSON lines or Parquet.

A label column next to an equal one of numbers (`class` and `classID`) is one label. Without any,
columns of 0 and 1 that lie side by side are classes, but for those that say something of the clip
itself, such as `is_noisy`. `onset` and `offset` are the times of sound events. Other columns of
times are segments, and only if files are listed several times or the user names them, for they may
mean a place in a longer recording that is not here, as in UrbanSound8K.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.data.layouts.labels import listed_label, text_of
from orchestrator.data.layouts.lists import (
    COLUMNS,
    SUFFIXES,
    List,
    column,
    header_of,
    in_seconds,
    named,
    open_list,
)
from orchestrator.data.layouts.rows import (
    Asked,
    ListedLabel,
    Listing,
    Mistakes,
    Row,
    seconds,
    split_named,
)
from orchestrator.data.layouts.tree import Tree
from orchestrator.errors import DataError, shown, unknown
from orchestrator.metrics.labels import TargetKind

TITLE = "a csv, TSV, JSON lines or Parquet file with a column of paths and one of labels"
MAX_DEPTH = 2
"""Folders that a list may lie in, one in the other."""
_TRIED, _SHOWN = 5, 12
_MISTAKEN = 0.05
"""Share of lines in which a column of 0 and 1 may have something else, which is a mistake; and of
files that may be listed twice by mistake."""
_OF_THE_CLIP = re.compile(
    r"(is|has|was)_.*|(.*_)?(verified|checked|validated|reviewed|noisy|clean|curated|augmented)"
    r"|(in_)?(train|training|test|testing|val|valid|validation|eval|evaluation|dev)(_set|_split)?"
    r"|usable|excluded?|included?|keep|skip|flag(ged)?|corrupt(ed)?|broken"
)
"""Names of columns of 0 and 1 that are no classes where others are."""


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
    rows = tuple(row for one in found for row in one.rows)
    notes = tuple(dict.fromkeys(note for one in found for note in one.notes))
    return Listing(
        rows,
        notes=notes,
        left_out=tree.besides(row.audio.name for row in rows),
        recordings_are=found[0].recordings_are,
        labels_are=found[0].labels_are,
        mistakes=mistakes.found,
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
        raise DataError(
            f"{header_of(listed.path)}: a header and no rows below it; add a line per clip, or "
            "remove the list"
        )
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
        return (
            f"{len(self.one_hot)} columns of 0 and 1, {self.one_hot[0]} to {self.one_hot[-1]} "
            "(others: --dataset folder:label=FIRST..LAST)"
        )


def _columns(
    listed: List, lines: Sequence[tuple[int, Mapping[str, Any]]], asked: Asked, layout: str
) -> tuple[_Use, tuple[str, ...]]:
    """Choose the columns; the second value says what was passed over."""
    columns = listed.columns

    def one(meaning: str) -> str:
        wanted = getattr(asked, meaning)
        return column(columns, meaning, wanted, path=listed.path, layout=layout)

    path = one("path")
    one_hot, of_the_clip = _classes(listed, [line for _, line in lines], asked, layout)
    notes = ()
    if of_the_clip:
        notes = (
            f"columns of 0 and 1 that are not taken for classes: {', '.join(of_the_clip)}; if they "
            f"are: --dataset folder:label={one_hot[0]}..{one_hot[-1]}+{of_the_clip[0]}",
        )
    label = "" if one_hot else one("label")
    if label and not asked.label:
        label = _one_label(listed.path, [n for n in named(columns, "label") if n != path], lines)
    recording = "" if asked.recording == "file" else one("recording")
    split, fold = one("split"), one("fold")
    if split and not asked.split and len({text_of(line.get(split)) for _, line in lines}) < 2:
        split = ""
    if split and fold and not (asked.split or asked.fold):
        raise DataError(
            f"{header_of(listed.path)}: columns {split!r} and {fold!r} both divide the clips, "
            f"in two ways; say which: --dataset folder:layout={layout},split={split} or "
            f"--dataset folder:layout={layout},fold={fold}"
        )
    if asked.fold or asked.split:
        split, fold = (split, "") if asked.split else ("", fold)
    start, end = one("start"), one("end")
    several = _listed_several_times([line for _, line in lines], path, start, end)
    noted = {*of_the_clip, start, end}
    start, end, as_events, more = times_of(
        start, end, asked, several=several, where=header_of(listed.path), layout=layout
    )
    used = (path, label, split, fold, recording, start, end)
    rest = [name for name in columns if name not in {*used, *one_hot, *noted}]
    unused = _unused(rest, [line for _, line in lines], divided=bool(split or fold))
    return _Use(*used, one_hot=one_hot, as_events=as_events), (*notes, *more, *unused)


def _unused(
    names: Sequence[str], lines: Sequence[Mapping[str, Any]], *, divided: bool
) -> tuple[str, ...]:
    """Name the columns that nothing is taken from, and one that has the splits by its values."""
    if not names:
        return ()
    text = f"columns not used: {', '.join(names[:_SHOWN])}"
    if len(names) > _SHOWN:
        text += f" and {len(names) - _SHOWN} more"
    for name in () if divided else names:
        values = [text_of(line.get(name)) for line in lines]
        if len(set(values)) > 1 and 2 * sum(map(bool, map(split_named, values))) > len(values):
            return (f"{text}; if {name} has the splits: --dataset folder:split={name}",)
    return (text,)


def _listed_several_times(
    lines: Sequence[Mapping[str, Any]], path: str, start: str, end: str
) -> bool:
    """Whether files are listed with several times, or more often than by mistake."""
    times: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for line in lines:
        times[str(line.get(path))].append((text_of(line.get(start)), text_of(line.get(end))))
    repeated = sum(len(of_file) > 1 for of_file in times.values())
    return repeated > _MISTAKEN * len(times) or any(len(set(one)) > 1 for one in times.values())


def times_of(
    start: str, end: str, asked: Asked, *, several: bool, where: str, layout: str
) -> tuple[str, str, bool, tuple[str, ...]]:
    """Say what columns of times are for.

    Args:
        start: Column of starts, or "".
        end: Column of ends, or "".
        asked: What the user said of them.
        several: Whether files are listed several times.
        where: List that has them, for the mistake.
        layout: Its layout, for the flag.

    Returns:
        The columns to use, whether they are of events, and what was decided, in sentences.

    Raises:
        DataError: One of the two is needed and not there.
    """
    as_events = asked.targets == TargetKind.EVENTS or start.strip().lower().startswith("onset")
    untimed = asked.targets in (TargetKind.SINGLE_LABEL, TargetKind.MULTI_LABEL)
    both, needed = bool(start and end), asked.start or asked.end or as_events or several
    if not start and not end:
        return "", "", False, ()
    if not both and needed and not (untimed and not asked.start and not asked.end):
        there, lacking = ("start", "end") if start else ("end", "start")
        usual = {"end": "offset, end", "start": "onset, start"}[lacking]
        raise DataError(
            f"{where}: column {shown(start or end)} has the {there} of events or segments, and no "
            f"column has their {lacking}. Name one: --dataset "
            f"folder:layout={layout},{lacking}=COLUMN, or add one under a usual name ({usual}, "
            "with _ms for milliseconds). Without this column the labels are those of the whole file"
        )
    if not both or not needed:
        names = " and ".join(repr(name) for name in (start, end) if name)
        note = (
            f"columns {names} not used, for files are listed once; if they are segments of them, "
            f"say start={start or 'COLUMN'},end={end or 'COLUMN'}; if they are sound events in "
            "them, targets=events"
        )
        return "", "", False, (note,)
    if as_events:
        return start, end, True, ()
    note = (
        f"columns {start!r} and {end!r} cut a clip for every line; if they are sound events to "
        "be found in the whole file: --dataset folder:targets=events"
    )
    return start, end, False, (note,)


def _classes(
    listed: List, lines: Sequence[Mapping[str, Any]], asked: Asked, layout: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns of 0 and 1 that are classes, if there is no column of labels, and others.

    Raises:
        DataError: They lie in several places, or those that were asked for do not exist.
    """
    columns = listed.columns
    if asked.label not in columns and re.search(r"\.\.|\+", asked.label):
        return _asked_classes(listed, asked.label), ()
    if asked.label or named(columns, "label"):
        return (), ()
    bits = _bit_columns(columns, lines)
    always = [name for name in bits if all(_bit(line.get(name)) for line in lines)]
    of_the_clip = [n for n in bits if n in always or _OF_THE_CLIP.fullmatch(n.strip().lower())]
    if len(bits) - len(of_the_clip) < 2:
        of_the_clip = []
    runs: list[list[str]] = [[]]
    for name in (name for name in columns if name not in of_the_clip):
        if name in bits:
            runs[-1].append(name)
        elif runs[-1]:
            runs.append([])
    runs = [run for run in runs if run]
    if len(runs) > 1:
        spans = [f"{run[0]}..{run[-1]}" if len(run) > 1 else run[0] for run in runs]
        flags = [*(span for span, run in zip(spans, runs, strict=True) if len(run) > 1)]
        readings = "\n".join(
            f"  - --dataset 'folder:layout={layout},label={flag}'"
            for flag in [*flags, "+".join(spans)]
        )
        raise DataError(
            f"{header_of(listed.path)}: columns of 0 and 1 lie in {len(runs)} places; say which of "
            f"them are classes, or name one column of labels (label=COLUMN):\n{readings}"
        )
    return tuple(name for run in runs for name in run), tuple(of_the_clip)


def _asked_classes(listed: List, text: str) -> tuple[str, ...]:
    """Return the columns that `FIRST..LAST`, or names with `+` between, stand for."""
    columns, found = listed.columns, {}
    for part in text.split("+"):
        first, dots, last = part.partition("..")
        ends = [part] if part in columns or not dots else [first, last]
        for name in ends:
            if name not in columns:
                raise DataError(
                    f"{header_of(listed.path)}: label={text}: {unknown('column', name, columns)}"
                )
        places = [columns.index(name) for name in ends]
        if places != sorted(places):
            raise DataError(
                f"{header_of(listed.path)}: label={text}: column {last!r} comes before "
                f"{first!r}; give {last}..{first}"
            )
        found |= dict.fromkeys(columns[places[0] : places[-1] + 1])
    return tuple(found)


def _bit_columns(columns: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
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
    """Read 0, 1, 0.0, 1.0, false or true; None if it is none of them."""
    text = text_of(value).lower()
    if re.fullmatch(r"[01]\.0*", text):
        text = text[0]
    return {"0": False, "1": True, "false": False, "true": True}.get(text)


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
                        f"{path} line {number}: two columns of labels say different things: "
                        f"{first!r} is {shown(mine)} and {other!r} {shown(theirs)}, unlike line "
                        f"{before}; correct it, or say which counts: --dataset "
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
                    "correct it, or name the columns of classes: --dataset "
                    "folder:label=FIRST..LAST",
                )
                return None
        return tuple(name for name, bit in bits.items() if bit)
    value = line.get(use.label)
    if not use.as_events:
        return listed_label(value, where=where, mistakes=mistakes)
    times = [in_seconds(line.get(name), name) for name in (use.start, use.end)]
    entries = with_times(value, times, where=where, mistakes=mistakes)
    return None if entries is None else listed_label(entries, where=where, mistakes=mistakes)


def with_times(
    value: Any, times: Sequence[Any], *, where: str, mistakes: Mistakes
) -> list[Any] | None:
    """Return what `listed_label` takes for the events of a line; None after a mistake.

    Args:
        value: A label, or a list of them; blank for a clip in which nothing sounds.
        times: Onset and offset in seconds, each a list where the label is; blank for a label whose
            times are not known.
        where: File and line, for the mistake.
        mistakes: Gets it.
    """
    if isinstance(value, list) and all(isinstance(of, list | None) for of in times):
        lists = [value, *(of or [] for of in times)]
        if len({len(one) for one in lists}) > 1:
            mistakes.add(
                where,
                f"{len(value)} labels, {len(lists[1])} onsets and {len(lists[2])} offsets; give as "
                "many of each",
            )
            return None
        return list(zip(*lists, strict=True))
    if any(text_of(time).lower() not in ("", "nan") for time in times):
        return [(value, *times)]
    return [] if text_of(value).lower() in ("", "nan") else [value]


def _times(
    line: Mapping[str, Any], use: _Use, where: str, mistakes: Mistakes
) -> tuple[float | None, float | None]:
    names = [use.start, use.end] if use.start else []
    return segment([in_seconds(line.get(name), name) for name in names], where, mistakes)


def segment(
    times: Sequence[Any], where: str, mistakes: Mistakes
) -> tuple[float | None, float | None]:
    """Return the start and end in seconds of a line's segment; None of both without times."""
    if not times:
        return None, None
    start, end = (seconds(text_of(time)) for time in times)
    if start is None or end is None or end <= start:
        mistakes.add(
            where,
            f"the segment from {shown(times[0])} to {shown(times[1])} is none; give seconds, the "
            "end after the start",
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
        if labels and not (named(listed.columns, "label") or _bit_columns(listed.columns, first)):
            return False
    except DataError:
        return not labels and any(word in name for word in ("meta", "label", "list", "train"))
    values = [row.get(key) for row in first for key in columns] + (
        [] if labels else list(listed.columns)
    )
    return any(isinstance(v, str) and tree.find(v, beside=os.path.dirname(name))[0] for v in values)


assert set(COLUMNS) < set(Asked.__dataclass_fields__), "the user can name every column"
