"""Official lists of published data sets, counted and compared with the papers, one module each.

A module has `TITLE`, `FILES` (paths below the folder of annotations) and `count(folder)`, which
reads them and returns a `Counted`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from orchestrator.errors import DataError

SETS = (
    *("kinetics_sounds", "vggsound", "epic_kitchens", "audioset", "esc50", "speech_commands"),
    *("desed", "fsd50k"),
)


@dataclass(frozen=True)
class Line:
    """One number of an official list beside a published one.

    Attributes:
        what: What is counted.
        found: The number in the files; None if their list is not here.
        published: The published number; None if there is none.
        by: Who published it.
        remark: Why they differ, or what else is to be known.
    """

    what: str
    found: int | str | None
    published: int | str | None = None
    by: str = ""
    remark: str = ""

    @property
    def verdict(self) -> str:
        """Whether both numbers agree, and the remark."""
        if self.found is None:
            return f"not counted; {self.remark}" if self.remark else "not counted"
        if self.published is None:
            return self.remark
        word = "agrees" if self.found == self.published else "differs"
        return f"{word}; {self.remark}" if self.remark else word


@dataclass(frozen=True)
class Counted:
    """The counts of a data set.

    Attributes:
        lines: Numbers to compare.
        per_class: Split -> class -> clips.
    """

    lines: tuple[Line, ...]
    per_class: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class Official(Protocol):
    """What a module of this folder offers."""

    TITLE: str
    FILES: tuple[str, ...]

    def count(self, folder: Path) -> Counted:
        """Count the data set's lists below a folder of annotations."""
        ...


def official(name: str) -> Official:
    """Return the module of a data set in `SETS`."""
    return cast(Official, importlib.import_module(f"{__name__}.{name}"))


def present(folder: Path) -> list[str]:
    """Return the data sets whose lists are all below a folder.

    Raises:
        DataError: It has the lists of none.
    """
    found = [
        name for name in SETS if all((folder / file).is_file() for file in official(name).FILES)
    ]
    if not found:
        wanted = "; ".join(f"{official(name).TITLE}: {official(name).FILES[0]}" for name in SETS)
        raise DataError(f"{folder} has the official lists of no data set; expected are {wanted}")
    return found


def spread(counts: Mapping[str, int]) -> str:
    """Return the smallest and the largest number of clips of a class."""
    low, high = min(counts.values()), max(counts.values())
    return str(low) if low == high else f"{low} to {high}"


def absent(found: object, file: str) -> str:
    """Return the remark on a number whose optional list is not here; "" if it was counted."""
    return f"{file} is not here" if found is None else ""
