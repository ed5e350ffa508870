"""Audacity label tracks: beside `x.wav` a text file of start, end and label, cut into segments.

https://manual.audacityteam.org/man/importing_and_exporting_labels.html. Lines that begin with a
backslash give frequencies and are passed over. Segments of one file are one recording.
"""

from __future__ import annotations

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
        for number, line in enumerate(read_text(tree.root / track).split("\n"), start=1):
            if not line.strip() or line.startswith("\\"):
                continue
            where = f"{track} line {number}"
            start, end, label = [*line.rstrip("\r").split("\t", 2), "", ""][:3]
            start_s, end_s = seconds(start), seconds(end)
            if start_s is None or end_s is None:
                mistakes.add(
                    where, f"{shown(line)} is no label; export start, end and label with tabs"
                )
                continue
            if end_s <= start_s:
                mistakes.add(
                    where,
                    f"the label {shown(label)} at {start_s:g} s has no length; give it an end "
                    "after its start, or remove it",
                )
            check_label(label, where, mistakes)
            rows.append(
                Row(
                    where=where,
                    audio=Audio(name, tree.root / name),
                    label=label.strip(),
                    recording=name,
                    start_s=start_s,
                    end_s=end_s,
                )
            )
    if not rows and not mistakes:
        raise DataError(f"{tree.root} has label tracks without a label")
    mistakes.refuse()
    return Listing(
        tuple(rows),
        left_out=tree.besides(pairs.values()),
        recordings_are="audio files",
        labels_are="label tracks",
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
