"""DESED (Turpault et al., DCASE 2019): domestic sound events of 10 classes with their times.

https://github.com/turpaultn/DESED. Strong labels are a line per event; a line without event is a
clip in which nothing happens. Weak labels are a line per clip, unlabeled clips a list of files.
Files are named `Y{video}_{start}_{end}.wav` in one split and without the `Y` in another.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from orchestrator.data.layouts.lists import rows_with
from orchestrator.data.layouts.rows import Mistakes, seconds
from orchestrator.data.official import Counted, Line, absent, spread
from orchestrator.errors import shown

TITLE = "DESED"
FILES = ("desed/validation_validation.tsv", "desed/eval_public.tsv", "desed/train_weak.tsv")
UNLABELED = "desed/train_unlabel_in_domain.tsv"
PUBLIC_CLIPS = "desed/eval_public_meta.tsv"
CLASSES = (
    *("Alarm_bell_ringing", "Blender", "Cat", "Dishes", "Dog", "Electric_shaver_toothbrush"),
    *("Frying", "Running_water", "Speech", "Vacuum_cleaner"),
)
_BY, _DCASE = "HTS-AT, section 3.3", "DCASE 2019, task 4"
_USUAL_S = 10.0


@dataclass(frozen=True)
class Event:
    """A line of a list of strong labels.

    Attributes:
        line: Its number in the list.
        filename: The clip.
        onset_s: Start of the event; None if the clip has none.
        offset_s: Its end.
        label: Its class; "" if the clip has none.
    """

    line: int
    filename: str
    onset_s: float | None
    offset_s: float | None
    label: str


def count(folder: Path) -> Counted:
    """Count clips, events and weak labels by split and class."""
    validation, public = (read_events(folder / file) for file in FILES[:2])
    weak = read_weak(folder / FILES[2])
    bare = [event.filename for event in validation if not event.label]
    clips = {one.filename for one in public}
    unlabeled, listed = (
        read_files(folder / file) if (folder / file).is_file() else None
        for file in (UNLABELED, PUBLIC_CLIPS)
    )
    late = [event for event in validation if (event.offset_s or 0.0) > _USUAL_S]
    repeated = sum(len(set(labels)) < len(labels) for labels in weak.values())
    events = {
        name: Counter(event.label for event in of if event.label)
        for name, of in (("validation", validation), ("public evaluation", public))
    }
    weakly = Counter(label for labels in weak.values() for label in set(labels))
    missing = None if listed is None else len(listed - clips)
    lines = (
        Line("validation rows", len(validation), 4251, "DCASE 2020's copy", "two versions exist"),
        Line("validation clips", len({one.filename for one in validation}), 1168, _DCASE),
        Line("validation events", events["validation"].total()),
        Line(
            *("validation clips without an event", len(bare)),
            remark=f"one line each, such as {bare[0]}" if bare else "",
        ),
        Line(
            *("validation events that end after 10 s", len(late)),
            remark=", ".join(f"{one.filename} at {one.offset_s:g} s" for one in late),
        ),
        Line("public evaluation rows", len(public)),
        Line("public evaluation clips with events", len(clips), 692, _BY),
        Line(
            *("public evaluation clips without a row", missing, None, ""),
            absent(missing, PUBLIC_CLIPS) or f"only in {PUBLIC_CLIPS}",
        ),
        Line("classes", len(events["validation"]), 10, _BY),
        Line("validation events a class", spread(events["validation"])),
        Line("weakly labeled clips", len(weak), 1578, _DCASE),
        Line("weak labels", weakly.total(), 2244, _DCASE, f"{repeated} clips repeat a label"),
        Line(
            *("unlabeled clips", None if unlabeled is None else len(unlabeled), 14412, _DCASE),
            absent(unlabeled, UNLABELED),
        ),
    )
    return Counted(lines, {**events, "weak": weakly})


def read_events(path: Path) -> list[Event]:
    """Return the lines of a list of strong labels.

    Raises:
        DataError: A line has no file, an unknown class or impossible times; names every such line.
    """
    mistakes = Mistakes(path)
    events = []
    for number, row in rows_with(path, ("filename", "onset", "offset", "event_label")):
        name, label = row["filename"].strip(), row["event_label"].strip()
        onset, offset = seconds(row["onset"]), seconds(row["offset"])
        if not name:
            mistakes.add(f"line {number}", "no filename")
        if label and label not in CLASSES:
            mistakes.add(f"line {number}", f"{shown(label)} is none of {', '.join(CLASSES)}")
        if bool(label) != (onset is not None and offset is not None and onset < offset):
            mistakes.add(
                f"line {number}",
                f"{shown(label)} from {shown(row['onset'])} to {shown(row['offset'])} is no event; "
                "give all three, or none for a clip without events",
            )
        events.append(Event(number, name, onset, offset, label))
    mistakes.refuse()
    return events


def read_weak(path: Path) -> dict[str, tuple[str, ...]]:
    """Return clip -> labels of a list of weak labels, repeated ones too.

    Raises:
        DataError: A line has no label, an unknown one, or a clip that is there twice; names every
            such line.
    """
    mistakes = Mistakes(path)
    found: dict[str, tuple[str, ...]] = {}
    for number, row in rows_with(path, ("filename", "event_labels")):
        name = row["filename"].strip()
        labels = tuple(label.strip() for label in row["event_labels"].split(","))
        for label in labels:
            if label not in CLASSES:
                mistakes.add(f"line {number}", f"{shown(label)} is none of {', '.join(CLASSES)}")
        if not name or name in found:
            mistakes.add(f"line {number}", f"file {shown(name)} is blank or there twice")
        found[name] = labels
    mistakes.refuse()
    return found


def read_files(path: Path) -> set[str]:
    """Return the files of a list without labels."""
    return {row["filename"].strip() for _, row in rows_with(path, ("filename",))}
