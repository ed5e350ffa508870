"""FSD50K (Fonseca et al., arXiv 2010.00475): Freesound clips of 0.3 to 30 s, 200 classes.

https://zenodo.org/records/4060432, folder FSD50K.ground_truth. Clips have several labels, their
ancestors in AudioSet's ontology among them. `dev.csv` says which of its clips train and which
validate; `vocabulary.csv` has no header, and labels are numbered, named and have ids.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.data.layouts.lists import read_text, rows_with
from orchestrator.data.layouts.rows import Mistakes, split_named
from orchestrator.data.official import Counted, Line, spread
from orchestrator.errors import shown

TITLE = "FSD50K"
FILES = ("fsd50k/vocabulary.csv", "fsd50k/dev.csv", "fsd50k/eval.csv")
_BY = "Fonseca et al. 2022"


@dataclass(frozen=True)
class Listed:
    """A line of `dev.csv` or `eval.csv`.

    Attributes:
        line: Its number in the list.
        name: Freesound's id, the file's name without its suffix.
        labels: Names of classes.
        split: "train", "validation" or "test".
    """

    line: int
    name: str
    labels: tuple[str, ...]
    split: str


def count(folder: Path) -> Counted:
    """Count clips and labels by split and class."""
    names = read_classes(folder / FILES[0])
    clips = [one for file in FILES[1:] for one in read_clips(folder / file, names)]
    splits = Counter(one.split for one in clips)
    per_class = {
        split: Counter(label for one in clips if one.split == split for label in one.labels)
        for split in ("train", "validation", "test")
    }
    lines = (
        Line("classes", len(names), 200, _BY),
        Line("development clips", splits["train"] + splits["validation"], 40966, _BY),
        Line("training clips", splits["train"], 36796, _BY),
        Line("validation clips", splits["validation"], 4170, _BY),
        Line("evaluation clips", splits["test"], 10231, _BY),
        *(
            Line(f"{split} clips a class", spread({n: counts[n] for n in names}))
            for split, counts in per_class.items()
        ),
        Line(
            "labels a clip",
            f"{sum(counts.total() for counts in per_class.values()) / len(clips):.2f}",
        ),
    )
    return Counted(lines, per_class)


def read_classes(path: Path) -> list[str]:
    """Return the names of `vocabulary.csv` in the order of their numbers.

    Raises:
        DataError: A line is out of order; names every such line.
    """
    mistakes = Mistakes(path)
    names: list[str] = []
    rows = csv.reader(io.StringIO(read_text(path), newline=""))
    for number, row in enumerate(rows, start=1):
        if len(row) != 3 or row[0] != str(len(names)) or not row[1].strip():
            mistakes.add(f"line {number}", f"{shown(','.join(row))} is no number,label,id in order")
            continue
        names.append(row[1])
    mistakes.refuse()
    return names


def read_clips(path: Path, classes: Sequence[str]) -> list[Listed]:
    """Return the clips of `dev.csv`, or of `eval.csv` as "test".

    Args:
        path: The list.
        classes: Names of the classes.

    Raises:
        DataError: A line has an unknown label or split, or a clip that is there twice; names every
            such line.
    """
    mistakes = Mistakes(path)
    known, seen = set(classes), set()
    clips = []
    for number, row in rows_with(path, ("fname", "labels")):
        labels = tuple(label.strip() for label in row["labels"].split(","))
        for label in labels:
            if label not in known:
                mistakes.add(f"line {number}", f"label {shown(label)} is not in vocabulary.csv")
        split = split_named(row["split"]) if "split" in row else "test"
        if not split:
            mistakes.add(f"line {number}", f"split {shown(row['split'])} is neither train nor val")
        if row["fname"] in seen:
            mistakes.add(f"line {number}", f"clip {shown(row['fname'])} is there twice")
        seen.add(row["fname"])
        clips.append(Listed(number, row["fname"], labels, split))
    mistakes.refuse()
    return clips
