"""The card of a model family: paper, front ends, weights, and published numbers.

A family's card is the `CARD` of `models/<family>/card.py`, where `models.zoo.cards` finds it.
Sweeps, plans and reports read cards, so cards and this module import nothing heavy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Part = tuple[str, dict[str, Any]]
"""Registered name and arguments of a front end or transform."""

Fields = dict[str, Any]
"""Field -> value, shared by several records."""

LAPTOP_FBANK: Part = (
    "kaldi_fbank",
    {"n_mels": 64, "num_frames": 128, "frame_length_ms": 50.0, "frame_shift_ms": 40.0},
)
"""Kaldi filterbank for laptop sizes: five seconds in 128 frames."""

CODE = "authors' code"
"""Source of a count measured by running the authors' code."""

# Conditions of each data set's usual protocol.
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
"""Conditions of a single model, one epoch's weights, and one prediction per clip."""

OF_IMAGES: Fields = dict(
    num_classes=1000,
    trained_on=("imagenet_1k",),
    remark="of images: a start for training on sound. Statistics of the features of the training "
    "clips go to chain.set_normalization(mean, std)",
)
"""Fields of weights trained on ImageNet."""

Protocol = Literal["official_split", "own_split", "folds", "zero_shot"]
Selection = Literal["last", "best_on_validation", "best_on_test"]
Quantity = Literal["params", "MACs", "MACs + attention", "multiply-adds"]
Extra = Literal["front end", "ImageNet heads", "unused head", "unused norm", "repeated frames"]

SCALE = {"M": 1e6, "G": 1e9}
"""Units of printed counts."""

_FRACTIONS = ("map", "auc", "d_prime")


@dataclass(frozen=True, kw_only=True)
class Paper:
    """The paper that introduced a model family.

    Attributes:
        name: The family's name in the paper.
        title: The paper's title.
        arxiv: Number of the preprint; empty if there is none.
        doi: The paper's DOI if it has no preprint.
        code: The authors' repository and commit, or why there is none.
        license: License of the authors' code.
        num_classes: Number of classes for which the paper lists its sizes.
    """

    name: str
    title: str
    arxiv: str = ""
    doi: str = ""
    code: str = "none"
    license: str = "none"
    num_classes: int = 527

    @property
    def place(self) -> str:
        """The preprint or the DOI."""
        return f"arXiv {self.arxiv}" if self.arxiv else f"doi {self.doi}"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One published file.

    The checksum is the publisher's (Zenodo's md5), or the sha256 in the file name (its first
    digits, a PyTorch convention), or the sha256 of a file with the stated md5. A file without one
    is checked by its length and by reading it. The files were not available when the cards were
    written: names and shapes come from the authors' code.

    Attributes:
        name: Name for `load_pretrained`.
        model: Registered name of the matching model.
        arguments: Arguments of the model that differ from the defaults.
        num_classes: Number of classes of the file's head.
        trained_on: Data sets, first to last.
        frontend: Front end the weights were trained with; the name is empty for images.
        statistics: Mean and deviation for `Chain.set_normalization`, if the file expects them.
        filename: The authors' name of the file, and its name in the cache.
        url: Download URL; empty if the file must be downloaded by hand.
        page: Web page that offers the file.
        license: License of the weights.
        remark: Anything else a user must know or do; may be empty.
        md5: 32 hex digits, or empty.
        sha256: 64 hex digits, the first 8 or more of them, or empty.
        size: Size in bytes, or 0 if it is not known.
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
    license: str
    remark: str = ""
    md5: str = ""
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditions under which a published number was measured.

    None means "not stated": the paper and its code are silent, or the paper rounds ("2M clips").
    Conditions are compared field by field with a trial's record; "not stated" never counts as "the
    same".

    Attributes:
        dataset: Lower case with underscores, for example `speech_commands_v2`.
        training_subset: Part of the data set used for training, if it has several.
        num_classes: Number of classes.
        num_train_clips: Number of training clips, per fold if there are folds.
        num_test_clips: Number of test clips, per fold if there are folds.
        protocol: The official split, the authors' own split (what could still be downloaded),
            cross-validation over official folds, or no training on this data set.
        num_folds: Number of folds the value is averaged over.
        sample_rate_hz: Sample rate of the audio.
        pretraining: Data sets of the initial weights, first to last; empty for training from
            scratch.
        epochs: Passes over the training clips.
        selection: Which epoch is scored, and the data it was chosen on.
        averaged_checkpoints: Number of averaged checkpoints; 1 for no averaging.
        num_models: Number of models in the ensemble; 1 for a single model.
        test_views: Number of predictions per clip that one model averages; 1 for no augmentation.
        num_runs: Number of seeds the value is averaged over.
        spread: The number after ±, in the metric's unit.
        spread_kind: Statistic given after ±.
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
        form: The paper's name for this form of the model, if it has several.
        changes: Override path -> value, for differences from the model with its family's front end
            and transform; a part is a pair (name, arguments).
        metric: Metric key as stored by trials; `val/...` for held-out clips.
        class_name: Class the number is for; empty for all classes.
        value: As printed, in `unit`.
        unit: `%`, or empty for a fraction or a plain number.
        conditions: Conditions of the measurement.
        source: Where the number is printed.
        quoted: Whether the source quotes another paper or does not say how it got the number.
        remark: Further information; shown to readers, never compared.
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
        """Return metric and number as text, for example `mAP 0.471`."""
        kind = self.metric.removeprefix("val/")
        kind = {"map": "mAP", "top1": "top-1", "top5": "top-5", "auc": "AUC"}.get(kind, kind)
        what = f"{kind} of {self.class_name}" if self.class_name else kind
        return f"{what} {self.value:g} {self.unit}".strip()

    def __str__(self) -> str:
        return f"{self.conditions.dataset} {self.short()}"


def results(values: Mapping[str, float], *shared: Fields, **own: Any) -> tuple[Result, ...]:
    """Return one printed row as results.

    Args:
        values: Metric -> number, for example `{"top1": 71.5, "top5": 90.5}`.
        *shared: Fields of `Result`, `Conditions` and `Source` shared by several rows.
        **own: Fields of this row, which override the shared ones.
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
    """Remove the fields of a record type from a dict and return them."""
    names = [own.name for own in dataclasses.fields(record)]
    return {name: values.pop(name) for name in names if name in values}


@dataclass(frozen=True, kw_only=True)
class PublishedCount:
    """A published count and how to reproduce it; see `models.zoo.counts`.

    Attributes:
        model: Registered name.
        label: The paper's name for the model.
        quantity: Parameters; MACs of convolutions and linear layers; these plus the MACs of
            attention products; or twice the MACs.
        printed: The count as printed, for example `28.32 M`.
        source: The paper, or the authors' code if the count was measured by running it.
        input_size: (mels, frames), or (height, width) of an image.
        num_channels: Number of channels of the input.
        num_classes: Number of classes of the head.
        arguments: Arguments of the model that differ from the defaults.
        frontend: Arguments of `log_mel`, used to count the front end.
        extras: Parts in the published count that our model lacks.
        note: Reason for a difference above `models.zoo.counts.TOLERANCE`.
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
        """The count as a number."""
        number, unit = self.printed.split()
        return float(number) * SCALE[unit]


def counts(
    values: Mapping[Quantity, str], *shared: Fields, **own: Any
) -> tuple[PublishedCount, ...]:
    """Return several counts of one model on one input.

    Args:
        values: Quantity -> count as printed.
        *shared: Fields of `PublishedCount` shared by several calls.
        **own: Fields of these counts, which override the shared ones; `source` defaults to the
            authors' code.
    """
    fields = _merged({"source": CODE}, *shared, own)
    return tuple(
        PublishedCount(quantity=quantity, printed=printed, **fields)
        for quantity, printed in values.items()
    )


@dataclass(frozen=True, kw_only=True)
class Card:
    """Everything about a model family except its code.

    Attributes:
        rank: Position in lists of families; families without one come last, by name.
        paper: Paper that introduced the family.
        papers: Registered name -> paper, for models from another paper.
        frontend: Default front end in `models.create_model`.
        frontends: Registered name -> front end, for models with another default.
        transform: Default input transform in `models.create_model`.
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
