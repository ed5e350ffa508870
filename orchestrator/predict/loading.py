"""Load a trained model from a store or a file, exactly as the trial saved it."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from models.chain import Chain
from models.checkpoints.read import read_checkpoint
from models.errors import CheckpointError as ModelCheckpointError
from models.errors import ModelError
from models.registry import CHAIN_PARTS, TRAINED_AS, RegistryError
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

CONFIG = "config.json"
"""File of an exported folder that says what its weights are."""
WEIGHTS = "model.safetensors"
"""File of an exported folder with the weights."""

_SHOWN = 5
_LONGEST = 200


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A trained chain and what it was trained as.

    Attributes:
        chain: On the CPU in evaluation mode; see `load_model`.
        experiment: The experiment that trained it.
        heads: Head -> number of its classes, where a clip has a class of each of several heads.
        source: Where it comes from, for messages.
        trial: Id of the trial.
        clip_s: Length in seconds of the longest clip that it was trained on; 0 if it is not known.
        trained_as: What its checkpoint says that it was trained as; of an earlier version the
            number of classes alone.
    """

    chain: Chain
    experiment: Experiment
    heads: Mapping[str, int]
    source: str
    trial: str
    clip_s: float
    trained_as: Mapping[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each logit's class; its number where the names are unknown."""
        numbers = tuple(map(str, range(self.chain.num_classes)))
        return self.chain.class_names or numbers


def load_model(
    store: Store | str | Path,
    trial: str | None = None,
    *,
    which: Literal["last", "best"] = "last",
) -> Chain:
    """Build a trial's chain and load its trained weights.

    The record, the checkpoint and the id must agree on the experiment. On the same device type and
    with the same batch size as in training, its logits equal the stored predictions, which are
    means over shifts where the experiment has several `test_shifts_s`.

    Args:
        store: Store, or its folder or URI; without a trial, the path of a checkpoint's file or of
            a folder that `python -m orchestrator.export --format huggingface` wrote.
        trial: Trial id, or an unambiguous prefix.
        which: Weights of the last or of the best epoch of a trial in a store.

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
    if trial is None and not isinstance(store, Store):
        return load_file(store).chain
    return load_trained(store, trial or "", which=which).chain


def load_trained(
    store: Store | str | Path, trial: str, *, which: Literal["last", "best"] = "last"
) -> TrainedModel:
    """Do what `load_model` does, and return what the model was trained as too."""
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
    by = f"of the code that trained it: {record.provenance.get('code', 'not recorded')}"
    model = _built(
        from_canonical(record.experiment),
        tensors,
        trained_as or {"num_classes": record.data["num_classes"]},
        source=f"trial {trial_id}",
        version=by,
    )
    if trained_as is None:
        _from_the_pack(model.chain, model.experiment, record, store)
    clip_s = model.clip_s or _longest_clip_s(record, store)
    return dataclasses.replace(model, trial=trial_id, clip_s=clip_s)


def load_file(path: str | Path) -> TrainedModel:
    """Load a trial's checkpoint from its file alone, wherever it lies.

    Args:
        path: A `.safetensors` file of a store's `trials/<id>/checkpoints`, or a copy; or a folder
            that `python -m orchestrator.export --format huggingface` wrote.

    Raises:
        CheckpointError: The file cannot be read, is none of a trial, or this version cannot build
            what it was trained as; or the two files of a folder do not belong together.
    """
    path = Path(path)
    file = path / WEIGHTS if path.is_dir() else path
    try:
        checkpoint = read_checkpoint(file)
        if checkpoint.trained_as is None:
            raise CheckpointError(
                f"{path} does not say what it was trained as; give a checkpoint of a trial, or put "
                "published weights into an experiment (initial) and train its head"
            )
        if path.is_dir():
            _refuse_other_config(path / CONFIG, checkpoint.trained_as)
        return _built(
            from_canonical(checkpoint.trained_as["experiment"]),
            checkpoint.state,
            checkpoint.trained_as,
            source=str(path),
            version="of the code that trained it",
        )
    except ModelCheckpointError as error:
        raise CheckpointError(str(error)) from error


def config_of(trained_as: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `config.json` of an exported folder says of a model, as plain JSON.

    Args:
        trained_as: What its checkpoint says that it was trained as.
    """
    names = trained_as["class_names"] or map(str, range(trained_as["num_classes"]))
    id2label = {str(number): name for number, name in enumerate(names)}
    parts = {part: trained_as["experiment"][part] for part in CHAIN_PARTS}
    return {
        "model_type": parts["model"]["name"],
        "chain": parts,
        "num_classes": trained_as["num_classes"],
        "id2label": id2label,
        "label2id": {name: int(number) for number, name in id2label.items()},
        "heads": trained_as.get("heads") or {},
        "feature_mean": trained_as["mean"],
        "feature_std": trained_as["std"],
        "trial": trained_as["trial"],
    }


def _refuse_other_config(path: Path, trained_as: Mapping[str, Any]) -> None:
    try:
        config = json.loads(path.read_bytes())
        stated = {key: config.get(key) for key in config_of(trained_as)}
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); export the model again") from error
    for key, value in config_of(trained_as).items():
        if stated[key] != value:
            raise CheckpointError(
                f"{path} and {WEIGHTS} beside it are not of the same model: {key} is "
                f"{_short(stated[key])} in the first, and the second was trained with "
                f"{_short(value)}; export the model again"
            )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def _built(
    experiment: Experiment,
    tensors: Mapping[str, Tensor],
    trained_as: Mapping[str, Any],
    *,
    source: str,
    version: str,
) -> TrainedModel:
    heads = trained_as.get("heads") or {}
    num_classes = int(trained_as["num_classes"])
    try:
        chain = build(experiment, num_classes=num_classes, heads=heads or None)
        chain.load_state_dict(model_state(tensors))
    except (RegistryError, ModelError, RuntimeError) as error:
        raise CheckpointError(
            f"{source} cannot be built as it was ({error}); take the version {version}"
        ) from error
    chain.class_names = tuple(trained_as.get("class_names", ()))
    return TrainedModel(
        chain=chain.eval(),
        experiment=experiment,
        heads=heads,
        source=source,
        trial=str(trained_as.get("trial", "")),
        clip_s=float(trained_as.get("seconds", 0.0)),
        trained_as=trained_as,
    )


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


def _longest_clip_s(record: TrialRecord, store: Store) -> float:
    """Return the length of the pack's longest clip in seconds; 0 without the pack."""
    try:
        pack = open_pack(str(record.data["fingerprint"]), packs=store.packs_uri)
    except (DataError, KeyError):
        return 0.0
    return float(pack.num_samples.max()) / pack.sample_rate


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
