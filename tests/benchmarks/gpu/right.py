"""Is training on this device right: to its table, killed and resumed, in a group of processes?

    python tests/benchmarks/gpu/right.py --device cuda --out DIR
    python tests/benchmarks/gpu/right.py --device cpu --laptop --out DIR

Each case is trained in processes of its own:

- twice with `fast`: does it repeat to the bit without asking?
- with deterministic algorithms, the default: undisturbed, and killed (SIGKILL) in its second epoch
  and resumed; metrics and logits must be equal to the bit. What that costs is the ratio of epoch
  times.
- in a group of one process, killed and resumed too, so that every collective of a step, an
  evaluation and a resume runs. The group has one backend, gloo on a CPU and nccl on a GPU, where a
  collective on a tensor of the CPU is an error; the table says how many the resumed process ran
  and where. Shared batch norms round otherwise than PyTorch's own, and later epochs of those cases
  differ as they do with another number of threads: the first epoch's metrics are compared.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import pickle
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import machine
import numpy as np
import torch

from orchestrator import recipes
from orchestrator.data import pinned, prepare
from orchestrator.execution.trial import TrialRun
from orchestrator.experiment.config import Component, Experiment
from orchestrator.experiment.identity import CompletedExperiment
from orchestrator.experiment.overrides import override
from orchestrator.records import Status, TrialRecord
from orchestrator.store import Store
from tests.collectives import Collectives

LOSSES = ("train/loss", "val/loss", "val/top1")


def cases(*, laptop: bool) -> dict[str, CompletedExperiment]:
    """Return name -> experiment: a few epochs on made-up sounds."""
    few = {"epochs": 4, "schedule": Component("constant")}
    small = Component("synthetic", clips_per_class=10, num_folds=2, seconds=2.0)
    found = {
        "datar_laptop, fp32": _on(recipes.datar_laptop(), small, few),
        "datar_laptop + adaptor, SpecAugment": _on(
            recipes.datar_laptop(),
            small,
            {
                **few,
                "transform": Component("adaptor", strength=0.2),
                "augmentation": Component("spec_augment", freq_mask=8, time_mask=16),
                "model.drop_path_rate": 0.1,
            },
        ),
    }
    found["vggsound_resnet_laptop, batch norms"] = _on(
        recipes.datar_laptop(),
        small,
        {
            **few,
            "frontend": Component("log_spectrogram", seconds=2.0, n_fft=256, hop_length=320),
            "augmentation": Component("none"),
            "model": Component("vggsound_resnet_laptop"),
        },
    )
    if laptop:
        return found
    long = Component("synthetic", clips_per_class=13, num_folds=2, seconds=10.0)
    for name, base in (
        ("datar_tiny", recipes.datar_tiny()),
        ("htsat_tiny", recipes.htsat_tiny()),
    ):
        rate = base.dataset.arguments["sample_rate"]
        for precision in ("fp32", "bf16"):
            changes = {**few, "batch_size": 32, "precision": precision}
            found[f"{name}, {precision}"] = _on(base, long.replace(sample_rate=rate), changes)
    return found


def _on(base: Experiment, dataset: Component, changes: dict[str, Any]) -> CompletedExperiment:
    return override(dataclasses.replace(base, dataset=pinned(dataset)), changes)


def measure(experiment: CompletedExperiment, folder: Path, device: str) -> dict[str, Any]:
    """Train an experiment in every way and compare."""
    free, again = (_train(experiment, folder / way, device, fast=True) for way in ("free", "again"))
    calm = _train(experiment, folder / "calm", device)
    shot = _train(experiment, folder / "shot", device, kill_in_epoch=2)
    group = _train(experiment, folder / "group", device, kill_in_epoch=2, group=True)
    return {
        "repeats with fast": _same(free, again),
        "killed and resumed": _same(calm, shot),
        "attempts": shot[0].cost.attempts,
        "group of one": _near(calm, group),
        "collectives": (folder / "group" / "collectives").read_text(),
        "epoch s": _epoch_s(free[0]),
        "deterministic epoch s": _epoch_s(calm[0]),
        "cost": _epoch_s(calm[0]) / _epoch_s(free[0]),
        "peak MB": free[0].cost.peak_memory_mb,
    }


def _train(
    experiment: CompletedExperiment, folder: Path, device: str, **ways: Any
) -> tuple[TrialRecord, np.ndarray]:
    """Train in a fresh process, again if it was killed; return the record and the logits."""
    folder.mkdir(parents=True)
    packs = folder.parents[1] / "packs"
    (folder / "packs").symlink_to(packs)
    job = folder / "job.pickle"
    job.write_bytes(pickle.dumps((experiment, str(folder), device, ways)))
    for attempt in range(2 if ways.get("kill_in_epoch") else 1):
        command = [sys.executable, __file__, "--job", str(job), "--attempt", str(attempt)]
        done = subprocess.run(command)
        expected = -signal.SIGKILL if ways.get("kill_in_epoch") and attempt == 0 else 0
        if done.returncode != expected:
            raise SystemExit(f"{folder.name}: exit code {done.returncode}, expected {expected}")
    store = Store.open(folder)
    record = store.read_record(experiment.id)
    predictions = store.read_predictions(experiment.id, "last")
    assert record is not None and predictions is not None
    return record, predictions.logits


def _work(job: Path, attempt: int) -> None:
    experiment, folder, device, ways = pickle.loads(job.read_bytes())
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    if ways.get("group"):
        torch.distributed.init_process_group(
            "cuda:nccl" if device.startswith("cuda") else "cpu:gloo",
            init_method=f"file://{job}.{attempt}",
            rank=0,
            world_size=1,
        )
    kill_in_epoch = ways.get("kill_in_epoch") if attempt == 0 else None

    def on_epoch(epoch: Any) -> None:
        # The next epoch has begun by then in a real kill; here its first step is lost at least.
        if epoch.epoch + 1 == kill_in_epoch:
            os.kill(os.getpid(), signal.SIGKILL)

    seen = Collectives()
    with seen if ways.get("group") else contextlib.nullcontext():
        record = TrialRun(
            store=Store.open(folder),
            trial_id=experiment.id,
            experiment=experiment,
            device=device,
            fast=ways.get("fast", False),
            on_epoch=on_epoch,
        ).run()
    if record.status is not Status.FINISHED:
        raise SystemExit(record.error)
    if ways.get("group"):
        devices = " and ".join(sorted(seen.devices))
        Path(folder, "collectives").write_text(f"{len(seen.names)} on {devices or 'none'}")
        torch.distributed.destroy_process_group()


def _losses(record: TrialRecord) -> list[list[float]]:
    return [[epoch.metrics[key] for key in LOSSES] for epoch in record.epochs]


def _same(one: tuple[TrialRecord, np.ndarray], other: tuple[TrialRecord, np.ndarray]) -> str:
    if _losses(one[0]) == _losses(other[0]) and np.array_equal(one[1], other[1]):
        return "to the bit"
    return f"no: logits differ by {np.abs(one[1] - other[1]).max():.2g}"


def _near(one: tuple[TrialRecord, np.ndarray], other: tuple[TrialRecord, np.ndarray]) -> str:
    if _same(one, other) == "to the bit":
        return "to the bit"
    first, again = _losses(one[0])[0], _losses(other[0])[0]
    return f"first epoch within {np.abs(np.array(first) / np.array(again) - 1).max():.1g}"


def _epoch_s(record: TrialRecord) -> float:
    return statistics.median(epoch.metrics["time/epoch_s"] for epoch in record.epochs[1:])


def main() -> None:
    """Measure every case and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--laptop", action="store_true", help="laptop sizes only")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--out", type=Path, default=Path("."))
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--attempt", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        _work(arguments.job, arguments.attempt)
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, experiment) in enumerate(cases(laptop=arguments.laptop).items()):
            if arguments.only not in name:
                continue
            dataset = experiment.dataset
            prepare(dataset.name, dataset.arguments, root=None, packs=f"{scratch}/packs")
            row = measure(experiment, Path(scratch) / str(number), arguments.device)
            rows.append({"case": name, **row})
            machine.write(
                arguments.out / "right",
                "Right on this device",
                about="Medians of the epochs after the first; see `right.py` for what is compared.",
                device=arguments.device,
                rows=rows,
            )


if __name__ == "__main__":
    main()
