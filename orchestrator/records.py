"""The result of a trial, and the plan of a sweep: the two things that a report joins."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from orchestrator.errors import shown, unknown
from orchestrator.metrics.catalog import (
    METRICS,
    USUAL,
    VAL_TOP1,
    lookup,
    reported_key,
    selection_key,
)

SCHEMA = 2
"""Version of the stored forms; a reader refuses a newer one. From 2 on they carry a digest."""

ID_LENGTH = 16
TRIAL_ID = re.compile(rf"[0-9a-f]{{{ID_LENGTH}}}")

TEACHER_ARM = "arm:"
"""What the teacher of a distillation starts with if it is the name of an arm of the plan."""

VALIDATION_PART = "-validation"
"""What the name of an epoch's predictions of the validation clips ends with."""

_LARGEST = 2**63

EARLIER_BEST = "best"
"""Selection of stored plans whose epochs an earlier version chose on the clips that it reported."""


EPOCHS: Mapping[str, str] = {
    "last": "the last epoch",
    "best_on_validation": "the epoch that is best on validation clips",
    "best_on_test": "the epoch that is best on the test clips, which are those reported",
    EARLIER_BEST: "the epoch that is best on the reported clips",
}
"""Selection -> the epoch that it reads, in words."""


def epoch_of(selection: str) -> Literal["last", "best"]:
    """Return which of the two kept epochs of a trial a selection reads."""
    return "last" if selection == "last" else "best"


class Status(StrEnum):
    """The state of a trial. A planned trial without a record is `MISSING`.

    One whose loss or predictions ceased to be finite has `DIVERGED`, which is its outcome: trained
    again, it would diverge again. One that a search left early is `PRUNED`, which is its outcome
    for the search; any other sweep trains it on from its checkpoint.
    """

    MISSING = "missing"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    DIVERGED = "diverged"
    PRUNED = "pruned"

    @property
    def is_final(self) -> bool:
        """Whether the same command leaves the trial as it is."""
        return self in (Status.FINISHED, Status.DIVERGED)


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """The numbers of one epoch.

    Attributes:
        epoch: Number of finished passes over the training clips, from 1.
        metrics: Key -> value, keys as in `orchestrator.metrics.catalog`.
    """

    epoch: int
    metrics: Mapping[str, float]


def best_epoch(epochs: Sequence[EpochRecord], key: str) -> int:
    """Return the epoch that is best by a metric in its direction, the earliest of equals.

    Where no epoch has the usual metric of clips with one class, which every experiment names that
    names no other, the first of the usual ones counts that the epochs have. An epoch without a
    finite number is best only if no epoch has one; 0 if there is no epoch.

    Args:
        epochs: Records of the epochs, in order.
        key: Key of `orchestrator.metrics.METRICS`, or its `selection_key`.

    Raises:
        ConfigError: No metric has that key.
    """
    reported = reported_key(key)
    if reported == VAL_TOP1 and not any(key in epoch.metrics for epoch in epochs):
        usual = USUAL.values() if key == reported else map(selection_key, USUAL.values())
        key = next((k for k in usual if any(k in e.metrics for e in epochs)), key)
    sign = lookup(reported_key(key)).sign

    def worth(epoch: EpochRecord) -> float:
        value = sign * epoch.metrics.get(key, math.nan)
        return value if math.isfinite(value) else -math.inf

    return max(epochs, key=worth).epoch if epochs else 0


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of a trial.

    Attributes:
        seconds: Wall-clock time over all attempts, set-up included.
        set_up_s: Part of it before the first step (model, data, front-end statistics).
        device: Device, for example `cpu` or `cuda NVIDIA H200`.
        num_workers: Number of data-parallel workers.
        peak_memory_mb: Peak of the process (CPU) or the device (CUDA), largest over the workers.
        num_params: Parameters of the whole chain.
        num_trained: Those of them that training changes; 0 if none, and in older records.
        macs: Multiply-accumulates of one clip's forward pass, convolutions and linear layers only.
        clips_per_s: Training throughput, median over epochs.
        attempts: Number of attempts: 1 plus the number of restarts.
    """

    seconds: float = 0.0
    set_up_s: float = 0.0
    device: str = "cpu"
    num_workers: int = 1
    peak_memory_mb: float = 0.0
    num_params: int = 0
    num_trained: int = 0
    macs: int = 0
    clips_per_s: float = 0.0
    attempts: int = 1


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """All that a report needs of one trial, except for its per-clip predictions in the store.

    The arm is not part of it: a trial is trained once, and several sweeps may give it different arm
    names.

    Attributes:
        id: The experiment's id.
        status: Running, finished, failed, diverged or pruned.
        experiment: Canonical form of the completed experiment.
        epochs: Records of the epochs in order, each epoch once.
        best_epoch: Epoch that is best by `chosen_by`, the earliest of equals; 0 if there is none.
        cost: Time, memory and size.
        data: The pack's name, fingerprint, counts kept and dropped, feature mean and std; which
            clips chose the epoch, where any were held out for it.
        provenance: Code version, package versions, host, start and end in UTC.
        error: What stopped a failed or diverged trial, traceback included.
        predictions: `last` or `best`, with `VALIDATION_PART` behind for those of validation clips
            -> SHA-256 of the file with its per-clip predictions.
        has_digest: Whether the stored form carried a digest of its content, which schema 1 lacks.
            Not stored.
    """

    id: str
    status: Status
    experiment: Mapping[str, Any]
    epochs: tuple[EpochRecord, ...] = ()
    best_epoch: int = 0
    cost: Cost = field(default_factory=Cost)
    data: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    predictions: Mapping[str, str] = field(default_factory=dict)
    has_digest: bool = field(default=True, compare=False)

    @property
    def chosen_by(self) -> str:
        """Key of the metric that chose the best epoch."""
        return str(self.experiment.get("selection_metric", VAL_TOP1))

    @property
    def chose_on_validation(self) -> bool:
        """Whether the best epoch was chosen on clips that are not reported."""
        return bool(self.data.get("num_validation"))

    @property
    def error_line(self) -> str:
        """The last informative line of the error, with the exception's name without its module."""
        lines = [line.strip() for line in self.error.splitlines() if line.strip()]
        return re.sub(r"^(?:\w+\.)+(?=\w+:)", "", lines[-1]) if lines else ""

    def metrics_at(self, selection: str) -> Mapping[str, float]:
        """Return the metrics of the epoch that a selection reads; empty if there is none."""
        if not self.epochs:
            return {}
        if epoch_of(selection) == "best":
            return next((e.metrics for e in self.epochs if e.epoch == self.best_epoch), {})
        return self.epochs[-1].metrics

    def to_json(self) -> dict[str, Any]:
        """Return the stored form; the store adds its digest."""
        return _stored(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrialRecord:
        """Read the stored form.

        Raises:
            ValueError: A newer version wrote it, or it holds what no trial writes; names every
                mistake.
        """
        values = _known(cls, data)
        if mistakes := _mistakes_of_record(values):
            raise ValueError("; ".join(mistakes))
        values["status"] = Status(values["status"])
        values["epochs"] = tuple(EpochRecord(**epoch) for epoch in values["epochs"])
        values["cost"] = Cost(**values["cost"])
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class ArmRecord:
    """An arm as planned.

    Attributes:
        name: Name in the report's row.
        levels: Factor -> level.
        changes: Setting -> value as text, wherever the arm departs from the baseline.
        published: Metric key -> the paper's number, in the metric's unit (percent for accuracy).
        conditions: Conditions of the published numbers, by field; a missing field was not stated.
            Empty means that only the plan's text states them.
        source: Where the published numbers are printed; empty means the plan's source.
    """

    name: str
    levels: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[str, float] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class TrialKey:
    """One cell of a plan: the trial of an arm in a block (a seed and a fold)."""

    id: str
    arm: str
    seed: int
    fold: int


@dataclass(frozen=True, kw_only=True)
class ContrastRecord:
    """A comparison declared before anything ran: an arm against a reference arm."""

    arm: str
    reference: str


@dataclass(frozen=True, kw_only=True)
class EffectRecord:
    """A main effect or an interaction declared before anything ran.

    Attributes:
        factors: One for a main effect, several for their interaction.
        levels: Factor -> its first and its second level.
        weights: Arm -> weight in the sum that is tested within every block; arms without one
            take no part.
        aliases: Other effects that these arms cannot tell apart from it.
    """

    factors: tuple[str, ...]
    levels: Mapping[str, tuple[str, str]]
    weights: Mapping[str, float]
    aliases: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name in a row, `input x attention`."""
        return " x ".join(self.factors)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EffectRecord:
        """Read the stored form."""
        values = _known(cls, data)
        values["factors"] = tuple(values["factors"])
        values["levels"] = {name: tuple(pair) for name, pair in values["levels"].items()}
        values["aliases"] = tuple(values.get("aliases", ()))
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class SearchRecord:
    """What a plan says of the search that suggested its arms.

    Attributes:
        points: Arm of a point -> setting -> value, in the order of suggestion.
        num_points: Number of points that the search ends with.
        pruner: Rule by which points were left early; empty for none.
        costs: Fields of `Cost` that the search made small beside the metric.
        importances: Setting -> its share in what makes a point one of the best; empty if unknown.
    """

    points: Mapping[str, Mapping[str, Any]]
    num_points: int
    pruner: str = ""
    costs: tuple[str, ...] = ()
    importances: Mapping[str, float] = field(default_factory=dict[str, float])

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SearchRecord:
        """Read the stored form."""
        values = _known(cls, data)
        values["costs"] = tuple(values.get("costs", ()))
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class PlanRecord:
    """A sweep as it was declared, stored before its first trial runs.

    Attributes:
        sweep: Name in the store and in MLflow, variant included (`adaptor_lambda-demo-esc`).
        question: Question in the author's words.
        metric: Key of the primary metric.
        selection: The epoch that is read, of the baseline: `last`, `best_on_validation` or
            `best_on_test`; `EARLIER_BEST` in plans of earlier versions.
        baseline: Name of the arm that the table sets apart.
        arms: Arms in table order; the report never sorts them.
        contrasts: Contrasts, most important first.
        trials: Trials, block by block.
        prerequisites: Trials whose checkpoints the arms start from, or that teach them; in no arm
            and no table.
        settings: Path -> value of the baseline experiment.
        source: Source of the published numbers.
        conditions: What the published numbers were measured on, as text.
        dataset: Pack name, fingerprint and class names.
        command: Command line that declared the plan.
        declared_at: Time of declaration, UTC, ISO 8601.
        dose: Setting whose value orders the arms of a dose series, or empty.
        cap: Most blocks of a study that runs until its contrasts are decided; its trials are those
            declared so far. 0 means a fixed size.
        margin: A difference that would not matter, in the metric's unit; 0 declares none.
        effects: Effects of a factorial design, most important first.
        tie_break: Key of the metric that breaks ties of the primary one; empty for none.
        search: The search that suggested the arms behind the first; None for other plans.
        followed_by: Sweep that goes on with arms of this one, such as the confirmation of the best
            points of a search; empty for none.
        has_digest: Whether the stored form carried a digest of its content, which schema 1 lacks.
            Not stored.
    """

    sweep: str
    question: str
    metric: str
    selection: str
    baseline: str
    arms: tuple[ArmRecord, ...]
    contrasts: tuple[ContrastRecord, ...]
    trials: tuple[TrialKey, ...]
    prerequisites: tuple[TrialKey, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    conditions: str = ""
    dataset: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    declared_at: str = ""
    dose: str = ""
    cap: int = 0
    margin: float = 0.0
    effects: tuple[EffectRecord, ...] = ()
    tie_break: str = ""
    search: SearchRecord | None = None
    followed_by: str = ""
    has_digest: bool = field(default=True, compare=False)

    @property
    def num_declared(self) -> int:
        """Number of declared contrasts and effects: the family that is corrected for."""
        return len(self.contrasts) + len(self.effects)

    @property
    def pack(self) -> str:
        """The dataset's name and the first digits of its fingerprint; empty if not recorded."""
        name, fingerprint = (str(self.dataset.get(key) or "") for key in ("name", "fingerprint"))
        return f"{name} {fingerprint.removeprefix('sha256:')[:12]}".strip()

    def selection_of(self, arm: str) -> str:
        """Return the epoch that is read of an arm."""
        changes = (one.changes for one in self.arms if one.name == arm)
        return str(next(changes, {}).get("selection", self.selection))

    def epochs_read(self) -> dict[str, Literal["last", "best"]]:
        """Return the id of every planned trial -> which of its two kept epochs is read."""
        of_arm = {arm.name: self.selection_of(arm.name) for arm in self.arms}
        return {t.id: epoch_of(of_arm.get(t.arm, self.selection)) for t in self.all_trials}

    def margin_of(self, metric: str) -> float:
        """Return the margin for a metric: 0 for any but the plan's own."""
        return self.margin if metric == self.metric else 0.0

    def tie_break_of(self, metric: str) -> str:
        """Return the metric that breaks ties of a metric; empty for itself, or without one."""
        return self.tie_break if self.tie_break != metric else ""

    @property
    def all_trials(self) -> tuple[TrialKey, ...]:
        """The prerequisites and the trials, in training order."""
        return (*self.prerequisites, *self.trials)

    @property
    def learned_from(self) -> set[str]:
        """Ids of trials that others start or learn from: prerequisites, and arms that teach."""
        path = "distillation.teacher"
        named = [self.settings.get(path), *(arm.changes.get(path) for arm in self.arms)]
        arms = {str(one).removeprefix(TEACHER_ARM) for one in named if one is not None}
        teaching = {trial.id for trial in self.trials if trial.arm in arms}
        return {trial.id for trial in self.prerequisites} | teaching

    @property
    def asked(self) -> dict[str, Any]:
        """The stored form without the time and command of its declaration."""
        return {**self.to_json(), "declared_at": "", "command": ""}

    def to_json(self) -> dict[str, Any]:
        """Return the stored form; the store adds its digest."""
        return _stored(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PlanRecord:
        """Read the stored form.

        Raises:
            ValueError: A newer version wrote it, or it holds what no plan writes; names every
                mistake.
        """
        values = _known(cls, data)
        if mistakes := _mistakes_of_plan(values):
            raise ValueError("; ".join(mistakes))
        values["arms"] = tuple(ArmRecord(**arm) for arm in values["arms"])
        values["contrasts"] = tuple(ContrastRecord(**c) for c in values["contrasts"])
        values["trials"] = tuple(TrialKey(**trial) for trial in values["trials"])
        values["prerequisites"] = tuple(TrialKey(**t) for t in values.get("prerequisites", ()))
        values["effects"] = tuple(EffectRecord.from_json(e) for e in values.get("effects", ()))
        if values.get("search") is not None:
            values["search"] = SearchRecord.from_json(values["search"])
        return cls(**values)


def experiment_id(form: Mapping[str, Any]) -> str:
    """Return the id of a canonical experiment: 16 hex digits of a SHA-256."""
    text = json.dumps(form, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


def _stored(record: TrialRecord | PlanRecord) -> dict[str, Any]:
    form = {"schema": SCHEMA, **dataclasses.asdict(record)}
    del form["has_digest"]
    return form


class NewerSchema(ValueError):
    """A stored form of a newer version of this package."""


def _known(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    schema = data.get("schema", 1)
    if not _is_count(schema):
        raise ValueError(f"schema is {schema!r}; it must be a whole number")
    if schema > SCHEMA:
        raise NewerSchema(
            f"a stored {cls.__name__} has schema {schema}, this version reads up to "
            f"{SCHEMA}; update the orchestrator"
        )
    fields = [f for f in dataclasses.fields(cls) if f.name != "has_digest"]
    needed = dataclasses.MISSING
    if absent := [
        f.name
        for f in fields
        if f.name not in data and f.default is needed and f.default_factory is needed
    ]:
        raise ValueError(f"it lacks {', '.join(absent)}")
    return {f.name: data[f.name] for f in fields if f.name in data}


def _mistakes_of_record(values: Mapping[str, Any]) -> list[str]:
    """Return what no trial writes, one phrase each; types first, since other checks need them."""
    mistakes = _of_other_types(
        values,
        {
            "id": str,
            "status": str,
            "error": str,
            "experiment": Mapping,
            "cost": Mapping,
            "data": Mapping,
            "provenance": Mapping,
            "predictions": Mapping,
            "epochs": list,
        },
    )
    if mistakes:
        return mistakes
    stored = [status for status in Status if status is not Status.MISSING]
    if values["status"] not in stored:
        mistakes.append(unknown("status", values["status"], stored))
    for name in ("provenance", "predictions"):
        for key, text in values.get(name, {}).items():
            if not isinstance(text, str):
                mistakes.append(f"{name} {key!r} is {text!r}; it must be text")
    mistakes += _mistakes_of_epochs(values.get("epochs", []))
    best, count = values.get("best_epoch", 0), len(values.get("epochs", []))
    if not _is_count(best) or best > count:
        mistakes.append(f"best_epoch is {best!r}; it must be one of its {count} epochs, or 0")
    return mistakes + _mistakes_of_cost(values.get("cost", {}), values.get("data", {}))


def _mistakes_of_epochs(epochs: list[Any]) -> list[str]:
    mistakes: list[str] = []
    before: Mapping[str, Any] = {}
    for place, epoch in enumerate(epochs, start=1):
        if not isinstance(epoch, Mapping) or epoch.keys() != {"epoch", "metrics"}:
            mistakes.append(f"epoch {place} is no epoch: it must have a number and metrics alone")
            continue
        number, metrics = epoch["epoch"], epoch["metrics"]
        if type(number) is not int or number != place:
            mistakes.append(f"epoch {number!r} stands where epoch {place} must")
        if not isinstance(metrics, Mapping):
            mistakes.append(f"the metrics of epoch {place} are {metrics!r}; they must have names")
            continue
        for key, value in metrics.items():
            if not _is_number(value):
                mistakes.append(f"{key} of epoch {place} is {value!r}; it must be a number")
                continue
            metric = METRICS.get(reported_key(key))
            low, high = metric.bounds if metric else (-math.inf, math.inf)
            if not (value != value or low <= value <= high):
                bounds = f"from {low:g} to {high:g}"
                mistakes.append(f"{key} of epoch {place} is {value!r}; it must be {bounds}")
        for key in before:
            if key not in metrics:
                mistakes.append(f"epoch {place} has no {key}, which the epoch before has")
        before = metrics
    return mistakes


def _mistakes_of_cost(cost: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    known: dict[str, type] = {f.name: type(f.default) for f in dataclasses.fields(Cost)}
    mistakes = [unknown("part of the cost", key, known) for key in cost if key not in known]
    for key, value in cost.items():
        kind = known.get(key)
        if kind is str and not isinstance(value, str):
            mistakes.append(f"cost {key} is {value!r}; it must be text")
        elif kind is float and (not _is_number(value) or float(value) < 0):
            mistakes.append(f"cost {key} is {value!r}; it must be a number, 0 or more")
        elif kind is int and not _is_count(value):
            mistakes.append(f"cost {key} is {value!r}; it must be a whole number, 0 or more")
    for key, value in data.items():
        if key.startswith("num_") and not _is_count(value):
            mistakes.append(f"data {key} is {value!r}; it must be a whole number, 0 or more")
    return mistakes


_IN_PLANS: Mapping[str, Mapping[str, type]] = {
    "arms": {
        "name": str,
        "levels": Mapping,
        "changes": Mapping,
        "published": Mapping,
        "conditions": Mapping,
        "source": str,
    },
    "contrasts": {"arm": str, "reference": str},
    "trials": {"id": str, "arm": str, "seed": int, "fold": int},
    "prerequisites": {"id": str, "arm": str, "seed": int, "fold": int},
    "effects": {"factors": list, "levels": Mapping, "weights": Mapping, "aliases": list},
}


_IN_SEARCHES: Mapping[str, type] = {
    "points": Mapping,
    "num_points": int,
    "pruner": str,
    "costs": list,
    "importances": Mapping,
}


def _mistakes_of_plan(values: Mapping[str, Any]) -> list[str]:
    """Return what no plan writes, one phrase each."""
    texts = (
        *("sweep", "question", "metric", "selection", "baseline", "source"),
        *("conditions", "command", "declared_at", "dose", "tie_break", "followed_by"),
    )
    kinds: dict[str, type] = dict.fromkeys(texts, str)
    kinds |= {"settings": Mapping, "dataset": Mapping, "cap": int, **dict.fromkeys(_IN_PLANS, list)}
    mistakes = _of_other_types(values, kinds)
    searched = values.get("search")
    if searched is not None and not isinstance(searched, Mapping):
        mistakes.append(f"search is {shown(searched)}; it must be a mapping, or null")
    elif searched is not None:
        mistakes += [f"search: {mistake}" for mistake in _of_other_types(searched, _IN_SEARCHES)]
    margin = values.get("margin", 0.0)
    if not _is_number(margin):
        mistakes.append(f"margin is {margin!r}; it must be a number")
    for name, parts in _IN_PLANS.items() if not mistakes else ():
        for place, item in enumerate(values.get(name, []), start=1):
            what = f"{name} {place}"
            if not isinstance(item, Mapping):
                mistakes.append(f"{what} is {item!r}; it must have named parts")
                continue
            mistakes += [unknown(f"part of {what}", key, parts) for key in item if key not in parts]
            mistakes += [f"{what}: {mistake}" for mistake in _of_other_types(item, parts)]
    if mistakes:
        return mistakes
    arms = {arm.get("name") for arm in values["arms"]}
    for name, keys in (("trials", ("arm",)), ("contrasts", ("arm", "reference"))):
        for place, item in enumerate(values[name], start=1):
            mistakes += [
                unknown(f"{key} of {name} {place}", item.get(key), arms)
                for key in keys
                if item.get(key) not in arms
            ]
    if values["baseline"] not in arms:
        mistakes.append(unknown("baseline", values["baseline"], arms))
    return mistakes


def _of_other_types(values: Mapping[str, Any], kinds: Mapping[str, type]) -> list[str]:
    words = {str: "text", Mapping: "a mapping", list: "a list", int: "a whole number"}
    return [
        f"{name} is {shown(values[name])}; it must be {words[kind]}"
        for name, kind in kinds.items()
        if name in values and not _is_of(values[name], kind)
    ]


def _is_of(value: Any, kind: type) -> bool:
    wanted = (list, tuple) if kind is list else kind
    return isinstance(value, wanted) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < _LARGEST)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST
