"""Audio files to samples, once, with named tools and no silent loss.

soundfile (libsndfile) decodes. It notices a FLAC that was cut, and says nothing about a WAV, Ogg
or MP3 that was (measured), so the length is compared with what the file itself declares: the WAV
chunk sizes, the Ogg end-of-stream mark, the frame count of the header. Mono is the mean of the
channels. soxr at quality VHQ resamples, once, when a pack is made. Samples are rounded to 16 bit
without dither; what exceeds full scale is clipped and counted.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from orchestrator.data.source import ClipFault, Decoded

RESAMPLER = "soxr VHQ"
FULL_SCALE = 32768
_UNKNOWN_SIZE = 0xFFFFFFFF


def tools() -> dict[str, str]:
    """Return the decoder and the resampler with their versions, for the record."""
    import soundfile
    import soxr

    return {
        "decoder": f"soundfile {soundfile.__version__} ({soundfile.__libsndfile_version__})",
        "resampler": f"{RESAMPLER} {soxr.__version__}",
        "mono": "mean of channels",
        "quantiser": "round to 16 bit, no dither",
        "numpy": np.__version__,
    }


def decode(path: str | Path, *, seconds: float = 0.0) -> Decoded:
    """Decode one audio file completely.

    Args:
        path: the file; anything that libsndfile reads.
        seconds: the length that the clip must have, or 0.0 where any will do. Longer is let
            through (and noted by `audit`), shorter is a fault.

    Returns:
        `Decoded`: samples `(time,)` float32 mono at the file's own rate.

    Raises:
        ClipFault: missing, empty, unreadable, truncated, short or non_finite.
    """
    import soundfile

    path = Path(path)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ClipFault("missing", f"{path} does not exist") from error
    if size == 0:
        raise ClipFault("empty", "the file has 0 bytes")
    cut = _cut_short(path, size)
    if cut:
        raise ClipFault("truncated", cut)
    try:
        with soundfile.SoundFile(path) as file:
            declared, rate_hz, channels = file.frames, file.samplerate, file.channels
            frames = file.read(dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise ClipFault("unreadable", str(error).replace(str(path), path.name)) from error
    if len(frames) == 0:
        raise ClipFault("empty", "the file has a header and no samples")
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


def to_pcm(decoded: Decoded, *, sample_rate: int) -> tuple[np.ndarray, int]:
    """Resample to the pack's rate and round to 16 bit.

    Args:
        decoded: samples `(time,)` in [-1, 1].
        sample_rate: the pack's rate in Hz.

    Returns:
        int16 samples `(time,)`, and how many were beyond full scale and clipped.

    Raises:
        ClipFault: the resampler returned another length than it should.
    """
    samples = decoded.samples
    if decoded.rate_hz != sample_rate:
        import soxr

        samples = soxr.resample(samples, decoded.rate_hz, sample_rate, quality="VHQ")
        due = len(decoded.samples) * sample_rate / decoded.rate_hz
        if abs(len(samples) - due) > 1:
            raise ClipFault("short", f"{len(samples)} samples after resampling, {due:.1f} due")
    scaled = np.rint(samples.astype(np.float64) * FULL_SCALE)
    over = int(((scaled > FULL_SCALE - 1) | (scaled < -FULL_SCALE)).sum())
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype("<i2"), over


def _cut_short(path: Path, size: int) -> str:
    """Say how a WAV or Ogg file falls short of what it declares, or ""."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
            position = 12
            while True:
                file.seek(position)
                chunk = file.read(8)
                if len(chunk) < 8:
                    return ""
                name, length = struct.unpack("<4sI", chunk)
                if name == b"data":
                    there = size - position - 8
                    # Writers to a pipe leave 0 or all ones, which declares nothing.
                    if length in (0, _UNKNOWN_SIZE) or length <= there:
                        return ""
                    return f"{there} bytes of samples, the header declares {length}"
                position += 8 + length + length % 2
        if head[:4] == b"OggS":
            file.seek(max(0, size - 131_072))
            tail = file.read()
            last = tail.rfind(b"OggS")
            ended = last >= 0 and last + 5 < len(tail) and tail[last + 5] & 4
            if not ended:
                return "the Ogg stream stops before its end-of-stream mark"
    return ""
