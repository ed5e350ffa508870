"""The card of a family of models: its paper, its front ends, its weights and published numbers.

A family's card is the `CARD` of `models/<family>/card.py`; `models.zoo.cards` finds it there. Cards
are data, so nothing heavy is imported here or there: sweeps, plans and reports read them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Part = tuple[str, dict[str, Any]]
"""Registered name and arguments of a front end or a transform."""

Fields = dict[str, Any]
"""Fields that several records of a card share."""

LAPTOP_FBANK: Part = (
    "kaldi_fbank",
    {"n_mels": 64, "num_frames": 128, "frame_length_ms": 50.0, "frame_shift_ms": 40.0},
)
"""Kaldi's filterbank as laptop sizes take it: five seconds in 128 frames."""

CODE = "authors' code"
"""The source of a count that was measured by running the authors' code."""

# What papers mean by a data set where they do not say otherwise.
AUDIOSET: Fields = dict(
    dataset="audioset", training_subset="full", num_classes=527, protocol="official_split"
)
ESC50: Fields = dict(
    dataset="esc50",
    num_classes=50,
    num_train_clips=1_600,
    num_test_clips=400,
    protocol="folds",
    num_folds=5,
)
SPEECH_COMMANDS: Fields = dict(
    dataset="speech_commands_v2",
    num_classes=35,
    num_test_clips=11_005,
    protocol="official_split",
)
SINGLE: Fields = dict(averaged_checkpoints=1, num_models=1, test_views=1)
"""Conditions of one model, its weights as they are, and one prediction a clip."""

OF_IMAGES: Fields = dict(
    num_classes=1000,
    trained_on=("imagenet_1k",),
    remark="of images: a start for training on sound. Statistics of the features of the training "
    "clips go to chain.set_normalisation(mean, std)",
)
"""Fields of weights of ImageNet."""

Protocol = Literal["official_split", "own_split", "folds", "zero_shot"]
Selection = Literal["last", "best_on_validation", "best_on_test"]
Quantity = Literal["params", "MACs", "MACs + attention", "multiply-adds"]
Extra = Literal["front end", "ImageNet heads", "unused head", "unused norm", "repeated frames"]

SCALE = {"M": 1e6, "G": 1e9}
"""The units that counts are printed in."""

_FRACTIONS = ("map", "auc", "d_prime")


@dataclass(frozen=True, kw_only=True)
class Paper:
    """The paper that a family of models is from.

    Attributes:
        name: Of the family, as the paper calls it.
        title: Of the paper.
        arxiv: Number of the preprint; empty where there is none.
        doi: Of the paper, where it has no preprint.
        code: The authors' repository and commit, or why there is none.
        licence: Of the authors' code.
        num_classes: Classes that the paper's sizes are listed with.
    """

    name: str
    title: str
    arxiv: str = ""
    doi: str = ""
    code: str = "none"
    licence: str = "none"
    num_classes: int = 527

    @property
    def place(self) -> str:
        """Where it is found: the preprint, or the DOI."""
        return f"arXiv {self.arxiv}" if self.arxiv else f"doi {self.doi}"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One published file.

    Checksums are those that the publisher states (Zenodo's md5), that the file's name carries (the
    first digits of the sha256, PyTorch's convention), or the sha256 of a file with the stated md5.
    A file without one is checked by its length and by being readable. The tensors of the files
    themselves were not at hand when the cards were written: names and shapes are from the authors'
    code.

    Attributes:
        name: What `load_pretrained` is called with.
        model: The registered model that it fits.
        arguments: What the model is built with, where it differs from the defaults.
        num_classes: Classes of the file's head.
        trained_on: Data sets, first to last.
        frontend: Name and arguments of the features it expects; empty for weights of images.
        statistics: Mean and deviation for `Chain.set_normalisation`, where it expects them.
        filename: The authors' name of the file, and its name in the cache.
        url: What is fetched; empty where a person has to fetch it.
        page: Where a person finds it.
        licence: Of the weights.
        remark: What a user must know or do besides building and loading; empty for nothing.
        md5: 32 hex digits, or empty.
        sha256: 64 hex digits, or the first 8 or more of them, or empty.
        size: Bytes, or 0 where it is not known.
    """

    name: str
    model: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    num_classes: int
    trained_on: tuple[str, ...]
    frontend: Part = ("", {})
    statistics: tuple[float, float] | None = None
    filename: str
    url: str = ""
    page: str
    licence: str
    remark: str = ""
    md5: str = ""
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What a published number was measured under.

    None is "not stated": the paper and its code are silent, or the paper rounds ("2M clips"). So it
    can be compared field by field with what a trial recorded, and "not stated" is never taken for
    "the same".

    Attributes:
        dataset: Lower case with underscores, for example `speech_commands_v2`.
        training_subset: The part of it that was trained on, where there are several.
        num_classes: Classes that were told apart.
        num_train_clips: Clips trained on; of one fold where there are folds.
        num_test_clips: Clips scored; of one fold where there are folds.
        protocol: The official split, a split of the authors' own (what could still be
            downloaded), cross-validation over official folds, or no training on this set at all.
        num_folds: Folds that the number is the mean of.
        sample_rate_hz: Rate that the audio was read at.
        pretraining: Data sets of the initial weights, first to last; empty is from scratch.
        epochs: Passes over the training clips.
        selection: Which epoch is scored, and chosen on what.
        averaged_checkpoints: Checkpoints whose weights were averaged; 1 is none.
        num_models: Models whose predictions were averaged; 1 is a single one.
        test_views: Predictions of one model averaged for a clip; 1 is no augmentation.
        num_runs: Runs with different seeds that the number is the mean of.
        spread: What stands behind the ±, in the metric's unit.
        spread_kind: What the ± is.
    """

    dataset: str
    training_subset: str | None = None
    num_classes: int | None = None
    num_train_clips: int | None = None
    num_test_clips: int | None = None
    protocol: Protocol | None = None
    num_folds: int | None = None
    sample_rate_hz: int | None = None
    pretraining: tuple[str, ...] | None = None
    epochs: int | None = None
    selection: Selection | None = None
    averaged_checkpoints: int | None = None
    num_models: int | None = None
    test_views: int | None = None
    num_runs: int | None = None
    spread: float | None = None
    spread_kind: Literal["std"] | None = None


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a number is printed.

    Attributes:
        paper: Short name.
        arxiv: Number of the preprint.
        place: Table or section, or the authors' repository.
    """

    paper: str
    arxiv: str
    place: str

    def __str__(self) -> str:
        return f"{self.paper}, arXiv {self.arxiv}, {self.place}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """One published number.

    Attributes:
        model: Registered name.
        form: What the paper calls it, where it has several of one model.
        changes: Override paths -> values by which this form differs from the model behind its
            family's front end and transform; a part is a pair (name, arguments).
        metric: Key as trials store it, `val/...` for the clips held out.
        class_name: The class that the number is of; empty for all.
        value: As printed, in `unit`.
        unit: `%`, or empty for a fraction or a plain number.
        conditions: What it was measured under.
        source: Where it is printed.
        quoted: The source repeats a number of another paper, or does not say how it got it.
        remark: What no field holds; for readers, never compared.
    """

    model: str
    form: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    metric: str
    class_name: str = ""
    value: float
    unit: str
    conditions: Conditions
    source: Source
    quoted: bool = False
    remark: str = ""

    def short(self) -> str:
        """Say metric and number, for example `mAP 0.471`."""
        kind = self.metric.removeprefix("val/")
        kind = {"map": "mAP", "top1": "top-1", "top5": "top-5", "auc": "AUC"}.get(kind, kind)
        what = f"{kind} of {self.class_name}" if self.class_name else kind
        return f"{what} {self.value:g} {self.unit}".strip()

    def __str__(self) -> str:
        return f"{self.conditions.dataset} {self.short()}"


def results(values: Mapping[str, float], *shared: Fields, **own: Any) -> tuple[Result, ...]:
    """Return the numbers of one printed row as results.

    Args:
        values: Metric -> number, for example `{"top1": 71.5, "top5": 90.5}`.
        *shared: What rows have in common: fields of `Result`, of its `Conditions` and its `Source`.
        **own: Such fields of this row; they go before the shared ones.
    """
    fields = _merged(*shared, own)
    conditions = Conditions(**_taken(fields, Conditions))
    source = Source(**_taken(fields, Source))
    fields |= dict(conditions=conditions, source=source)
    return tuple(
        Result(
            metric=f"val/{metric}", value=value, unit="" if metric in _FRACTIONS else "%", **fields
        )
        for metric, value in values.items()
    )


def _merged(*dicts: Fields) -> Fields:
    return {name: value for fields in dicts for name, value in fields.items()}


def _taken(values: Fields, record: type) -> Fields:
    """Take the fields of a record out of others."""
    names = [own.name for own in dataclasses.fields(record)]
    return {name: values.pop(name) for name in names if name in values}


@dataclass(frozen=True, kw_only=True)
class PublishedCount:
    """A published count, and how to count the same here; see `models.zoo.counts`.

    Attributes:
        model: Registered name.
        label: What the paper calls it.
        quantity: Parameters; MACs of convolutions and linear layers; those and the products of
            attention; or twice the MACs.
        printed: As printed, for example `28.32 M`.
        source: The paper, or the authors' code where the number was measured on it.
        input_size: (mels, frames), or (height, width) of an image.
        num_channels: Channels of the input.
        num_classes: Classes of the head.
        arguments: Arguments of the model, where they differ from the defaults.
        frontend: Arguments of `log_mel`, for what the front end adds.
        extras: Parts that the other side counts and the model here is without.
        note: Why the numbers differ, where they do by more than `models.zoo.counts.TOLERANCE`.
    """

    model: str
    label: str
    quantity: Quantity
    printed: str
    source: str
    input_size: tuple[int, int]
    num_channels: int = 1
    num_classes: int = 527
    arguments: Mapping[str, Any] = field(default_factory=dict)
    frontend: Mapping[str, Any] = field(default_factory=dict)
    extras: tuple[Extra, ...] = ()
    note: str = ""

    @property
    def value(self) -> float:
        """The number itself."""
        number, unit = self.printed.split()
        return float(number) * SCALE[unit]


def counts(
    values: Mapping[Quantity, str], *shared: Fields, **own: Any
) -> tuple[PublishedCount, ...]:
    """Return several counts of one model on one input.

    Args:
        values: Quantity -> the count as printed.
        *shared: Other fields of `PublishedCount`; the source is the authors' code if none is given.
        **own: Fields of these counts; they go before the shared ones.
    """
    fields = _merged({"source": CODE}, *shared, own)
    return tuple(
        PublishedCount(quantity=quantity, printed=printed, **fields)
        for quantity, printed in values.items()
    )


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of a family of models besides its code.

    Attributes:
        rank: Place of the family where all are listed; those without one come last, by name.
        paper: That the family is from.
        papers: Registered name -> paper, of the models that are from another one.
        frontend: Front end that `models.create_model` puts before the family's models.
        frontends: Registered name -> front end, of the models that take another one.
        transform: Input transform that `models.create_model` puts before the family's models.
        weights: Published files.
        counts: Published counts of parameters and MACs.
        results: Published numbers, in the order of the papers' tables.
    """

    rank: int = 1_000
    paper: Paper
    papers: Mapping[str, Paper] = field(default_factory=dict)
    frontend: Part
    frontends: Mapping[str, Part] = field(default_factory=dict)
    transform: Part = ("identity", {})
    weights: tuple[Weights, ...] = ()
    counts: tuple[PublishedCount, ...] = ()
    results: tuple[Result, ...] = ()
