"""What a killed process leaves of a pack, so that the next one need not decode it again.

Beside the samples, which are written batch by batch, a journal says what was found in every clip of
a batch. An Arrow file without its end is a magic number and a stream, whose batches can be read.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.data.addresses import CLIPS
from orchestrator.data.audit import Examined
from orchestrator.data.findings import ClipRecord, Problem
from orchestrator.data.source import Clip, Source

_JOURNAL = "examined.jsonl"
_BEFORE = ".before"
_MAGIC_BYTES = 8


class Unfinished:
    """The journal of a pack that is being made, and what an earlier one holds."""

    def __init__(self, making: Path):
        """Move what a killed process left out of the way of this one.

        Args:
            making: The folder of the unfinished pack.
        """
        self._making = making
        self._waiting: list[Examined] = []
        if _lines(making / _JOURNAL) > _lines(making / (_JOURNAL + _BEFORE)):
            for name in (CLIPS, _JOURNAL):
                (making / name).replace(making / (name + _BEFORE))
        self.forget()  # of a process that was killed while it copied what was before

    def recover(self, source: Source) -> Iterator[Examined]:
        """Yield the clips that were written whole, in list order from the first."""
        import pyarrow as pa

        clips = iter(source.clips)
        try:
            with (
                (self._making / (_JOURNAL + _BEFORE)).open(encoding="utf-8") as journal,
                pa.OSFile(str(self._making / (CLIPS + _BEFORE))) as file,
            ):
                file.seek(_MAGIC_BYTES)
                stream = pa.ipc.open_stream(file)
                for line in journal:
                    entries = json.loads(line)
                    waveforms = stream.read_next_batch()["waveform"]
                    yield from _checked(entries, waveforms, clips)
        except (OSError, pa.ArrowException, ValueError, KeyError, TypeError, StopIteration):
            pass  # where the kill came, or where something was damaged: decoded again from there
        for name in (CLIPS, _JOURNAL):  # not where this process is interrupted, too
            (self._making / (name + _BEFORE)).unlink(missing_ok=True)

    def add(self, seen: Examined, *, written: bool) -> None:
        """Note a clip.

        Args:
            seen: What was found, and the samples.
            written: Whether this clip completed a batch, which is on the disk now.
        """
        self._waiting.append(seen)
        if written:
            entries = [_entry(one) for one in self._waiting]
            with (self._making / _JOURNAL).open("a", encoding="utf-8") as journal:
                journal.write(json.dumps(entries, separators=(",", ":")) + "\n")
            self._waiting = []

    def forget(self) -> None:
        """Delete the journal of a pack that is whole."""
        (self._making / _JOURNAL).unlink(missing_ok=True)


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _entry(seen: Examined) -> dict[str, Any]:
    crc = None if seen.pcm is None else zlib.crc32(seen.pcm.data)
    return {**asdict(seen.record), "clip": seen.record.clip.clip_id, "crc": crc}


def _checked(
    entries: Sequence[dict[str, Any]], waveforms: Any, clips: Iterator[Clip]
) -> list[Examined]:
    """Return a batch's clips.

    Args:
        entries: Its line of the journal.
        waveforms: Its samples, a list of int16 per usable clip.
        clips: The listed clips from the batch's first one on.

    Raises:
        ValueError: They do not fit together.
    """
    samples, ends = waveforms.values.to_numpy(), waveforms.offsets.to_numpy()
    checked, row = [], 0
    for entry in entries:
        clip, crc, pcm = next(clips), entry.pop("crc"), None
        if crc is not None:
            pcm = samples[ends[row] : ends[row + 1]]
            row += 1
        if entry.pop("clip") != clip.clip_id or (pcm is not None and zlib.crc32(pcm.data) != crc):
            raise ValueError("another clip, or damaged samples")
        problems = tuple(Problem(**problem) for problem in entry.pop("problems"))
        checked.append(Examined(ClipRecord(clip, problems=problems, **entry), pcm))
    if row != len(waveforms):
        raise ValueError("another number of clips")
    return checked
