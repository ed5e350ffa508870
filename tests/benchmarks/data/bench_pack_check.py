"""What the check of a pack's content costs, beside reading its file once.

    OMP_NUM_THREADS=1 python tests/benchmarks/data/bench_pack_check.py --place DIR

Prints the table of `pack_check.md`. Packs of made-up noise are made in DIR, which needs 4.4 GB, and
removed at the end. Cold means that the file's pages were dropped by `posix_fadvise(DONTNEED)`
before every measurement; the share of pages that were in memory is counted by `mincore`.
"""

from __future__ import annotations

import argparse
import ctypes
import mmap
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow

from orchestrator.data import Pack, addresses, integrity
from orchestrator.data.packing import make_pack
from orchestrator.data.source import Clip, Decoded, Source

RATE_HZ = 16000
SECONDS = 10
CLIP_BYTES = 2 * RATE_HZ * SECONDS
SIZES_MB = (64, 4000)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--place", default=tempfile.gettempdir(), help="a folder on the disk")
    parser.add_argument("--repeats", type=int, default=3, help="per cell (%(default)s)")
    options = parser.parse_args()
    needed = 1.1e6 * max(SIZES_MB)
    if shutil.disk_usage(options.place).free < needed:
        parser.error(f"{options.place} needs {needed / 1e9:.1f} GB free")
    print(_machine() + "\n")
    print("| pack | page cache | pages in memory | read once | check | remembered | by content |")
    print("|--:|:--|--:|--:|--:|--:|--:|")
    for size_mb in SIZES_MB:
        with tempfile.TemporaryDirectory(dir=options.place) as place:
            os.environ["XDG_CACHE_HOME"] = place
            made = make_pack(_source(size_mb), packs=f"{place}/packs")
            path = Path(place, "packs", made.fingerprint)
            time.sleep(2 * integrity.SETTLED_NS / 1e9)  # a file that is so new is not remembered
            for state in ("cold", "warm"):
                print(_row(path, state, options.repeats), flush=True)


def _row(path: Path, state: str, repeats: int) -> str:
    clips, name = path / addresses.CLIPS, path.name
    times: dict[str, list[float]] = {}
    cpu_s: dict[str, list[float]] = {}
    shares = []

    def measure(what: str, call: Callable[[], object], *, cold: bool) -> None:
        (_drop if cold else _read)(clips)
        shares.append(_share_in_memory(clips))
        started, cpu = time.perf_counter(), time.process_time()
        call()
        times.setdefault(what, []).append(time.perf_counter() - started)
        cpu_s.setdefault(what, []).append(time.process_time() - cpu)

    for _ in range(repeats):
        cold = state == "cold"
        measure("read", lambda: _read(clips), cold=cold)
        measure("check", lambda: integrity.check(path, name, trust_memory=False), cold=cold)
        measure("remembered", lambda: integrity.check(path, name), cold=cold)
        if not cold:
            measure("content", Pack(path).content_digest, cold=False)
    cells = [_cell(times[what], cpu_s[what]) for what in ("read", "check", "remembered")]
    cells.append(_cell(times["content"], cpu_s["content"]) if "content" in times else "-")
    size = f"{clips.stat().st_size / 1e6:,.0f} MB"
    share = f"{100 * min(shares):.0f} to {100 * max(shares):.0f} %"
    return f"| {size} | {state} | {share} | " + " | ".join(cells) + " |"


def _cell(times_s: list[float], cpu_s: list[float]) -> str:
    low, middle, high = (f"{1e3 * f(times_s):,.1f}" for f in (min, statistics.median, max))
    return f"{middle} ({low} to {high}), {1e3 * statistics.median(cpu_s):,.1f}"


def _source(size_mb: int) -> Source:
    rng = np.random.default_rng(0)
    noise = rng.uniform(-0.5, 0.5, RATE_HZ * SECONDS).astype(np.float32)
    clips = tuple(
        Clip(f"clip-{n}", n % 2, 1 + n // 2 % 2, f"clip-{n}")
        for n in range(round(1e6 * size_mb / CLIP_BYTES))
    )
    return Source(
        name="noise",
        sample_rate=RATE_HZ,
        class_names=("even", "odd"),
        fold_names={1: "1", 2: "2"},
        clips=clips,
        read=lambda clip: Decoded(np.roll(noise, int(clip.clip_id[5:])), RATE_HZ, 1),
        signature=f"noise-{size_mb}",
        seconds=SECONDS,
    )


def _read(path: Path) -> None:
    buffer = bytearray(1 << 18)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def _drop(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _share_in_memory(path: Path) -> float:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        pages = -(-len(mapped) // mmap.PAGESIZE)
        seen = np.zeros(pages, np.uint8)
        content = np.frombuffer(mapped, np.uint8)
        libc = ctypes.CDLL(None, use_errno=True)
        failed = libc.mincore(
            ctypes.c_void_p(content.ctypes.data),
            ctypes.c_size_t(len(mapped)),
            ctypes.c_void_p(seen.ctypes.data),
        )
        del content  # the map cannot be closed while an array shows it
        assert not failed, os.strerror(ctypes.get_errno())
    return float((seen & 1).mean())


def _machine() -> str:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return (
        f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f} at the start; Python {platform.python_version()}, "
        f"pyarrow {pyarrow.__version__}, Linux {platform.release().split('-')[0]}"
    )


if __name__ == "__main__":
    main()
