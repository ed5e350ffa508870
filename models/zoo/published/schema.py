"""What a published number is: its value, its source and the conditions it was measured under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Protocol = Literal["official_split", "own_split", "folds", "zero_shot"]
Selection = Literal["last", "best_on_validation", "best_on_test"]


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What a published number was measured under; None is "not stated".

    Attributes:
        dataset: lower case with underscores, for example `speech_commands_v2`.
        training_subset: the part of it that was trained on, where there are several.
        num_classes: classes that were told apart.
        num_train_clips: clips trained on; of one fold where there are folds.
        num_test_clips: clips scored; of one fold where there are folds.
        protocol: the official split, a split of the authors' own (what could still be
            downloaded), cross-validation over official folds, or no training on this set at all.
        num_folds: folds that the number is the mean of.
        sample_rate_hz: rate that the audio was read at.
        pretraining: data sets of the initial weights, first to last; empty is from scratch.
        epochs: passes over the training clips.
        selection: which epoch is scored, and chosen on what.
        averaged_checkpoints: checkpoints whose weights were averaged; 1 is none.
        num_models: models whose predictions were averaged; 1 is a single one.
        test_views: predictions of one model averaged for a clip; 1 is no augmentation.
        num_runs: runs with different seeds that the number is the mean of.
        spread: what stands behind the ±, in the metric's unit.
        spread_kind: what the ± is.
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
        paper: short name.
        arxiv: number of the preprint.
        place: table or section, or the authors' repository.
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
        model: registered name.
        form: what the paper calls it, where it has several of one model.
        changes: override paths -> values by which this form differs from the model behind its
            family's front end and transform; a part is a pair (name, arguments).
        metric: key as trials store it, `val/...` for the clips held out.
        class_name: the class that the number is of; empty for all.
        value: as printed, in `unit`.
        unit: `%`, or empty for a fraction or a plain number.
        conditions: what it was measured under.
        source: where it is printed.
        quoted: the source repeats a number of another paper, or does not say how it got it.
        remark: what no field holds; for readers, never compared.
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
