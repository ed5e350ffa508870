"""What a dataset is before it becomes a pack: its clips, and how to read one.

A dataset is one file with one registered function that returns a `Source`. The function may look
at lists, file sizes and headers but never decodes audio, which `audit` and `packing` do.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.errors import DataError, is_control, shown
from orchestrator.metrics.labels import Event, Label, TargetKind, classes_of, kind_of

if TYPE_CHECKING:
    import numpy as np

POLICIES = ("stop", "drop")
MAX_INT = 2**31 - 1
"""The largest label or fold number: a pack keeps both in 32 bits."""
_FILE_NAME_IS = "up to 128 letters, digits, '.', '_' and '-', for it names a file"
_RATES_HZ = range(1_000, 768_001)
# 40 dB over full scale: unscaled integers, which clipping would turn into square waves.
_MAX_PEAK = 100.0
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Clip:
    """One row of a dataset's list.

    Attributes:
        clip_id: Name of the clip in predictions, unique within the dataset.
        label: Class, 0 to num_classes - 1. Where clips have any number of classes, a tuple of them;
            where they have events with times, a tuple of `orchestrator.metrics.Event`, and of
            classes whose times are unknown; where there are several heads, a tuple of one class of
            each, in their order. All clips of a data set are listed alike; `()` is a
            clip of background.
        fold: Number of the fold in which the clip is validated.
        source_id: Recording that the clip was cut from; clips of one recording belong together.
        path: The audio file, or "" for a synthetic clip.
    """

    clip_id: str
    label: Label
    fold: int
    source_id: str
    path: str = ""

    @property
    def classes(self) -> tuple[int, ...]:
        """The different classes of the clip, in order."""
        return classes_of(self.label)


@dataclass(frozen=True)
class Decoded:
    """One clip as the decoder returned it.

    Attributes:
        samples: `(time,)` float32 at `rate_hz`, mono: the mean of the file's channels.
        rate_hz: Rate that the decoder returned.
        channels: Channels of the file, before averaging.
    """

    samples: np.ndarray
    rate_hz: int
    channels: int


class RootMissing(DataError):
    """A dataset of files was requested without its root."""


class ClipFault(DataError):
    """A clip that cannot be used; `problem` is one of `findings.BROKEN`."""

    def __init__(self, problem: str, reason: str):
        self.problem = problem
        self.reason = reason
        super().__init__(f"{problem}: {reason}")


@dataclass(frozen=True)
class Source:
    """A dataset that can be audited and packed.

    Attributes:
        name: The dataset's registered name.
        sample_rate: Rate of the pack in Hz.
        class_names: One per label, in order.
        fold_names: Fold number -> name; "train" marks an official split.
        clips: Every listed clip, in list order.
        read: Decodes one clip, or raises `ClipFault`.
        signature: Changes whenever the list, a file or an argument changes; cheap.
        seconds: Length of every clip, or 0.0 if lengths vary.
        on_broken: "stop" or "drop", see `findings.decide`.
        fingerprint: The pack's fingerprint if it is known beforehand, else "".
        root: Where the dataset was found; a hint for people, never part of a fingerprint.
        license: The dataset's license if known, else "".
        absent: (split, clip) of an official list's clips that are not here.
        unlisted: Audio files beside the listed ones that are not used.
        notes: Remarks from reading the list.
        facts: What the list was taken for, (subject, sentence) each; see `overview`.
        heads: Name of each of several heads, such as "verb" -> number of its classes: the first
            head has the first of `class_names`, and so on; {} for one head.
    """

    name: str
    sample_rate: int
    class_names: tuple[str, ...]
    fold_names: Mapping[int, str]
    clips: tuple[Clip, ...]
    read: Callable[[Clip], Decoded]
    signature: str
    seconds: float = 0.0
    on_broken: str = "stop"
    fingerprint: str = ""
    root: str = ""
    license: str = ""
    absent: tuple[tuple[str, str], ...] = ()
    unlisted: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    facts: tuple[tuple[str, str], ...] = ()
    heads: Mapping[str, int] = field(default_factory=dict)

    @functools.cached_property
    def kind(self) -> TargetKind:
        """What the list says of every clip."""
        if self.heads:
            return TargetKind.HEADS
        return kind_of(clip.label for clip in self.clips)

    def class_text(self, clip: Clip) -> str:
        """Return the names of a clip's classes."""
        return ", ".join(self.class_names[label] for label in clip.classes) or "none"

    def class_counts(self, clips: Iterable[Clip]) -> dict[str, int]:
        """Return class name -> the number of the clips that have it."""
        counts = Counter(label for clip in clips for label in clip.classes)
        return {name: counts[label] for label, name in enumerate(self.class_names)}


def digest(value: Any) -> str:
    """Hash a JSON value to 32 hexadecimal digits that depend only on the value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def is_file_name(text: object) -> bool:
    """Whether a fingerprint or signature is safe as a file name below the packs' directory."""
    return isinstance(text, str) and bool(_FILE_NAME.fullmatch(text))


def check_arguments(dataset: str, *, sample_rate: int, on_broken: str = "stop") -> None:
    """Refuse an impossible sample rate or an unknown policy.

    Raises:
        DataError: `sample_rate` is not 1,000 to 768,000 Hz, or the policy is unknown.
    """
    if sample_rate not in _RATES_HZ:
        raise DataError(
            f"dataset {dataset!r}: sample_rate is {sample_rate!r}; give 1000 to 768000 Hz, "
            "the rate that the model's front end expects"
        )
    if on_broken not in POLICIES:
        raise DataError(
            f"dataset {dataset!r}: on_broken is {on_broken!r} (valid: {', '.join(POLICIES)})"
        )


def control_in(text: str) -> str:
    """Return the code point of the first control character of a text; "" if it has none."""
    if text.isprintable():
        return ""
    return next((f"U+{ord(one):04X}" for one in text if is_control(one)), "")


def check_source(source: object, *, dataset: str) -> Source:
    """Check every field of what a dataset's function returned, and return it unchanged.

    Args:
        source: Result of the dataset's function.
        dataset: Name under which the dataset was requested, for the message.

    Raises:
        DataError: Names every mistake; for clips, the first of each kind with its position.
    """
    if not isinstance(source, Source):
        raise DataError(
            f"dataset {dataset!r} returned {shown(source)}; its function must return an "
            "orchestrator.data.source.Source"
        )
    mistakes = [
        *_mistakes_of_fields(source),
        *_mistakes_of_clips(source),
        *_mistakes_of_heads(source),
    ]
    if mistakes:
        more = f"\n  ... and {len(mistakes) - 20} more" if len(mistakes) > 20 else ""
        listed = "\n".join(f"  - {mistake}" for mistake in mistakes[:20])
        raise DataError(f"dataset {dataset!r} cannot be used:\n{listed}{more}")
    return source


def _mistakes_of_fields(source: Source) -> list[str]:
    seconds = source.seconds
    if not isinstance(source.fold_names, Mapping):
        folds_fit, names_of_folds = False, ()
    else:
        folds_fit = all(_is_int(fold, low=-MAX_INT) for fold in source.fold_names)
        names_of_folds = tuple(source.fold_names.values())
    checks = (
        ("name", source.name, _is_name(source.name), "a name"),
        (
            "sample_rate",
            source.sample_rate,
            _is_int(source.sample_rate) and source.sample_rate in _RATES_HZ,
            "a whole number of Hz, 1000 to 768000",
        ),
        ("fold_names", source.fold_names, folds_fit, "a mapping of whole numbers to names"),
        ("read", source.read, callable(source.read), "a function of a Clip"),
        ("signature", source.signature, is_file_name(source.signature), _FILE_NAME_IS),
        (
            "fingerprint",
            source.fingerprint,
            source.fingerprint == "" or is_file_name(source.fingerprint),
            f"empty, or {_FILE_NAME_IS}",
        ),
        (
            "seconds",
            seconds,
            type(seconds) in (int, float) and math.isfinite(seconds) and seconds >= 0,
            "a length in seconds, or 0 for any",
        ),
        ("on_broken", source.on_broken, source.on_broken in POLICIES, " or ".join(POLICIES)),
        ("root", source.root, isinstance(source.root, str), "a text"),
        ("license", source.license, isinstance(source.license, str), "a text"),
        (
            "absent",
            source.absent,
            isinstance(source.absent, tuple | list) and all(map(_are_texts, source.absent)),
            "a tuple of splits and names",
        ),
        ("unlisted", source.unlisted, _are_texts(source.unlisted), "a tuple of names"),
        ("notes", source.notes, _are_texts(source.notes), "a tuple of sentences"),
    )
    mistakes = [
        f"{what} is {shown(value)}; give {wanted}"
        for what, value, fits, wanted in checks
        if not fits
    ]
    for what, names in (("class_names", source.class_names), ("fold_names", names_of_folds)):
        if not isinstance(names, tuple | list) or not names:
            mistakes.append(f"{what} is {shown(names)}; give one name or more")
            continue
        mistakes += [
            f"{what} has {shown(name)}; give a name without control characters"
            for name in names
            if not _is_name(name)
        ]
        if all(isinstance(name, str) for name in names):
            twice = sorted(name for name, count in Counter(names).items() if count > 1)
            mistakes += [f"{what} has {shown(name)} twice" for name in twice]
    return mistakes


def _mistakes_of_clips(source: Source) -> list[str]:
    """Return the first mistake of each kind, with the number of clips that have it."""
    if not isinstance(source.clips, tuple | list) or not source.clips:
        return [f"clips is {shown(source.clips)}; give a tuple of one Clip or more"]
    num_classes = len(source.class_names) if isinstance(source.class_names, tuple | list) else 0
    folds = source.fold_names if isinstance(source.fold_names, Mapping) else {}
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()

    def mistake(kind: str, place: int, text: str) -> None:
        counts[kind] += 1
        first.setdefault(kind, f"clip {place}: {text}")

    ids: set[str] = set()
    labels, used = set(), set()
    first_of: dict[type, int] = {}
    for place, clip in enumerate(source.clips):
        if not isinstance(clip, Clip):
            mistake("clip", place, f"{shown(clip)} is no Clip")
            continue
        if not _is_name(clip.clip_id):
            text = "give a name without control characters"
            mistake("clip_id", place, f"clip_id is {shown(clip.clip_id)}; {text}")
        elif clip.clip_id in ids:
            mistake("twice", place, f"clip_id {shown(clip.clip_id)} is there twice")
        else:
            ids.add(clip.clip_id)
        if wrong := _mistake_of_label(clip.label, num_classes):
            mistake("label", place, wrong)
        else:
            labels.update(clip.classes)
            first_of.setdefault(type(clip.label), place)
        if not _is_int(clip.fold, low=-MAX_INT) or clip.fold not in folds:
            valid = ", ".join(map(str, list(folds)[:20])) or "none"
            mistake("fold", place, f"fold is {shown(clip.fold)}; fold_names has {valid}")
        else:
            used.add(clip.fold)
        if not _is_name(clip.source_id):
            text = "give the name of its recording"
            mistake("source_id", place, f"source_id is {shown(clip.source_id)}; {text}")
        if not isinstance(clip.path, str) or "\0" in clip.path:
            mistake("path", place, f"path is {shown(clip.path)}; give a text")
    mistakes = [
        text + (f" (and {counts[kind] - 1} clips more)" if counts[kind] > 1 else "")
        for kind, text in first.items()
    ]
    if len(first_of) > 1:
        mistakes.append(
            f"clip {first_of[int]} has one class and clip {first_of[tuple]} a tuple "
            "of them; list all clips alike, (3,) in place of 3"
        )
    if not {"clip", "label"} & first.keys():
        bare = [name for label, name in enumerate(source.class_names) if label not in labels]
        mistakes += [f"class {shown(name)} has no clip" for name in bare]
    if not {"clip", "fold"} & first.keys():
        mistakes += [f"fold {shown(folds[fold])} has no clip" for fold in folds if fold not in used]
    return mistakes


def _mistakes_of_heads(source: Source) -> list[str]:
    """Return what is wrong with the heads, or with the first clip that does not fit them."""
    heads = source.heads
    if not isinstance(heads, Mapping):
        return [f"heads is {shown(heads)}; give a mapping of names to numbers of classes"]
    sizes = list(heads.values())
    if not heads:
        return []
    whole = len(heads) > 1 and all(_is_name(name) for name in heads)
    if not whole or not all(_is_int(size, low=1) for size in sizes):
        return [f"heads is {shown(dict(heads))}; give two names or more, each with its classes"]
    if sum(sizes) != len(source.class_names):
        return [
            f"heads have {sum(sizes)} classes in all, and class_names {len(source.class_names)}"
        ]
    ends = [sum(sizes[: place + 1]) for place in range(len(sizes))]
    for place, clip in enumerate(source.clips):
        label = clip.label if isinstance(clip, Clip) else None
        one_each = (
            isinstance(label, tuple)
            and len(label) == len(ends)
            and all(
                _is_int(own) and end - size <= own < end  # type: ignore[operator]
                for own, size, end in zip(label, sizes, ends, strict=True)
            )
        )
        if not one_each:
            ranges = ", ".join(
                f"{end - size} to {end - 1} for {name}"
                for (name, size), end in zip(heads.items(), ends, strict=True)
            )
            return [f"clip {place}: label is {shown(label)}; give one class of each head: {ranges}"]
    return []


def _mistake_of_label(label: object, num_classes: int) -> str:
    """Return what is wrong with a clip's label; "" if nothing is."""
    for entry in label if type(label) is tuple else (label,):
        own: object = entry.label if isinstance(entry, Event) else entry
        if not _is_int(own) or own >= num_classes:  # type: ignore[operator]
            return (
                f"label is {shown(label)}; give an int from 0 to {num_classes - 1}, a place in "
                "class_names" + ", or a tuple of them, or of Events" * (type(label) is not int)
            )
        if isinstance(entry, Event):
            if type(label) is not tuple:
                return f"label is {shown(label)}; give a tuple of Events"
            times = (entry.onset_s, entry.offset_s)
            if not all(type(time) in (int, float) for time in times) or not (
                all(map(math.isnan, times)) or 0 <= entry.onset_s < entry.offset_s < math.inf
            ):
                return (
                    f"an event lasts from {shown(times[0])} to {shown(times[1])}; give seconds, "
                    "the offset after the onset, or NaN for both where the times are unknown"
                )
    return ""


def _is_int(value: object, *, low: int = 0) -> bool:
    return type(value) is int and low <= value <= MAX_INT


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not control_in(value)


def _are_texts(value: object) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(text, str) for text in value)


def check_decoded(decoded: object) -> Decoded:
    """Check what a source's `read` returned for a clip; return it with only finite samples.

    Raises:
        ClipFault: The clip is empty, has NaN or infinite samples, or an implausible rate or level.
        DataError: It is not a valid `Decoded`; names every mistake.
    """
    import numpy as np

    if not isinstance(decoded, Decoded):
        raise DataError(f"it is {shown(decoded)}; return an orchestrator.data.source.Decoded")
    samples, mistakes = decoded.samples, []
    if not isinstance(samples, np.ndarray):
        mistakes.append(f"samples is {shown(samples)}; give a numpy array")
    else:
        if samples.ndim != 1:
            mistakes.append(f"samples has the shape {samples.shape}; give (time,), mono")
        if samples.dtype not in (np.float32, np.float64):
            mistakes.append(
                f"samples is {samples.dtype}; give float32 in [-1, 1] (16-bit values / 32768)"
            )
    for what, value in (("rate_hz", decoded.rate_hz), ("channels", decoded.channels)):
        if not _is_int(value, low=1):
            mistakes.append(f"{what} is {shown(value)}; give an int of 1 or more")
    if mistakes:
        raise DataError("; ".join(mistakes))
    if len(samples) == 0:
        raise ClipFault("empty", "no samples")
    if decoded.rate_hz not in _RATES_HZ:
        raise ClipFault("unreadable", f"a sample rate of {decoded.rate_hz} Hz, not 1000 to 768000")
    if not np.isfinite(samples).all():
        raise ClipFault(
            "non_finite", f"{int((~np.isfinite(samples)).sum())} samples are not finite"
        )
    peak = float(np.abs(samples).max())
    if peak > _MAX_PEAK:
        raise ClipFault("unreadable", f"samples reach {peak:g}, and full scale is 1")
    return decoded
