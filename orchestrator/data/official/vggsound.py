"""VGGSound (Chen et al., ICASSP 2020): 309 classes of 10 s of YouTube, one label each.

`train.csv` and `test.csv` have no header, name clips `{video}_{start:06d}.mp4`, and labels hold
commas. `stat.csv` has the clips of each class in both. Another list, `vggsound.csv`, has video,
start, label and split in columns, and 291 clips more than these (hche11/VGGSound issue 19).
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.data.layouts.lists import read_text
from orchestrator.data.layouts.rows import Mistakes
from orchestrator.data.official import Counted, Line, absent, spread
from orchestrator.errors import shown

TITLE = "VGGSound"
FILES = ("vggsound/test.csv", "vggsound/stat.csv")
TRAIN, WHOLE = "vggsound/train.csv", "vggsound/vggsound.csv"
_CLIP = re.compile(r"(?P<video>[\w-]{11})_(?P<start>[0-9]{6})\.mp4", re.ASCII)
_VIDEO = re.compile(r"[\w-]{11}", re.ASCII)
_SPLITS = ("train", "test")
_BY = "DATAR, section 3"


@dataclass(frozen=True)
class Listed:
    """A line of a list.

    Attributes:
        line: Its number in the list.
        video: YouTube's id.
        start_s: Start in the video, whole seconds.
        label: Its class.
        split: "train" or "test"; "" in a list of one split.
    """

    line: int
    video: str
    start_s: int
    label: str
    split: str = ""


def count(folder: Path) -> Counted:
    """Count the test split, and the training split as the rest of each class's total."""
    test = Counter(clip.label for clip in read_clips(folder / FILES[0]))
    mistakes = Mistakes(folder / FILES[1])
    total: Counter[str] = Counter()
    for number, row in _rows(folder / FILES[1]):
        if len(row) < 2 or not row[1].isdecimal():
            mistakes.add(f"line {number}", f"{shown(row)} is no label, clips, group")
            continue
        total[row[0]] += int(row[1])
    for label in test:
        if label not in total:
            mistakes.add("", f"class {shown(label)} of test.csv is not in this list")
    mistakes.refuse()
    train = total - test
    listed, whole = (
        len(read_clips(folder / file)) if (folder / file).is_file() else None
        for file in (TRAIN, WHOLE)
    )
    kept = 'DATAR has {:.1%} of the official clips, "after removing invalid audio data"'
    lines = (
        Line("test clips", test.total(), 15446, "hche11/VGGSound"),
        Line("test clips", test.total(), 12790, _BY, kept.format(12790 / test.total())),
        Line("classes", len(total), 309, _BY),
        Line("classes with test clips", len(test), 309, _BY),
        Line("clips in both splits", total.total(), 199176, "hche11/VGGSound issue 19"),
        Line("training clips", train.total(), 159223, _BY, kept.format(159223 / train.total())),
        Line("lines of train.csv", listed, 183730, "stat.csv less test.csv", absent(listed, TRAIN)),
        Line(
            "lines of vggsound.csv", whole, 199467, "hche11/VGGSound issue 19", absent(whole, WHOLE)
        ),
        Line("test clips a class", spread(test)),
        Line("clips a class in both splits", spread(total)),
    )
    return Counted(lines, {"test": test, "train": train})


def read_clips(path: Path) -> list[Listed]:
    """Return the clips of `train.csv`, `test.csv` or `vggsound.csv`.

    Raises:
        DataError: A line is no clip and label, or a clip is there twice; names every such line.
    """
    mistakes = Mistakes(path)
    clips: list[Listed] = []
    seen: set[tuple[str, int]] = set()
    for number, row in _rows(path):
        clip = _clip(number, row)
        if clip is None:
            mistakes.add(
                f"line {number}",
                f"{shown(','.join(row))} is no VIDEO_SECONDS.mp4,label and no "
                "VIDEO,SECONDS,label,split; labels with commas need quotes",
            )
            continue
        if (clip.video, clip.start_s) in seen:
            mistakes.add(f"line {number}", f"{shown(row[0])} is there twice")
        seen.add((clip.video, clip.start_s))
        clips.append(clip)
    mistakes.refuse()
    return clips


def begins(path: Path) -> bool:
    """Whether the first line of a csv is a clip of a list of VGGSound."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _clip(1, next(csv.reader(file), [])) is not None
    except (OSError, UnicodeDecodeError, csv.Error):
        return False


def _clip(line: int, row: list[str]) -> Listed | None:
    match = _CLIP.fullmatch(row[0]) if len(row) == 2 else None
    if match and row[1].strip():
        return Listed(line, match["video"], int(match["start"]), row[1].strip())
    if len(row) == 4 and row[1].isdecimal() and row[2].strip() and row[3] in _SPLITS:
        if _VIDEO.fullmatch(row[0]):
            return Listed(line, row[0], int(row[1]), row[2].strip(), row[3])
    return None


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    return ((reader.line_num, row) for row in reader if row)
