"""Folders of audio in any layout that is recognized; see `orchestrator.data.layouts`.

A recording longer than a clip is cut into windows one behind the other; the rest of it is a clip if
it is at least half as long, or if there is no other. A shorter one stays as it is, and is padded
by the model's input. Classes without times are those of every window of their recording; an event
belongs to the windows that it sounds in, cut at their edges.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from models.registry import register
from orchestrator.data.decode import decode
from orchestrator.data.headers import Header, read_headers
from orchestrator.data.layouts import layout_of, own, recognize, refuse_unused
from orchestrator.data.layouts.labels import settled
from orchestrator.data.layouts.rows import Asked, Audio, ListedEvent, Listing, Mistakes, Row
from orchestrator.data.layouts.tree import Tree, license_of
from orchestrator.data.source import (
    Clip,
    ClipFault,
    Decoded,
    RootMissing,
    Source,
    check_arguments,
    digest,
)
from orchestrator.data.splits import TRAIN, Division, divide, given_division
from orchestrator.errors import DataError, printable, shown
from orchestrator.metrics.labels import Event, Label, TargetKind, classes_of

# Increment when a change of this file or of a layout changes what a pack holds.
_REVISION = 3
LONGEST_S = 10.0
"""Longest clip that is chosen without being asked for."""
_PERCENT = 95
_TOLERANCE_S = 0.02
"""How far a segment may end behind its file: annotations are rounded."""
_SLIVER_S = 0.001
"""Part of an event in a window that is not worth the name: times are rounded to milliseconds."""
_TIMES = 1e6  # segments are compared in microseconds


@register("dataset")
def folder(
    root: str | None,
    *,
    sample_rate: int = 16000,
    on_broken: Literal["stop", "drop"] = "stop",
    layout: str = "",
    seconds: float = 0.0,
    longer: Literal["windows", "cut"] = "windows",
    num_folds: int = 5,
    table: str = "",
    path: str = "",
    label: str = "",
    label_pattern: str = "",
    split: str = "",
    fold: str = "",
    recording: str = "",
    recording_pattern: str = "",
    start: str = "",
    end: str = "",
    targets: Literal["", "single_label", "multi_label", "events"] = "",
    separator: str = "",
    fingerprint: str = "",
) -> Source:
    """List the clips of a folder by its layout.

    Args:
        root: The folder.
        sample_rate: Rate of the pack in Hz; files of any other rate are resampled once.
        on_broken: "stop" refuses broken clips, "drop" leaves them out and records it.
        layout: Name of a layout or `module:function`; "" recognizes it.
        seconds: Longest clip; 0 is the 95th percentile of the lengths, at most 10 s.
        longer: "windows" cuts longer recordings into clips, "cut" keeps their beginning.
        num_folds: Folds to make where the data set has neither splits nor folds.
        table: The list to read, by its path below the root, where several fit.
        path: Column with the paths.
        label: Column, JSON key or Kaldi file with the labels; or columns of 0 and 1, each a class:
            FIRST..LAST, or several with + between.
        label_pattern: Regular expression; what its first group finds in a file's path is the label.
        split: Column with the official splits.
        fold: Column with the folds.
        recording: Column with the recordings; "file" takes every file for its own.
        recording_pattern: Regular expression; what its first group finds in a file's path is the
            recording.
        start: Column with the start of a segment in seconds, or in milliseconds if its name ends in
            ms.
        end: Column with its end.
        targets: Kind of targets; "" is what the list has. Where it has events, "single_label" makes
            a clip of each, and "multi_label" keeps the classes of a clip without their times.
        separator: What several labels of one text have between them: semicolon, bar, comma, space,
            or none where a label has one in its name; "" finds it.
        fingerprint: Pack that an experiment was made with; any other is refused.

    Returns:
        The source. Classes are in the order of their names, numbers in that of their values.

    Raises:
        DataError: No layout fits, several do, or the list is broken; the message names file and
            line.
    """
    check_arguments("folder", sample_rate=sample_rate, on_broken=on_broken)
    if not root:
        raise RootMissing(
            "dataset 'folder' has no data root; give one with --data-root DIR, or use --dataset "
            "synthetic, which needs no files"
        )
    if seconds < 0 or num_folds < 2:
        raise DataError(
            f"dataset 'folder': seconds is {seconds!r} and num_folds {num_folds!r}; give 0 or more "
            "seconds, and 2 folds or more"
        )
    asked = Asked(
        table=table,
        path=path,
        label=label,
        split=split,
        fold=fold,
        recording=recording,
        start=start,
        end=end,
        label_pattern=label_pattern,
        targets=targets,
        separator=separator,
    )
    tree = Tree.of(root)
    layout = layout or recognize(tree, asked)
    listing, title = _read(tree, layout, asked)
    mistakes = Mistakes(f"{tree.root}, read as {title},", listing.mistakes)
    if listing.absent is not None:  # names of an official list are as they are
        asked = replace(asked, separator="none")
    rows, kind, how = settled(_with_short_names(listing.rows), asked, mistakes)
    headers = read_headers(
        list({row.audio.name: row.audio for row in rows}.values()), root=tree.root
    )
    if on_broken == "stop":
        _refuse_missing(rows, headers, mistakes)
    _refuse_beyond(rows, headers, mistakes, official=listing.absent is not None)
    names = _class_names(rows, mistakes, listing)
    given = given_division(rows, mistakes)
    mistakes.refuse()
    recordings = _recordings(rows, recording, recording_pattern)
    lengths = [_length(row, headers[row.audio.name]) for row in rows]
    clip_s = seconds or _clip_length(lengths)
    parts = _parts(rows, lengths, clip_s, longer)
    official = listing.absent is not None and len({row.split for row in rows}) > 1
    division = divide(
        rows,
        # Official splits of a published data set stay as they are, and what they share is said.
        [row.audio.name for row in rows] if official else recordings,
        num_clips=[len(of_row) for of_row in parts],
        num_folds=num_folds,
        given=given,
        mistakes=mistakes,
    )
    if not official:
        _refuse_untrained(rows, division, names, mistakes)
    mistakes.refuse()
    label_of = {name: number for number, name in enumerate(names)}
    heads = {
        head: sum(name.startswith(f"{head}: ") for name in names)
        for head in (() if targets else listing.heads)
    }
    clips = tuple(
        Clip(part.clip_id, _label(row, part, label_of, kind), number, source_id, part.place)
        for row, number, source_id, own_parts in zip(
            rows, division.folds, recordings, parts, strict=True
        )
        for part in own_parts
    )
    part_of = {part.clip_id: part for own_parts in parts for part in own_parts}

    def read(clip: Clip) -> Decoded:
        part = part_of[clip.clip_id]
        try:
            source = part.audio.load() if part.audio.load else part.audio.path
        except OSError as error:
            raise ClipFault("unreadable", str(error)) from error
        return decode(source, start_s=part.start_s, end_s=part.end_s)

    audio = set(tree.audio)
    targets_text = _targets_text(rows, clips, kind, how)
    texts = _length_texts(lengths, clip_s, parts, longer, asked=bool(seconds))
    return Source(
        name="folder",
        sample_rate=sample_rate,
        class_names=names,
        fold_names=division.names,
        clips=clips,
        read=read,
        signature=digest(
            [
                *("folder", _REVISION, str(tree.root), sample_rate, on_broken, clip_s, longer),
                own.source_digest(layout) if ":" in layout else layout,
                [vars(clip) | {"label": _form(clip.label)} for clip in clips],
                [[p.start_s, p.end_s, *_stamp(headers[p.audio.name])] for p in part_of.values()],
                *([heads] if heads else []),
            ]
        ),
        on_broken=on_broken,
        root=printable(str(tree.root)),
        license=license_of(tree.root),
        absent=listing.absent or (),
        unlisted=tuple(name for name in listing.left_out if name in audio),
        notes=(
            *((f"targets: {targets_text}",) if kind is not TargetKind.SINGLE_LABEL else ()),
            *(f"{subject}: {text}" for subject, text in texts if subject == "clips"),
            *((f"folds: {division.text}",) if division.made else ()),
            *(
                f"{subject}: {text}"
                for subject, text in _official_texts(listing, rows, recordings, division)
            ),
            *listing.notes,
        ),
        facts=(
            ("layout", f"{title} (--dataset folder:layout={layout})"),
            ("labels", listing.labels_are),
            ("targets", targets_text),
            ("splits" if TRAIN in division.names.values() else "folds", division.text),
            ("recordings", _recordings_text(recordings, rows, listing, recording_pattern)),
            *_official_texts(listing, rows, recordings, division),
            *texts,
            ("rates", _rates_text(headers)),
            *(("note", note) for note in listing.notes),
            ("left out", _left_out(listing, tree)),
        ),
        heads=heads,
    )


@dataclass(frozen=True)
class _Part:
    """A clip's stretch of its audio; `end_s` is None for its end."""

    clip_id: str
    audio: Audio
    start_s: float = 0.0
    end_s: float | None = None

    @property
    def place(self) -> str:
        return self.audio.name if self.audio.load else str(self.audio.path)


def _read(tree: Tree, layout: str, asked: Asked) -> tuple[Listing, str]:
    refuse_unused(layout, asked)
    if ":" in layout:
        return own.read(tree, layout), f"the list of {layout}"
    found = layout_of(layout)
    return found.read(tree, asked), found.TITLE


def _with_short_names(rows: Sequence[Row]) -> list[Row]:
    """Name files outside the root by what tells them apart, so that other hosts agree."""
    outside = {row.audio.name for row in rows if os.path.isabs(row.audio.name)}
    if not outside:
        return list(rows)
    common = os.path.commonpath([os.path.dirname(name) for name in outside])
    return [
        replace(row, audio=replace(row.audio, name=os.path.relpath(row.audio.name, common)))
        if row.audio.name in outside
        else row
        for row in rows
    ]


def _refuse_missing(rows: Sequence[Row], headers: dict[str, Header], mistakes: Mistakes) -> None:
    for row in rows:
        if headers[row.audio.name].size < 0:
            listed = row.where != row.audio.name
            what = f"{shown(row.audio.name)} does" if listed else "is a link to what does"
            mistakes.add(
                row.where,
                f"{what} not exist; fetch it, remove {'its line' if listed else 'it'}, or leave "
                "out all such clips: --dataset folder:on_broken=drop",
            )


def _refuse_beyond(
    rows: Sequence[Row], headers: dict[str, Header], mistakes: Mistakes, *, official: bool
) -> None:
    """Refuse what ends after its audio, but for events of official lists, which the audit notes."""
    for row in rows:
        length = headers[row.audio.name].seconds
        last = row.end_s if row.end_s is not None else row.start_s or 0.0
        found = [("segment", last, row.where)]
        if isinstance(row.label, tuple) and not official:
            found += [
                ("event", entry.offset_s, entry.where or row.where)
                for entry in row.label
                if isinstance(entry, ListedEvent)
            ]
        for what, end_s, where in found:
            if length and end_s > length + _TOLERANCE_S:
                mistakes.add(
                    where,
                    f"the {what} ends at {end_s:g} s, and {shown(row.audio.name)} at {length:g} s; "
                    "correct the time, or remove the line",
                )


def _class_names(rows: Sequence[Row], mistakes: Mistakes, listing: Listing) -> tuple[str, ...]:
    names = {name for row in rows for name in row.names}
    if len(names) < 2 and not mistakes:
        only = ", ".join(map(shown, names)) or "none"
        mistakes.add(
            "",
            f"there is one class only ({only}, by {listing.labels_are}); nothing can be told apart",
        )
    if listing.class_names:
        return tuple(name for name in listing.class_names if name in names)
    if all(re.fullmatch(r"[0-9]{1,9}", name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _label(row: Row, part: _Part, label_of: dict[str, int], kind: TargetKind) -> Label:
    """Return what is listed of a part of a row, by the numbers of the classes."""
    if isinstance(row.label, str):
        return label_of[row.label]
    known = sorted({label_of[entry] for entry in row.label if isinstance(entry, str)})
    end_s = math.inf if part.end_s is None else part.end_s
    events = []
    for entry in row.label:
        if isinstance(entry, str):
            continue
        onset_s, offset_s = max(entry.onset_s, part.start_s), min(entry.offset_s, end_s)
        if offset_s - onset_s > min(_SLIVER_S, (entry.offset_s - entry.onset_s) / 2):
            times = (round(time - part.start_s, 6) for time in (onset_s, offset_s))
            events.append(Event(label_of[entry.label], *times))
    label = (*known, *sorted(events, key=lambda one: (one.onset_s, one.label, one.offset_s)))
    return classes_of(label) if kind is TargetKind.MULTI_LABEL else label


def _form(label: Label) -> Any:
    """Return a label as a JSON value."""
    if isinstance(label, int):
        return label
    return [list(vars(one).values()) if isinstance(one, Event) else one for one in label]


def _entries(clip: Clip) -> tuple[int | Event, ...]:
    return clip.label if isinstance(clip.label, tuple) else (clip.label,)


def _targets_text(rows: Sequence[Row], clips: Sequence[Clip], kind: TargetKind, how: str) -> str:
    """Say which kind of targets was found, and how many entries a clip has."""
    if kind is TargetKind.SINGLE_LABEL:
        return "one class per clip" + (f" ({how})" if how else "")
    counts = [len(_entries(clip)) for clip in clips]
    spread = f"{sum(counts) / len(counts):.3g} a clip"
    if min(counts) < max(counts):
        spread += f" ({min(counts)} to {max(counts)})"
    bare = f", {counts.count(0)} clips in which nothing sounds" if 0 in counts else ""
    if kind is TargetKind.MULTI_LABEL:
        return f"any number of classes per clip, {spread}{bare}" + (f"; {how}" if how else "")
    entries = [entry for row in rows if not isinstance(row.label, str) for entry in row.label]
    timed = sum(isinstance(entry, ListedEvent) for entry in entries)
    weak = sum(any(isinstance(entry, int) for entry in _entries(clip)) for clip in clips)
    weakly = f", {weak} clips with classes without times" if weak else ""
    return (
        f"{timed} events with onset and offset, {spread}{bare}{weakly}; a clip of each: --dataset "
        "folder:targets=single_label"
    )


def _recordings(rows: Sequence[Row], recording: str, pattern: str) -> list[str]:
    if pattern:
        try:
            search = re.compile(pattern).search
        except re.error as error:
            raise DataError(
                f"recording_pattern {pattern!r} is no regular expression: {error}"
            ) from error
        found = [search(row.audio.name) for row in rows]
        if not any(found):
            raise DataError(
                f"recording_pattern {pattern!r} is found in no path, such as {rows[0].audio.name!r}"
            )
        return [
            (match[1] if match.re.groups else match[0]) or row.audio.name
            if match
            else row.audio.name
            for match, row in zip(found, rows, strict=True)
        ]
    if recording == "file":
        return [row.audio.name for row in rows]
    return [row.recording or row.audio.name for row in rows]


def _refuse_untrained(
    rows: Sequence[Row], division: Division, names: Sequence[str], mistakes: Mistakes
) -> None:
    """Refuse classes of an official split that have no clip to train on."""
    train = next((fold for fold, name in division.names.items() if name == TRAIN), None)
    if train is None or mistakes:
        return
    trained = _trained(rows, division, train)
    for name in names:
        if name not in trained:
            row = next(row for row in rows if name in row.names)
            mistakes.add(
                row.where,
                f"class {shown(name)} has no clip in train; is it spelled in another way there?",
            )


def _trained(rows: Sequence[Row], division: Division, train: int) -> set[str]:
    held = zip(rows, division.folds, strict=True)
    return {name for row, fold in held if fold == train for name in row.names}


def _length(row: Row, header: Header) -> float:
    """Return the length of a row in seconds; 0.0 if it is not known."""
    end = header.seconds if row.end_s is None else row.end_s
    return max(0.0, end - (row.start_s or 0.0))


def _clip_length(lengths: Sequence[float]) -> float:
    """Return the 95th percentile of the known lengths, one that occurs, at most `LONGEST_S`."""
    known = sorted(filter(None, lengths))
    if not known:
        return LONGEST_S
    return min(LONGEST_S, known[math.ceil(len(known) * _PERCENT / 100) - 1])


def _parts(
    rows: Sequence[Row], lengths: Sequence[float], clip_s: float, longer: str
) -> list[list[_Part]]:
    parts = []
    for row, length in zip(rows, lengths, strict=True):
        start = row.start_s or 0.0
        whole = row.start_s is None and row.end_s is None
        name = row.audio.name if whole else f"{row.audio.name}@{_span(start, start + length)}"
        name = row.name or name
        if length <= clip_s:
            end = None if whole else row.end_s
            parts.append([_Part(name, row.audio, start, end)])
            continue
        count = 1
        if longer == "windows":
            count = max(1, math.floor(length / clip_s + 0.5 + 1e-9))
        parts.append([])
        for number in range(count):
            begin = start + number * clip_s
            stop = min(begin + clip_s, start + length)
            own_name = name if count == 1 else f"{row.name or row.audio.name}@{_span(begin, stop)}"
            parts[-1].append(_Part(own_name, row.audio, begin, stop))
    return parts


def _span(start: float, end: float) -> str:
    def text(time: float) -> str:
        return f"{round(time * _TIMES) / _TIMES:.6f}".rstrip("0").rstrip(".")

    return f"{text(start)}-{text(end)}s"


def _stamp(header: Header) -> tuple[int, int]:
    return header.size, header.time_ns


def _length_texts(
    lengths: Sequence[float],
    clip_s: float,
    parts: Sequence[Sequence[_Part]],
    longer: str,
    *,
    asked: bool,
) -> list[tuple[str, str]]:
    known = sorted(filter(None, lengths))
    if not known:
        return [("lengths", "unknown: no header can be read")]
    low, high = known[0], known[-1]
    middle = known[len(known) // 2]
    spread = f"{low:.3g} s" if low == high else f"{low:.3g} to {high:.3g} s, median {middle:.3g} s"
    long = sum(length > clip_s for length in lengths)
    ones = "1 longer one is" if long == 1 else f"{long} longer ones are"
    if not long:
        text = f"whole, {high:.4g} s"
        if low < high:
            text += " at most; shorter ones are padded by the model's input"
    else:
        rule = "as asked" if asked else f"{_PERCENT}th percentile of the lengths, 10 s at most"
        cut = sum(len(own) for own, length in zip(parts, lengths, strict=True) if length > clip_s)
        what = (
            f"{ones} cut into {cut} window{'s' * (cut > 1)}, rests under half a clip left out"
            if longer == "windows"
            else f"{ones} cut at the end"
        )
        text = f"{clip_s:.4g} s ({rule}): {what}; shorter ones are padded by the model's input"
    return [("lengths", spread), ("clips", text)]


def _rates_text(headers: dict[str, Header]) -> str:
    counts = Counter(header.rate_hz for header in headers.values())
    return ", ".join(
        f"{rate} Hz {count}" if rate else f"unreadable {count}"
        for rate, count in sorted(counts.items())
    )


def _recordings_text(
    recordings: Sequence[str], rows: Sequence[Row], listing: Listing, pattern: str
) -> str:
    count = len(set(recordings))
    if pattern:
        return f"{count}, by the pattern {pattern}"
    if recordings == [row.audio.name for row in rows]:
        return f"{count}, every file its own"
    return f"{count}, {listing.recordings_are or 'as the data set says'}"


def _official_texts(
    listing: Listing, rows: Sequence[Row], recordings: Sequence[str], division: Division
) -> list[tuple[str, str]]:
    """Say how much of an official list is here, and what its splits share."""
    if listing.absent is None:
        return []
    here = Counter(row.split for row in listing.rows)
    absent = Counter(split for split, _ in listing.absent)
    texts = []
    for split in sorted(here | absent, key=lambda split: (-(here + absent)[split], split)):
        total = here[split] + absent[split]
        texts.append(f"{split} {here[split]:,} of {total:,} clips here ({here[split] / total:.1%})")
    found = [("official list", ", ".join(texts))]
    if listing.absent:
        some = ", ".join(name for _, name in listing.absent[:3])
        found.append(("missing", f"{len(listing.absent):,} clips, such as {some}"))
    train = next((fold for fold, name in division.names.items() if name == TRAIN), None)
    names = {name for row in rows for name in row.names}
    untrained = [] if train is None else sorted(names - _trained(rows, division, train))
    if untrained:
        found.append(
            (
                "untrained",
                f"{len(untrained)} classes without a clip in train: {', '.join(untrained)}",
            )
        )
    folds: dict[str, set[int]] = defaultdict(set)
    for recording, fold in zip(recordings, division.folds, strict=True):
        folds[recording].add(fold)
    shared = [recording for recording, of in folds.items() if len(of) > 1]
    if shared:
        found.append(("shared", f"{len(shared)} recordings are in two splits, such as {shared[0]}"))
    return found


def _left_out(listing: Listing, tree: Tree) -> str:
    kinds: dict[str, list[str]] = defaultdict(list)
    for name in listing.left_out:
        kinds[name.rpartition(".")[2].lower() if "." in name else "no suffix"].append(name)
    texts, not_decoded = [], set(tree.not_decoded)
    for kind, names in sorted(kinds.items(), key=lambda item: -len(item[1])):
        why = ", not decoded by libsndfile (pip install av)" if names[0] in not_decoded else ""
        one = names[0] if len(names) == 1 else f"{len(names)} .{kind}, such as {names[0]}"
        texts.append(one + why)
    return "; ".join(texts) or "nothing"
