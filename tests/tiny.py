"""The smallest real things: an experiment that trains in a second, and its pack."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from orchestrator import recipes
from orchestrator.data import pinned
from orchestrator.execution.prepare import packs_of
from orchestrator.experiment.config import Component
from orchestrator.experiment.identity import CompletedExperiment
from orchestrator.experiment.overrides import override
from orchestrator.store import Store

DATASET = Component(
    "synthetic", num_classes=3, clips_per_class=10, num_folds=2, seconds=0.5, sample_rate=16000
)


def experiment(**changes: Any) -> CompletedExperiment:
    """A complete experiment: 15 training clips of half a second, under a second an epoch."""
    base = dataclasses.replace(
        recipes.datar_laptop(),
        dataset=pinned(DATASET),
        frontend=Component(
            "kaldi_fbank", sample_rate=16000, n_mels=32, num_frames=32, frame_shift_ms=15.0
        ),
        augmentation=Component("spec_augment", freq_mask=4, time_mask=4),
        model=Component("datar_laptop", depths=(1, 1, 1, 1)),
        epochs=3,
        batch_size=5,
    )
    paths = {path.replace("__", "."): value for path, value in changes.items()}
    return override(base, paths)


def store_with_pack(path: Path, wanted: CompletedExperiment) -> Store:
    """A store that holds the pack of an experiment."""
    from orchestrator.data import prepare

    store = Store.open(path)
    dataset = wanted.dataset
    prepare(dataset.name, dataset.arguments, root=None, packs=packs_of(store.uri))
    return store


def checkpoint_file(store: Store, trial_id: str, which: str) -> Path:
    """The file with the tensors of a checkpoint in a store on this disk."""
    assert store.local_path is not None
    folder = store.local_path / "trials" / trial_id / "checkpoints"
    (path,) = folder.glob(f"{which}-*.safetensors")
    return path
