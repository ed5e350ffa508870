"""From labels as lists write them to one kind of targets for all clips of a data set.

Several labels of a clip stand in a list, in one text with a separator, in columns of 0 and 1, or in
lines that repeat the clip; events have an onset and an offset besides. Without being asked for, a
text is taken apart only if its parts are labels of other clips too, for names have commas as well.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.data.layouts.lists import in_seconds, named
from orchestrator.data.layouts.rows import (
    Asked,
    ListedEvent,
    ListedLabel,
    Mistakes,
    Row,
    check_label,
    name_of,
    seconds,
)
from orchestrator.errors import DataError, shown, unknown
from orchestrator.metrics.labels import TargetKind

SEPARATORS = {"semicolon": ";", "bar": "|", "comma": ",", "space": " ", "none": ""}
"""Names of separators: a comma would end an argument on the command line."""
_TRIED = {
    "bar": re.compile(r"\|"),
    "semicolon": re.compile(r";"),
    "comma": re.compile(r",(?!\s)"),
    "comma and a blank": re.compile(r",\s+"),
}
_FEW = 0.05
"""Share of clips with several labels below which they may be mistakes."""


def listed_label(
    value: Any, *, class_names: Sequence[str] = (), where: str, mistakes: Mistakes
) -> ListedLabel | None:
    """Return a label as it is listed; None after a mistake.

    Args:
        value: A text, a number, or a list of them, also as JSON in a text; or a list of events,
            each a mapping with label, onset and offset, or these three in order.
        class_names: Names of labels that are numbers.
        where: File and line, for the mistake.
        mistakes: Gets it.
    """
    if isinstance(value, str) and value.strip()[:1] == "[" and value.strip()[-1:] == "]":
        with contextlib.suppress(ValueError, SyntaxError, RecursionError):
            value = _list_in(value.strip())
    if not isinstance(value, list | tuple):
        return _one(value, class_names, where, mistakes)
    found = [_entry(entry, class_names, where, mistakes) for entry in value]
    entries = tuple(entry for entry in found if entry is not None)
    return entries if len(entries) == len(found) else None


def _list_in(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return ast.literal_eval(text)


def _one(value: Any, class_names: Sequence[str], where: str, mistakes: Mistakes) -> str | None:
    if isinstance(value, dict | list | tuple):
        mistakes.add(where, f"the label is {shown(value)}; give a text or a number")
        return None
    if class_names and type(value) is int:
        if not 0 <= value < len(class_names):
            mistakes.add(
                where,
                f"label {value} is none of the {len(class_names)} named classes, which are "
                "numbered from 0; correct it, or name its class too",
            )
            return None
        value = class_names[value]
    label = text_of(value)
    check_label(label, where, mistakes)
    return label if label else None


def _entry(
    value: Any, class_names: Sequence[str], where: str, mistakes: Mistakes
) -> str | ListedEvent | None:
    if isinstance(value, Mapping):
        keys = [str(key) for key in value]
        places = [named(keys, meaning)[:1] for meaning in ("label", "start", "end")]
        if not all(places):
            mistakes.add(
                where,
                f"{shown(value)} is no event; give an object with label, onset and offset in s",
            )
            return None
        value = [in_seconds(value[place[0]], place[0]) for place in places]
    if isinstance(value, list | tuple):
        if len(value) != 3:
            mistakes.add(where, f"{shown(value)} is no event; give label, onset and offset")
            return None
        label = _one(value[0], class_names, where, mistakes)
        return None if label is None else event(label, *value[1:], where=where, mistakes=mistakes)
    return _one(value, class_names, where, mistakes)


def event(
    label: str, onset: Any, offset: Any, *, where: str, mistakes: Mistakes
) -> ListedEvent | None:
    """Return an event; None after a mistake.

    Args:
        label: Name of its class.
        onset: Its start in seconds, a number or a text.
        offset: Its end.
        where: File and line.
        mistakes: Gets the mistake.
    """
    onset_s, offset_s = seconds(text_of(onset)), seconds(text_of(offset))
    if onset_s is None or offset_s is None:
        mistakes.add(
            where,
            f"an event from {shown(onset)} to {shown(offset)} has no times; give onset and offset "
            "in seconds",
        )
        return None
    if offset_s <= onset_s:
        mistakes.add(
            where,
            f"the event {shown(label)} from {onset_s:g} to {offset_s:g} s has no length; give an "
            "offset after its onset, or remove it",
        )
        return None
    return ListedEvent(label, onset_s, offset_s, where)


def text_of(value: Any) -> str:
    """Return a value of a list as text: "" for none, and whole numbers without a point."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()


def settled(
    rows: Sequence[Row], asked: Asked, mistakes: Mistakes
) -> tuple[list[Row], TargetKind, str]:
    """Return rows whose labels are of one kind, one row per stretch of audio.

    Args:
        rows: As a layout lists them: a stretch may be there once per label or event.
        asked: The kind and the separator, if the user says them.
        mistakes: Gets labels that differ in case only, and lines that contradict each other.

    Returns:
        The rows, the kind of targets, and how several labels were told apart, in words.

    Raises:
        DataError: The kind or the separator does not exist, or does not fit.
    """
    kinds = [str(kind) for kind in TargetKind]
    if asked.targets and asked.targets not in kinds:
        raise DataError(unknown("kind of targets", asked.targets, kinds))
    taken, how = _taken_apart(rows, asked, mistakes)
    _refuse_spellings(taken, mistakes)
    taken = _alike(taken, asked, mistakes)
    if asked.targets == TargetKind.SINGLE_LABEL:
        bare = sum(not row.label for row in taken)
        how = f"{bare} in which nothing sounds left out" if bare else how
        taken = [segment for row in taken for segment in _segments(row, mistakes)]
    taken, repeated = _merged(taken, asked, mistakes)
    kind = _kind(taken)
    if asked.targets == TargetKind.EVENTS and kind is not TargetKind.EVENTS and not mistakes:
        raise DataError(
            "targets=events was asked for, and no label has an onset and an offset; name their "
            "columns: --dataset folder:start=COLUMN,end=COLUMN"
        )
    if asked.targets == TargetKind.MULTI_LABEL:
        kind = TargetKind.MULTI_LABEL  # times say in which windows a class is, and are dropped then
    return taken, kind, how or ("one line per label" if repeated else "")


def _taken_apart(rows: Sequence[Row], asked: Asked, mistakes: Mistakes) -> tuple[list[Row], str]:
    """Split labels that are several in one text."""
    if asked.separator == "none":
        return list(rows), ""
    if asked.separator:
        if asked.separator not in SEPARATORS:
            raise DataError(unknown("separator", asked.separator, SEPARATORS))
        mark = SEPARATORS[asked.separator]
        pattern = re.compile(r"\s+" if mark == " " else re.escape(mark))
        return _split(rows, pattern, mistakes), f"separated by a {asked.separator}, as asked"
    texts = Counter(row.label for row in rows if isinstance(row.label, str))
    for name, pattern in _TRIED.items():
        several = {text: pattern.split(text) for text in texts if pattern.search(text)}
        if not several:
            continue
        known = Counter(part.strip() for text in texts for part in set(pattern.split(text)))
        recur = [
            text for text, parts in several.items() if all(known[p.strip()] > 1 for p in parts)
        ]
        likely = [t for t, parts in several.items() if any(known[p.strip()] > 1 for p in parts)]
        clips = sum(texts[text] for text in several)
        often = clips >= _FEW * len(rows) or asked.targets == TargetKind.MULTI_LABEL
        if often and 2 * len(recur) > len(several):
            return _split(rows, pattern, mistakes), f"separated by a {name}"
        if likely and (recur or name != "comma and a blank"):
            text = (recur or likely)[0]
            row = next(row for row in rows if row.label == text)
            flag = name.partition(" ")[0]
            mistakes.add(
                row.where,
                f"label {shown(text)} looks like {len(several[text])} labels, as {clips} of "
                f"{len(rows)} clips have; say which it is:\n      several labels of one clip: "
                f"--dataset folder:separator={flag}\n      the name of one class: --dataset "
                "folder:separator=none\n      a mistake: keep one label",
            )
            return list(rows), ""
    return list(rows), ""


def _split(rows: Sequence[Row], pattern: re.Pattern[str], mistakes: Mistakes) -> list[Row]:
    found = []
    for row in rows:
        if isinstance(row.label, str):
            parts = tuple(dict.fromkeys(part.strip() for part in pattern.split(row.label)))
            if not all(parts):
                mistakes.add(
                    row.where,
                    f"one of the labels in {shown(row.label)} is empty; remove the separator that "
                    "has none beside it",
                )
            row = replace(row, label=tuple(filter(None, parts)))
        found.append(row)
    return found


def _refuse_spellings(rows: Sequence[Row], mistakes: Mistakes) -> None:
    """Refuse labels that differ in case or blanks only; the rarer one is named as the mistake."""
    wheres: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for entry in (row.label,) if isinstance(row.label, str) else row.label:
            wheres[name_of(entry)].append(getattr(entry, "where", "") or row.where)
    alike: dict[str, list[str]] = defaultdict(list)
    for name in wheres:
        alike[" ".join(name.lower().split())].append(name)
    for names in alike.values():
        usual, *others = sorted(names, key=lambda name: -len(wheres[name]))
        for name in others:
            mistakes.add(
                wheres[name][0],
                f"label {shown(name)} differs from {shown(usual)} in {wheres[usual][0]} in case or "
                "blanks only; write both alike",
            )


def _alike(rows: list[Row], asked: Asked, mistakes: Mistakes) -> list[Row]:
    """Return rows that list their labels alike: one name each, or a tuple each."""
    texts = [row for row in rows if isinstance(row.label, str)]
    lists = [row for row in rows if not isinstance(row.label, str)]
    if not lists:
        return rows
    if texts and asked.targets in ("", TargetKind.SINGLE_LABEL):
        (odd, *_), (usual, *_) = sorted((texts, lists), key=len)
        mistakes.add(
            odd.where,
            f"has {_form(odd)}, and {usual.where} has {_form(usual)}; a clip has one label or "
            'several, so write all alike, ["dog"] in place of "dog", or say that it has several: '
            "--dataset folder:targets=multi_label",
        )
        return rows
    alone = asked.targets != TargetKind.MULTI_LABEL and all(
        len(row.label) == 1 and isinstance(row.label[0], str) for row in lists
    )
    if alone:  # lists of one label each say no more than the label
        return [replace(row, label=row.names[0]) for row in rows]
    return [replace(r, label=(r.label,)) if isinstance(r.label, str) else r for r in rows]


def _form(row: Row) -> str:
    if isinstance(row.label, str):
        return f"one label, {shown(row.label)}"
    return f"a list of {len(row.label)} labels"


def _segments(row: Row, mistakes: Mistakes) -> list[Row]:
    """Return a row with one label per clip: a segment for each event."""
    if isinstance(row.label, str):
        return [row]
    timed = [entry for entry in row.label if isinstance(entry, ListedEvent)]
    if len(timed) < len(row.label) and (timed or len(row.label) > 1):
        mistakes.add(
            row.where,
            f"{len(row.label)} labels, {', '.join(map(shown, row.names))}, and "
            "targets=single_label was asked for; a clip has one label",
        )
        return []
    if not timed:
        return [replace(row, label=name_of(entry)) for entry in row.label]
    return [
        replace(
            row,
            where=one.where or row.where,
            label=one.label,
            recording=row.recording or row.audio.name,
            start_s=one.onset_s,
            end_s=one.offset_s,
        )
        for one in timed
    ]


def _kind(rows: Sequence[Row]) -> TargetKind:
    kind = TargetKind.SINGLE_LABEL
    for row in rows:
        if isinstance(row.label, tuple):
            kind = TargetKind.MULTI_LABEL
            if any(isinstance(entry, ListedEvent) for entry in row.label):
                return TargetKind.EVENTS
    return kind


def _merged(rows: Sequence[Row], asked: Asked, mistakes: Mistakes) -> tuple[list[Row], bool]:
    """Return one row per stretch of audio, and whether a stretch was listed more than once."""
    stretches: dict[tuple[str, str, float | None, float | None], list[Row]] = defaultdict(list)
    for row in rows:
        stretches[row.name, row.audio.name, row.start_s, row.end_s].append(row)
    differing = sum(len({row.label for row in of}) > 1 for of in stretches.values())
    one_label = asked.targets == TargetKind.SINGLE_LABEL or (
        not asked.targets and differing < _FEW * len(stretches)
    )
    found = []
    for of in stretches.values():
        if not one_label:
            of = [replace(r, label=(r.label,)) if isinstance(r.label, str) else r for r in of]
        found.append(_united(of, mistakes))
    return found, len(stretches) < len(rows)


def _united(rows: Sequence[Row], mistakes: Mistakes) -> Row:
    """Return the lines of one stretch as one row."""
    first, *others = rows
    if isinstance(first.label, str):
        for row in others:
            _refuse_repeated(row, first, mistakes)
        return first
    entries = {entry: first.where for entry in first.label}
    for row in others:
        _refuse_disagreeing(row, first, mistakes)
        for entry in row.label:
            assert not isinstance(row.label, str), "a stretch is listed in one form"
            if entry in entries:
                what = "this event" if isinstance(entry, ListedEvent) else f"label {shown(entry)}"
                mistakes.add(
                    row.where,
                    f"{shown(row.audio.name)} is listed twice with {what}, first in "
                    f"{entries[entry]}",
                )
            entries[entry] = row.where
    weak = next((entry for entry in entries if isinstance(entry, str)), None)
    if weak is not None and any(isinstance(entry, ListedEvent) for entry in entries):
        mistakes.add(
            entries[weak],
            f"label {shown(weak)} of {shown(first.audio.name)} has no times, and other events of "
            "the clip have; give onset and offset of all, or of none",
        )
    return replace(first, label=tuple(entries))


def _refuse_repeated(row: Row, first: Row, mistakes: Mistakes) -> None:
    """Refuse a second line of a stretch that has one label."""
    where = f"first in {first.where}" if first.where != row.where else "too"
    name = shown(row.audio.name)
    if first.label == row.label:
        mistakes.add(row.where, f"{name} is listed twice, {where}")
    else:
        mistakes.add(
            row.where,
            f"{name} is {shown(row.label)} here and {shown(first.label)} {where}; correct it if a "
            "clip has one label, or say that it has several: --dataset folder:targets=multi_label",
        )


def _refuse_disagreeing(row: Row, first: Row, mistakes: Mistakes) -> None:
    """Refuse two lines of one stretch that cannot both be true."""
    for what in ("split", "fold", "recording"):
        here, there = getattr(row, what), getattr(first, what)
        if here != there:
            mistakes.add(
                row.where,
                f"{shown(row.audio.name)} has the {what} {shown(here)} here and {shown(there)} in "
                f"{first.where}; all lines of a clip must agree",
            )
    if not row.label or not first.label:
        mistakes.add(
            row.where,
            f"{shown(row.audio.name)} is listed twice, first in {first.where}, and one line says "
            "that nothing sounds in it; keep the right one",
        )
