"""Is training on this device right: killed and resumed, in a group of processes?

    python -m tests.benchmarks.gpu.right --device cuda --out DIR

Each case is trained in five ways, each in a process of its own, all at once:

- twice with `fast`: does it repeat to the bit without asking?
- with deterministic algorithms, the default: undisturbed, and killed (SIGKILL) after its second
  epoch and resumed; metrics and logits must be equal to the bit. What that costs says `steps.py`;
- in a group of one process, killed and resumed too, so that every collective of a step, an
  evaluation and a resume runs. The group has one backend, gloo on a CPU and nccl on a GPU, where a
  collective on a tensor of the CPU is an error; the table says how many the resumed process ran
  and where. Shared batch norms round otherwise than PyTorch's own, and later epochs of those cases
  differ as they do with another number of threads: the first epoch's metrics are compared.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from orchestrator import recipes
from orchestrator.data import pinned, prepare
from orchestrator.experiment.config import Component, Experiment
from orchestrator.experiment.identity import CompletedExperiment
from orchestrator.experiment.overrides import override
from orchestrator.records import EpochRecord, TrialRecord
from orchestrator.store import Store
from tests.benchmarks.gpu import machine
from tests.collectives import Collectives

LOSSES = ("train/loss", "val/loss", "val/top1")
WAYS: dict[str, dict[str, Any]] = {
    "free": {"fast": True},
    "again": {"fast": True},
    "calm": {},
    "shot": {"kill_after": 2},
    "group": {"kill_after": 2, "group": True},
}

Result = tuple[TrialRecord, np.ndarray]
"""A record and the logits of the last weights."""


def cases(device: str) -> dict[str, CompletedExperiment]:
    """Return name -> experiment: a few epochs on made-up sounds; laptop size alone on a CPU."""
    few = {"epochs": 4, "schedule": Component("constant")}
    small = Component("synthetic", clips_per_class=4, num_folds=2, seconds=2.0)
    found = {
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
        "vggsound_resnet_laptop, batch norms": _on(
            recipes.datar_laptop(),
            small,
            {
                **few,
                "frontend": Component("log_spectrogram", seconds=2.0, n_fft=256, hop_length=320),
                "augmentation": Component("none"),
                "model": Component("vggsound_resnet_laptop"),
            },
        ),
    }
    if device == "cpu":
        return found
    long = Component("synthetic", clips_per_class=13, num_folds=2, seconds=10.0)
    for precision in ("bf16", "fp32"):
        for name, base in (
            ("datar_tiny", recipes.datar_tiny()),
            ("htsat_tiny", recipes.htsat_tiny()),
        ):
            rate = base.dataset.arguments["sample_rate"]
            # Five at once: DATAR-T in float32 takes about 7 GB each.
            changes = {**few, "batch_size": 16, "precision": precision}
            found[f"{name}, {precision}"] = _on(base, long.replace(sample_rate=rate), changes)
    return found


def _on(base: Experiment, dataset: Component, changes: dict[str, Any]) -> CompletedExperiment:
    return override(base, {"dataset": pinned(dataset), **changes})


def measure(experiment: CompletedExperiment, folder: Path, device: str) -> dict[str, Any]:
    """Train an experiment in every way and compare.

    Args:
        experiment: Experiment to train.
        folder: New folder for the stores, beside that of the packs.
        device: Device as PyTorch names it.
    """
    dataset = experiment.dataset
    packs = folder.parent / "packs"
    prepare(dataset.name, dataset.arguments, root=None, packs=str(packs))
    stores = {way: machine.new_store(folder / way, packs) for way in WAYS}
    jobs = {way: (_work, store.uri, experiment, device, WAYS[way]) for way, store in stores.items()}
    codes = dict(zip(jobs, machine.in_processes(list(jobs.values())), strict=True))
    killed = [way for way, code in codes.items() if code == -signal.SIGKILL]
    resumed = machine.in_processes([(*jobs[way], True) for way in killed])
    codes |= dict(zip(killed, resumed, strict=True))
    found = {way: _result(store, experiment.id) for way, store in stores.items()}
    calm, shot = found["calm"], found["shot"]
    return {
        "repeats with fast": _compare(found["free"], found["again"]),
        "killed and resumed": _compare(calm, shot) if "shot" in killed else "it was not killed",
        "attempts": shot[0].cost.attempts if isinstance(shot, tuple) else None,
        "group of one": _compare(calm, found["group"], first_epoch=True),
        "collectives": " ".join(p.read_text() for p in folder.glob("group/collectives")),
        "exit codes": " ".join(str(code) for code in codes.values()),
    }


def _work(
    store: str,
    experiment: CompletedExperiment,
    device: str,
    way: dict[str, Any],
    resumes: bool = False,
) -> None:
    folder = Path(store.removeprefix("file://"))
    seen = Collectives()
    if way.get("group"):
        torch.distributed.init_process_group(
            "cuda:nccl" if device.startswith("cuda") else "cpu:gloo",
            init_method=f"file://{folder}/meeting{resumes:d}",
            rank=0,
            world_size=1,
        )

    def on_epoch(record: EpochRecord) -> None:
        # The state of the epoch before it is on the disk by now, that of this one perhaps.
        if record.epoch == way.get("kill_after") and not resumes:
            os.kill(os.getpid(), signal.SIGKILL)

    with seen if way.get("group") else contextlib.nullcontext():
        machine.train(store, experiment, device, fast=way.get("fast", False), on_epoch=on_epoch)
    if way.get("group"):
        devices = " and ".join(sorted(seen.devices))
        (folder / "collectives").write_text(f"{len(seen.names)} on {devices or 'none'}")
        torch.distributed.destroy_process_group()


def _result(store: Store, trial_id: str) -> Result | str:
    """Return what a way has left in its store, or why it failed."""
    record = store.read_record(trial_id)
    predictions = store.read_predictions(trial_id, "last") if record else None
    if record is None or predictions is None:
        last = record.error.strip().splitlines()[-1:] if record else []
        return " ".join(["failed", *last])
    return record, predictions.logits


def _compare(one: Result | str, other: Result | str, *, first_epoch: bool = False) -> str:
    for result in (one, other):
        if isinstance(result, str):
            return result
    assert isinstance(one, tuple) and isinstance(other, tuple)
    losses = [
        np.array([[epoch.metrics[key] for key in LOSSES] for epoch in result[0].epochs])
        for result in (one, other)
    ]
    if np.array_equal(*losses) and np.array_equal(one[1], other[1]):
        return "to the bit"
    if first_epoch:
        return f"first epoch within {np.abs(losses[0][0] / losses[1][0] - 1).max():.1g}"
    return f"no: logits differ by {np.abs(one[1] - other[1]).max():.2g}"


def main() -> None:
    """Measure every case and write the table."""
    arguments = machine.arguments(__doc__)
    table = machine.Table(
        arguments.out / "right",
        "Right on this device",
        about="See `right.py` for what is compared.",
        device=arguments.device,
    )
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, experiment) in enumerate(cases(arguments.device).items()):
            if machine.begins(arguments, name):
                row = measure(experiment, Path(scratch) / str(number), arguments.device)
                table.add(case=name, **row)


if __name__ == "__main__":
    main()
