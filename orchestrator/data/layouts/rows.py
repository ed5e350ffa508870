"""What every layout is read into: a list of labeled stretches of audio."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.data.source import control_in
from orchestrator.errors import DataError, shown

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = {
    TRAIN: ("train", "training", "trn", "tr"),
    VALIDATION: ("validation", "validate", "valid", "val", "dev"),
    TEST: ("test", "testing", "tst", "eval", "evaluation"),
}
"""Official splits and the names that data sets give them."""

_SHOWN, _PLACES = 10, 40
_PLACE = re.compile(r"(.* (?:line|row|sample) )(\S+)")
_GIVEN = re.compile(r"'[^']*'|\"[^\"]*\"|[0-9][0-9.,]*")
"""What differs between the texts of two mistakes of one kind."""


@dataclass(frozen=True)
class Asked:
    """What a user says about a layout; "" leaves it to recognition.

    Attributes:
        table: The list to read.
        path: Column with the paths.
        label: Column, field or file with the labels; or columns of 0 and 1, each a class:
            `FIRST..LAST`, or several with `+` between.
        split: Column with the official splits.
        fold: Column with the folds.
        recording: Column with the recordings.
        start: Column with the start of a segment in seconds, or in milliseconds if its name ends in
            `ms`.
        end: Column with its end.
        label_pattern: Regular expression that finds the label in a path.
        targets: Kind of targets to take the labels for, a value of `TargetKind`.
        separator: What several labels of one text have between them, a key of
            `labels.SEPARATORS`.
    """

    table: str = ""
    path: str = ""
    label: str = ""
    split: str = ""
    fold: str = ""
    recording: str = ""
    start: str = ""
    end: str = ""
    label_pattern: str = ""
    targets: str = ""
    separator: str = ""


@dataclass(frozen=True)
class Audio:
    """Encoded audio: a file, or a part of an archive.

    Attributes:
        name: Name that is unique in the data set: the path below the root.
        path: The file, or the archive that holds it.
        load: Reads the encoded bytes out of the archive; None if `path` is the audio file.
    """

    name: str
    path: Path
    load: Callable[[], bytes] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class ListedEvent:
    """A sound event by the name of its class.

    Attributes:
        label: Name of its class.
        onset_s: Start in seconds from the start of the audio, not of a segment of it.
        offset_s: End in seconds, after the start.
        where: File and line that list it, for messages.
    """

    label: str
    onset_s: float
    offset_s: float
    where: str = field(default="", compare=False)


ListedLabel = str | tuple[str | ListedEvent, ...]
"""What is listed of a stretch of audio: the name of its class; or any number of names and events,
of which a name among events has no known times."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One labeled stretch of audio.

    Attributes:
        where: File and line that list it, for messages.
        audio: The audio.
        label: What is listed of it; `()` is a stretch in which no class sounds.
        split: Official split as the data set names it, or "".
        fold: Fold as the data set names it, or "".
        recording: Recording or speaker that it belongs to; "" if the data set does not say.
        start_s: Start in seconds; None for the whole of it.
        end_s: End in seconds; None for the whole of it.
        name: Name that the data set gives it, unique in it; "" names it by its audio and times.
    """

    where: str
    audio: Audio
    label: ListedLabel
    split: str = ""
    fold: str = ""
    recording: str = ""
    start_s: float | None = None
    end_s: float | None = None
    name: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The different classes of the stretch, in the order of their names."""
        if isinstance(self.label, str):
            return (self.label,)
        return tuple(sorted({name_of(entry) for entry in self.label}))


def name_of(entry: str | ListedEvent) -> str:
    """Return the class of an entry of a row's label."""
    return entry if isinstance(entry, str) else entry.label


@dataclass(frozen=True)
class Listing:
    """A data set as its layout lists it.

    Attributes:
        rows: One per labeled stretch.
        notes: What was recognized or decided, in sentences.
        left_out: Files that are not used.
        recordings_are: What `Row.recording` names, for example "speakers of utt2spk".
        labels_are: Where the labels come from.
        class_names: Order of the classes; the others follow, and () is the order of their names.
        absent: (split, clip) of an official list's clips that are not here; None if no official
            list was read.
        heads: Names of several heads, if every row has one class of each: a class is named
            "head: class", and `class_names` has those of the first head first.
        mistakes: (file and line, mistake) of what could not be read, for rows that are not here.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    recordings_are: str = ""
    labels_are: str = ""
    class_names: tuple[str, ...] = ()
    absent: tuple[tuple[str, str], ...] | None = None
    heads: tuple[str, ...] = ()
    mistakes: tuple[tuple[str, str], ...] = ()


class Mistakes:
    """Mistakes of a data set, reported all at once."""

    def __init__(self, place: str | Path, found: Iterable[tuple[str, str]] = ()):
        """Start with some that were found already, (file and line, mistake) each."""
        self._place = place
        self._found = list(found)

    def add(self, where: str, text: str) -> None:
        """Add one, with the file and line that it is in."""
        self._found.append((where, text))

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def found(self) -> tuple[tuple[str, str], ...]:
        """(File and line, mistake) of all of them."""
        return tuple(self._found)

    def refuse(self) -> None:
        """Raise a `DataError` if there are any.

        Ten are listed, some of every kind; of others the places, of which there are at most 40.
        """
        if not self._found:
            return
        listed = self._listed()
        lines = [
            f"  - {where}: {text}" if where else f"  - {text}"
            for number, (where, text) in enumerate(self._found)
            if number in listed
        ]
        others = [where for number, (where, _) in enumerate(self._found) if number not in listed]
        if others:
            lines.append(f"  ... and {len(others)} more: {_places(others)}")
        raise DataError("\n".join([f"{self._place} cannot be used:", *lines]))

    def _listed(self) -> set[int]:
        """Return the numbers of those to list: the kinds take turns."""
        kinds: dict[str, list[int]] = defaultdict(list)
        for number, (_, text) in enumerate(self._found):
            kinds[_GIVEN.sub("", text)].append(number)
        turns = sorted((turn, own) for of in kinds.values() for turn, own in enumerate(of))
        return {number for _, number in turns[:_SHOWN]}


def _places(wheres: Sequence[str]) -> str:
    """Return files and lines, the lines of one file together: `list.csv line 3, 4`."""
    shown_of: dict[str, list[str]] = defaultdict(list)
    for where in wheres[:_PLACES]:
        match = _PLACE.fullmatch(where)
        file, line = (match[1], match[2]) if match else (where, "")
        shown_of[file].append(line)
    texts = [f"{file}{', '.join(dict.fromkeys(lines))}" for file, lines in shown_of.items()]
    return "; ".join(texts) + ("; ..." if len(wheres) > _PLACES else "")


def split_named(text: str) -> str:
    """Return the official split that a name means, or ""."""
    name = text.strip().lower()
    return next((split for split, names in SPLITS.items() if name in names), "")


def check_label(label: str, where: str, mistakes: Mistakes) -> None:
    """Add a mistake if a label is blank or has control characters."""
    if not label.strip():
        mistakes.add(
            where,
            "the label is blank; give every clip a label, [] if none of the classes sounds in it, "
            "or remove the line",
        )
    elif control := control_in(label):
        mistakes.add(where, f"label {shown(label)} has the control character {control}; remove it")


def seconds(text: str) -> float | None:
    """Read a time in seconds; None if it is none."""
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        return None
    return value if 0 <= value < 1e7 else None
