"""Kinetics-Sounds (Arandjelovic and Zisserman, ICCV 2017): classes of Kinetics that one can hear.

There is no official list of clips and no one list of classes: the paper has 34, the labels of
Kinetics-400 leave 32 (pritamqu/CrissCross issue 4), and 31 without "strumming guitar"
(IBM/AdaMML issue 3). OGM-GE's widely used lists of clips have 31. A result names its list.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from orchestrator.data.layouts.lists import read_text
from orchestrator.data.layouts.rows import Mistakes
from orchestrator.data.official import Counted, Line, spread
from orchestrator.errors import shown

TITLE = "Kinetics-Sounds"
FILES = (
    "kinetics_sounds/classes_31.txt",
    "kinetics_sounds/classes_32.txt",
    "kinetics_sounds/ogm_ge_my_train.txt",
    "kinetics_sounds/ogm_ge_my_test.txt",
)
_BY = "DATAR, section 3"
_OTHER = "another set of clips: no list of DATAR's was published"
_CLIP = re.compile(
    r"(?P<name>(?P<video>[\w-]{11})_(?P<start>\d+)(_\d+)?),\d+,(?P<label>\d+)", re.ASCII
)


@dataclass(frozen=True)
class Listed:
    """A line of OGM-GE's lists.

    Attributes:
        line: Its number in the list.
        name: The clip.
        video: YouTube's id.
        start_s: Start in the video.
        label: Number of its class.
    """

    line: int
    name: str
    video: str
    start_s: float
    label: str


def count(folder: Path) -> Counted:
    """Tell the two lists of classes apart, and count OGM-GE's lists of clips."""
    few, many = (read_classes(folder / file) for file in FILES[:2])
    train, test = (Counter(one.label for one in read_clips(folder / file)) for file in FILES[2:])
    added, lacking = sorted(set(many) - set(few)), sorted(set(few) - set(many))
    apart = f"without {', '.join(added)}" + f", with {', '.join(lacking)}" * bool(lacking)
    lines = (
        Line("classes of the list of 31", len(few), 31, "IBM/AdaMML issue 3", apart),
        Line("classes of the list of 32", len(many), 32, "pritamqu/CrissCross issue 4"),
        Line("classes of OGM-GE's clips", len(train | test), 31, "OGM-GE"),
        Line("OGM-GE training clips", train.total(), 22914, _BY, _OTHER),
        Line("OGM-GE test clips", test.total(), 1585, _BY, _OTHER),
        Line("OGM-GE training clips a class", spread(train)),
    )
    return Counted(lines, {"train": train, "test": test})


def read_classes(path: Path) -> list[str]:
    """Return the names of a list of classes.

    Raises:
        DataError: A name is there twice.
    """
    names = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    mistakes = Mistakes(path)
    for number, name in enumerate(names, start=1):
        if name in names[: number - 1]:
            mistakes.add(f"line {number}", f"class {shown(name)} is there twice")
    mistakes.refuse()
    return names


def read_clips(path: Path) -> list[Listed]:
    """Return the clips of OGM-GE's lists: lines `VIDEO_START,seconds,label`, or with an end.

    Raises:
        DataError: A line is none, or a clip is there twice; names every such line.
    """
    mistakes = Mistakes(path)
    clips: dict[str, Listed] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        match = _CLIP.fullmatch(line.strip())
        if match is None:
            mistakes.add(f"line {number}", f"{shown(line)} is no VIDEO_START,seconds,label")
        elif match["name"] in clips:
            mistakes.add(f"line {number}", f"clip {shown(match['name'])} is there twice")
        else:
            clips[match["name"]] = Listed(
                number, match["name"], match["video"], float(match["start"]), match["label"]
            )
    mistakes.refuse()
    return list(clips.values())


def begins(path: Path) -> bool:
    """Whether the first line of a file is a clip of OGM-GE's lists."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return _CLIP.fullmatch(file.readline(200).strip()) is not None
    except (OSError, UnicodeDecodeError):
        return False
