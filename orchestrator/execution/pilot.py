"""A few steps of a launch's largest arm, to learn how many trials a GPU holds."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.macs import count_macs
from orchestrator.data import Pack, open_pack
from orchestrator.execution.packing import Footprint
from orchestrator.execution.trial import features_folder
from orchestrator.experiment.config import Component, Runtime
from orchestrator.experiment.identity import CompletedExperiment
from orchestrator.metrics import catalog
from orchestrator.training.arithmetic import arithmetic
from orchestrator.training.evaluate import build
from orchestrator.training.state import NoCheckpoints
from orchestrator.training.trainer import Trainer

if TYPE_CHECKING:
    from orchestrator.store import Store

STEPS = 4


def run_pilot(
    arms: Mapping[str, CompletedExperiment], *, store: Store, runtime: Runtime, device: str
) -> Footprint:
    """Train a few steps of the largest arm twice, and measure the second time.

    The features of all clips are in their place, as in a trial; nothing is stored but those.

    Args:
        arms: Name -> experiment, all on one pack; the largest has the most MACs in a pass.
        store: Store with the pack.
        runtime: How trials compute.
        device: Device, with no other work on it.
    """
    any_arm = next(iter(arms.values()))
    pack = open_pack(str(any_arm.dataset.arguments["fingerprint"]), packs=store.packs_uri)
    arm = max(arms, key=lambda name: _macs(arms[name], pack))
    largest = arms[arm]
    place = torch.device(device)
    on_gpu = place.type == "cuda"
    with arithmetic(largest.precision, deterministic=on_gpu and not runtime.fast):
        trainer = Trainer(
            dataclasses.replace(
                largest, epochs=2, selection="last", distillation=Component("none")
            ),
            clips=_few(pack, largest),
            checkpoints=NoCheckpoints(),
            device=place,
            features=features_folder(pack),
            feature_memory=runtime.feature_memory,
            activation_checkpointing=runtime.activation_checkpointing,
        )
        epochs = trainer.epochs()
        next(epochs)
        started, spent = time.perf_counter(), time.process_time()
        if on_gpu:
            activities = [torch.profiler.ProfilerActivity.CUDA]
            with torch.profiler.profile(activities=activities) as profile:
                last = next(epochs)
                torch.cuda.synchronize(place)
            busy_s = sum(event.self_device_time_total for event in profile.key_averages()) / 1e6
        else:
            last = next(epochs)
            busy_s = (time.process_time() - spent) / torch.get_num_threads()
        busy = min(1.0, busy_s / (time.perf_counter() - started))
        epochs.close()
    peak_mb, total_mb = last.metrics[catalog.PEAK_MEMORY_MB], _machine_mb()
    if on_gpu:
        free, total = torch.cuda.mem_get_info(place)
        outside = total - free - torch.cuda.memory_reserved(place)  # CUDA itself
        peak_mb = (torch.cuda.max_memory_reserved(place) + max(0, outside)) / 1e6
        total_mb = total / 1e6
    return Footprint(arm=arm, peak_mb=peak_mb, total_mb=total_mb, busy=busy, has_mps=_has_mps())


def _macs(experiment: CompletedExperiment, pack: Pack) -> float:
    """Return the MACs of a pass through one part of a batch."""
    chain = build(experiment, num_classes=pack.num_classes, heads=pack.targets.heads)
    waveform = torch.zeros(1, int(pack.num_samples.max()))
    clips = math.ceil(experiment.batch_size / experiment.accumulation_steps)
    return clips * count_macs(chain, waveform).total


def _few(pack: Pack, experiment: CompletedExperiment) -> Pack:
    """Return the pack with the clips of a few steps, and one batch held out."""
    train, held_out = pack.split(experiment.fold)
    few: Any = copy.copy(pack)

    def split(fold: int) -> tuple[np.ndarray, np.ndarray]:
        return train[: STEPS * experiment.batch_size], held_out[: experiment.batch_size]

    few.split = split
    return few


def _machine_mb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6


def _has_mps() -> bool:
    """Whether NVIDIA's Multi-Process Service runs here: several processes share a GPU's kernels."""
    pipes = os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps")
    return (Path(pipes) / "control").exists()
