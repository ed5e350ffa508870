"""Clips of YouTube by the names that downloads give them, and those of a list that are not here.

One clip of VGGSound is `glLQrEijrKg_000300` in its list, `glLQrEijrKg_300` in another, and
`glLQrEijrKg_300000_310000` with milliseconds; Kinetics has `--4-0ihtnBU_000058_000068`, DESED
`Y00pbt6aJV8Y_350.000_360.000`, and copies of AudioSet often the video's id alone, with or without
the `Y`, or its id and start in milliseconds, `b0RFKhbpFJA_30000`. Any folder and suffix will do.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.data.layouts.rows import Audio, Mistakes
from orchestrator.data.layouts.tree import NOT_DECODED, Tree
from orchestrator.errors import DataError, shown

_NAME = re.compile(
    r"(?P<video>[\w-]{11})(_(?P<start>\d+(\.\d+)?)([_-](?P<end>\d+(\.\d+)?))?)?", re.ASCII
)
_MS = 1000.0
_LONGEST_S = 600.0  # an end this long after its start is given in milliseconds
_SAME_S = 0.5  # starts are rounded to whole seconds in some names


@dataclass(frozen=True)
class _File:
    name: str
    start_s: float | None


class Clips:
    """Audio files of a folder by video and start."""

    def __init__(self, tree: Tree):
        self._tree = tree
        self._files: dict[str, list[_File]] = defaultdict(list)
        for name in tree.audio:
            for video, start_s in _readings(name):
                self._files[video].append(_File(name, start_s))

    def find(
        self, video: str, start_s: float, *, alone: bool, where: str, mistakes: Mistakes
    ) -> Audio | None:
        """Return the audio of a clip; None if it is not here, or after a mistake.

        Args:
            video: YouTube's id.
            start_s: Start of the clip in the video.
            alone: Whether the list has one clip of this video, so that its id alone is enough.
            where: File and line of the clip, for the mistake.
            mistakes: Gets it if two files fit.
        """
        files = self._files.get(video, [])
        found = [
            one for one in files if one.start_s is not None and abs(one.start_s - start_s) < _SAME_S
        ]
        found = found or [one for one in files if one.start_s is None and alone]
        if len(found) > 1:
            mistakes.add(
                where,
                f"{shown(video)} from {start_s:g} s may be {found[0].name} or {found[1].name}; "
                "keep one",
            )
            return None
        return Audio(found[0].name, self._tree.root / found[0].name) if found else None

    def refuse_none(self, rows: Iterable[object], title: str) -> None:
        """Refuse a folder in which no listed clip was found.

        Raises:
            DataError: There are no rows; the message says what lies there instead.
        """
        if any(True for _ in rows):
            return
        tree = self._tree
        videos = [name for name in tree.ending(NOT_DECODED) if any(_readings(name))]
        if videos:
            raise DataError(
                f"{tree.root} has the list of {title} and {len(videos)} clips such as {videos[0]}, "
                "which libsndfile cannot decode; extract their audio once, for example: ffmpeg -i "
                f"{videos[0]} -vn {videos[0].rpartition('.')[0]}.flac"
            )
        raise DataError(
            f"{tree.root} has the list of {title} and none of its clips; put audio named "
            "VIDEO_SECONDS, such as glLQrEijrKg_000300.wav, below it"
        )


def _readings(name: str) -> Iterable[tuple[str, float | None]]:
    """Yield what a file's name may mean: (video, start in seconds or None)."""
    stem = name.rpartition("/")[2].rpartition(".")[0]
    for text in (stem, stem[1:] if stem.startswith("Y") else ""):
        if match := _NAME.fullmatch(text):
            start, end = (float(t) if t else None for t in (match["start"], match["end"]))
            if start is not None and end is not None and end - start > _LONGEST_S:
                start /= _MS
            yield match["video"], start
            if start and end is None and not match["start"].startswith("0") and start % _MS == 0:
                yield match["video"], start / _MS
