"""Speech Commands V2 (Warden, arXiv 1804.03209): 35 words, splits by the digest of the speaker.

The lists name the clips of validation and test; all others train. `which_split` is the rule of the
data set's README, by which the lists were made.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

from orchestrator.data.layouts.lists import read_text
from orchestrator.data.layouts.rows import Mistakes
from orchestrator.data.official import Counted, Line, spread
from orchestrator.errors import shown

TITLE = "Speech Commands V2"
FILES = (
    "speech_commands_v2/validation_list.txt",
    "speech_commands_v2/testing_list.txt",
)
SPLITS = ("validation", "testing")
_PATH = re.compile(r"(?P<word>[a-z]+)/(?P<speaker>[0-9a-f]+)_nohash_[0-9]+\.wav")
_MAX_CLIPS = 2**27 - 1
_PERCENT = {"validation": 10.0, "testing": 10.0}
_IN_ALL = 105829
_BY = "HTS-AT, section 3.2"


def count(folder: Path) -> Counted:
    """Count clips by split and word, and check that every speaker is where the rule says."""
    listed = {split: read_list(folder / file) for split, file in zip(SPLITS, FILES, strict=True)}
    words = {split: Counter(word for word, _ in clips) for split, clips in listed.items()}
    speakers = [{speaker for _, speaker in clips} for clips in listed.values()]
    placed = sum(
        which_split(speaker) == split for split, clips in listed.items() for _, speaker in clips
    )
    total = sum(map(len, listed.values()))
    lines = (
        Line("validation clips", len(listed["validation"]), 9981, _BY),
        Line("test clips", len(listed["testing"]), 11005, _BY),
        Line("training clips", _IN_ALL - total, 84843, _BY, f"{_IN_ALL:,} clips less both lists"),
        Line("words", len(words["testing"] | words["validation"]), 35, _BY),
        Line("test clips a word", spread(words["testing"])),
        Line("clips where the speaker's digest puts them", placed, total, "README of the set"),
        Line("speakers in both lists", len(speakers[0] & speakers[1]), 0, "README of the set"),
    )
    return Counted(lines, words)


def read_list(path: Path) -> list[tuple[str, str]]:
    """Return (word, speaker) of every clip of a list.

    Raises:
        DataError: A line is no path of a clip, or is there twice; names every such line.
    """
    mistakes = Mistakes(path)
    clips, seen = [], set()
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        match = _PATH.fullmatch(line.strip())
        if match is None:
            mistakes.add(f"line {number}", f"{shown(line)} is no word/speaker_nohash_n.wav")
            continue
        if line in seen:
            mistakes.add(f"line {number}", f"{shown(line)} is there twice")
        seen.add(line)
        clips.append((match["word"], match["speaker"]))
    mistakes.refuse()
    return clips


def which_split(speaker: str) -> str:
    """Return the split of a speaker: "validation", "testing" or "training"."""
    number = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % (_MAX_CLIPS + 1)
    percent = number * (100.0 / _MAX_CLIPS)
    if percent < _PERCENT["validation"]:
        return "validation"
    return "testing" if percent < sum(_PERCENT.values()) else "training"
