"""Score finished trials again from the files of their checkpoints.

`python -m orchestrator.store verify --scores` runs this in a process of its own, which knows
nothing of the training: chain, weights, features and predictions are made anew from what is on the
disk, and compared with the stored predictions. The result goes into the trial's provenance.

It is no part of a sweep, where it would cost a process for each trial; 36 trials of laptop size, of
6 s each, take 20 s of one core in one process.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from models.command import run_command
from orchestrator.data import open_pack
from orchestrator.data.partition import partition
from orchestrator.errors import OrchestratorError
from orchestrator.predict.loading import load_trained
from orchestrator.records import Status, TrialRecord
from orchestrator.store import Store
from orchestrator.store.provenance import now
from orchestrator.training.arithmetic import arithmetic
from orchestrator.training.data_parallel import Group
from orchestrator.training.evaluate import evaluate
from orchestrator.training.inputs import Inputs

LIMITS = {"fp32": 1e-3, "tf32": 2e-2, "bf16": 1e-1}
"""Precision -> largest difference that rounding makes on another device, by the largest logit."""
SCORED_AGAIN = "scored_again"
"""Time and largest difference of a logit; in a trial's provenance."""


def main(argv: Sequence[str] | None = None) -> int:
    """Score trials again; print one line of JSON for each, as `store verify --scores` reads it."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.predict.scored_again")
    parser.add_argument("--store", required=True)
    parser.add_argument("trials", nargs="+")
    args = parser.parse_args(argv)
    return run_command(lambda: _run(args), mistakes=OrchestratorError)


def _run(args: argparse.Namespace) -> int:
    store = Store.open(args.store, create=False)
    for trial in args.trials:
        try:
            said = _scored_again(store, trial)
        except OrchestratorError as error:
            said = {"trial": trial, "mistake": f"trial {trial} cannot be scored again: {error}"}
        print(json.dumps(said), flush=True)
    return 0


def _scored_again(store: Store, trial: str) -> dict[str, str]:
    """Score a trial again and write the result into its record; return what is said of it."""
    record = store.read_record(trial)
    if record is None or record.status is not Status.FINISHED:
        return {"trial": trial, "left_out": "it has not finished"}
    found: dict[str, float] = {}
    for which in ("last", "best"):
        if which in record.predictions and store.load_checkpoint(trial, which) is not None:
            found[which] = difference(store, record, which)
    if not found:
        return {"trial": trial, "left_out": "it has no checkpoint"}
    limit = LIMITS[str(record.experiment.get("precision", "fp32"))]
    told = ", ".join(f"{which} {value:.2g}" for which, value in found.items())
    note = {SCORED_AGAIN: f"{now()}: largest difference {told}"}
    with store.try_lock(trial, owner="verify"):
        store.write_record(dataclasses.replace(record, provenance={**record.provenance, **note}))
    if all(value <= limit for value in found.values()):
        return {"trial": trial, "difference": str(max(found.values()))}
    return {
        "trial": trial,
        "mistake": (
            f"trial {trial}: its checkpoint gives other logits than its stored predictions, by "
            f"{told} of the largest, and rounding makes {limit:g}; delete its record and run the "
            "sweep again"
        ),
    }


def difference(store: Store, record: TrialRecord, which: Literal["last", "best"]) -> float:
    """Return how far a checkpoint's logits are from the stored predictions.

    Args:
        store: Store of the trial.
        record: Its record.
        which: Epoch of the weights.

    Returns:
        The largest absolute difference, divided by the largest stored logit where that is above 1;
        infinite where the clips are others.

    Raises:
        CheckpointError: The checkpoint is damaged or cannot be built.
        DataError: The pack is not in the store.
        StoreError: The predictions are damaged.
    """
    stored = store.read_predictions(record.id, which, digest=record.predictions[which])
    assert stored is not None
    model = load_trained(store, record.id, which=which)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pack = open_pack(str(record.data["fingerprint"]), packs=store.packs_uri)
    experiment = model.experiment
    indices = partition(pack, experiment).test
    if tuple(str(pack.clip_ids[index]) for index in indices) != stored.clip_ids:
        return float("inf")
    with arithmetic(experiment.precision, deterministic=False):
        made = evaluate(
            model.chain.to(device),
            Inputs(pack, device),
            indices,
            batch_size=experiment.batch_size,
            epoch=stored.epoch,
            precision=experiment.precision,
            group=Group(),
            shifts=[round(by * pack.sample_rate) for by in experiment.test_shifts_s],
        ).predictions
    scale = max(1.0, float(np.abs(stored.logits).max()))
    return float(np.abs(made.logits - stored.logits).max()) / scale


if __name__ == "__main__":
    sys.exit(main())
