"""Which clips of a data set differ from a colleague's copy, and by how much.

The copy is a pack, which keeps the hash and the measures of every clip as it was decoded, or the
file that `audit --csv` or `--json` wrote. With a pack, samples are compared too: both copies at the
pack's rate, the one shifted against the other as they fit best.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.data.addresses import CLIPS, MANIFEST
from orchestrator.data.decode import FULL_SCALE, to_pcm
from orchestrator.data.findings import ClipRecord
from orchestrator.data.info import read_manifest
from orchestrator.data.pack import MEASURES, Pack
from orchestrator.data.source import ClipFault, Source
from orchestrator.errors import DataError
from orchestrator.terminal.text import csv_text, grid, laid_out

_SHOWN = 20


@dataclass(frozen=True)
class Copy:
    """A colleague's copy of a data set.

    Attributes:
        path: The pack or the file of an audit.
        measures: Clip id -> sha256, rate_hz, frames, peak and rms_dbfs; None for what is unknown.
        pack: The pack, if it is one.
    """

    path: Path
    measures: Mapping[str, Mapping[str, Any]]
    pack: Pack | None = None

    @classmethod
    def read(cls, path: str | Path) -> Copy:
        """Read a copy.

        Args:
            path: A pack's folder or its `pack.json`, or what `audit --csv` or `--json` wrote.

        Raises:
            DataError: It is none of these, or a pack that was made before hashes were kept.
        """
        path = Path(path).expanduser()
        if path.name == MANIFEST:
            path = path.parent
        if path.is_dir():
            return cls(path, _of_pack(path), Pack(path))
        try:
            if path.exists() and not path.is_file():  # a pipe or a device has no end
                raise DataError(f"{path} is not a file; give a pack's folder or an audit's file")
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read {path}: {error}") from error
        try:
            if path.suffix.lower() == ".json":
                rows = json.loads(text)["clips"]
            else:
                rows = list(csv.DictReader(text.splitlines()))
            measures = {
                _plain(row["clip_id"]): _typed({name: row[name] for name in MEASURES})
                for row in rows
            }
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path} is neither a pack nor what `audit --csv` or `audit --json` wrote ({error})"
            ) from error
        return cls(path, measures)


@dataclass(frozen=True)
class Comparison:
    """What is alike in two copies of a data set, and what is not.

    Attributes:
        same: Number of clips with the same samples.
        differing: Clip id -> what differs, in words.
        here_alone: Clips that the copy lacks.
        there_alone: Clips that only the copy has.
    """

    same: int
    differing: Mapping[str, str]
    here_alone: Sequence[str]
    there_alone: Sequence[str]

    @property
    def alike(self) -> bool:
        """Whether both have the same clips with the same samples."""
        return not (self.differing or self.here_alone or self.there_alone)

    def text(self, *, width: int, every_clip: bool = False) -> str:
        """Describe the comparison.

        Args:
            width: Width in terminal columns.
            every_clip: Name all clips, not the first 20.
        """
        most = len(self.differing) if every_clip else _SHOWN
        lines = [f"{self.same} clips have the same samples, {len(self.differing)} differ"]
        if self.differing:
            rows = list(self.differing.items())[:most]
            table = grid(rows, heads=("clip", "here, compared with the copy"), indent=2)
            lines.append(laid_out(table, width=width).rstrip("\n"))
            if len(self.differing) > most:
                lines.append(f"  ... and {len(self.differing) - most} more (--all)")
        for names, where in ((self.here_alone, "here"), (self.there_alone, "in the copy")):
            if names:
                some = ", ".join(names if every_clip else names[:3])
                lines.append(f"{len(names)} clips are only {where}, such as {some}")
        return "\n".join(lines)


def compare(source: Source, records: Sequence[ClipRecord], copy: Copy) -> Comparison:
    """Compare audited clips with a colleague's.

    Args:
        source: The data set, which reads clips that differ once more.
        records: Its audit.
        copy: The colleague's copy. Clips that were dropped as broken are in no pack.
    """
    places = {name: n for n, name in enumerate(copy.pack.clip_ids)} if copy.pack else {}
    same, differing, here_alone = 0, {}, []
    for record in records:
        name = record.clip.clip_id
        theirs = copy.measures.get(name)
        if theirs is None:
            here_alone.append(name)
        elif theirs["sha256"] and theirs["sha256"] == record.sha256:
            same += 1
        else:
            found = [
                *_by_measures(record, theirs),
                *_by_samples(source, record, copy.pack, places.get(name)),
            ]
            differing[name] = ", ".join(found)
    ours = {record.clip.clip_id for record in records}
    return Comparison(same, differing, here_alone, [n for n in copy.measures if n not in ours])


def _of_pack(path: Path) -> dict[str, dict[str, Any]]:
    import pyarrow as pa

    read_manifest(path)
    try:
        with pa.memory_map(str(path / CLIPS)) as mapped:
            table = pa.ipc.open_file(mapped).read_all().select(["clip_id", *MEASURES])
    except (OSError, pa.ArrowException, KeyError) as error:
        raise DataError(
            f"the pack {path} keeps no hashes of its clips, for an earlier version made it; compare"
            " with what `python -m orchestrator.data audit --csv FILE` writes on that host"
        ) from error
    return {row.pop("clip_id"): row for row in table.to_pylist()}


def _plain(name: str) -> str:
    """Return a name without the quote that `csv_text` puts before a formula's beginning."""
    return name[1:] if name[:1] == "'" and csv_text(name[1:]) == name else name


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    """Return the measures of a line of csv as numbers, and of JSON as they are."""
    return {
        name: value if name == "sha256" or not isinstance(value, str) else float(value or "nan")
        for name, value in row.items()
    }


def _by_measures(record: ClipRecord, theirs: Mapping[str, Any]) -> Iterator[str]:
    if record.sha256 is None:
        yield f"broken here ({record.reason})"
        return
    if not theirs["sha256"]:
        yield "broken in the copy"
        return
    here = {name: getattr(record, name) for name in MEASURES}
    if here["rate_hz"] != theirs["rate_hz"]:
        yield f"{here['rate_hz']} Hz instead of {theirs['rate_hz']:g}"
    seconds = [of["frames"] / of["rate_hz"] for of in (here, theirs)]
    if seconds[0] != seconds[1]:
        yield f"{1000 * (seconds[0] - seconds[1]):+.4g} ms long"
    levels = [of["rms_dbfs"] for of in (here, theirs)]
    if all(level is not None and math.isfinite(level) for level in levels):
        yield f"{levels[0] - levels[1]:+.2f} dB in level"
    if here["peak"] is not None and theirs["peak"] is not None:
        yield f"{here['peak'] - theirs['peak']:+.3g} in peak"


def _by_samples(
    source: Source, record: ClipRecord, pack: Pack | None, place: int | None
) -> Iterator[str]:
    """Compare the samples themselves, if the copy is a pack and both clips can be read."""
    if pack is None or place is None or record.broken:
        return
    try:
        pcm, _ = to_pcm(source.read(record.clip), sample_rate=pack.sample_rate)
    except ClipFault:
        return
    ours, theirs = (wave.astype(np.float64) / FULL_SCALE for wave in (pcm, pack.waveform(place)))
    shift = _shift(ours, theirs)
    ours, theirs = ours[max(0, shift) :], theirs[max(0, -shift) :]
    size = min(len(ours), len(theirs))
    difference, power = ours[:size] - theirs[:size], np.square(theirs[:size]).sum()
    if shift:
        yield f"{1000 * shift / pack.sample_rate:+.4g} ms late"
    largest = float(np.abs(difference).max())
    if largest == 0:
        yield "the same samples at the pack's rate" + " but for that" * bool(shift)
        return
    snr_db = 10 * math.log10(max(power, 1e-20) / np.square(difference).sum())
    yield f"largest difference {largest:.3g} of full scale, {snr_db:.1f} dB below the signal"


def _shift(ours: np.ndarray, theirs: np.ndarray) -> int:
    """Return by how many samples ours is late, where both fit best."""
    size = 2 ** math.ceil(math.log2(len(ours) + len(theirs)))
    spectrum = np.fft.rfft(ours, size) * np.conj(np.fft.rfft(theirs, size))
    place = int(np.fft.irfft(spectrum, size).argmax())
    return place if place < len(ours) else place - size
