"""Rates and lengths from the headers of audio files, remembered between runs.

A header can be wrong; the audit compares it with what is decoded.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from models.cache import cache_folder
from orchestrator.data import video
from orchestrator.data.addresses import write_text
from orchestrator.data.layouts.rows import Audio
from orchestrator.data.source import ClipFault, digest

_MAX_THREADS = 8
_MOST_FRAMES_PER_BYTE = 6000
"""More than silence takes in FLAC, 65,535 samples in 11 bytes: such a header is wrong."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself; zeros if it is missing or cannot be read.

    Attributes:
        size: Bytes of the file, or of the archive that holds it; -1 if it is missing.
        time_ns: When that changed.
        rate_hz: Sample rate.
        channels: Number of channels.
        frames: Samples per channel.
    """

    size: int
    time_ns: int
    rate_hz: int = 0
    channels: int = 0
    frames: int = 0

    @property
    def seconds(self) -> float:
        """Length; 0.0 if it is not known."""
        return self.frames / self.rate_hz if self.rate_hz else 0.0


def read_headers(audio: Sequence[Audio], *, root: Path) -> dict[str, Header]:
    """Read the headers of audio files on several threads; unchanged files are remembered.

    Args:
        audio: The files, each once.
        root: The data root, by which they are remembered.

    Returns:
        Name -> header.
    """
    memory = cache_folder("headers") / f"{digest(str(root))}.json"
    known = _remembered(memory)
    stamps = {path: _stamp(path) for path in {one.path for one in audio}}

    found: dict[str, Header] = {}
    unknown: list[Audio] = []
    for one in audio:
        earlier = known.get(one.name)
        same = earlier is not None and (earlier.size, earlier.time_ns) == stamps[one.path]
        # PyAV may have been installed since a video could not be read.
        if earlier is not None and same and (earlier.rate_hz or not _is_video_here(one)):
            found[one.name] = earlier
        else:
            unknown.append(one)
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        headers = pool.map(lambda one: _read(one, *stamps[one.path]), unknown)
        found |= zip((one.name for one in unknown), headers, strict=True)
    if known | found != known:
        with contextlib.suppress(OSError):  # a read-only cache only costs time
            fields = {name: list(vars(h).values()) for name, h in (known | found).items()}
            write_text(str(memory), json.dumps(fields))
    return found


def _is_video_here(one: Audio) -> bool:
    return one.name.rpartition(".")[2].lower() in video.SUFFIXES and video.installed()


def _remembered(memory: Path) -> dict[str, Header]:
    try:
        fields = json.loads(memory.read_text(encoding="utf-8"))
        return {name: Header(*values) for name, values in fields.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return -1, 0
    return status.st_size, status.st_mtime_ns


def _read(one: Audio, size: int, time_ns: int) -> Header:
    import soundfile

    if size <= 0 or not one.path.is_file():
        return Header(size, time_ns)
    try:
        source = io.BytesIO(one.load()) if one.load else os.fsencode(one.path)
        with soundfile.SoundFile(source) as file:  # type: ignore[arg-type]
            if file.frames > _MOST_FRAMES_PER_BYTE * size:
                return Header(size, time_ns)
            return Header(size, time_ns, file.samplerate, file.channels, max(0, file.frames))
    except (soundfile.SoundFileError, OSError, ValueError):
        pass
    try:
        if _is_video_here(one):
            return Header(size, time_ns, *video.header(one.load() if one.load else one.path))
    except (ClipFault, OSError):
        pass
    return Header(size, time_ns)  # the audit says what is wrong with it
