"""What packing costs beside decoding, in time and memory, also when it is killed halfway.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.data.bench_pack --place DIR

Prints the table of `pack.md`. Clips of made-up noise, one second at 22.05 kHz, are written below
DIR, which needs 2.5 GB, and packed at 16 kHz. "Decoded alone" decodes and resamples the same files
on as many threads and drops the samples. Every row has a process of its own.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from orchestrator.data import prepare
from orchestrator.data.decode import to_pcm
from orchestrator.data.entry import open_source
from orchestrator.data.source import Clip, Source

RATE_HZ = 22050
CLASSES = 20
MIB = 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--place", default=tempfile.gettempdir(), help="a folder on the disk")
    parser.add_argument("--clips", type=int, default=20_000, help="clips (%(default)s)")
    parser.add_argument("--row", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        print(*_row(*options.row), flush=True)
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs\n")
    print(f"| {options.clips} clips | seconds | peak MiB |")
    print("|:--|--:|--:|")
    with tempfile.TemporaryDirectory(dir=options.place) as place:
        root = Path(place, "audio")
        _write(root, options.clips)
        once, twice, half = f"{place}/once", f"{place}/twice", str(options.clips // 2)
        for title, arguments in (
            ("decoded alone", ("decode", str(root))),
            ("packed", ("pack", str(root), once)),
            ("packed to half, killed", ("pack", str(root), twice, half)),
            ("gone on to the end", ("pack", str(root), twice)),
        ):
            print(f"| {title} | {_in_process(arguments)} |", flush=True)
        names = [sorted(path.name for path in Path(packs).iterdir()) for packs in (once, twice)]
        assert names[0] == names[1], names


def _write(root: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    for number in range(count):
        folder = root / f"class {number % CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        noise = 0.1 * rng.standard_normal(RATE_HZ, dtype=np.float32)
        soundfile.write(folder / f"{number}.wav", noise, RATE_HZ)


def _in_process(arguments: tuple[str, ...]) -> str:
    command = [sys.executable, "-m", __spec__.name, "--row", *arguments]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode == -signal.SIGKILL:
        return f"{seconds:.1f} | -"
    assert done.returncode == 0, done.stderr
    took, peak = done.stdout.split()
    return f"{took} | {peak}"


def _row(what: str, root: str, packs: str = "", kill_at: str = "0") -> tuple[str, str]:
    def progress(done: int, total: int) -> None:
        if done == int(kill_at):
            os.kill(os.getpid(), signal.SIGKILL)

    started = time.perf_counter()
    if what == "decode":
        source = open_source("folder", {}, root=root)
        for _ in _decoded(source):
            pass
    else:
        prepare("folder", {}, root=root, packs=packs, progress=progress)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB
    return f"{seconds:.1f}", f"{peak:.0f}"


def _decoded(source: Source) -> Iterator[Any]:
    """Decode and resample clips on as many threads as packing does, and nothing else."""
    workers = min(8, os.cpu_count() or 1)

    def one(clip: Clip) -> Any:
        return to_pcm(source.read(clip), sample_rate=source.sample_rate)

    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for clip in source.clips:
            waiting.append(pool.submit(one, clip))
            if len(waiting) == 4 * workers:
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()


if __name__ == "__main__":
    main()
