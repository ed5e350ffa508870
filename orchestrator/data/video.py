"""Sound of files that libsndfile does not decode, such as m4a, mp4 and webm, by PyAV's FFmpeg.

PyAV is an extra (`pip install av`); without it such files are refused by name. A file is decoded
from its start to its end, for a seek in a lossy file may come out elsewhere (measured: 1,105
samples early in MP3), and a part is cut from that. The length is compared with what the container
declares.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.data.source import ClipFault

SUFFIXES = ("m4a", "mp4", "aac", "webm", "wma", "amr", "mkv", "mov", "avi")
INSTALL = "install PyAV, which decodes it (pip install av), or convert it once"
_SHORT_S = 0.1
"""How much less than its container declares a file may have: a last packet is often shorter."""


def installed() -> bool:
    """Whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None


def is_video(head: bytes) -> str:
    """Return the name of the format that a file begins like; "" if libsndfile may decode it."""
    if head[4:8] == b"ftyp":
        return "MP4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "WebM or Matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "AVI"
    if head[:4] == b"\x30\x26\xb2\x75":
        return "WMA"
    if head[:5] == b"#!AMR":
        return "AMR"
    return "AAC" if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0 else ""


def read_sound(source: Path | bytes, *, part: bool) -> tuple[np.ndarray, int, int]:
    """Decode the first audio stream of a file.

    Args:
        source: The file or its bytes.
        part: Whether a part of it is wanted, so that other parts will be; the newest such file
            stays in memory.

    Returns:
        `(time,)` float32 mono, the mean of the channels; the rate in Hz, and the channels.

    Raises:
        ClipFault: It cannot be decoded, has no sound, or less than its container declares.
    """
    if part and isinstance(source, Path):
        status = source.stat()
        return _remembered(source, status.st_size, status.st_mtime_ns)
    return _decoded(source)


@functools.lru_cache(maxsize=1)
def _remembered(source: Path, size: int, time_ns: int) -> tuple[np.ndarray, int, int]:
    return _decoded(source)


def _decoded(source: Path | bytes) -> tuple[np.ndarray, int, int]:
    from av.audio.resampler import AudioResampler
    from av.error import FFmpegError

    pieces: list[np.ndarray] = []
    try:
        with _opened(source) as container:
            stream = _sound_of(container)
            rate_hz, channels, declared_s = (
                stream.rate,
                stream.channels,
                _seconds(container, stream),
            )
            planar = AudioResampler(format="fltp")
            for frame in (*container.decode(stream), None):
                for one in planar.resample(frame):
                    pieces.append(one.to_ndarray().mean(axis=0, dtype=np.float32))
    except (FFmpegError, OSError, ValueError, MemoryError) as error:
        raise ClipFault("unreadable", f"PyAV: {error}") from error
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    if len(samples) == 0:
        raise ClipFault("empty", "the file has a header and no samples")
    if len(samples) / rate_hz < declared_s - _SHORT_S:
        raise ClipFault(
            "truncated",
            f"{len(samples) / rate_hz:.3f} s decoded, its container declares {declared_s:.3f} s",
        )
    return samples, rate_hz, channels


def header(source: Path | bytes) -> tuple[int, int, int]:
    """Return the rate in Hz, the channels and the frames that a file declares.

    Raises:
        ClipFault: It cannot be read, or has no sound.
    """
    from av.error import FFmpegError

    try:
        with _opened(source) as container:
            stream = _sound_of(container)
            seconds = _seconds(container, stream) or (container.duration or 0) / 1e6
            return stream.rate, stream.channels, round(seconds * stream.rate)
    except (FFmpegError, OSError, ValueError) as error:
        raise ClipFault("unreadable", f"PyAV: {error}") from error


def _opened(source: Path | bytes) -> Any:
    import av

    return av.open(io.BytesIO(source) if isinstance(source, bytes) else os.fspath(source))


def _sound_of(container: Any) -> Any:
    if not container.streams.audio:
        raise ClipFault("unreadable", "it has no sound, only other streams")
    return container.streams.audio[0]


def _seconds(container: Any, stream: Any) -> float:
    """Return the length that a container declares for a stream; 0.0 if it declares none."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if tag := stream.metadata.get("DURATION"):  # Matroska's, 00:00:01.021000000
        with contextlib.suppress(ValueError):
            hours, minutes, seconds = map(float, tag.split(":"))
            return 3600 * hours + 60 * minutes + seconds
    # Of a file without a length per stream, a video may be longer than its sound.
    alone = len(container.streams) == 1 and container.duration
    return container.duration / 1e6 if alone else 0.0
