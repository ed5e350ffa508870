"""Kinetics-Sounds (Arandjelovic and Zisserman, ICCV 2017): classes of Kinetics that one can hear.

There is no official list of clips and no one list of classes: the paper has 34, the labels of
Kinetics-400 leave 32 (pritamqu/CrissCross issue 4), and 31 without "strumming guitar"
(IBM/AdaMML issue 3). OGM-GE's widely used lists of clips have 31. A result names its list.
"""

from __future__ import annotations

from collections import Counter
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


def count(folder: Path) -> Counted:
    """Tell the two lists of classes apart, and count OGM-GE's lists of clips."""
    few, many = (read_classes(folder / file) for file in FILES[:2])
    train, test = (Counter(label for _, label in read_clips(folder / file)) for file in FILES[2:])
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


def read_clips(path: Path) -> list[tuple[str, str]]:
    """Return (clip, number of its class) of every line `clip,seconds,label`.

    Raises:
        DataError: A line is none, or a clip is there twice; names every such line.
    """
    mistakes = Mistakes(path)
    clips: dict[str, str] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        parts = line.strip().rsplit(",", 2)
        if len(parts) != 3 or not parts[2].isdecimal():
            mistakes.add(f"line {number}", f"{shown(line)} is no clip,seconds,label")
        elif parts[0] in clips:
            mistakes.add(f"line {number}", f"clip {shown(parts[0])} is there twice")
        else:
            clips[parts[0]] = parts[2]
    mistakes.refuse()
    return list(clips.items())
