"""Decode audio files to samples, with recorded tools and no silent loss.

soundfile (libsndfile) decodes, and PyAV what it cannot (see `video`). libsndfile notices a
truncated FLAC or CAF but not a truncated WAV, AIFF, AU, W64, RF64, Ogg or MP3 (measured), so the
length is compared with what the file itself declares: its chunk sizes, the Ogg end-of-stream mark,
the frame count of the header. Mono is the mean of the channels. soxr at quality VHQ resamples once,
when a pack is made. Samples are rounded to 16 bit without dither; samples beyond full scale are
clipped and counted.
"""

from __future__ import annotations

import io
import os
import stat
import struct
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

import numpy as np

from orchestrator.data import video
from orchestrator.data.source import ClipFault, Decoded

RESAMPLER = "soxr VHQ"
FULL_SCALE = 32768
_UNKNOWN_SIZE = 0xFFFFFFFF


def tools() -> dict[str, str]:
    """Return the versions of the decoder and the resampler, for the record."""
    import soundfile
    import soxr

    return {
        "decoder": f"soundfile {soundfile.__version__} ({soundfile.__libsndfile_version__})",
        "resampler": f"{RESAMPLER} {soxr.__version__}",
        **({"video": f"PyAV {version('av')}"} if video.installed() else {}),
        "mono": "mean of channels",
        "quantiser": "round to 16 bit, no dither",
        "numpy": np.__version__,
    }


def decode(
    path: str | Path | bytes,
    *,
    seconds: float = 0.0,
    start_s: float = 0.0,
    end_s: float | None = None,
) -> Decoded:
    """Decode an audio file, or a part of it.

    Args:
        path: The file, in any format that libsndfile reads, or PyAV where it is installed; or its
            bytes.
        seconds: Required length, or 0.0 for any. A longer clip passes (`audit` notes it), a shorter
            one is a fault.
        start_s: Start of the part, rounded to a sample.
        end_s: End of the part; None, or one behind the file's end, is the file's end.

    Returns:
        `Decoded`: samples `(time,)` float32 mono at the file's own rate.

    Raises:
        ClipFault: The clip is missing, empty, unreadable, truncated, short or not finite.
    """
    import soundfile

    path = path if isinstance(path, bytes) else Path(path)
    size = len(path) if isinstance(path, bytes) else _size(path)
    if size == 0:
        raise ClipFault("empty", "the file has 0 bytes")
    # soundfile itself refuses names that are not UTF-8.
    name = io.BytesIO(path) if isinstance(path, bytes) else os.fsencode(path)
    try:
        with io.BytesIO(path) if isinstance(path, bytes) else path.open("rb") as file:
            form = video.is_video(file.read(16))
            file.seek(0)
            cut = "" if form else _cut_short(file, size)
        if cut:
            raise ClipFault("truncated", cut)
        if form:
            return _decode_video(path, form, seconds=seconds, start_s=start_s, end_s=end_s)
        with soundfile.SoundFile(name) as file:  # type: ignore[arg-type]
            rate_hz, channels = file.samplerate, file.channels
            start = round(start_s * rate_hz)
            stop = file.frames if end_s is None else min(file.frames, round(end_s * rate_hz))
            declared = max(0, stop - start)
            if start:
                file.seek(min(start, file.frames))
            frames = file.read(-1 if not start and end_s is None else declared, "float32", True)
    except ClipFault:
        raise
    except (soundfile.SoundFileError, OSError) as error:
        short = "" if isinstance(path, bytes) else path.name
        reason = str(error).replace(repr(name), repr(short)).replace(str(path), short)
        raise ClipFault("unreadable", reason) from error
    except (MemoryError, ValueError) as error:
        raise ClipFault("unreadable", f"the header declares more than fits: {error}") from error
    if len(frames) == 0:
        what = "no samples" if not start else f"no samples at {start_s:g} s"
        raise ClipFault("empty", f"the file has a header and {what}")
    if len(frames) < declared:
        raise ClipFault(
            "truncated", f"{len(frames)} samples decoded, the header declares {declared}"
        )
    if not np.isfinite(frames).all():
        raise ClipFault("non_finite", f"{int((~np.isfinite(frames)).sum())} samples are not finite")
    expected = round(seconds * rate_hz)
    if len(frames) < expected:
        raise ClipFault("short", f"{len(frames)} samples, {expected} expected ({seconds:g} s)")
    mono = frames[:, 0] if channels == 1 else frames.mean(axis=1, dtype=np.float32)
    return Decoded(np.ascontiguousarray(mono), rate_hz, channels)


def _decode_video(
    path: Path | bytes, form: str, *, seconds: float, start_s: float, end_s: float | None
) -> Decoded:
    if not video.installed():
        raise ClipFault("unreadable", f"libsndfile does not decode {form}; {video.INSTALL}")
    part = bool(start_s) or end_s is not None
    mono, rate_hz, channels = video.read_sound(path, part=part)
    stop = len(mono) if end_s is None else round(end_s * rate_hz)
    mono = mono[round(start_s * rate_hz) : stop]
    if len(mono) == 0:
        raise ClipFault("empty", f"no samples at {start_s:g} s")
    if not np.isfinite(mono).all():
        raise ClipFault("non_finite", f"{int((~np.isfinite(mono)).sum())} samples are not finite")
    expected = round(seconds * rate_hz)
    if len(mono) < expected:
        raise ClipFault("short", f"{len(mono)} samples, {expected} expected ({seconds:g} s)")
    return Decoded(np.ascontiguousarray(mono), rate_hz, channels)


def _size(path: Path) -> int:
    """Return a regular file's size in bytes."""
    try:
        os.fsencode(path)
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ClipFault("missing", f"{path} does not exist") from error
    except (OSError, ValueError) as error:
        raise ClipFault("unreadable", str(error).replace(str(path), path.name)) from error
    # Opening a pipe would block until someone writes to it.
    if not stat.S_ISREG(found.st_mode):
        raise ClipFault("unreadable", "not a file (a folder, a pipe or a device)")
    return found.st_size


def resampled(decoded: Decoded, *, sample_rate: int) -> np.ndarray:
    """Resample a clip.

    Args:
        decoded: Samples `(time,)` in [-1, 1].
        sample_rate: Wanted rate in Hz.

    Returns:
        float32 samples `(time,)`.

    Raises:
        ClipFault: The clip cannot be resampled or is too short for one sample at this rate, or the
            resampler returned the wrong length.
    """
    samples = decoded.samples
    if decoded.rate_hz != sample_rate:
        import soxr

        try:
            samples = soxr.resample(samples, decoded.rate_hz, sample_rate, quality="VHQ")
        except (RuntimeError, ValueError, MemoryError) as error:
            reason = f"cannot be resampled from {decoded.rate_hz} to {sample_rate} Hz: {error}"
            raise ClipFault("unreadable", reason) from error
        if len(samples) == 0:
            raise ClipFault("empty", f"not one sample long at {sample_rate} Hz")
        due = len(decoded.samples) * sample_rate / decoded.rate_hz
        if abs(len(samples) - due) > 1:
            raise ClipFault("short", f"{len(samples)} samples after resampling, {due:.1f} due")
    return samples


def to_pcm(decoded: Decoded, *, sample_rate: int) -> tuple[np.ndarray, int]:
    """Resample to the pack's rate and round to 16 bit.

    Args:
        decoded: Samples `(time,)` in [-1, 1].
        sample_rate: The pack's rate in Hz.

    Returns:
        int16 samples `(time,)`, and how many were beyond full scale and clipped.

    Raises:
        ClipFault: See `resampled`.
    """
    samples = resampled(decoded, sample_rate=sample_rate)
    scaled = np.rint(samples.astype(np.float64) * FULL_SCALE)
    over = int(((scaled > FULL_SCALE - 1) | (scaled < -FULL_SCALE)).sum())
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype("<i2"), over


def _cut_short(file: BinaryIO, size: int) -> str:
    """Describe how a file is truncated, or return ""; covers only what libsndfile misses."""
    head = file.read(64)
    if head[:4] == b"OggS":
        file.seek(max(0, size - 131_072))
        tail = file.read()
        last = tail.rfind(b"OggS")
        ended = last >= 0 and last + 5 < len(tail) and tail[last + 5] & 4
        return "" if ended else "the Ogg stream stops before its end-of-stream mark"
    declared = _wav_end(file, size) if head[:4] == b"RIFF" else _declared_size(head)
    if declared > size:
        return f"the file has {size} bytes, its header declares {declared}"
    return ""


def _wav_end(file: BinaryIO, size: int) -> int:
    """Return where a WAV's samples should end; 0 if it does not declare that."""
    position = 12
    while position < size:
        file.seek(position)
        chunk = file.read(8)
        if len(chunk) < 8:
            return 0
        name, length = struct.unpack("<4sI", chunk)
        if name == b"data":
            # Writers to a pipe leave all ones, which declares nothing.
            return 0 if length == _UNKNOWN_SIZE else position + 8 + length
        position += 8 + length + length % 2
    return 0


def _declared_size(head: bytes) -> int:
    """Return the size that the header of an AIFF, RF64, W64 or AU file declares, else 0."""
    if len(head) < 28:
        return 0
    if head[:4] == b"FORM":
        return 8 + struct.unpack(">I", head[4:8])[0]
    if head[:4] == b"RF64" and head[12:16] == b"ds64":
        return 8 + struct.unpack("<Q", head[20:28])[0]
    if head[:4] == b"riff":
        return struct.unpack("<Q", head[16:24])[0]
    if head[:4] == b".snd":
        start, length = struct.unpack(">II", head[4:12])
        return 0 if length == _UNKNOWN_SIZE else start + length
    return 0
