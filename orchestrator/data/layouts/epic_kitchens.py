"""EPIC-KITCHENS-100 by its official lists; see `official.epic_kitchens`.

Audio is a file per segment, named by its `narration_id` (`P01_11_0.wav`), or the whole sound of
each video (`P01_11.wav`), from which segments are read by their times. A clip has a verb and a
noun, each told by a head of its own, or one label if the user says so: its verb, its noun or both
as one action.
"""

from __future__ import annotations

from orchestrator.data.layouts.rows import TRAIN, VALIDATION, Asked, Audio, Listing, Mistakes, Row
from orchestrator.data.layouts.tree import Tree
from orchestrator.data.official import epic_kitchens
from orchestrator.data.official.epic_kitchens import Segment
from orchestrator.errors import DataError

TITLE = "EPIC-KITCHENS-100: EPIC_100_train.csv and the like, audio by segment or by video"
HEADS = ("verb", "noun")
LABELS = (*HEADS, "action")
_LISTS = {"EPIC_100_train.csv": TRAIN, "EPIC_100_validation.csv": VALIDATION}
_WHERE_FROM = "github.com/epic-kitchens/epic-kitchens-100-annotations"
_CLASSES = ("EPIC_100_verb_classes.csv", "EPIC_100_noun_classes.csv")


def fits(tree: Tree) -> bool:
    """Whether one of its lists of segments is here."""
    return any(tree.one_named(name) for name in _LISTS)


def read(tree: Tree, asked: Asked) -> Listing:
    """List the segments that are here, and name those that are not.

    Raises:
        DataError: The user asks for another label, the lists of classes lack, or no audio fits.
    """
    if asked.label and asked.label not in LABELS:
        flags = "".join(
            f"\n  - --dataset folder:layout=epic_kitchens,label={label}" for label in LABELS
        )
        raise DataError(
            f"a segment of EPIC-KITCHENS-100 in {tree.root} has a verb and a noun, and no "
            f"{asked.label!r}; leave the label out for a head each, or take one:{flags}"
        )
    kinds = (asked.label,) if asked.label else HEADS
    classes = [tree.needed(name, where_from=_WHERE_FROM) for name in _CLASSES]
    verbs, nouns = (epic_kitchens.read_classes(tree.root / name) for name in classes)
    mistakes = Mistakes(tree.root)
    files = tree.by_stem(mistakes)
    rows: list[Row] = []
    absent: list[tuple[str, str]] = []
    used: dict[str, set[int]] = {kind: set() for kind in kinds}
    lists = {found: split for name, split in _LISTS.items() if (found := tree.one_named(name))}
    for name, split in lists.items():
        for one in epic_kitchens.read_segments(tree.root / name, verbs, nouns):
            whole = one.name not in files
            file = files.get(one.video if whole else one.name)
            if file is None:
                absent.append((split, one.name))
                continue
            places = {kind: _place(kind, one, nouns) for kind in kinds}
            for kind, place in places.items():
                used[kind].add(place)
            label = tuple(_name(kind, place, verbs, nouns) for kind, place in places.items())
            if not asked.label:
                label = tuple(f"{kind}: {n}" for kind, n in zip(kinds, label, strict=True))
            rows.append(
                Row(
                    where=f"{name} line {one.line}",
                    audio=Audio(file, tree.root / file),
                    name=one.name,
                    label=label[0] if asked.label else label,
                    split=split,
                    recording=one.video,
                    start_s=one.start_s if whole else None,
                    end_s=one.end_s if whole else None,
                )
            )
    mistakes.refuse()
    if not rows:
        raise DataError(
            f"{tree.root} has the lists of EPIC-KITCHENS-100 and no audio of theirs; put files "
            "below it that are named by segment, P01_11_0.wav, or by video, P01_11.wav"
        )
    return Listing(
        tuple(rows),
        left_out=tree.besides(row.audio.name for row in rows),
        recordings_are="videos",
        labels_are=f"{' and '.join(kinds)} of {' and '.join(lists)}",
        class_names=tuple(
            ("" if asked.label else f"{kind}: ") + _name(kind, place, verbs, nouns)
            for kind in kinds
            for place in sorted(used[kind])
        ),
        absent=tuple(absent),
        heads=() if asked.label else HEADS,
    )


def _place(kind: str, one: Segment, nouns: list[str]) -> int:
    """Return the number of a segment's class among all of a kind."""
    return {"verb": one.verb, "noun": one.noun}.get(kind, one.verb * len(nouns) + one.noun)


def _name(kind: str, place: int, verbs: list[str], nouns: list[str]) -> str:
    if kind == "action":
        return f"{verbs[place // len(nouns)]} {nouns[place % len(nouns)]}"
    return (verbs if kind == "verb" else nouns)[place]
