"""The pictures of a report and the list that says what they show."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INDEX = "pictures.json"
CLIP = "clip"
"""The kind of a picture that shows one clip alone, about which its caption says something."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture.

    Attributes:
        kind: `input`, `keys` or `events` of a model; `clip` of a clip alone.
        arm: the row that it is of, or whose front end drew it.
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


def listed_files(folder: Path) -> tuple[str, ...]:
    """Return the names of the listed files, there or not; none that leads out of the folder."""
    return tuple(p.file for p in _read(folder)[1] if Path(p.file).name == p.file)


def are_there(folder: Path, trials: Sequence[str], clips: Mapping[str, str]) -> bool:
    """Whether a folder holds what was made of exactly these trials and clips."""
    asked, pictures = _read(folder)
    return asked == _asked(trials, clips) and all((folder / p.file).is_file() for p in pictures)


def write_index(
    folder: Path, trials: Sequence[str], clips: Mapping[str, str], pictures: Sequence[Picture]
) -> None:
    """Write the list: what was asked for, and the pictures that it gave."""
    listed = {
        **_asked(trials, clips),
        "pictures": [dataclasses.asdict(picture) for picture in pictures],
    }
    (folder / INDEX).write_text(json.dumps(listed, indent=1), encoding="utf-8")


def _asked(trials: Sequence[str], clips: Mapping[str, str]) -> dict[str, Any]:
    return {"trials": list(trials), "clips": dict(clips)}


def _read(folder: Path) -> tuple[dict[str, Any], tuple[Picture, ...]]:
    """Return what was asked for, and the pictures; nothing where the list cannot be read."""
    try:
        listed = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        pictures = [Picture(**{**p, "clips": tuple(p["clips"])}) for p in listed["pictures"]]
        return _asked(listed["trials"], listed.get("clips", {})), tuple(pictures)
    except (OSError, ValueError, TypeError, KeyError):
        return {}, ()
