"""AudioSet by its official lists, with the segments that are here; see `official.audioset`.

`balanced_train_segments.csv` and `unbalanced_train_segments.csv` train, `eval_segments.csv` tests;
`table=` takes one of the two. A segment has any number of classes, by the ids of the ontology, and
`class_labels_indices.csv` has their names and order.
"""

from __future__ import annotations

from collections import Counter

from orchestrator.data.layouts.rows import TEST, TRAIN, Asked, Listing, Mistakes, Row
from orchestrator.data.layouts.tree import Tree
from orchestrator.data.layouts.youtube import Clips
from orchestrator.data.official import audioset
from orchestrator.errors import DataError

TITLE = "AudioSet: balanced_train_segments.csv and the like, and audio named by YouTube's id"
_LISTS = {
    "balanced_train_segments.csv": TRAIN,
    "unbalanced_train_segments.csv": TRAIN,
    "eval_segments.csv": TEST,
}
_CLASSES = "class_labels_indices.csv"


def fits(tree: Tree) -> bool:
    """Whether one of its lists of segments is here."""
    return any(tree.one_named(name) for name in _LISTS)


def read(tree: Tree, asked: Asked) -> Listing:
    """List the segments that are here, and name those that are not.

    Raises:
        DataError: The list of classes lacks, a list is broken, or no audio fits.
    """
    lists = {found: split for name, split in _LISTS.items() if (found := tree.one_named(name))}
    if asked.table:
        if asked.table not in lists:
            raise DataError(
                f"{tree.root} has no list {asked.table!r} of AudioSet (its lists: "
                f"{', '.join(lists)})"
            )
        own = asked.table
        lists = {name: split for name, split in lists.items() if name == own or split == TEST}
    where_from = "research.google.com/audioset/download.html"
    names = audioset.read_classes(tree.root / tree.needed(_CLASSES, where_from=where_from))
    listed = [
        (name, split, segment)
        for name, split in lists.items()
        for segment in audioset.read_segments(tree.root / name, names)
    ]
    times = Counter(segment.video for _, _, segment in listed)
    clips, mistakes = Clips(tree), Mistakes(tree.root)
    rows, absent = [], []
    for name, split, one in listed:
        where = f"{name} line {one.line}"
        alone = times[one.video] == 1
        audio = clips.find(one.video, one.start_s, alone=alone, where=where, mistakes=mistakes)
        if audio is None:
            absent.append((split, f"{one.video}_{one.start_s:.3f}_{one.end_s:.3f}"))
            continue
        rows.append(
            Row(
                where=where,
                audio=audio,
                label=tuple(names[label] for label in one.labels),
                split=split,
                recording=one.video,
            )
        )
    mistakes.refuse()
    clips.refuse_none(rows, audioset.TITLE)
    return Listing(
        tuple(rows),
        left_out=tree.besides(row.audio.name for row in rows),
        recordings_are="videos",
        labels_are=f"positive_labels of {' and '.join(lists)}",
        class_names=tuple(names.values()),
        absent=tuple(absent),
    )
