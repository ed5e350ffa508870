"""The pictures of a report and the list that says what they show."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

INDEX = "pictures.json"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture.

    Attributes:
        kind: `input`, `keys` or `events`.
        arm: the row that it is of.
        trial: the trial's id.
        clips: ids of the clips in it, top to bottom.
        caption: what is to be seen, with units.
        file: PNG beside the list.
    """

    kind: str
    arm: str
    trial: str
    clips: tuple[str, ...]
    caption: str
    file: str


def read_pictures(folder: Path) -> tuple[Picture, ...]:
    """Return the pictures listed in a folder; those whose file is gone are left out."""
    return tuple(p for p in _read(folder)[1] if (folder / p.file).is_file())


def are_there(folder: Path, trials: Sequence[str]) -> bool:
    """Whether a folder holds what was made of exactly these trials."""
    listed, pictures = _read(folder)
    return listed == list(trials) and all((folder / p.file).is_file() for p in pictures)


def write_index(folder: Path, trials: Sequence[str], pictures: Sequence[Picture]) -> None:
    """Write the list: the trials that were looked at, and the pictures that they gave."""
    listed = {
        "trials": list(trials),
        "pictures": [dataclasses.asdict(picture) for picture in pictures],
    }
    (folder / INDEX).write_text(json.dumps(listed, indent=1), encoding="utf-8")


def _read(folder: Path) -> tuple[list[str], tuple[Picture, ...]]:
    try:
        listed = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        pictures = [Picture(**{**p, "clips": tuple(p["clips"])}) for p in listed["pictures"]]
    except (OSError, ValueError, TypeError, KeyError):
        return [], ()
    return listed["trials"], tuple(pictures)
