"""What is true of clips: the class or classes of each, and the times of its sound events."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.errors import DataError
from orchestrator.metrics.labels import Event, Label, TargetKind, classes_of, kind_of

ROUNDING_ROWS = 1e-6
"""An onset or offset this close to the edge of a row, in rows, lies on it: 0.3 / 0.1 is not 3."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    """The targets of the clips of a pack or of predictions, in their order.

    Clips hold different numbers of entries, which lie one after the other in flat arrays: classes,
    each once and in order; or events, by onset, class and offset.

    Attributes:
        kind: What is known of every clip.
        num_classes: Number of classes.
        starts: (clips + 1,) int64 position of each clip's first entry, and the number of entries.
        classes: (entries,) int64 class of each entry.
        onsets_s: (entries,) float64 onsets in seconds, NaN if unknown; None without events.
        offsets_s: (entries,) float64 offsets in seconds, NaN if unknown; None without events.
        heads: Name of each of several heads -> number of its classes, in order: the first head has
            the first classes, and so on. A clip's entries are its class of each head.
    """

    kind: TargetKind
    num_classes: int
    starts: NDArray[np.int64]
    classes: NDArray[np.int64]
    onsets_s: NDArray[np.float64] | None = None
    offsets_s: NDArray[np.float64] | None = None
    heads: Mapping[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        """Check that the arrays fit together.

        Raises:
            ValueError: They do not, or a class is none of `num_classes`.
        """
        size = len(self.classes)
        if not len(self.starts) or self.starts[0] != 0 or self.starts[-1] != size:
            raise ValueError(f"the starts of clips do not span {size} entries")
        if (np.diff(self.starts) < 0).any():
            raise ValueError("the starts of clips are not in order")
        if size and not 0 <= self.classes.min() <= self.classes.max() < self.num_classes:
            raise ValueError(f"a label is none of its {self.num_classes} classes")
        timed = self.kind is TargetKind.EVENTS
        for times in (self.onsets_s, self.offsets_s):
            if (times is not None) != timed or (times is not None and len(times) != size):
                raise ValueError(f"targets of kind {self.kind} do not fit their times")
        if self.kind is TargetKind.SINGLE_LABEL and (np.diff(self.starts) != 1).any():
            raise ValueError("a clip of single-label targets has exactly one class")
        if (self.kind is TargetKind.HEADS) != bool(self.heads):
            raise ValueError(f"targets of kind {self.kind} do not fit the heads {self.heads}")
        if self.heads:
            self._check_heads()

    def _check_heads(self) -> None:
        ends = np.cumsum([*self.heads.values()])
        if len(self.heads) < 2 or min(self.heads.values()) < 1 or ends[-1] != self.num_classes:
            raise ValueError(f"the heads {self.heads} do not divide {self.num_classes} classes")
        if (np.diff(self.starts) != len(ends)).any():
            raise ValueError(f"a clip has exactly one class of each of {len(ends)} heads")
        of_clips = self.classes.reshape(-1, len(ends))
        if (of_clips >= ends).any() or (of_clips[:, 1:] < ends[:-1]).any():
            raise ValueError("the classes of a clip are not one of each head, in their order")

    @classmethod
    def of_labels(cls, labels: Any, *, num_classes: int) -> Targets:
        """Return the targets of clips with one class each, from (clips,) class indices."""
        classes = np.asarray(labels, dtype=np.int64)
        return cls(
            kind=TargetKind.SINGLE_LABEL,
            num_classes=num_classes,
            starts=np.arange(len(classes) + 1, dtype=np.int64),
            classes=classes,
        )

    @classmethod
    def of(
        cls,
        labels: Sequence[Label],
        *,
        num_classes: int,
        kind: TargetKind | None = None,
        heads: Mapping[str, int] | None = None,
    ) -> Targets:
        """Return the targets of listed clips.

        Args:
            labels: What is listed of each clip.
            num_classes: Number of classes.
            kind: Kind of the whole data set, of which these clips may be a part; by default that of
                these clips.
            heads: Heads of the data set, if there are several.

        Raises:
            ValueError: A clip does not fit the kind, or a class is none of `num_classes`.
        """
        if heads:
            return cls(
                kind=TargetKind.HEADS,
                num_classes=num_classes,
                starts=np.arange(len(labels) + 1, dtype=np.int64) * len(heads),
                classes=np.array([c for label in labels for c in classes_of(label)], np.int64),
                heads=dict(heads),
            )
        kind = kind_of(labels) if kind is None else kind
        if kind is TargetKind.SINGLE_LABEL:
            return cls.of_labels(labels, num_classes=num_classes)
        if kind is TargetKind.MULTI_LABEL:
            lists = [classes_of(label) for label in labels]
            return cls(
                kind=kind,
                num_classes=num_classes,
                starts=_starts(lists),
                classes=np.array([c for of_clip in lists for c in of_clip], np.int64),
            )
        events = [_sorted_events(label) for label in labels]
        flat = [event for of_clip in events for event in of_clip]
        return cls(
            kind=kind,
            num_classes=num_classes,
            starts=_starts(events),
            classes=np.array([event.label for event in flat], np.int64),
            onsets_s=np.array([event.onset_s for event in flat], np.float64),
            offsets_s=np.array([event.offset_s for event in flat], np.float64),
        )

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.starts) - 1

    def __eq__(self, other: object) -> bool:
        """Whether both say the same of the same number of clips."""
        if not isinstance(other, Targets):
            return NotImplemented
        return (
            (self.kind, self.num_classes) == (other.kind, other.num_classes)
            and list(self.heads.items()) == list(other.heads.items())
            and np.array_equal(self.starts, other.starts)
            and np.array_equal(self.classes, other.classes)
            and _same_times(self.onsets_s, other.onsets_s)
            and _same_times(self.offsets_s, other.offsets_s)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def labels(self) -> NDArray[np.int64]:
        """(clips,) class indices of clips with one class each.

        Raises:
            DataError: The clips may have any number of classes.
        """
        if self.kind is not TargetKind.SINGLE_LABEL:
            raise DataError(
                f"one class per clip was asked for, and the data set is of kind {self.kind}: a "
                "clip has any number of classes (see Targets.multi_hot)"
            )
        return self.classes

    def by_head(self) -> dict[str, NDArray[np.int64]]:
        """Return head -> (clips,) class of each clip among those of the head; {} without heads."""
        of_clips = self.classes.reshape(-1, max(1, len(self.heads)))
        return {
            name: of_clips[:, place] - part.start
            for place, (name, part) in enumerate(self.parts().items())
        }

    def parts(self) -> dict[str, slice]:
        """Return head -> its part of all classes."""
        return parts_of(self.heads)

    @property
    def have_times(self) -> NDArray[np.bool_]:
        """(clips,) whether the times of all events of a clip are known; background's are."""
        if self.onsets_s is None:
            return np.zeros(len(self), np.bool_)
        unknown = self._clip_of_entry()[np.isnan(self.onsets_s)]
        return np.bincount(unknown, minlength=len(self)) == 0

    def take(self, indices: Any) -> Targets:
        """Return the targets of some clips, in the order of (chosen,) positions or of a mask."""
        chosen = np.asarray(indices)
        if chosen.dtype == np.bool_:
            chosen = np.flatnonzero(chosen)
        chosen = chosen.astype(np.int64)
        sizes = np.diff(self.starts)[chosen]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        entries: NDArray[np.int64] = np.arange(int(starts[-1]), dtype=np.int64)
        entries += np.repeat(self.starts[chosen] - starts[:-1], sizes)
        return Targets(
            kind=self.kind,
            num_classes=self.num_classes,
            starts=starts,
            classes=self.classes[entries],
            onsets_s=None if self.onsets_s is None else self.onsets_s[entries],
            offsets_s=None if self.offsets_s is None else self.offsets_s[entries],
            heads=self.heads,
        )

    def multi_hot(self) -> NDArray[np.bool_]:
        """Return (clips, classes) booleans: whether a clip has a class."""
        hot = np.zeros((len(self), self.num_classes), np.bool_)
        hot[self._clip_of_entry(), self.classes] = True
        return hot

    def pairs(self) -> NDArray[np.int64]:
        """Return (pairs, 2) of clip and class, each pair once, by clip and class."""
        pairs = np.unique(self._clip_of_entry() * self.num_classes + self.classes)
        return np.stack([pairs // self.num_classes, pairs % self.num_classes], axis=1)

    def counts(self) -> NDArray[np.int64]:
        """Return (classes,) the number of clips that have each class."""
        return np.bincount(self.pairs()[:, 1], minlength=self.num_classes).astype(np.int64)

    def frames(self, num_rows: int, *, seconds: float) -> NDArray[np.bool_]:
        """Return (clips, rows, classes) booleans: whether a class sounds in a row.

        A row covers `seconds / num_rows`, and a class sounds in every row that an event of it
        overlaps: the onset is rounded down and the offset up to the edge of a row, as in the
        baseline of DCASE's task 4 on DESED. What lies beyond `seconds` is cut. Events without times
        sound in no row; see `have_times`.

        Args:
            num_rows: Number of rows of equal length.
            seconds: Time that all rows cover, from the start of a clip.

        Raises:
            DataError: The targets are no events.
        """
        if self.onsets_s is None or self.offsets_s is None:
            raise DataError(
                f"times of events were asked for, and the data set is of kind {self.kind}: its "
                "labels have no onset and offset"
            )
        active = np.zeros((len(self), num_rows, self.num_classes), np.bool_)
        known = np.flatnonzero(~np.isnan(self.onsets_s))
        first = np.floor(self.onsets_s[known] * (num_rows / seconds) + ROUNDING_ROWS)
        end = np.ceil(self.offsets_s[known] * (num_rows / seconds) - ROUNDING_ROWS)
        first = first.clip(0, num_rows).astype(int)
        end = np.maximum(end, first + 1).clip(0, num_rows).astype(int)
        clips = self._clip_of_entry()[known]
        rows = zip(*(a.tolist() for a in (clips, first, end, self.classes[known])), strict=True)
        for clip, start, stop, label in rows:
            active[clip, start:stop, label] = True
        return active

    def events(self) -> NDArray[np.float64]:
        """Return the events with known times, (events, 4): clip, class, onset and offset in s.

        Raises:
            DataError: The targets are no events.
        """
        if self.onsets_s is None or self.offsets_s is None:
            raise DataError(
                f"times of events were asked for, and the data set is of kind {self.kind}: its "
                "labels have no onset and offset"
            )
        columns = (self._clip_of_entry(), self.classes, self.onsets_s, self.offsets_s)
        rows = np.stack([column.astype(np.float64) for column in columns], axis=1)
        return rows[~np.isnan(self.onsets_s)]

    def form(self, clip: int) -> int | list[int] | list[list[float | int | None]]:
        """Return what is known of one clip as a JSON value, the same for the same targets."""
        chosen = slice(self.starts[clip], self.starts[clip + 1])
        classes = self.classes[chosen].tolist()
        if self.kind is TargetKind.SINGLE_LABEL:
            return classes[0]
        if self.onsets_s is None or self.offsets_s is None:
            return classes
        times = zip(self.onsets_s[chosen].tolist(), self.offsets_s[chosen].tolist(), strict=True)
        return [
            [label, *(None if math.isnan(time) else time for time in pair)]
            for label, pair in zip(classes, times, strict=True)
        ]

    def _clip_of_entry(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self)), np.diff(self.starts))


def parts_of(heads: Mapping[str, int]) -> dict[str, slice]:
    """Return head -> its part of all classes, from head -> number of its classes."""
    ends = np.cumsum([*heads.values()]).tolist()
    return {
        name: slice(end - size, end) for (name, size), end in zip(heads.items(), ends, strict=True)
    }


def _starts(lists: Sequence[Sequence[object]]) -> NDArray[np.int64]:
    return np.cumsum([0, *map(len, lists)], dtype=np.int64)


def _sorted_events(label: Label) -> list[Event]:
    entries = label if isinstance(label, tuple) else (label,)
    events = {
        entry if isinstance(entry, Event) else Event(entry, math.nan, math.nan) for entry in entries
    }
    # NaN is in no order; events without times come first, and one class without times is one event.
    timed = sorted(
        (event for event in events if not math.isnan(event.onset_s)),
        key=lambda event: (event.onset_s, event.label, event.offset_s),
    )
    weak = sorted({event.label for event in events if math.isnan(event.onset_s)})
    return [*(Event(own, math.nan, math.nan) for own in weak), *timed]


def _same_times(one: NDArray[np.float64] | None, other: NDArray[np.float64] | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other, equal_nan=True)
