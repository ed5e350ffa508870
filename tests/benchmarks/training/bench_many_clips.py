"""The memory of training on more features than may be held.

    OMP_NUM_THREADS=1 python tests/benchmarks/training/bench_many_clips.py --place DIR

Makes a pack of noise in DIR, trains one epoch on it in processes of their own, and prints the table
of `many_clips.md`: with waveforms alone, as where a disk has no room, and with features in a file.
Memory is what the process itself allocated (the largest RssAnon in training, less that before); the
pages of files belong to the kernel, which drops them when others need room.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import numpy as np

from orchestrator import recipes
from orchestrator.data import open_pack
from orchestrator.data.packing import make_pack
from orchestrator.data.source import Clip, Decoded, Source
from orchestrator.experiment.config import Component
from orchestrator.experiment.overrides import override

RATE_HZ, MELS, FRAMES = 16000, 64, 64
FEATURE_BYTES = 4 * MELS * FRAMES


def noise(count: int) -> Source:
    """Return a source of one-second clips, a tenth of which are held out."""
    rng = np.random.default_rng(0)
    wave = rng.uniform(-0.5, 0.5, RATE_HZ).astype(np.float32)
    return Source(
        name="noise",
        sample_rate=RATE_HZ,
        class_names=("even", "odd"),
        fold_names={1: "1", 2: "2"},
        clips=tuple(
            Clip(f"clip-{n}", n % 2, 1 if n % 10 == 0 else 2, f"clip-{n}") for n in range(count)
        ),
        read=lambda clip: Decoded(np.roll(wave, int(clip.clip_id[5:])), RATE_HZ, 1),
        signature=f"noise-{count}",
        seconds=1,
    )


def train(packs: str, fingerprint: str, budget_mib: float, kept: str) -> dict[str, Any]:
    """Train one epoch in this process; return how long it took and what it allocated."""
    import torch

    from orchestrator.training import inputs
    from orchestrator.training.state import NoCheckpoints
    from orchestrator.training.trainer import Trainer

    torch.set_num_threads(1)
    if kept == "not kept":
        inputs.FREE_DISK = 0.0
    base = dataclasses.replace(
        recipes.datar_laptop(),
        dataset=Component("synthetic", fingerprint=fingerprint),
        frontend=Component("kaldi_fbank", sample_rate=RATE_HZ, n_mels=MELS, num_frames=FRAMES),
        model=Component("datar_laptop", depths=(1, 1, 1, 1)),
        epochs=1,
    )
    clips = open_pack(fingerprint, packs=packs)
    started, before = time.perf_counter(), _anonymous_mib()
    with _Peak() as peak:
        trainer = Trainer(
            override(base, {}),
            clips=clips,
            checkpoints=NoCheckpoints(),
            features=clips.path / "features",
            feature_memory=int(budget_mib * 2**20),
        )
        ready_s = time.perf_counter() - started
        list(trainer.epochs())
    assert trainer.inputs.kept == kept, trainer.inputs.kept
    return {
        "kept": kept,
        "clips": len(clips),
        "features_mib": len(clips) * FEATURE_BYTES / 2**20,
        "ready_s": ready_s,
        "epoch_s": time.perf_counter() - started - ready_s,
        "before_mib": before,
        "grown_mib": peak.mib - before,
    }


def in_process(*given: Any) -> dict[str, Any]:
    """Call `train` in a process of its own."""
    command = [sys.executable, __file__, "--child", json.dumps(given)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


class _Peak:
    """The largest anonymous memory of this process, looked at 50 times a second."""

    mib = 0.0

    def __enter__(self) -> _Peak:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.mib = max(self.mib, _anonymous_mib())


def _anonymous_mib() -> float:
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found, "this kernel does not say what a process allocated"
    return int(found[1]) / 1024


def main() -> None:
    """Make the pack and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--place", default=tempfile.gettempdir(), help="a folder on the disk")
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--budget-mib", type=float, default=1024.0)
    parser.add_argument("--only", choices=("not kept", "in a file"), help="one of the rows")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(train(*json.loads(options.child))))
        return
    print("| features | clips | MiB of features | first step s | epoch s | MiB allocated |")
    print("|:--|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory(dir=options.place) as place:
        fingerprint = make_pack(noise(options.clips), packs=place).fingerprint
        for kept in [options.only] if options.only else ["not kept", "in a file"]:
            row = in_process(place, fingerprint, options.budget_mib, kept)
            print(
                f"| {kept} | {row['clips']:,} | {row['features_mib']:,.0f} | {row['ready_s']:.0f} "
                f"| {row['epoch_s']:.0f} | {row['grown_mib']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
