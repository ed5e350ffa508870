"""What a data set lists of a clip: its class, its classes, or its sound events with times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class TargetKind(StrEnum):
    """What a data set says of every clip.

    Attributes:
        SINGLE_LABEL: Exactly one class.
        MULTI_LABEL: Any number of classes; a clip without any is background.
        EVENTS: Sound events with onset and offset, any number of them, and thereby classes.
        HEADS: Exactly one class in each of several sets of classes, such as a verb and a noun, each
            set told apart by an output, a head, of its own.
    """

    SINGLE_LABEL = "single_label"
    MULTI_LABEL = "multi_label"
    EVENTS = "events"
    HEADS = "heads"


@dataclass(frozen=True)
class Event:
    """One sound event of a clip.

    Attributes:
        label: Class, 0 to num_classes - 1.
        onset_s: Start in seconds from the start of the clip; NaN if the times are unknown, as in
            weakly labeled clips.
        offset_s: End in seconds, after the start; NaN with `onset_s`.
    """

    label: int
    onset_s: float
    offset_s: float


Label = int | tuple[int | Event, ...]
"""What is listed of a clip: its class, its classes, or its events. A class among events has no
known times. Of a data set with several heads, the classes are one of each head, in their order."""


def kind_of(labels: Iterable[Label]) -> TargetKind:
    """Return the kind of targets that a data set lists, from the labels of all of its clips.

    Several heads show in no label; the data set names them.
    """
    kind = TargetKind.SINGLE_LABEL
    for label in labels:
        if isinstance(label, tuple):
            kind = TargetKind.MULTI_LABEL
            if any(isinstance(entry, Event) for entry in label):
                return TargetKind.EVENTS
    return kind


def classes_of(label: Label) -> tuple[int, ...]:
    """Return the different classes of a clip, in order."""
    if not isinstance(label, tuple):
        return (label,)
    return tuple(sorted({entry.label if isinstance(entry, Event) else entry for entry in label}))
