"""Kinetics-Sounds: OGM-GE's lists, or lists of Kinetics with the classes to take.

No official list of clips exists. OGM-GE's have numbers for 31 classes. A list of Kinetics has the
columns label, youtube_id, time_start, time_end and split, and hundreds of classes, of which a file
`classes.txt` (any `classes*.txt`) names those of Kinetics-Sounds, one a line: 31 or 32 of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.data.layouts.lists import open_list, read_text
from orchestrator.data.layouts.rows import Asked, Listing, Mistakes, Row, seconds, split_named
from orchestrator.data.layouts.table import MAX_DEPTH, split_of
from orchestrator.data.layouts.tree import Tree
from orchestrator.data.layouts.youtube import Clips
from orchestrator.data.official import kinetics_sounds
from orchestrator.errors import DataError, shown

TITLE = "Kinetics-Sounds: OGM-GE's my_train.txt and my_test.txt, or Kinetics' csv and classes.txt"
COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
_MOST_CLASSES = 34  # of the paper of 2017, the longest list there is
_ONLY_IN_32 = "strumming guitar"


@dataclass(frozen=True)
class _Clip:
    where: str
    name: str
    video: str
    start_s: float
    label: str
    split: str


def fits(tree: Tree) -> bool:
    """Whether a list of either form is here."""
    return bool(_numbered(tree) or _of_kinetics(tree))


def read(tree: Tree, asked: Asked) -> Listing:
    """List the clips that are here, and name those that are not."""
    mistakes = Mistakes(tree.root)
    numbered, kinetics = _numbered(tree), _of_kinetics(tree)
    if asked.table:
        numbered = [name for name in numbered if name == asked.table]
        kinetics = [name for name in kinetics if name == asked.table]
    if (numbered and kinetics) or not (numbered or kinetics):
        names = ", ".join([*numbered, *kinetics]) or "none"
        raise DataError(
            f"{tree.root} has these lists of Kinetics-Sounds: {names}; keep those of one form, or "
            "say which: --dataset folder:layout=kinetics_sounds,table=LIST"
        )
    if numbered:
        class_names: tuple[str, ...] = ()
        listed = list(_numbered_clips(tree, numbered))
        labels_are = "numbers of OGM-GE's lists, which has no names for them"
    else:
        listed = list(_clips_of_kinetics(tree, kinetics, mistakes))
        class_names, labels_are = _classes(tree, {clip.label for clip in listed})
        listed = [clip for clip in listed if clip.label in class_names]
    clips = Clips(tree)
    rows, absent = [], []
    for clip in listed:
        audio = clips.find(
            clip.video, clip.start_s, alone=True, where=clip.where, mistakes=mistakes
        )
        if audio is None:
            absent.append((clip.split, clip.name))
            continue
        rows.append(
            Row(
                where=clip.where,
                audio=audio,
                label=clip.label,
                split=clip.split,
                recording=clip.video,
            )
        )
    mistakes.refuse()
    clips.refuse_none(rows, kinetics_sounds.TITLE)
    return Listing(
        tuple(rows),
        left_out=tree.besides(row.audio.name for row in rows),
        recordings_are="videos",
        labels_are=labels_are,
        class_names=class_names,
        absent=tuple(absent),
    )


def _numbered(tree: Tree) -> list[str]:
    names = [name for name in tree.ending(("txt",)) if split_of(name)]
    return [name for name in names if kinetics_sounds.begins(tree.root / name)]


def _numbered_clips(tree: Tree, names: list[str]) -> Iterator[_Clip]:
    for name in names:
        for clip in kinetics_sounds.read_clips(tree.root / name):
            where = f"{name} line {clip.line}"
            yield _Clip(where, clip.name, clip.video, clip.start_s, clip.label, split_of(name))


def _of_kinetics(tree: Tree) -> list[str]:
    found = []
    for name in tree.ending(("csv",)):
        if name.count("/") > MAX_DEPTH:
            continue
        try:
            columns = open_list(tree.root / name).columns
        except DataError:
            continue
        if set(COLUMNS) <= set(columns):
            found.append(name)
    return found


def _clips_of_kinetics(tree: Tree, names: list[str], mistakes: Mistakes) -> Iterator[_Clip]:
    for name in names:
        for number, row in open_list(tree.root / name).rows:
            where, start = f"{name} line {number}", seconds(row["time_start"])
            split = split_named(row["split"])
            if start is None or not split:
                mistakes.add(
                    where,
                    f"start {shown(row['time_start'])} and split {shown(row['split'])} are no "
                    "seconds and no train, val or test",
                )
                continue
            video = row["youtube_id"]
            yield _Clip(where, f"{video}_{start:06.0f}", video, start, row["label"], split)


def _classes(tree: Tree, labels: set[str]) -> tuple[tuple[str, ...], str]:
    """Return the classes to take, in their order, and where they come from.

    Raises:
        DataError: There are too many labels and no list of classes, several lists, or names that
            are no label.
    """
    lists = [
        name
        for name in tree.ending(("txt",))
        if os.path.basename(name).lower().startswith("classes")
    ]
    if not lists and len(labels) <= _MOST_CLASSES:
        return tuple(sorted(labels)), "column label"
    if len(lists) != 1:
        raise DataError(
            f"{tree.root} lists {len(labels)} classes of Kinetics, and Kinetics-Sounds is 31 or 32 "
            f"of them; put one classes.txt beside the list, a name per line (here: "
            f"{', '.join(lists) or 'none'}). A list of 32 is in pritamqu/CrissCross issue 4, one "
            "of 31 in IBM/AdaMML issue 3"
        )
    names = kinetics_sounds.read_classes(tree.root / lists[0])
    mistakes = Mistakes(tree.root)
    for number, text in enumerate(read_text(tree.root / lists[0]).splitlines(), start=1):
        if text.strip() and text.strip() not in labels:
            mistakes.add(f"{lists[0]} line {number}", f"no clip has the label {shown(text)}")
    mistakes.refuse()
    kind = "with" if _ONLY_IN_32 in names else "without"
    return tuple(names), f"column label, the {len(names)} of {lists[0]}, {kind} {_ONLY_IN_32}"
