"""DESED by its official lists, with the clips that are here; see `official.desed`.

Lists of strong labels (`validation.tsv`, `public.tsv`, `soundscapes.tsv`) and of weak ones
(`weak.tsv`) lie in folders such as `metadata/train`, or have their folders' names in theirs
(`train_weak.tsv`): `train` trains, `validation` chooses, `eval` or `public` tests, synthetic clips
like real ones. A clip is found by its file's name; where two have it, as synthetic ones do, by the
folders that it shares with its list. Unlabeled clips are not used.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.data.layouts.lists import open_list
from orchestrator.data.layouts.rows import (
    TEST,
    TRAIN,
    VALIDATION,
    Asked,
    Audio,
    ListedEvent,
    ListedLabel,
    Listing,
    Mistakes,
    Row,
)
from orchestrator.data.layouts.tree import Tree
from orchestrator.data.layouts.youtube import Clips
from orchestrator.data.official import desed
from orchestrator.errors import DataError, shown

TITLE = "DESED: weak.tsv, validation.tsv, public.tsv, soundscapes.tsv and audio of their file names"
_STRONG = {"filename", "onset", "offset", "event_label"}
_WEAK = {"filename", "event_labels"}
_NAME = re.compile(r"(.*_)?(weak|validation|public|soundscapes|audioset_strong)\.tsv")
_TRIED = 20
_UNLABELED = re.compile(r"(.*_)?unlabel_in_domain\.tsv")
_VIDEO = re.compile(r"Y?(?P<video>[\w-]{11})_(?P<start>\d+(\.\d+)?)_\d+(\.\d+)?", re.ASCII)


@dataclass(frozen=True)
class _Clip:
    where: str
    filename: str
    label: ListedLabel
    split: str


def fits(tree: Tree) -> bool:
    """Whether a list with one of its names has labels of its classes."""
    return bool(_lists(tree))


def read(tree: Tree, asked: Asked) -> Listing:
    """List the clips that are here, and name those that are not.

    Raises:
        DataError: A list is broken, a clip may be two files, or no audio fits.
    """
    mistakes = Mistakes(tree.root)
    lists, files = _lists(tree), _Files(tree)
    rows, absent = [], []
    for name in lists:
        for clip in _strong(tree, name) if lists[name] else _weak(tree, name):
            audio = files.find(clip, name, mistakes)
            if audio is None:
                absent.append((clip.split, clip.filename))
                continue
            video = _VIDEO.fullmatch(clip.filename.rpartition(".")[0])
            rows.append(
                Row(
                    where=clip.where,
                    audio=audio,
                    label=clip.label,
                    split=clip.split,
                    recording=video["video"] if video else "",
                )
            )
    mistakes.refuse()
    if not rows:
        raise DataError(
            f"{tree.root} has the lists of DESED and none of its clips; put audio below it that is "
            "named as in the lists, such as audio/validation/Y00pbt6aJV8Y_350.000_360.000.wav"
        )
    return Listing(
        tuple(rows),
        notes=_notes(tree, files),
        left_out=tree.besides(row.audio.name for row in rows),
        recordings_are="videos, and synthetic files",
        labels_are=" and ".join(lists),
        class_names=desed.CLASSES,
        absent=tuple(absent),
    )


def _lists(tree: Tree) -> dict[str, bool]:
    """Return list -> whether its labels are strong."""
    found = {}
    for name in tree.ending(("tsv",)):
        if not _NAME.fullmatch(os.path.basename(name)):
            continue
        try:
            listed = open_list(tree.root / name)
            first = [row for _, (_, row) in zip(range(_TRIED), listed.rows, strict=False)]
        except DataError:
            continue
        column = "event_label" if set(listed.columns) >= _STRONG else "event_labels"
        if not _WEAK <= set(listed.columns) and column == "event_labels":
            continue
        labels = {label.strip() for row in first for label in row[column].split(",")} - {""}
        if labels & set(desed.CLASSES):
            found[name] = column == "event_label"
    return found


def _split(name: str) -> str:
    words = set(re.split(r"[/_.]", name.lower()))
    if words & {"eval", "public"}:
        return TEST
    return VALIDATION if "validation" in words else TRAIN


def _strong(tree: Tree, name: str) -> Iterator[_Clip]:
    of: dict[str, list[desed.Event]] = defaultdict(list)
    for event in desed.read_events(tree.root / name):
        of[event.filename].append(event)
    for filename, events in of.items():
        label = dict.fromkeys(
            ListedEvent(one.label, one.onset_s, one.offset_s, f"{name} line {one.line}")
            for one in events
            if one.onset_s is not None and one.offset_s is not None
        )
        yield _Clip(f"{name} line {events[0].line}", filename, tuple(label), _split(name))


def _weak(tree: Tree, name: str) -> Iterator[_Clip]:
    for number, (filename, labels) in enumerate(desed.read_weak(tree.root / name).items(), start=2):
        yield _Clip(f"{name} line {number}", filename, tuple(dict.fromkeys(labels)), _split(name))


class _Files:
    """Audio by its name, by its folders, or by the video and start in its name."""

    def __init__(self, tree: Tree):
        self._tree = tree
        self._named: dict[str, list[str]] = defaultdict(list)
        for name in tree.audio:
            self._named[os.path.basename(name).rpartition(".")[0]].append(name)
        self._clips = Clips(tree)

    def find(self, clip: _Clip, listed_in: str, mistakes: Mistakes) -> Audio | None:
        """Return a clip's audio; None if it is not here, or after a mistake."""
        stem = os.path.basename(clip.filename).rpartition(".")[0]
        found = self._named.get(stem, [])
        if len(found) > 1:
            words = set(listed_in.rpartition(".")[0].split("/"))
            shared = [len(words & set(name.split("/")[:-1])) for name in found]
            found = [name for name, n in zip(found, shared, strict=True) if n == max(shared)]
        if len(found) > 1:
            mistakes.add(
                clip.where, f"{shown(clip.filename)} may be {found[0]} or {found[1]}; keep one"
            )
            return None
        if found:
            return Audio(found[0], self._tree.root / found[0])
        if match := _VIDEO.fullmatch(stem):
            start_s = float(match["start"])
            return self._clips.find(
                match["video"], start_s, alone=False, where=clip.where, mistakes=mistakes
            )
        return None

    def count(self, filenames: set[str]) -> int:
        """Return how many of some files are here."""
        return sum(os.path.basename(n).rpartition(".")[0] in self._named for n in filenames)


def _notes(tree: Tree, files: _Files) -> tuple[str, ...]:
    notes = []
    for name in tree.ending(("tsv",)):
        if _UNLABELED.fullmatch(os.path.basename(name)):
            listed = desed.read_files(tree.root / name)
            notes.append(
                f"{files.count(listed):,} of the {len(listed):,} unlabeled clips of {name} are here"
                ", and not used: every clip that trains has labels"
            )
    return tuple(notes)
