"""Speed and memory of our models against the authors' code, in one process and one thread.

    python tests/benchmarks/models/bench_authors.py --packages DIR \
        --dat DIR --htsat DIR --ast DIR --panns DIR --out tests/benchmarks/models/authors_cpu

Each DIR is a checkout of the authors' code at the commit in `authors.COMMITS`; what is left out is
not measured. `--packages` is a folder with what their code imports:

    uv pip install --target DIR --no-deps timm==0.4.5 torchlibrosa==0.1.0 librosa==0.11.0 \
        einops==0.8.2 audioread pooch lazy_loader joblib numba llvmlite decorator msgpack soxr h5py

Both sides have the same weights and are compared before they are timed. They then run in turn, so
that other load meets both; a ratio is the median over rounds of theirs / ours, with its quartiles.
On a CPU the clock counts the time of this process on the processor. "Backward" is a forward and a
backward pass in training mode to the gradients of all weights. Memory is the rise of the peak
during two passes, each side in a fresh process: of the resident set, or of what PyTorch allocated
on the GPU. Compare numbers of one row only: with `--only`, a later run replaces its own rows of
`--out` and keeps the others.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

# Ours before the authors' modules of the same name.
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import authors
from peaks import peak_mib
from report import write_report

_BLOCKS = (
    (0, 0, "window"),
    (0, 1, "shifted window"),
    (2, 0, "window"),
    (2, 1, "deformable"),
    (3, 1, "deformable"),
)
_MIN_ROUNDS = 4
_PASSES = ("forward", "backward")


def cases(arguments: argparse.Namespace) -> dict[str, Callable[[], authors.Pair]]:
    """What can be measured with the given checkouts, by name."""
    packages, batch = arguments.packages, arguments.batch
    found: dict[str, Callable[[], authors.Pair]] = {}
    if arguments.dat:

        def dat(size: tuple[int, int], window: int) -> authors.Pair:
            return authors.dat_pair(arguments.dat, packages, size, window, batch)

        def block(size: tuple[int, int], window: int, stage: int, index: int) -> authors.Pair:
            return authors.block_pair(dat(size, window), stage, index)

        # The authors' windows must divide the map: 4 on the spectrogram, where ours pads 7.
        for size, window in (((224, 224), 7), ((128, 1024), 4)):
            at = "x".join(map(str, size))
            for stage, index, kind in _BLOCKS:
                found[f"DAT-T {at} {kind} block, stage {stage + 1}"] = (
                    lambda size=size, window=window, stage=stage, index=index: block(
                        size, window, stage, index
                    )
                )
            found[f"DAT-T {at}"] = lambda size=size, window=window: dat(size, window)
    if arguments.htsat:
        found["HTS-AT, waveform"] = lambda: authors.htsat_pair(arguments.htsat, packages, batch)
    if arguments.ast:
        for size, name, of in (
            ("tiny224", "ast_tiny", ""),
            ("base384", "ast_base", ", one clip"),
        ):
            found[f"AST {size}{of}"] = lambda size=size, name=name: authors.ast_pair(
                arguments.ast, packages, size, name, batch if "tiny" in name else 1
            )
    if arguments.panns:
        found["CNN14, waveform"] = lambda: authors.cnn14_pair(arguments.panns, packages, batch)
    return {name: build for name, build in found.items() if arguments.only in name}


def main() -> None:
    """Measure every case and write JSON and a Markdown table."""
    arguments = _parse()
    torch.set_num_threads(1)
    if arguments.peak_of:
        name, side = arguments.peak_of
        print(json.dumps(_peaks_mib(cases(arguments)[name](), int(side), arguments.device)))
        return
    rows = []
    for name, build in cases(arguments).items():
        torch.manual_seed(0)
        pair = build()
        difference = _difference(pair)
        row: dict[str, Any] = {"case": name, "difference": difference}
        for passes in _PASSES:
            row[passes] = _time(pair, passes, arguments)
        del pair
        gc.collect()
        if not arguments.no_memory:
            peaks = [_run_peaks(name, side) for side in (0, 1)]
            for passes in _PASSES:
                row[passes]["memory_mib"] = [peak[passes] for peak in peaks]
        print(json.dumps(row), flush=True)
        rows.append(row)
    if arguments.out:
        write_report(arguments.out, rows, device=arguments.device, batch=arguments.batch)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for repo in authors.COMMITS:
        parser.add_argument(f"--{repo}", type=Path, help=authors.COMMITS[repo])
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--seconds", type=float, default=12.0, help="for each case and pass")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--out", type=Path, help="path without suffix of the .json and .md")
    parser.add_argument("--peak-of", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def _difference(pair: authors.Pair) -> float:
    """Largest difference of the outputs in evaluation, relative to the largest output."""
    results = []
    for module, x, output in zip((pair.authors, pair.ours), pair.inputs, pair.outputs, strict=True):
        with torch.no_grad():
            results.append(output(module.eval()(x)))
    theirs, ours = results
    difference = ((theirs - ours).abs().max() / theirs.abs().max()).item()
    if not difference < 1e-4:
        raise SystemExit(f"the outputs differ by {difference:.1e} of the largest")
    return difference


def _step(pair: authors.Pair, side: int, passes: str) -> Callable[[], None]:
    module = (pair.authors, pair.ours)[side]
    x, output = pair.inputs[side], pair.outputs[side]

    def forward() -> None:
        with torch.no_grad():
            module(x)

    def forward_backward() -> None:
        module.zero_grad()
        output(module(x)).square().sum().backward()

    module.train(passes == "backward")
    return forward if passes == "forward" else forward_backward


def _time(pair: authors.Pair, passes: str, arguments: argparse.Namespace) -> dict[str, Any]:
    for module in (pair.authors, pair.ours):
        module.to(arguments.device)
    pair.inputs = tuple(x.to(arguments.device) for x in pair.inputs)  # type: ignore[assignment]
    steps = [_step(pair, side, passes) for side in (0, 1)]
    times: list[list[float]] = [[] for _ in steps]
    start = time.perf_counter()
    while len(times[0]) <= _MIN_ROUNDS or time.perf_counter() - start < arguments.seconds:
        for taken, step in zip(times, steps, strict=True):
            taken.append(_clock(step, arguments.device))
    times = [taken[1:] for taken in times]  # the first round warms up

    ratios = [theirs / ours for theirs, ours in zip(*times, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        "rounds": len(times[0]),
        "authors_ms": round(min(times[0]) * 1e3, 2),
        "ours_ms": round(min(times[1]) * 1e3, 2),
        "ratio": [round(middle, 3), round(low, 3), round(high, 3)],
    }


def _clock(step: Callable[[], None], device: str) -> float:
    if device == "cpu":
        start = time.process_time()
        step()
        return time.process_time() - start
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    step()
    torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _run_peaks(name: str, side: int) -> dict[str, float]:
    command = [sys.executable, *sys.argv, "--peak-of", name, str(side)]
    # Tensors go back to the system when they are freed, so that resident is what is in use.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return json.loads(done.stdout)


def _peaks_mib(pair: authors.Pair, side: int, device: str) -> dict[str, float]:
    module = (pair.authors, pair.ours)[side].to(device)
    x, output = pair.inputs[side].to(device), pair.outputs[side]
    nothing = torch.nn.Identity()  # the other side is freed
    pair.authors, pair.ours = (nothing, module) if side else (module, nothing)
    pair.inputs, pair.outputs = (x, x), (output, output)
    peaks = {}
    for passes in _PASSES:
        step = _step(pair, side, passes)
        step()  # loads libraries
        module.zero_grad()
        peaks[passes] = peak_mib(step, device)
    return peaks


if __name__ == "__main__":
    main()
