"""Load a trained model from a store, exactly as the trial saved it."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from models.chain import Chain
from models.errors import ModelError
from models.registry import TRAINED_AS, RegistryError
from models.seeding import derive_seed
from orchestrator.data import open_pack
from orchestrator.data.partition import partition
from orchestrator.data.samplers import shuffle_targets
from orchestrator.errors import CheckpointError, ConfigError, DataError, unknown
from orchestrator.experiment.config import Experiment
from orchestrator.experiment.overrides import from_canonical
from orchestrator.store import Store
from orchestrator.training.evaluate import build, set_support
from orchestrator.training.inputs import Inputs
from orchestrator.training.state import model_state, refuse_other

if TYPE_CHECKING:
    from orchestrator.records import TrialRecord

_SHOWN = 5


def load_model(
    store: Store | str | Path, trial: str, *, which: Literal["last", "best"] = "last"
) -> Chain:
    """Build a trial's chain and load its trained weights.

    The record, the checkpoint and the id must agree on the experiment. On the same device type and
    with the same batch size as in training, its logits equal the stored predictions.

    Args:
        store: Store, or its folder or URI.
        trial: Trial id, or an unambiguous prefix.
        which: Weights of the last or of the best epoch.

    Returns:
        The chain on the CPU in evaluation mode, from waveform (batch, time) in [-1, 1] to `Output`,
        with normalization and `class_names` in the order of the logits. The names are empty for a
        checkpoint of an earlier version whose pack is not in the store.

    Raises:
        ConfigError: `which` is not a valid value.
        StoreError: The store does not exist, or the record is damaged.
        CheckpointError: No trial or several trials match, the checkpoint is missing, damaged or of
            another trial, or this version cannot build it.
    """
    if which not in ("last", "best"):
        raise ConfigError(unknown("weights", which, ("last", "best")))
    store = store if isinstance(store, Store) else Store.open(store, create=False)
    trial_id = _find(store, trial)
    record = store.read_record(trial_id)
    if record is None:
        raise CheckpointError(
            f"trial {trial_id} has no record in {store.uri}; run the sweep that trains it"
        )
    checkpoint = store.load_checkpoint(trial_id, which)
    if checkpoint is None:
        raise CheckpointError(
            f"trial {trial_id} ({record.status}) has no {which!r} checkpoint in {store.uri}; run "
            "the sweep that trains it, after deleting its record where it is finished"
        )
    tensors, facts = checkpoint
    trained_as = facts.get(TRAINED_AS)  # missing from checkpoints of an earlier version
    if trained_as is not None:
        refuse_other(trained_as["experiment"], record.experiment, where="in the record")
    experiment = from_canonical(record.experiment)
    num_classes = trained_as["num_classes"] if trained_as else int(record.data["num_classes"])
    heads = trained_as.get("heads") if trained_as else None
    try:
        chain = build(experiment, num_classes=num_classes, heads=heads)
        chain.load_state_dict(model_state(tensors))
    except (RegistryError, ModelError, RuntimeError) as error:
        raise CheckpointError(
            f"trial {trial_id} cannot be built as it was ({error}); take the version of the code "
            f"that trained it: {record.provenance.get('code', 'not recorded')}"
        ) from error
    if trained_as is not None:
        chain.class_names = tuple(trained_as["class_names"])
    else:
        _from_the_pack(chain, experiment, record, store)
    return chain.eval()


def _find(store: Store, trial: str) -> str:
    """Return the one trial id that matches the text."""
    ids = store.files.names("trials")
    if trial in ids:
        return trial
    meant = [known for known in ids if trial and known.startswith(trial)]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise CheckpointError(
            f"{trial!r} begins the ids of {len(meant)} trials in {store.uri}: {_few(meant)}; give "
            "more of it"
        )
    near = difflib.get_close_matches(trial, ids, n=_SHOWN, cutoff=0.5)
    listed = f"the nearest ids: {', '.join(near)}" if near else f"its ids: {_few(ids)}"
    raise CheckpointError(
        f"there is no trial {trial!r} among the {len(ids)} of {store.uri} ({listed}); give an id "
        "or its beginning"
    )


def _few(ids: list[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return (", ".join(ids[:_SHOWN]) or "none") + more


def _from_the_pack(chain: Chain, experiment: Experiment, record: TrialRecord, store: Store) -> None:
    """Set what a checkpoint of an earlier version lacks."""
    remembers = chain.backbone.support_buffers
    try:
        pack = open_pack(str(record.data["fingerprint"]), packs=store.packs_uri)
    except DataError as error:
        if not remembers:
            return
        raise CheckpointError(
            f"trial {record.id} classifies by the training clips that it remembers, and its "
            f"checkpoint is of a version that did not keep them ({error})"
        ) from error
    chain.class_names = pack.class_names
    if remembers:
        train = partition(pack, experiment).train
        set_support(
            chain,
            Inputs(pack, torch.device("cpu")),
            train,
            shuffle_targets(
                pack.targets,
                train,
                share=experiment.shuffled_labels,
                seed=derive_seed(experiment.seed, "labels"),
            ).take(train),
            batch_size=experiment.batch_size,
            precision=experiment.precision,
        )
