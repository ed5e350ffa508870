"""The pictures of a report, and the list of their contents."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INDEX = "pictures.json"
CLIP = "clip"
"""Kind of a picture of a single clip."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture.

    Attributes:
        kind: `input`, `keys` or `events` of a model, or `clip` for a single clip.
        arm: Arm shown, or whose front end drew it.
        trial: Id of the trial.
        clips: Ids of its clips, top to bottom.
        caption: Description with units.
        file: Name of the PNG next to the list.
    """

    kind: str
    arm: str
    trial: str
    clips: tuple[str, ...]
    caption: str
    file: str


def read_pictures(folder: Path) -> tuple[Picture, ...]:
    """Return the pictures in a folder's list whose files exist."""
    return tuple(p for p in _read(folder)[1] if (folder / p.file).is_file())


def listed_files(folder: Path) -> tuple[str, ...]:
    """Return the names of listed files inside the folder, existing or not."""
    return tuple(p.file for p in _read(folder)[1] if Path(p.file).name == p.file)


def are_there(folder: Path, trials: Sequence[str], clips: Mapping[str, str]) -> bool:
    """Return whether a folder holds the pictures of exactly these trials and clips."""
    asked, pictures = _read(folder)
    return asked == _asked(trials, clips) and all((folder / p.file).is_file() for p in pictures)


def write_index(
    folder: Path, trials: Sequence[str], clips: Mapping[str, str], pictures: Sequence[Picture]
) -> None:
    """Write the list: the requested trials and clips, and their pictures."""
    listed = {
        **_asked(trials, clips),
        "pictures": [dataclasses.asdict(picture) for picture in pictures],
    }
    (folder / INDEX).write_text(json.dumps(listed, indent=1), encoding="utf-8")


def _asked(trials: Sequence[str], clips: Mapping[str, str]) -> dict[str, Any]:
    return {"trials": list(trials), "clips": dict(clips)}


def _read(folder: Path) -> tuple[dict[str, Any], tuple[Picture, ...]]:
    """Return the request and the pictures; both empty if the list cannot be read."""
    try:
        listed = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        pictures = [Picture(**{**p, "clips": tuple(p["clips"])}) for p in listed["pictures"]]
        return _asked(listed["trials"], listed.get("clips", {})), tuple(pictures)
    except (OSError, ValueError, TypeError, KeyError):
        return {}, ()
