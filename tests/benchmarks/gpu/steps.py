"""Clips per second of whole training steps, and where the time goes.

    python -m tests.benchmarks.gpu.steps --device cuda --out DIR
    python -m tests.benchmarks.gpu.steps --device cuda --out DIR --modes compiled,graphs

Every case trains on noise in memory, in the shape of a pack. Columns, in clips/s where no unit is
given:

- held, file, waveforms: `Trainer.epochs` without its evaluation, with features held on the device,
  read from a file, or computed from waveforms in every step; median over epochs;
- deterministic: as held, with deterministic algorithms, the program's default; the others are
  `--fast`;
- ready: forward, backward and optimizer on one batch that is on the device, the trainer's ceiling;
- inputs, evaluation, checkpoint %: of the wall time of held, the first epoch left out; one clip is
  held out for every four that are trained on. The rest is steps;
- forward, backward, optimizer ms: of a ready step, each waited for, so their sum is above a step;
- busy %: the kernels' own time in a ready step over the time of a step of held;
- share %: operations of forward and backward (three times forward) in held over the rate that a
  bf16 product of 8192 x 8192 matrices reaches in the same run;
- peak GB: allocated at most in held, features included.

With `--modes`, rows of the model compiled: `compiled` is `torch.compile`, `graphs` its mode
`reduce-overhead`, which replays CUDA graphs. Their ready beside an eager one; compile s is the time
of the first step.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from models import count_macs
from models.zoo.cards import default_parts
from orchestrator import recipes
from orchestrator.execution.trial import TrialCheckpoints
from orchestrator.experiment.config import Component, Experiment
from orchestrator.experiment.identity import complete
from orchestrator.metrics.targets import Targets
from orchestrator.store import Store
from orchestrator.training import inputs
from orchestrator.training.arithmetic import WORKSPACE, WORKSPACES, arithmetic
from orchestrator.training.evaluate import autocast
from orchestrator.training.optimizers import clip_gradients
from orchestrator.training.trainer import Trainer
from tests.benchmarks.gpu import machine

STEPS, EPOCHS, CLASSES = 6, 4, 10
FEATURE_MEMORY = 8 * 2**30
PRECISIONS = ("bf16", "tf32", "fp32")


class Noise:
    """Clips of noise in the shape of a pack; a few that repeat, so that they are drawn at once."""

    class_names = tuple(str(number) for number in range(CLASSES))
    num_classes = CLASSES
    sample_rate = 32000
    fold_names: ClassVar[dict[int, str]] = {1: "1"}

    def __init__(self, num_train: int, num_samples: int) -> None:
        """Draw clips of one length; one is held out for every four that are trained on."""
        count = num_train + max(1, num_train // 4)
        self._num_train = num_train
        self._waves = _noise(num_samples)
        self.num_samples = np.full(count, num_samples)
        self.targets = Targets.of_labels(np.arange(count) % CLASSES, num_classes=CLASSES)
        self.clip_ids = [str(number) for number in range(count)]
        self.source_ids = self.clip_ids
        self.folds = np.ones(count, np.int64)
        self.fingerprint = f"noise {count} {num_samples}"

    def split(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Hold out the last clips."""
        everything = np.arange(len(self.targets))
        return everything[: self._num_train], everything[self._num_train :]

    def pcm(self, indices: np.ndarray, num_samples: int) -> np.ndarray:
        """Return (batch, num_samples) int16 samples."""
        return self._waves[np.asarray(indices) % len(self._waves), :num_samples]


@functools.cache
def _noise(num_samples: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-3000, 3000, (16, num_samples), np.int16)


@dataclasses.dataclass(frozen=True)
class Case:
    """What is trained.

    Attributes:
        experiment: Experiment whose precision, epochs and data are set here.
        batch: Clips of a step.
        num_samples: Samples of a clip.
    """

    experiment: Experiment
    batch: int
    num_samples: int


def cases(device: str) -> dict[str, Case]:
    """Return name -> case, in the order of their value; the laptop size alone on a CPU."""
    small = recipes.datar_laptop()
    if device == "cpu":
        return {"datar_laptop 64x128": Case(small, 4, 80_000)}
    datar = recipes.datar_tiny()
    half = dataclasses.replace(datar, frontend=datar.frontend.replace(num_frames=512))
    found = {
        "datar_tiny 128x512": Case(half, 64, 220_500),
        "datar_tiny 128x1024": Case(datar, 64, 441_000),
        "htsat_tiny": Case(recipes.htsat_tiny(), 64, 320_000),
    }
    for name, batch, samples in (("ast_base", 32, 160_000), ("cnn14", 64, 320_000)):
        (frontend, settings), _ = default_parts(name)
        other = dataclasses.replace(
            recipes.htsat_tiny(),
            frontend=Component(frontend, **settings),
            augmentation=Component("none"),
            model=Component(name),
        )
        found[name] = Case(other, batch, samples)
    found["datar_laptop 64x128"] = Case(small, 16, 80_000)
    found["datar_laptop, batch 64"] = Case(small, 64, 80_000)
    return found


def measure(case: Case, precision: str, *, device: str, rate: float) -> Iterator[dict[str, Any]]:
    """Train a few epochs in every way, and step on what is ready; yield one row.

    Args:
        case: What is trained.
        precision: `fp32`, `tf32` or `bf16`.
        device: Device as PyTorch names it.
        rate: Operations per second of a bf16 product.
    """
    with tempfile.TemporaryDirectory() as scratch, arithmetic(precision, deterministic=False):
        trainer = _trainer(case, precision, device, scratch, feature_memory=FEATURE_MEMORY)
        held, spent = _train(trainer)
        peak = trainer.records[-1].metrics["memory/peak_mb"] / 1e3
        phases = _phases(trainer, _ready(trainer, case.batch))
        waveform = trainer.inputs.waveforms(np.arange(1))
        macs = count_macs(trainer.chain.eval(), waveform).total
        step = _together(phases)
        trainer.chain.train()
        ready = case.batch / machine.median_s(step, device)
        row = {
            "batch": case.batch,
            "precision": precision,
            "mode": "eager",
            "held": held,
            "ready": ready,
            **{f"{name} %": 100 * share for name, share in spent.items()},
            **_phase_ms(phases, device),
            "busy %": _percent(_kernel_s(step, device), held / case.batch),
            "share %": 100 * 2 * 3 * macs * held / rate,
            "peak GB": peak,
        }
        del trainer, phases, step
        if precision == PRECISIONS[0] or device == "cpu":
            file = _trainer(case, precision, device, scratch, features=Path(scratch) / "features")
            row["file"] = _train(file)[0]
            del file
            row["waveforms"] = _train(_trainer(case, precision, device, scratch))[0]
    with tempfile.TemporaryDirectory() as scratch, arithmetic(precision, deterministic=True):
        trainer = _trainer(case, precision, device, scratch, feature_memory=FEATURE_MEMORY)
        row["deterministic"] = _train(trainer)[0]
    yield row


def measure_mode(case: Case, precision: str, mode: str, *, device: str) -> Iterator[dict[str, Any]]:
    """Step on what is ready, eager and with the model compiled; yield one row.

    Args:
        case: What is trained.
        precision: `fp32`, `tf32` or `bf16`.
        mode: `compiled` or `graphs`.
        device: Device as PyTorch names it; on a CPU the model is traced alone.
    """
    torch.compiler.reset()
    with tempfile.TemporaryDirectory() as scratch, arithmetic(precision, deterministic=False):
        trainer = _trainer(case, precision, device, scratch, feature_memory=FEATURE_MEMORY)
        phases = _phases(trainer, _ready(trainer, case.batch))
        trainer.chain.train()
        eager = case.batch / machine.median_s(_together(phases), device)
        if device == "cpu":
            trainer.chain.model.compile(backend="eager")
        else:
            trainer.chain.model.compile(
                mode="reduce-overhead" if mode == "graphs" else "default", dynamic=False
            )
        step = _together({"begin": torch.compiler.cudagraph_mark_step_begin, **phases})
        started = time.perf_counter()
        step()
        machine.wait(device)
        compile_s = time.perf_counter() - started
        step()  # CUDA graphs are recorded in the second
        ready = case.batch / machine.median_s(step, device)
    yield {
        "batch": case.batch,
        "precision": precision,
        "mode": mode,
        "eager ready": eager,
        "ready": ready,
        "times eager": ready / eager,
        "compile s": compile_s,
    }


def _trainer(
    case: Case,
    precision: str,
    device: str,
    scratch: str,
    *,
    features: Path | None = None,
    feature_memory: int = 0,
) -> Trainer:
    _forget()
    steps, epochs = (2, 2) if device == "cpu" else (STEPS, EPOCHS)
    return Trainer(
        complete(
            dataclasses.replace(
                case.experiment, batch_size=case.batch, epochs=epochs, precision=precision
            )
        ),
        clips=Noise(case.batch * steps, case.num_samples),
        checkpoints=TrialCheckpoints(Store.open(tempfile.mkdtemp(dir=scratch)), "0" * 12),
        device=device,
        features=features,
        feature_memory=feature_memory,
    )


def _forget() -> None:
    """Free what earlier trainers held, and the features that this process keeps for later ones."""
    inputs._held.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _train(trainer: Trainer) -> tuple[float, dict[str, float]]:
    """Train all epochs; return clips/s and shares of the wall time, the first epoch left out."""
    spent: Counter[str] = Counter()
    made: Any = trainer

    def watch(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **settings: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*args, **settings)
            finally:
                spent[name] += time.perf_counter() - started

        return timed

    batches = trainer.inputs.batches

    def watched(parts: Sequence[np.ndarray]) -> Generator[Any]:
        name = "inputs" if trainer.chain.training else "of evaluation"
        following = watch(name, iter(batches(parts)).__next__)
        for _ in parts:
            yield following()

    made.inputs.batches = watched
    made._evaluate = watch("evaluation", trainer._evaluate)
    made._save = watch("checkpoint", trainer._save)
    epochs = trainer.epochs()
    rates = [next(epochs).metrics["throughput/clips_per_s"]]
    spent.clear()
    started = time.perf_counter()
    rates += [record.metrics["throughput/clips_per_s"] for record in epochs]
    wall = time.perf_counter() - started
    made.inputs.batches = batches
    shares = {name: spent[name] / wall for name in ("inputs", "evaluation", "checkpoint")}
    return statistics.median(rates[1:]), shares


def _ready(trainer: Trainer, batch: int) -> dict[str, torch.Tensor]:
    """Return a batch on the device, as the trainer gives it to the chain."""
    indices = np.arange(batch)
    seeds = torch.arange(batch, device=trainer.device)
    return {**trainer.inputs.batch(indices), "clip_seeds": seeds}


def _phases(trainer: Trainer, batch: dict[str, torch.Tensor]) -> dict[str, Callable[[], None]]:
    """Return the parts of a training step."""
    labels = torch.arange(len(batch["clip_seeds"]), device=trainer.device) % CLASSES
    loss: list[torch.Tensor] = []

    def forward() -> None:
        with autocast(trainer.device, trainer.experiment.precision):
            loss[:] = [trainer.loss(trainer.chain(**batch), labels).mean()]

    def backward() -> None:
        trainer.optimizer.zero_grad(set_to_none=True)
        loss[0].backward()

    def optimizer() -> None:
        clip_gradients(trainer.chain.parameters(), trainer.experiment.clip_norm)
        trainer.optimizer.step()

    return {"forward": forward, "backward": backward, "optimizer": optimizer}


def _together(phases: dict[str, Callable[[], None]]) -> Callable[[], None]:
    def step() -> None:
        for phase in phases.values():
            phase()

    return step


def _phase_ms(phases: dict[str, Callable[[], None]], device: str) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in phases}
    for _ in range(2 if device == "cpu" else 7):
        for name, phase in phases.items():
            machine.wait(device)
            started = time.perf_counter()
            phase()
            machine.wait(device)
            taken[name].append(1e3 * (time.perf_counter() - started))
    return {f"{name} ms": statistics.median(values) for name, values in taken.items()}


def _kernel_s(step: Callable[[], None], device: str) -> float | None:
    """Seconds that the device works in one step; None on a CPU."""
    if device == "cpu":
        return None
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        step()
        machine.wait(device)
    return sum(event.self_device_time_total for event in profile.key_averages()) / 1e6


def _percent(seconds: float | None, per_s: float) -> float | None:
    return None if seconds is None else 100 * seconds * per_s


def _matmul_rate(device: str) -> float:
    """Operations per second of a bf16 product, counting two per MAC."""
    size = 8192 if device != "cpu" else 256
    one, other = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / machine.median_s(lambda: torch.mm(one, other), device)


def main() -> None:
    """Measure every case and write the table as it grows."""
    arguments = machine.arguments(__doc__, modes="")
    os.environ.setdefault(WORKSPACE, WORKSPACES[0])  # before the first product
    device, modes = arguments.device, list(filter(None, arguments.modes.split(",")))
    rate = _matmul_rate(device)
    table = machine.Table(
        arguments.out / ("compiled_steps" if modes else "steps"),
        "Training steps",
        about=f"bf16 product: {rate / 1e12:.3g} TFLOP/s. See `steps.py` for the columns.",
        device=device,
    )
    for precision in ("fp32",) if device == "cpu" else PRECISIONS:
        for mode in modes or ("eager",):
            for name, case in cases(device).items():
                if not machine.begins(arguments, name):
                    continue
                if modes:
                    rows = measure_mode(case, precision, mode, device=device)
                else:
                    rows = measure(case, precision, device=device, rate=rate)
                table.add_each(rows, case=name)


if __name__ == "__main__":
    main()
