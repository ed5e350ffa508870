"""VGGSound as its authors list it, with the clips that are here; see `official.vggsound`."""

from __future__ import annotations

import os
from collections import Counter

from orchestrator.data.layouts.rows import TEST, TRAIN, Asked, Listing, Mistakes, Row
from orchestrator.data.layouts.tree import Tree
from orchestrator.data.layouts.youtube import Clips
from orchestrator.data.official import vggsound
from orchestrator.errors import DataError

TITLE = "VGGSound: vggsound.csv, or train.csv and test.csv, and audio named VIDEO_SECONDS"
WHOLE = "vggsound.csv"
_PARTS = {"train.csv": TRAIN, "test.csv": TEST}


def fits(tree: Tree) -> bool:
    """Whether one of its lists is here."""
    return bool(_lists(tree))


def read(tree: Tree, asked: Asked) -> Listing:
    """List the clips that are here, and name those that are not."""
    lists = _chosen(tree, asked)
    listed = [
        (name, split, clip)
        for name, split in lists.items()
        for clip in vggsound.read_clips(tree.root / name)
    ]
    times = Counter(clip.video for _, _, clip in listed)
    clips, mistakes = Clips(tree), Mistakes(tree.root)
    rows, absent = [], []
    for name, split, clip in listed:
        where, split = f"{name} line {clip.line}", clip.split or split
        audio = clips.find(
            clip.video,
            clip.start_s,
            alone=times[clip.video] == 1,
            where=where,
            mistakes=mistakes,
        )
        if audio is None:
            absent.append((split, f"{clip.video}_{clip.start_s:06d}"))
            continue
        rows.append(
            Row(where=where, audio=audio, label=clip.label, split=split, recording=clip.video)
        )
    mistakes.refuse()
    clips.refuse_none(rows, vggsound.TITLE)
    return Listing(
        tuple(rows),
        left_out=tree.besides(row.audio.name for row in rows),
        recordings_are="videos",
        labels_are=" and ".join(lists),
        absent=tuple(absent),
    )


def _chosen(tree: Tree, asked: Asked) -> dict[str, str]:
    """Return list -> split of the lists to read.

    Raises:
        DataError: Both forms of the list are here, and they disagree.
    """
    lists = _lists(tree)
    if asked.table:
        if asked.table not in lists:
            raise DataError(
                f"{tree.root} has no list {asked.table!r} of VGGSound (its lists: "
                f"{', '.join(lists)})"
            )
        folder = os.path.dirname(asked.table)
        if os.path.basename(asked.table) == WHOLE:
            return {asked.table: ""}
        return {n: s for n, s in lists.items() if s and os.path.dirname(n) == folder}
    whole = [name for name, split in lists.items() if not split]
    parts = [name for name, split in lists.items() if split]
    if whole and parts:
        raise DataError(
            f"{tree.root} has {whole[0]} and {' and '.join(parts)}, which disagree: the first has "
            "291 clips more (hche11/VGGSound issue 19). Say which counts: --dataset "
            f"folder:layout=vggsound,table={whole[0]} or --dataset "
            f"folder:layout=vggsound,table={parts[0]}"
        )
    if len(whole) > 1 or len(set(lists.values())) < len(lists):
        flags = "".join(f"\n  - --dataset folder:layout=vggsound,table={name}" for name in lists)
        raise DataError(f"{tree.root} has {len(lists)} lists of VGGSound; say which:{flags}")
    return lists


def _lists(tree: Tree) -> dict[str, str]:
    """Return list -> the split it is, "" for the one that has both."""
    found = {}
    for name in tree.ending(("csv",)):
        base = os.path.basename(name).lower()
        if (base == WHOLE or base in _PARTS) and vggsound.begins(tree.root / name):
            found[name] = _PARTS.get(base, "")
    return found
