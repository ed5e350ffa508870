"""Clips per second of whole training steps, beside the same model on ready tensors.

    python tests/benchmarks/gpu/steps.py --device cuda --out DIR
    python tests/benchmarks/gpu/steps.py --device cpu --laptop --out DIR

Every case trains on noise in memory, in the shape of a pack. Columns:

- trainer: clips/s of `Trainer.epochs`, evaluation not counted, median over epochs;
- waveforms, features: clips/s of forward, backward and optimizer on a batch that is already on the
  device, before and after the front end: the ceilings of the trainer;
- busy: the kernels' own time per step over the trainer's time per step, one stream;
- share: MACs of forward and backward (three times forward) over the rate that a bf16 product of
  8192 x 8192 matrices reaches in the same run;
- peak: GB allocated at most in the trainer.

`compiled` is `torch.compile` of the model, `graphs` its mode `reduce-overhead`; both are measured
on features alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import machine
import numpy as np
import torch

from models import count_macs
from models.zoo.cards import default_parts
from orchestrator import recipes
from orchestrator.data.pack import Pack
from orchestrator.experiment.config import Component, Experiment
from orchestrator.experiment.identity import complete
from orchestrator.training.evaluate import autocast
from orchestrator.training.losses import build_loss
from orchestrator.training.trainer import Trainer

STEPS, EPOCHS, CLASSES = 6, 4, 10
PRECISIONS = ("fp32", "tf32", "bf16")


class Noise:
    """Clips of noise in memory, all of one length, in the shape of a pack."""

    fingerprint = "noise"
    num_classes = CLASSES

    def __init__(self, count: int, num_samples: int) -> None:
        """Draw them: int16, the last ones held out."""
        generator = np.random.default_rng(0)
        self._waves = generator.integers(-3000, 3000, (count, num_samples), np.int16)
        self.num_samples = np.full(count, num_samples)
        self.labels = np.arange(count) % CLASSES
        self.clip_ids = [str(number) for number in range(count)]

    def split(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Hold out eight clips."""
        everything = np.arange(len(self.labels))
        return everything[:-8], everything[-8:]

    def waveform(self, index: int) -> np.ndarray:
        """Return (time,) int16."""
        return self._waves[index]

    batch = Pack.batch


class Nowhere:
    """Checkpoints that are not kept: their cost is not that of a step."""

    def load(self, which: str) -> None:
        """Find none."""

    def save(self, which: str, tensors: Any, facts: Any) -> None:
        """Keep none."""


def cases(*, laptop: bool) -> dict[str, tuple[Experiment, int, int]]:
    """Return name -> (experiment, batch size, samples of a clip)."""
    small = recipes.datar_laptop()
    found = {"datar_laptop 64x128": (small, 16, 80_000)}
    if laptop:
        return found
    found["datar_laptop 64x128, batch 64"] = (small, 64, 80_000)
    datar = recipes.datar_tiny()
    half = dataclasses.replace(datar, frontend=datar.frontend.replace(num_frames=512))
    found["datar_tiny 128x1024"] = (datar, 64, 441_000)
    found["datar_tiny 128x512"] = (half, 64, 220_500)
    found["htsat_tiny"] = (recipes.htsat_tiny(), 64, 320_000)
    for name, batch, samples in (("ast_base", 32, 160_000), ("cnn14", 64, 320_000)):
        frontend, _ = default_parts(name)
        found[name] = (
            dataclasses.replace(
                recipes.htsat_tiny(),
                frontend=Component(frontend[0], **frontend[1]),
                augmentation=Component("none"),
                model=Component(name),
            ),
            batch,
            samples,
        )
    return found


def measure(
    experiment: Experiment,
    batch: int,
    num_samples: int,
    precision: str,
    *,
    device: str,
    rate: float,
) -> dict[str, Any]:
    """Train a few epochs, then step on ready tensors."""
    _set_tf32(precision == "tf32")
    experiment = complete(
        dataclasses.replace(
            experiment,
            batch_size=batch,
            epochs=EPOCHS,
            precision="bf16" if precision == "bf16" else "fp32",
        )
    )
    clips = Noise(batch * STEPS + 8, num_samples)
    trainer = Trainer(experiment, clips=clips, checkpoints=Nowhere(), device=device)
    epochs = trainer.epochs()
    timed = [epoch.metrics["throughput/clips_per_s"] for epoch in (next(epochs), *epochs)][1:]
    in_trainer = statistics.median(timed)
    chain = trainer.chain
    waveform = clips.batch(np.arange(batch), num_samples).to(device)
    labels = torch.from_numpy(clips.labels[:batch]).to(device)
    macs = count_macs(chain, waveform[:1]).total
    row = {
        "batch": batch,
        "precision": precision,
        "mode": "eager",
        "trainer": in_trainer,
        "peak": trainer.records[-1].metrics["memory/peak_mb"] / 1e3,
    }
    with torch.no_grad():
        features = chain.train().features(waveform)
    step = _stepper(trainer, lambda: chain(waveform), labels)
    row["waveforms"] = batch / _median_s(step, device)
    kernels = _kernel_s(step, device)
    row["features"] = batch / _median_s(
        _stepper(trainer, lambda: chain.model(features), labels), device
    )
    row["busy"] = kernels and kernels * in_trainer / batch
    row["share"] = 2 * 3 * macs * in_trainer / rate
    return row


def measure_compiled(
    experiment: Experiment, batch: int, num_samples: int, precision: str, mode: str, *, device: str
) -> dict[str, Any]:
    """Compile the model, and step on features that are on the device."""
    _set_tf32(precision == "tf32")
    experiment = complete(
        dataclasses.replace(experiment, precision="bf16" if precision == "bf16" else "fp32")
    )
    clips = Noise(batch + 8, num_samples)
    trainer = Trainer(experiment, clips=clips, checkpoints=Nowhere(), device=device)
    waveform = clips.batch(np.arange(batch), num_samples).to(device)
    labels = torch.from_numpy(clips.labels[:batch]).to(device)
    with torch.no_grad():
        features = trainer.chain.train().features(waveform)
    torch.compiler.reset()
    compiled: Any = torch.compile(
        trainer.chain.model, mode="reduce-overhead" if mode == "graphs" else "default"
    )
    started = time.perf_counter()
    step = _stepper(trainer, lambda: compiled(features), labels)
    step()
    _wait(device)
    return {
        "batch": batch,
        "precision": precision,
        "mode": mode,
        "compile s": time.perf_counter() - started,
        "features": batch / _median_s(step, device),
    }


def _stepper(
    trainer: Trainer, forward: Callable[[], Any], labels: torch.Tensor
) -> Callable[[], None]:
    loss = build_loss(Component("cross_entropy"))

    def step() -> None:
        trainer.optimizer.zero_grad(set_to_none=True)
        with autocast(trainer.device, trainer.experiment.precision):
            losses = loss(forward(), labels)
        losses.mean().backward()
        torch.nn.utils.clip_grad_norm_(trainer.chain.parameters(), 5.0)
        trainer.optimizer.step()

    trainer.chain.train()
    return step


def _median_s(step: Callable[[], None], device: str, *, repeats: int = 7, inner: int = 3) -> float:
    """Seconds of one step: median over repeats of a few in a row."""
    if device == "cpu":
        repeats, inner = 3, 1
    step()
    taken = []
    for _ in range(repeats):
        _wait(device)
        started = time.perf_counter()
        for _ in range(inner):
            step()
        _wait(device)
        taken.append((time.perf_counter() - started) / inner)
    return statistics.median(taken)


def _kernel_s(step: Callable[[], None], device: str) -> float | None:
    """Seconds that the device works in one step; None on a CPU."""
    if device == "cpu":
        return None
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        step()
        _wait(device)
    return sum(event.self_device_time_total for event in profile.key_averages()) / 1e6


def _matmul_rate(device: str) -> float:
    """Operations per second of a bf16 product, counting two per MAC."""
    size = 8192 if device != "cpu" else 512
    one, other = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / _median_s(lambda: torch.mm(one, other), device)  # type: ignore[arg-type]


def _set_tf32(allowed: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def main() -> None:
    """Measure every case and write the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--laptop", action="store_true", help="laptop sizes only")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument(
        "--compiled", default="laptop", help="compile cases whose name contains this"
    )
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no case after these")
    parser.add_argument("--out", type=Path, default=Path("."))
    arguments = parser.parse_args()
    device, started = arguments.device, time.perf_counter()
    rate = _matmul_rate(device)
    rows: list[dict[str, Any]] = []

    def keep(name: str, row: dict[str, Any]) -> None:
        rows.append({"case": name, **row})
        gc.collect()
        if device != "cpu":
            torch.cuda.empty_cache()
        machine.write(
            arguments.out / "steps",
            "Training steps",
            about=f"bf16 product: {rate / 1e12:.3g} TFLOP/s. See `steps.py` for the columns.",
            device=device,
            rows=rows,
        )

    chosen = {n: c for n, c in cases(laptop=arguments.laptop).items() if arguments.only in n}
    for name, case in chosen.items():
        for precision in PRECISIONS if device != "cpu" else ("fp32",):
            if time.perf_counter() - started < arguments.seconds:
                keep(name, measure(*case, precision, device=device, rate=rate))
    for name, case in chosen.items():
        for mode in ("compiled", "graphs") if arguments.compiled in name else ():
            if device != "cpu" and time.perf_counter() - started < arguments.seconds:
                keep(name, measure_compiled(*case, "bf16", mode, device=device))


if __name__ == "__main__":
    main()
