"""Official splits and folds of a data set, and folds that are made where it has none."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.data.layouts.rows import (
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
    Mistakes,
    Row,
    split_named,
)
from orchestrator.errors import DataError, shown, unknown

_NOTHING = ""
"""Stands for the class of clips in which nothing sounds, which are spread evenly too."""


@dataclass(frozen=True)
class Division:
    """Which clips are held out together.

    Attributes:
        folds: One number per row.
        names: Fold number -> name; "train" marks an official split.
        text: Where the division comes from, for the user.
        made: Whether it was made here.
    """

    folds: tuple[int, ...]
    names: dict[int, str]
    text: str
    made: bool = False


def divide(
    rows: Sequence[Row],
    recordings: Sequence[str],
    *,
    num_clips: Sequence[int],
    num_folds: int,
    given: Division | None,
    mistakes: Mistakes,
) -> Division:
    """Divide rows by the data set's own splits or folds, else into folds by recording.

    Args:
        rows: The data set's rows.
        recordings: Recording of each; one that is in two splits or folds is a mistake.
        num_clips: Clips that each row is cut into, by which folds are made of one size.
        num_folds: Number of folds to make where the data set has no division.
        given: The data set's own division, as `given_division` returns it.
        mistakes: Gets recordings that are in two splits or folds.

    Raises:
        DataError: There are too few recordings.
    """
    if given is None:
        labels = [row.names or (_NOTHING,) for row in rows]
        return make_folds(labels, recordings, num_clips=num_clips, num_folds=num_folds)
    _refuse_straddling(rows, recordings, given, mistakes)
    return given


def given_division(rows: Sequence[Row], mistakes: Mistakes) -> Division | None:
    """Return the data set's own splits, or else its own folds; None if it has neither.

    Args:
        rows: The data set's rows.
        mistakes: Gets the rows that lack a split or have none of a known name; the division is then
            not to be used.
    """
    return _official(rows, mistakes) or _given_folds(rows, mistakes)


def _official(rows: Sequence[Row], mistakes: Mistakes) -> Division | None:
    names = {row.split: split_named(row.split) for row in rows if row.split}
    if len(names) < 2:
        return None
    as_folds = "or take the splits for folds: --dataset folder:fold=COLUMN"
    known = [name for of_split in SPLITS.values() for name in of_split if len(name) > 3]
    for row in rows:
        if not row.split:
            mistakes.add(
                row.where, "the split is blank; give every clip one of train, validation, test"
            )
    strange = [row for row in rows if row.split and not names[row.split]]
    for name, count in Counter(row.split for row in strange).items():
        where = next(row.where for row in strange if row.split == name)
        mistakes.add(
            where,
            f"{unknown('split', name, known)}, of {count} clips; give it one of these names, or a "
            f"usual short form of it, {as_folds}",
        )
    if all(names.values()) and TRAIN not in names.values():
        mistakes.add(
            rows[0].where,
            f"the splits are {', '.join(map(shown, sorted(names)))}, and none is train; name the "
            f"one to train on train, {as_folds}",
        )
    present = [split for split in (TRAIN, VALIDATION, TEST) if split in names.values()]
    if len(present) < 2:
        return None
    number = {split: place for place, split in enumerate(present)}
    reported = TEST if TEST in number else VALIDATION
    return Division(
        tuple(number.get(names.get(row.split, ""), 0) for row in rows),
        {place: split for split, place in number.items()},
        f"official {', '.join(present)}; {reported} is reported, --folds {number[reported]}",
    )


def _given_folds(rows: Sequence[Row], mistakes: Mistakes) -> Division | None:
    names = {row.fold for row in rows if row.fold}
    if not names:
        return None
    for row in rows:
        if not row.fold:
            mistakes.add(row.where, "the fold is blank; give every clip a fold")
    if all(re.fullmatch(r"[0-9]{1,9}", name) for name in names):
        number = {name: int(name) for name in names}
        if len(set(number.values())) < len(names):
            number = {name: place for place, name in enumerate(sorted(names), start=1)}
    else:
        ordered = sorted(names, key=lambda n: [(len(p), p) for p in re.split(r"(\d+)", n)])
        number = {name: place for place, name in enumerate(ordered, start=1)}
    return Division(
        tuple(number.get(row.fold, 0) for row in rows),
        {number[name]: name for name in sorted(names, key=lambda name: number[name])},
        "of the data set",
    )


def _refuse_straddling(
    rows: Sequence[Row], recordings: Sequence[str], division: Division, mistakes: Mistakes
) -> None:
    first: dict[str, tuple[int, Row]] = {}
    reported: set[str] = set()
    for row, recording, fold in zip(rows, recordings, division.folds, strict=True):
        other, earlier = first.setdefault(recording, (fold, row))
        if other != fold and recording not in reported:
            reported.add(recording)
            mistakes.add(
                row.where,
                f"recording {shown(recording)} is in {division.names[fold]} here and in "
                f"{division.names[other]} in {earlier.where}, so a model could know it by heart; "
                "keep it in one, or take every file for a recording of its own: "
                "--dataset folder:recording=file",
            )


def make_folds(
    labels: Sequence[Sequence[str]],
    recordings: Sequence[str],
    *,
    num_clips: Sequence[int],
    num_folds: int,
) -> Division:
    """Deal recordings to folds so that every class is spread as evenly as it can be.

    Recordings come in the order of their size, equal ones in that of the digest of their name, and
    each goes to the fold that has the smallest share of its classes so far. The order of the list
    does not matter.

    Args:
        labels: Classes of each row.
        recordings: Recording of each row.
        num_clips: Clips that each row is cut into.
        num_folds: Number of folds, numbered from 1.

    Raises:
        DataError: There are fewer recordings than folds.
    """
    of: dict[str, Counter[str]] = defaultdict(Counter)
    totals: Counter[str] = Counter()
    for names, recording, count in zip(labels, recordings, num_clips, strict=True):
        for name in names:
            of[recording][name] += count
            totals[name] += count
    if len(of) < num_folds:
        raise DataError(
            f"{len(of)} recordings cannot be dealt to {num_folds} folds; give fewer, "
            f"for example --dataset folder:num_folds={max(2, len(of))}, or more recordings"
        )
    held: list[Counter[str]] = [Counter() for _ in range(num_folds)]
    sizes = [0] * num_folds
    place: dict[str, int] = {}
    ordered = sorted(of, key=lambda r: (-of[r].total(), hashlib.sha256(r.encode()).digest()))
    for recording in ordered:
        counts = of[recording]

        def share(fold: int, counts: Counter[str] = counts) -> tuple[float, int, int]:
            own = sum(n * held[fold][label] / totals[label] for label, n in counts.items())
            return own, sizes[fold], fold

        best = min(range(num_folds), key=share)
        held[best] += counts
        sizes[best] += counts.total()
        place[recording] = best + 1
    lacking = sum(not one[label] for one in held for label in totals if label != _NOTHING)
    text = f"made here: {num_folds} by recording, every class spread evenly"
    if lacking:
        text += f" ({lacking} times a fold lacks a class, which has too few recordings)"
    return Division(
        tuple(place[recording] for recording in recordings),
        {fold: str(fold) for fold in range(1, num_folds + 1)},
        text,
        made=True,
    )
