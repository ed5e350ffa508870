"""Audacity label tracks: beside `x.wav` a text file of start, end and label, each a sound event.

https://manual.audacityteam.org/man/importing_and_exporting_labels.html. Lines that begin with a
backslash give frequencies and are passed over. An empty track is a file in which nothing sounds.
"""

from __future__ import annotations

from orchestrator.data.layouts.labels import event
from orchestrator.data.layouts.lists import read_text
from orchestrator.data.layouts.rows import (
    Asked,
    Audio,
    Listing,
    Mistakes,
    Row,
    check_label,
    seconds,
)
from orchestrator.data.layouts.tree import Tree
from orchestrator.errors import DataError, shown

TITLE = "Audacity label tracks, a text file of start, end and label beside each audio file"
_ENDS = (".txt", ".labels.txt", "_labels.txt", "-labels.txt")


def fits(tree: Tree) -> bool:
    """Whether audio files have label tracks of their name, the first of which reads as one."""
    pairs = _pairs(tree)
    return any(_reads(tree, track) for track in list(pairs)[:3])


def read(tree: Tree, asked: Asked) -> Listing:
    """List the segments of all label tracks."""
    mistakes = Mistakes(tree.root)
    rows = []
    pairs = _pairs(tree)
    for track, name in pairs.items():
        audio, events = Audio(name, tree.root / name), []
        for number, line in enumerate(read_text(tree.root / track).split("\n"), start=1):
            if not line.strip() or line.startswith("\\"):
                continue
            where = f"{track} line {number}"
            start, end, label = [*line.rstrip("\r").split("\t", 2), "", ""][:3]
            if None in (seconds(start), seconds(end)):
                mistakes.add(
                    where, f"{shown(line)} is no label; export start, end and label with tabs"
                )
                continue
            check_label(label, where, mistakes)
            events.append(event(label.strip(), start, end, where=where, mistakes=mistakes))
        labels = [(one,) for one in events if one is not None]
        if labels or not events:
            rows += [
                Row(where=one[0].where if one else track, audio=audio, label=one)
                for one in labels or [()]
            ]
    if not any(row.label for row in rows) and not mistakes:
        raise DataError(f"{tree.root} has label tracks without a label")
    return Listing(
        tuple(rows),
        left_out=tree.besides(pairs.values()),
        labels_are="label tracks",
        mistakes=mistakes.found,
    )


def _pairs(tree: Tree) -> dict[str, str]:
    """Return label track -> audio file."""
    known = set(tree.files)
    found = {}
    for name in tree.audio:
        stem = name.rpartition(".")[0]
        track = next((stem + end for end in _ENDS if stem + end in known), None)
        if track:
            found[track] = name
    return found


def _reads(tree: Tree, track: str) -> bool:
    try:
        lines = read_text(tree.root / track).splitlines()
    except DataError:
        return False
    first = next((line.split("\t") for line in lines if line.strip()), [""])
    return len(first) > 1 and None not in (seconds(first[0]), seconds(first[1]))
