"""What decides the numbers (`Experiment`) and what only decides where they are made (`Runtime`).

An experiment is a frozen value; `orchestrator.experiment.identity` completes it and gives it an id.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from models import registry
from models.checkpoints.files import is_remote, weight_file
from models.digests import file_digest
from models.errors import CheckpointError
from orchestrator.errors import ConfigError
from orchestrator.metrics.catalog import VAL_TOP1

REVISION = 1
"""Raised when a change of code alters numbers; part of every id."""

SEEDS = 2**63
"""Seeds are below; random generators take no more."""

MAX_COUNT = 10**9
"""Far above what can be meant: a typing error is not to be trained for years."""

RANGES: Mapping[str, tuple[float, float, str]] = {
    "epochs": (1, MAX_COUNT, f"it must be at least 1, and at most {MAX_COUNT}"),
    "batch_size": (1, MAX_COUNT, f"it must be at least 1, and at most {MAX_COUNT}"),
    "accumulation_steps": (1, MAX_COUNT, f"it must be at least 1, and at most {MAX_COUNT}"),
    "clip_norm": (0, 1e300, "it must be a finite norm, or 0 for no clipping"),
    "seed": (0, SEEDS - 1, "it must be at least 0, and below 2**63"),
    "fold": (0, MAX_COUNT, f"it must be at least 0, and at most {MAX_COUNT}"),
    "shuffled_labels": (0, 1, "it is a share, from 0 to 1"),
    "revision": (1, MAX_COUNT, f"it must be at least 1, and at most {MAX_COUNT}"),
}
"""Number of an experiment -> lowest and highest value, and both in words."""


@dataclass(frozen=True)
class File:
    """A file that decides numbers: identified by its digest, found by its path.

    Attributes:
        digest: Prefix `sha256:` and 64 hex digits.
        path: Where the file is on every host that trains; not part of any id. Every host fetches
            an address or a name of `models.zoo.cards.WEIGHTS` for itself.
    """

    digest: str
    path: str = field(default="", compare=False)

    @classmethod
    def read(cls, path: str | Path) -> File:
        """Digest a file; an address or a published name is fetched first.

        Args:
            path: A path, `https://...`, or a name of `models.zoo.cards.WEIGHTS`.

        Raises:
            ConfigError: The file cannot be read or fetched.
        """
        try:
            local = weight_file(path)
            if local.exists() and not local.is_file():  # a pipe or a device may have no end
                raise CheckpointError(f"{local} is not a file; give the path of an existing file")
            digest = file_digest(local)
        except CheckpointError as error:
            raise ConfigError(str(error)) from None
        except OSError as error:
            raise ConfigError(
                f"cannot read {str(path)!r} ({error.strerror}); give the path of an existing file"
            ) from None
        return cls(f"sha256:{digest}", str(path if is_remote(path) else Path(local).resolve()))

    @property
    def local(self) -> Path:
        """The file on this host; one given by address or name is in the cache."""
        return weight_file(self.path)


@dataclass(frozen=True, init=False)
class Component:
    """A registered part and its arguments, for example `Component("adaptor", strength=0.2)`.

    Attributes:
        name: A registered name, or `module:attribute` for a user's own part, whose source is then
            part of the id (`models.own_source`).
        arguments: The part's keyword arguments; `complete` fills in the rest.
    """

    name: str
    arguments: Mapping[str, Any]

    def __init__(self, name: str, /, **arguments: Any):
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "arguments", dict(arguments))

    def __hash__(self) -> int:
        return hash((self.name, *sorted(self.arguments)))

    def __str__(self) -> str:
        inner = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        return f"{self.name}({inner})"

    def replace(self, **arguments: Any) -> Component:
        """Return the component with some arguments changed."""
        return Component(self.name, **{**self.arguments, **arguments})


ADDED: Mapping[str, Any] = {
    "shuffled_labels": 0.0,
    "selection_metric": VAL_TOP1,
    "sampler": Component("each_once"),
    "mixup": Component("none"),
    "averaging": Component("none"),
    "distillation": Component("none"),
    "frozen": False,
    "head": "linear",
    "waveform_augmentation": Component("none"),
    "class_weights": Component("none"),
    "test_shifts_s": (0.0,),
}
"""Fields that came later -> the value at which an experiment is what it was without them."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that decides the numbers of one trial, and nothing else.

    Attributes:
        dataset: The clips; its `fingerprint` argument pins the pack.
        frontend: Waveform to features.
        waveform_augmentation: Applied to training waveforms only, before the front end and before
            any mixing; see `models.wave_augment`.
        augmentation: Applied to training features only.
        transform: The input transform, for example DATAR's adaptor.
        model: The backbone with its head.
        loss: Logits and labels to one number per clip.
        class_weights: How much each class counts in the loss, from the training clips of the fold;
            see `orchestrator.training.class_weights`.
        optimizer: Optimizer, with the peak learning rate.
        schedule: Learning rate over the steps.
        sampler: Which clips an epoch draws; see `orchestrator.data.samplers`.
        mixup: Which clips are mixed, where and in what shares; see `orchestrator.data.mixup`.
        averaging: Which average of the weights is evaluated and kept; see
            `orchestrator.training.averaging`.
        distillation: Which trained trial is the teacher, and how its outputs on the training clips
            are learned; see `orchestrator.training.distillation`.
        initial: Either `scratch`, `trial` (the checkpoint of another trial, by id) or `checkpoint`
            (a file, by digest).
        epochs: Passes over the training clips.
        batch_size: Clips per optimizer step over all workers.
        accumulation_steps: Number of equal parts in which a worker computes its share of a batch.
        clip_norm: Largest gradient norm; 0 disables clipping.
        precision: `fp32` computes in float32. `tf32` lets a GPU round the factors of matrix
            products and convolutions to TF32 (10 bits); a CPU has no TF32 and computes as for
            `fp32`. `bf16` is automatic mixed precision with float32 weights; what it leaves in
            float32 is computed as for `fp32`.
        selection: The epoch whose metrics the report reads: the `last`, or the one that is best on
            validation clips, which neither train nor are reported (`best_on_validation`, or `best`
            for short; see `orchestrator.data.partition`). `best_on_test` chooses it on the very
            clips that are reported, as some papers did: the report says so.
        seed: Seed of initial weights, order, augmentation and dropout.
        fold: The fold (or official split) that is reported.
        shuffled_labels: Share of the training clips whose labels are permuted among themselves, for
            a control arm that must be worse.
        selection_metric: Key of the metric that chooses the `best` epoch; a plan whose trials are
            read at their best epoch sets it to its own metric.
        frozen: Whether the model's weights stay as they start, and a head alone is trained on its
            embeddings, which are computed once per clip and kept beside the pack; see
            `models.frozen`. Nothing may augment what the encoder takes.
        head: Head on a frozen model: `linear`, `mlp` (a hidden layer of 512), or `nearest`, which
            learns nothing: the majority class of the five most similar training clips.
        test_shifts_s: Shifts in seconds, later where positive, at which a clip is evaluated: the
            waveform is rolled around by each, and the probabilities are averaged. (0.0,) evaluates
            it as it is. Every evaluation takes as many passes, of waveforms instead of kept
            features.
        revision: See `REVISION`.
    """

    dataset: Component
    frontend: Component
    augmentation: Component
    transform: Component
    model: Component
    loss: Component
    optimizer: Component
    schedule: Component
    sampler: Component = ADDED["sampler"]
    mixup: Component = ADDED["mixup"]
    averaging: Component = ADDED["averaging"]
    distillation: Component = ADDED["distillation"]
    waveform_augmentation: Component = ADDED["waveform_augmentation"]
    class_weights: Component = ADDED["class_weights"]
    initial: Component = Component("scratch")
    epochs: int
    batch_size: int
    accumulation_steps: int = 1
    clip_norm: float = 5.0
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    selection: Literal["last", "best", "best_on_validation", "best_on_test"] = "last"
    seed: int = 0
    fold: int = 1
    shuffled_labels: float = 0.0
    selection_metric: str = VAL_TOP1
    frozen: bool = False
    head: Literal["linear", "mlp", "nearest"] = "linear"
    test_shifts_s: tuple[float, ...] = ADDED["test_shifts_s"]
    revision: int = REVISION


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Where and how trials run. Nothing here changes a number beyond float rounding.

    With one exception: each of several workers draws its own dropout, drop path and triplets.

    Attributes:
        store: Directory or file-system URI (`s3://...`) of records, checkpoints and packs.
        tracking_uri: MLflow's address; empty means SQLite inside the store.
        address: Address of a Ray cluster; empty starts one on this machine, `auto` joins a running
            one.
        num_workers: Data-parallel workers of one trial; a single one runs inside the Tune worker.
        gpus_per_worker: GPUs per worker; a fraction lets several trials share a card.
        cpus_per_worker: CPU threads of one worker; 0 gives it its share of the host's
            (`orchestrator.execution.packing.cpu_share`).
        fast: Whether GPUs may use operations that do not repeat to the bit.
        activation_checkpointing: Whether a model's blocks compute their activations again in the
            backward pass instead of keeping them: less memory, one more forward pass of them.
        compile: Mode of `torch.compile` for training steps, `default` or `reduce-overhead`; empty
            trains without a compiler.
        max_concurrent: Largest number of concurrent trials; 0 means as many as the resources allow.
        retries: Largest number of workers that a trial may lose in a row without finishing another
            epoch; those lost on the way do not count.
        data_root: Folder of the dataset's own files.
        feature_memory_gib: Largest set of features in GiB that a worker holds on its GPU; others
            are read from a file beside the pack.
        own_metrics: The plan's metrics of the user's own, `module:name`, which every epoch
            computes beside those of the catalog.
    """

    store: str = "store"
    tracking_uri: str = ""
    address: str = ""
    num_workers: int = 1
    gpus_per_worker: float = 0.0
    cpus_per_worker: int = 1
    fast: bool = False
    activation_checkpointing: bool = False
    compile: str = ""
    max_concurrent: int = 0
    retries: int = 3
    data_root: str = ""
    feature_memory_gib: float = 4.0
    own_metrics: tuple[str, ...] = ()

    @property
    def feature_memory(self) -> int:
        """`feature_memory_gib` in bytes."""
        return int(min(self.feature_memory_gib * 2**30, sys.maxsize))


INITIAL: Mapping[str, Mapping[str, Any]] = {
    "scratch": {},
    "trial": {"id": str},
    "checkpoint": {"file": File},
}
COMPONENTS = (*registry.KINDS, "initial")
HINTS = typing.get_type_hints(Experiment)
SCALARS = {name: kind for name, kind in HINTS.items() if kind is not Component}
