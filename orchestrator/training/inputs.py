"""Inputs of the chain for the clips of a pack: features computed once, or waveforms.

The output of a pure front end depends on the clip alone (`models.protocols.Frontend.is_pure`), so
it is computed once per pack and front end and kept beside the pack, where all processes of a host
and all later sweeps read it through the page cache; on CUDA it is held on the device if it fits.
Where it cannot be kept, int16 waveforms go to the device and the chain computes the features.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import json
import math
import os
import shutil
import tempfile
import weakref
import zipfile
import zlib
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from models.frontends.base import FeatureSums
from models.precision import full_precision
from models.protocols import Frontend, built_as
from orchestrator.data.pack import SCALE
from orchestrator.data.partition import Divided
from orchestrator.terminal.waiting import waiting

CHUNK = 64
"""Clips per pass of a front end."""
AHEAD = 3
"""Batches that are read while the device works."""
FREE_DISK = 0.2
"""Largest share of the free disk that a file of features may take."""

Kept = Literal["on the device", "in a file", "in memory", "not kept"]

LOCK = ".lock"
"""File that is opened whenever a folder of features is."""

_ROWS, _SUMS = "features.f32", "sums.npz"
_held: dict[str, Tensor] = {}
"""Features in this process's memory or on its device: it trains many trials on the same pack."""
_sums: dict[str, FeatureSums] = {}


class Clips(Divided, Protocol):
    """The part of a pack that training needs; see `orchestrator.data.pack.Pack`."""

    fingerprint: str
    sample_rate: int
    class_names: tuple[str, ...]
    num_samples: np.ndarray

    @property
    def clip_ids(self) -> Sequence[str]:
        """One name per clip."""
        ...

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        ...

    def pcm(self, indices: np.ndarray, num_samples: int) -> np.ndarray:
        """Return (batch, num_samples) int16 samples."""
        ...


class Inputs:
    """Batches of clips as keyword arguments of `models.chain.Chain`, on the training device.

    This class passes waveforms on; `Features` passes the output of the front end.

    Attributes:
        clips: The pack.
        device: The training device.
        kept: Where the features are kept.
    """

    kept: Kept = "not kept"

    def __init__(self, clips: Clips, device: torch.device, *, read_ahead: bool | None = None):
        """Read waveforms.

        Args:
            clips: The pack.
            device: The training device.
            read_ahead: Whether a thread reads the next batches; by default on CUDA, since on the
                CPU it would take the time of the step.
        """
        self.clips = clips
        self.device = device
        self._num_samples = int(clips.num_samples.max())
        self._pins = device.type == "cuda"
        self._reads_ahead = self._pins if read_ahead is None else read_ahead

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        """Return the chain's inputs of (batch,) positions in the pack."""
        return self._placed(self._gather(indices))

    def batches(self, parts: Sequence[np.ndarray]) -> Generator[dict[str, Tensor]]:
        """Yield the inputs of several batches in order, read while the device works."""
        if not self._reads_ahead:
            yield from map(self.batch, parts)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="clips") as pool:
            waiting: deque[Future[Tensor]] = deque()
            try:
                for part in parts:
                    waiting.append(pool.submit(self._gather, part))
                    if len(waiting) > AHEAD:
                        yield self._placed(waiting.popleft().result())
                while waiting:
                    yield self._placed(waiting.popleft().result())
            finally:
                pool.shutdown(cancel_futures=True)

    def _gather(self, indices: np.ndarray) -> Tensor:
        """Return what travels to the device, in host memory."""
        waves = torch.from_numpy(self.clips.pcm(indices, self._num_samples))
        return waves.pin_memory() if self._pins else waves

    def _placed(self, gathered: Tensor) -> dict[str, Tensor]:
        waves = gathered.to(self.device, non_blocking=True)
        return {"waveform": waves.float().mul_(SCALE)}

    def waveforms(self, indices: np.ndarray) -> Tensor:
        """Return (batch, time) float32 in [-1, 1] on the device, whatever `batch` returns."""
        return Inputs._placed(self, Inputs._gather(self, indices))["waveform"]


class Features(Inputs):
    """The output of a pure front end, read from memory or from a file."""

    def __init__(self, source: _Source, rows: Tensor | _File, *, read_ahead: bool | None = None):
        """Read one row per clip; see `open_inputs`."""
        if isinstance(rows, Tensor):
            self.kept = "on the device" if rows.is_cuda else "in memory"
            read_ahead = False
        else:
            self.kept = "in a file"
        super().__init__(source.clips, source.device, read_ahead=read_ahead)
        self._source = source
        self._rows = rows

    def _gather(self, indices: np.ndarray) -> Tensor:
        if isinstance(self._rows, Tensor):
            return self._rows[torch.from_numpy(indices).to(self._rows.device)]
        rows, damaged = self._rows.read(indices, pin=self._pins)
        for row in damaged:
            rows[row] = self._source.compute(indices[row : row + 1])[0]
        return rows

    def _placed(self, gathered: Tensor) -> dict[str, Tensor]:
        return {"frontend_output": gathered.to(self.device, non_blocking=True)}


def open_inputs(
    clips: Clips,
    frontend: nn.Module,
    *,
    device: torch.device,
    folder: Path | None = None,
    memory_bytes: int = 0,
) -> tuple[Inputs, FeatureSums | None]:
    """Open the inputs of a chain; compute the front end's output if nobody has yet.

    Args:
        clips: The pack.
        frontend: The chain's front end, on the device.
        device: The training device.
        folder: Where to keep features, for one version of the code; None keeps no file, and neither
            does a folder that cannot be written to.
        memory_bytes: Most that features may take of the memory of the device, or of this process
            where there is no file.

    Returns:
        The inputs, and the sums of every clip's features; None unless the front end is pure.
    """
    source = _Source(clips, frontend, device)
    if not source.is_pure():
        return Inputs(clips, device), None
    key = source.key
    if key in _held and source.num_bytes <= memory_bytes:
        return Features(source, _held[key]), _sums[key]
    file: _File | None = None
    if folder is not None:
        with contextlib.suppress(OSError):
            file, _sums[key] = _kept_in(folder / key, source)
    if source.num_bytes <= memory_bytes and (device.type == "cuda" or file is None):
        return Features(source, _hold(source, file, memory_bytes)), _sums[key]
    if key not in _sums:
        _sums[key] = FeatureSums.empty(len(clips.num_samples))
        for part, computed in source.chunks():
            _sums[key].put(part, computed)
    return (Features(source, file) if file else Inputs(clips, device)), _sums[key]


def drop_other_versions(folder: Path) -> None:
    """Delete the features of other versions of the code, but for those of the one used last.

    A process that still reads them keeps its files until it closes them.

    Args:
        folder: That of this version, beside those of others.
    """
    with contextlib.suppress(OSError):  # others may delete, too
        others = [other for other in folder.parent.iterdir() if other != folder]
        for old in sorted(others, key=_last_used)[:-1]:
            shutil.rmtree(old, ignore_errors=True)


def _last_used(features: Path) -> float:
    lock = features / LOCK
    return lock.stat().st_mtime if lock.exists() else 0.0


class _Source:
    """Computes the features of a pack's clips."""

    def __init__(self, clips: Clips, frontend: nn.Module, device: torch.device):
        self.clips = clips
        self.device = device
        self._frontend = frontend
        self._waveforms = Inputs(clips, device)

    def is_pure(self) -> bool:
        """Whether the front end is known to be pure.

        It must declare it, have no weights to learn and be built by name, so that it has a key; a
        clip that is computed twice must not differ.
        """
        learns = any(parameter.requires_grad for parameter in self._frontend.parameters())
        if not Frontend.of(self._frontend).is_pure or learns or built_as(self._frontend) is None:
            return False
        return torch.equal(self._first, self.compute(np.arange(1)))

    @functools.cached_property
    def _first(self) -> Tensor:
        return self.compute(np.arange(1))

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, rows, frames) of a clip's features."""
        return tuple(self._first.shape[1:])

    @property
    def row_bytes(self) -> int:
        """Size of a clip's features."""
        return 4 * math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        """Size of all clips' features."""
        return len(self.clips.num_samples) * self.row_bytes

    @functools.cached_property
    def key(self) -> str:
        """Name of the features: everything that decides a bit, but for the version of the code."""
        facts = [
            self.clips.fingerprint,
            built_as(self._frontend),
            self.shape,
            torch.__version__,
            self.device.type,
            torch.cuda.get_device_name(self.device)
            if self.device.type == "cuda"
            else torch.backends.cpu.get_cpu_capability(),
            torch.backends.cuda.matmul.allow_tf32,
        ]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    @torch.no_grad()
    def compute(self, indices: np.ndarray) -> Tensor:
        """Return the features of clips, (batch, channels, rows, frames) float32, on the device."""
        waveform = self._waveforms.waveforms(indices)
        with full_precision(waveform):
            return self._frontend(waveform).float()

    def chunks(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield the features of all clips in order, a few at a time."""
        for part in _parts(len(self.clips.num_samples)):
            yield part, self.compute(np.arange(part.start, part.stop))


def _parts(count: int) -> Iterator[slice]:
    """Cut all clips into parts for one pass each."""
    for start in range(0, count, CHUNK):
        yield slice(start, min(start + CHUNK, count))


def _hold(source: _Source, file: _File | None, memory_bytes: int) -> Tensor:
    """Load the features into memory, on the device; others leave it if they do not fit beside."""
    if source.num_bytes + sum(held.nbytes for held in _held.values()) > memory_bytes:
        _held.clear()
    rows = torch.empty((len(source.clips.num_samples), *source.shape), device=source.device)
    sums = FeatureSums.empty(len(rows))
    for part, computed in source.chunks() if file is None else file.chunks(source):
        rows[part] = computed
        sums.put(part, computed)
    _sums.setdefault(source.key, sums)
    _held[source.key] = rows
    return rows


def _kept_in(folder: Path, source: _Source) -> tuple[_File | None, FeatureSums]:
    """Open what a folder keeps; one process of a host makes it, the others wait.

    Raises:
        OSError: It cannot be made there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    # One lock for all front ends, so that each sees the disk as the others left it.
    with (folder.parent / LOCK).open("w") as lock:
        with waiting(f"waiting for another process that computes features in {folder.parent}"):
            fcntl.flock(lock, fcntl.LOCK_EX)
        sums, checks = _read(folder, source)
        fits = source.num_bytes <= FREE_DISK * shutil.disk_usage(folder.parent).free
        if sums is None or (fits and not len(checks)):
            for left in folder.parent.glob(".making-*"):  # by a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as making:
                made = Path(making) / "made"
                _make(made, source, keeps_rows=fits)
                shutil.rmtree(folder, ignore_errors=True)
                made.rename(folder)
            sums, checks = _read(folder, source)
        assert sums is not None
        return (_File(folder / _ROWS, source, checks) if len(checks) else None), sums


def _read(folder: Path, source: _Source) -> tuple[FeatureSums | None, np.ndarray]:
    """Read the sums, and the checks of the rows, of which there are none if no row was kept.

    Returns:
        No sums if a file is missing or not as it was written.
    """
    try:
        with np.load(folder / _SUMS) as found:
            sums = FeatureSums(*(found[field.name] for field in dataclasses.fields(FeatureSums)))
            checks = found["checks"]
        size = (folder / _ROWS).stat().st_size
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        return None, np.empty(0)
    whole = len(sums.count) == len(source.clips.num_samples)
    return (sums if whole and size == len(checks) * source.row_bytes else None), checks


def _make(folder: Path, source: _Source, *, keeps_rows: bool) -> None:
    folder.mkdir()
    count = len(source.clips.num_samples)
    # Filled in place: small arrays left behind by every chunk would split the memory that the next
    # chunk could take, and the process grow by the size of all waveforms.
    sums, checks = FeatureSums.empty(count), np.empty(count if keeps_rows else 0, np.uint32)
    with (folder / _ROWS).open("wb") as file:
        for part, computed in source.chunks():
            sums.put(part, computed)
            for number, row in enumerate(computed.cpu().numpy() if keeps_rows else (), part.start):
                checks[number] = zlib.crc32(row)
                file.write(row)
    np.savez(folder / _SUMS, checks=checks, **dataclasses.asdict(sums))


class _File:
    """Rows of float32 in a file, checked as they are read."""

    def __init__(self, path: Path, source: _Source, checks: np.ndarray):
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        self._path = path
        self._shape = source.shape
        self._row_bytes = source.row_bytes
        self._checks = checks

    def read(self, indices: np.ndarray, *, pin: bool = False) -> tuple[Tensor, list[int]]:
        """Return the rows of some clips, and which of them are damaged.

        A damaged file is deleted, so that the next process makes it again.
        """
        rows = torch.empty((len(indices), *self._shape), pin_memory=pin)
        damaged = []
        for number, (row, index) in enumerate(zip(rows.numpy(), indices, strict=True)):
            place = int(index) * self._row_bytes
            got = os.preadv(self._descriptor, [row.data.cast("B")], place)
            if got != self._row_bytes or zlib.crc32(row) != self._checks[index]:
                damaged.append(number)
        if damaged:
            shutil.rmtree(self._path.parent, ignore_errors=True)
        return rows, damaged

    def chunks(self, source: _Source) -> Iterator[tuple[slice, Tensor]]:
        """Yield all rows in order, a few at a time, on the device."""
        inputs = Features(source, self, read_ahead=False)
        for part in _parts(len(self._checks)):
            yield part, inputs.batch(np.arange(part.start, part.stop))["frontend_output"]
