"""AudioSet (Gemmeke et al., ICASSP 2017): 10 s of YouTube, 527 classes, several a segment.

https://research.google.com/audioset/download.html. Google's lists begin with three lines of `#` and
have a blank after each comma; common copies have a header and no blanks. Videos may begin with `-`.
Labels are ids of the ontology, and `class_labels_indices.csv` has their order and names.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.data.layouts.lists import read_text
from orchestrator.data.layouts.rows import Mistakes, seconds
from orchestrator.data.official import Counted, Line, absent, spread
from orchestrator.errors import shown

TITLE = "AudioSet"
FILES = (
    "audioset/class_labels_indices.csv",
    "audioset/balanced_train_segments.csv",
    "audioset/eval_segments.csv",
)
UNBALANCED = "audioset/unbalanced_train_segments.csv"
_BY, _GOOGLE = "HTS-AT, section 3.1", "AudioSet's download page"
_USUAL_S, _ROUNDING_S = 10.0, 1e-6
_VIDEO = re.compile(r"[\w-]{11}", re.ASCII)


@dataclass(frozen=True)
class Segment:
    """A line of a list of segments.

    Attributes:
        line: Its number in the list, from 1.
        video: YouTube's id.
        start_s: Start in the video.
        end_s: End in the video.
        labels: Ids of the ontology, such as "/m/09x0r".
    """

    line: int
    video: str
    start_s: float
    end_s: float
    labels: tuple[str, ...]


def count(folder: Path) -> Counted:
    """Count segments and labels by split and class."""
    names = read_classes(folder / FILES[0])
    balanced, evaluation = (read_segments(folder / file, names) for file in FILES[1:])
    full = None
    if (folder / UNBALANCED).is_file():
        full = len(balanced) + len(read_segments(folder / UNBALANCED, names))
    per_class = {
        split: Counter(names[label] for segment in segments for label in segment.labels)
        for split, segments in (("balanced", balanced), ("evaluation", evaluation))
    }
    both = {one.video for one in balanced} & {one.video for one in evaluation}
    lines = (
        Line("classes", len(names), 527, _BY),
        Line("balanced training segments", len(balanced), 22160, _GOOGLE),
        Line("evaluation segments", len(evaluation), 20371, _GOOGLE),
        Line(
            *("evaluation segments", len(evaluation), "22K", _BY),
            f"22K is about the balanced training segments, {len(balanced):,}",
        ),
        Line(
            "balanced and unbalanced training segments",
            full,
            2063949,
            _GOOGLE,
            absent(full, UNBALANCED),
        ),
        *(
            Line(f"{split} classes with a segment", len(counts), 527, _BY)
            for split, counts in per_class.items()
        ),
        *(Line(f"{split} segments a class", spread(counts)) for split, counts in per_class.items()),
        *(
            Line(f"{split} labels a segment", f"{per_class[split].total() / len(segments):.2f}")
            for split, segments in (("balanced", balanced), ("evaluation", evaluation))
        ),
        Line("balanced segments that are not 10 s", _unusual(balanced)),
        Line("evaluation segments that are not 10 s", _unusual(evaluation)),
        Line("videos in both splits", len(both), 0, _GOOGLE),
    )
    return Counted(lines, per_class)


def read_classes(path: Path) -> dict[str, str]:
    """Return id -> name of the classes, in the order of their numbers.

    Raises:
        DataError: A line has no number, id and name, or is out of order; names every such line.
    """
    mistakes = Mistakes(path)
    names: dict[str, str] = {}
    for number, row in enumerate(_rows(path), start=1):
        if row == ["index", "mid", "display_name"]:
            continue
        if len(row) != 3 or row[0] != str(len(names)) or not row[2].strip() or row[1] in names:
            mistakes.add(
                f"line {number}", f"{shown(','.join(row))} is no index,mid,display_name in order"
            )
            continue
        names[row[1]] = row[2].strip()
    mistakes.refuse()
    return names


def read_segments(path: Path, classes: Sequence[str] | dict[str, str]) -> list[Segment]:
    """Return the segments of a list in either of its two forms.

    Args:
        path: The list.
        classes: Ids that are labels.

    Raises:
        DataError: A line is no segment, has an unknown label, or repeats a video; names every such
            line.
    """
    mistakes = Mistakes(path)
    segments: list[Segment] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(_rows(path), start=1):
        if not row or row[0].startswith("#") or row[0] == "YTID":
            continue
        where = f"line {number}"
        start, end = (seconds(text) for text in row[1:3]) if len(row) == 4 else (None, None)
        if start is None or end is None or end <= start or not _VIDEO.fullmatch(row[0]):
            mistakes.add(
                where,
                f"{shown(','.join(row))} is no YTID,start_seconds,end_seconds,positive_labels",
            )
            continue
        labels = tuple(dict.fromkeys(label.strip() for label in row[3].split(",")))
        for label in labels:
            if label not in classes:
                mistakes.add(where, f"label {shown(label)} is none of the {len(classes)} classes")
        if seen.setdefault(row[0], number) != number:
            mistakes.add(where, f"video {shown(row[0])} is in line {seen[row[0]]} too")
        segments.append(Segment(number, row[0], start, end, labels))
    mistakes.refuse()
    return segments


def _rows(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(read_text(path), newline=""), skipinitialspace=True))


def _unusual(segments: Sequence[Segment]) -> int:
    lengths = (segment.end_s - segment.start_s for segment in segments)
    return sum(abs(length - _USUAL_S) > _ROUNDING_S for length in lengths)
