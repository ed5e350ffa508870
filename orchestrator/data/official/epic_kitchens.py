"""EPIC-KITCHENS-100 (Damen et al., IJCV 2021): actions as a verb and a noun, cut out of videos.

https://github.com/epic-kitchens/epic-kitchens-100-annotations. The test split has no public labels,
so "test" in papers is the validation split. A class is `verb_class` or `noun_class`: `verb` and
`noun` have many spellings of one class. Segments of one video overlap.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.data.layouts.lists import rows_with
from orchestrator.data.layouts.rows import Mistakes
from orchestrator.data.official import Counted, Line, absent
from orchestrator.errors import shown

TITLE = "EPIC-KITCHENS-100"
FILES = (
    "epic_kitchens_100/EPIC_100_validation.csv",
    "epic_kitchens_100/EPIC_100_verb_classes.csv",
    "epic_kitchens_100/EPIC_100_noun_classes.csv",
)
TRAIN = "epic_kitchens_100/EPIC_100_train.csv"
_COLUMNS = (
    *("narration_id", "participant_id", "video_id", "start_timestamp", "stop_timestamp"),
    *("verb_class", "noun_class", "all_noun_classes"),
)
_TIME = re.compile(r"(?P<h>\d+):(?P<m>[0-5]\d):(?P<s>[0-5]\d(\.\d+)?)", re.ASCII)
_BY, _AUTHORS = "DATAR, section 3", "Damen et al. 2021"
_LONG_S = 10.0


@dataclass(frozen=True)
class Segment:
    """A narrated action.

    Attributes:
        line: Its line in the list.
        name: `narration_id`, such as "P01_11_0".
        participant: Whose kitchen it is.
        video: `video_id`, such as "P01_11".
        start_s: Start in the video.
        end_s: End in the video.
        verb: `verb_class`.
        noun: `noun_class`, the first of all its nouns.
        num_nouns: Nouns of the narration.
    """

    line: int
    name: str
    participant: str
    video: str
    start_s: float
    end_s: float
    verb: int
    noun: int
    num_nouns: int


def count(folder: Path) -> Counted:
    """Count segments and classes, and what is odd about the segments."""
    verbs, nouns = (read_classes(folder / file) for file in FILES[1:])
    held = read_segments(folder / FILES[0], verbs, nouns)
    train = None
    if (folder / TRAIN).is_file():
        train = read_segments(folder / TRAIN, verbs, nouns)
    videos = {one.video for one in held}
    lengths = sorted(one.end_s - one.start_s for one in held)
    lacking = "mean class accuracy skips the other"
    lines = (
        Line("validation segments", len(held), 9668, _BY, 'DATAR\'s "test", nothing left out'),
        Line(
            "training segments",
            None if train is None else len(train),
            67217,
            _BY,
            absent(train, TRAIN),
        ),
        Line("verb classes", len(verbs), 97, _BY),
        Line("noun classes", len(nouns), 300, _AUTHORS),
        Line("noun classes", len(nouns), 293, _BY, "DATAR removes nouns without training segment"),
        *_present("verb", len(verbs), len({one.verb for one in held}), lacking),
        *_present("noun", len(nouns), len({one.noun for one in held}), lacking),
        Line(
            "actions (verb and noun) with a validation segment",
            len({(one.verb, one.noun) for one in held}),
        ),
        Line("videos of validation", len(videos)),
        Line(
            *("validation segments of several nouns", sum(one.num_nouns > 1 for one in held)),
            remark="noun_class is the first",
        ),
        Line(
            *("validation segments that begin before an earlier one ends", _overlapping(held)),
            remark="they share audio",
        ),
        Line("seconds of a validation segment", f"{lengths[0]:.2f} to {lengths[-1]:.0f}"),
        Line(
            f"validation segments over {_LONG_S:g} s",
            sum(length > _LONG_S for length in lengths),
        ),
    )
    per_class = {
        "verb": Counter(f"verb {verbs[one.verb]}" for one in held),
        "noun": Counter(f"noun {nouns[one.noun]}" for one in held),
    }
    return Counted(lines, per_class)


def read_classes(path: Path) -> list[str]:
    """Return the names of verb or noun classes in the order of their numbers.

    Raises:
        DataError: A line is out of order or has no name; names every such line.
    """
    mistakes = Mistakes(path)
    names: list[str] = []
    for number, row in rows_with(path, ("id", "key")):
        if row["id"] != str(len(names)) or not row["key"].strip() or row["key"] in names:
            mistakes.add(
                f"line {number}",
                f"id {shown(row['id'])} of {shown(row['key'])} is out of order, or the key is "
                "blank or there twice",
            )
            continue
        names.append(row["key"])
    mistakes.refuse()
    return names


def read_segments(path: Path, verbs: Sequence[str], nouns: Sequence[str]) -> list[Segment]:
    """Return the segments of `EPIC_100_train.csv` or `EPIC_100_validation.csv`.

    Args:
        path: The list.
        verbs: Names of the verb classes.
        nouns: Names of the noun classes.

    Raises:
        DataError: A line has no times, an unknown class, or a name that is there twice; names every
            such line.
    """
    mistakes = Mistakes(path)
    segments: list[Segment] = []
    seen: set[str] = set()
    for number, row in rows_with(path, _COLUMNS):
        where = f"line {number}"
        start, end = (_seconds(row[key]) for key in ("start_timestamp", "stop_timestamp"))
        if start is None or end is None or end <= start:
            mistakes.add(
                where,
                f"from {shown(row['start_timestamp'])} to {shown(row['stop_timestamp'])} is no "
                "segment; times are hours:minutes:seconds",
            )
            continue
        classes = []
        for key, names in (("verb_class", verbs), ("noun_class", nouns)):
            value = row[key]
            if not value.isdecimal() or int(value) >= len(names):
                mistakes.add(where, f"{key} {shown(value)} is none of 0 to {len(names) - 1}")
            classes.append(int(value) if value.isdecimal() else 0)
        if row["narration_id"] in seen:
            mistakes.add(where, f"narration_id {shown(row['narration_id'])} is there twice")
        seen.add(row["narration_id"])
        place = (row["narration_id"], row["participant_id"], row["video_id"])
        num_nouns = row["all_noun_classes"].count(",") + 1
        segments.append(Segment(number, *place, start, end, classes[0], classes[1], num_nouns))
    mistakes.refuse()
    return segments


def _seconds(text: str) -> float | None:
    match = _TIME.fullmatch(text.strip())
    return int(match["h"]) * 3600 + int(match["m"]) * 60 + float(match["s"]) if match else None


def _present(what: str, known: int, found: int, remark: str) -> tuple[Line, ...]:
    more = known - found
    return (Line(f"{what}s with a validation segment", found, remark=f"{remark} {more}"),)


def _overlapping(segments: Sequence[Segment]) -> int:
    until: dict[str, float] = {}
    found = 0
    for one in sorted(segments, key=lambda one: (one.video, one.start_s, one.end_s)):
        found += one.start_s < until.get(one.video, 0.0)
        until[one.video] = max(until.get(one.video, 0.0), one.end_s)
    return found
