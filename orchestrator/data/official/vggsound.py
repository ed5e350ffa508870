"""VGGSound (Chen et al., ICASSP 2020): 309 classes of 10 s of YouTube, one label each.

`test.csv` has no header, names clips `{video}_{start:06d}.mp4`, and labels hold commas.
`stat.csv` has the clips of each class in both splits; `train.csv` has the rest. Another list,
`vggsound.csv`, has 291 clips more than these (hche11/VGGSound issue 19).
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from pathlib import Path

from orchestrator.data.layouts.lists import read_text
from orchestrator.data.layouts.rows import Mistakes
from orchestrator.data.official import Counted, Line, spread
from orchestrator.errors import shown

TITLE = "VGGSound"
FILES = ("vggsound/test.csv", "vggsound/stat.csv")
_CLIP = re.compile(r"(?P<video>[\w-]{11})_(?P<start>[0-9]{6})\.mp4")
_BY = "DATAR, section 3"


def count(folder: Path) -> Counted:
    """Count the test split, and the training split as the rest of each class's total."""
    test = Counter(label for _, _, label in read_clips(folder / FILES[0]))
    mistakes = Mistakes(folder / FILES[1])
    total: Counter[str] = Counter()
    for number, row in enumerate(_rows(folder / FILES[1]), start=1):
        if len(row) < 2 or not row[1].isdecimal():
            mistakes.add(f"line {number}", f"{shown(row)} is no label, clips, group")
            continue
        total[row[0]] += int(row[1])
    for label in test:
        if label not in total:
            mistakes.add("", f"class {shown(label)} of test.csv is not in this list")
    mistakes.refuse()
    train = total - test
    kept = 'DATAR has {:.1%} of the official clips, "after removing invalid audio data"'
    lines = (
        Line("test clips", test.total(), 15446, "hche11/VGGSound"),
        Line("test clips", test.total(), 12790, _BY, kept.format(12790 / test.total())),
        Line("classes", len(total), 309, _BY),
        Line("classes with test clips", len(test), 309, _BY),
        Line("clips in both splits", total.total(), 199176, "hche11/VGGSound issue 19"),
        Line("training clips", train.total(), 159223, _BY, kept.format(159223 / train.total())),
        Line("test clips a class", spread(test)),
        Line("clips a class in both splits", spread(total)),
    )
    return Counted(lines, {"test": test, "train": train})


def read_clips(path: Path) -> list[tuple[str, int, str]]:
    """Return (video, start in seconds, label) of every clip of `test.csv` or `train.csv`.

    Raises:
        DataError: A line is no clip and label, or a clip is there twice; names every such line.
    """
    mistakes = Mistakes(path)
    clips, seen = [], set()
    for number, row in enumerate(_rows(path), start=1):
        match = _CLIP.fullmatch(row[0]) if len(row) == 2 else None
        if match is None or not row[1].strip():
            mistakes.add(
                f"line {number}",
                f"{shown(','.join(row))} is no VIDEO_SECONDS.mp4,label; labels with commas need "
                "quotes",
            )
            continue
        if row[0] in seen:
            mistakes.add(f"line {number}", f"{shown(row[0])} is there twice")
        seen.add(row[0])
        clips.append((match["video"], int(match["start"]), row[1]))
    mistakes.refuse()
    return clips


def _rows(path: Path) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(read_text(path), newline="")) if row]
