"""The metrics: their names, directions, and computation."""

from __future__ import annotations

import dataclasses
import importlib
import math
import statistics
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.errors import ConfigError, printable, shown, unknown
from orchestrator.metrics.chance import (
    ChanceOf,
    auc_chance,
    class_mean_chance,
    d_prime_chance,
    loss_chance,
    macro_f1_chance,
    map_chance,
    micro_f1_chance,
    top_k_chance,
)
from orchestrator.metrics.classification import (
    Labels,
    Logits,
    all_correct,
    auc_range,
    binary_cross_entropies,
    combination_correct,
    cross_entropy,
    d_prime,
    macro_f1,
    map_range,
    mean_average_precision,
    mean_class_accuracy,
    mean_roc_auc,
    multi_label_average_precision,
    multi_label_f1,
    multi_label_roc_auc,
    top_k_accuracy,
    true_probability,
)
from orchestrator.metrics.events import (
    SCENARIO_1,
    SCENARIO_2,
    Counts,
    Events,
    Psds,
    collar_counts,
    detect,
    intersection_counts,
    median_filtered,
    psds,
    segment_counts,
    thresholds,
    without_overlaps,
)
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.postprocessing import VALIDATION, PostProcessing, parse

if TYPE_CHECKING:
    from orchestrator.metrics.predictions import Frames, Predictions

FloatArray = NDArray[np.float64]

Compute = Callable[["Predictions"], float]
"""From predictions, with the targets of their clips, to a value as stored."""

Range = Callable[["Predictions"], tuple[float, float]]
"""From predictions to the least and the largest value."""


class Direction(StrEnum):
    """Which way a metric is better."""

    MAXIMIZE = "max"
    MINIMIZE = "min"


@dataclass(frozen=True)
class Metric:
    """A number by which trials are compared.

    Attributes:
        key: Key `split/name`, as stored and logged; `val` is what is reported, for one that is
            computed from predictions (see `selection_key`). `module:name` of a user's own.
        title: Title in a table's head.
        direction: Which way is better.
        scale: Factor from a stored value to `unit`.
        unit: Unit that a reader sees.
        bounds: Smallest and largest value that can be stored. Only a metric with both is on a scale
            shared by several datasets.
        is_share: Whether a value is the share of held-out clips that are right, which has a
            binomial interval over clips.
        chance: Function from the held-out clips to the level reached without listening; None if
            undefined.
        compute: Function from predictions to the value; None if training measures it directly.
        rounding: Function from predictions to the range in which rounding can move the value; None
            if only the last digits move.
        kinds: Kinds of targets for which the metric is defined; by default one class per clip.
        by_frame: Whether it scores predictions over time, which only models with a frame head make,
            and only on clips with events.
        head: Name of the head that it scores, of data sets with several; empty for all of them.
        at_report: Whether it takes too long for every epoch: the report alone computes it, from
            stored predictions, where it is asked for.
        processed: Function from post-processing to `compute`; None for a metric that takes none.
        takes: What it takes of `PostProcessing`.
        post: The post-processing of its key; None for one without.
    """

    key: str
    title: str
    direction: Direction
    scale: float = 1.0
    unit: str = ""
    bounds: tuple[float, float] = (-math.inf, math.inf)
    is_share: bool = False
    chance: ChanceOf | None = field(default=None, repr=False, compare=False)
    compute: Compute | None = field(default=None, repr=False, compare=False)
    rounding: Range | None = field(default=None, repr=False, compare=False)
    kinds: tuple[TargetKind, ...] = (TargetKind.SINGLE_LABEL,)
    by_frame: bool = False
    at_report: bool = False
    head: str = ""
    processed: Callable[[PostProcessing], Compute] | None = field(
        default=None, repr=False, compare=False
    )
    takes: tuple[str, ...] = ()
    post: PostProcessing | None = None

    @property
    def needs_validation(self) -> bool:
        """Whether it chooses its thresholds on validation clips."""
        return self.post is not None and self.post.threshold == VALIDATION

    @property
    def is_own(self) -> bool:
        """Whether a user defined the metric outside this package."""
        return ":" in self.key

    @property
    def sign(self) -> int:
        """+1 if larger is better, -1 if smaller is."""
        return 1 if self.direction is Direction.MAXIMIZE else -1

    @property
    def is_bounded(self) -> bool:
        """Whether the metric has a worst and a best value."""
        return all(map(math.isfinite, self.bounds))

    @property
    def shown_bounds(self) -> tuple[float, float]:
        """Smallest and largest value, in the unit that a reader sees."""
        return self.scale * self.bounds[0], self.scale * self.bounds[1]

    def is_defined_for(
        self, kind: TargetKind, *, by_frame: bool = True, heads: Collection[str] = ()
    ) -> bool:
        """Whether the metric is defined for targets of a kind.

        Args:
            kind: Kind of the targets.
            by_frame: Whether there are predictions over time.
            heads: Names of the heads, if there are several.
        """
        there = not self.head or self.head in heads
        return kind in self.kinds and there and (by_frame or not self.by_frame)


def metric(
    title: str,
    *,
    direction: Direction | str = Direction.MAXIMIZE,
    scale: float = 1.0,
    unit: str = "",
    bounds: tuple[float, float] = (-math.inf, math.inf),
    chance: ChanceOf | None = None,
    kinds: tuple[TargetKind, ...] = tuple(TargetKind),
    by_frame: bool = False,
    at_report: bool = False,
) -> Callable[[Compute], Metric]:
    """Make a metric of one's own from a function of predictions.

    A plan and `python -m orchestrator.report SWEEP --metric` name it `module:function`::

        @metric("balanced error", direction="min", scale=100, unit="%", bounds=(0, 1))
        def balanced_error(made: Predictions) -> float: ...

    Args:
        title: See `Metric`, as for all other arguments.
        direction: `max` or `min`.
        scale: Factor from a value to `unit`.
        unit: Unit that a reader sees.
        bounds: Smallest and largest value.
        chance: Level reached without listening.
        kinds: Kinds of targets for which it is defined; by default all.
        by_frame: Whether it scores predictions over time.
        at_report: Whether it takes too long for every epoch.

    Raises:
        ConfigError: The direction is not one.
    """
    if direction not in list(Direction):
        raise ConfigError(unknown("direction of a metric", direction, Direction))
    return lambda compute: Metric(
        "",
        title,
        Direction(direction),
        scale=scale,
        unit=unit,
        bounds=bounds,
        chance=chance,
        compute=compute,
        kinds=kinds,
        by_frame=by_frame,
        at_report=at_report,
    )


def _top_k(k: int) -> Metric:
    return _percentage(
        f"val/top{k}",
        f"top-{k}",
        lambda made: top_k_accuracy(made.logits, made.labels, k=k),
        is_share=True,
        chance=top_k_chance(k),
    )


def _of_head(name: str, k: int) -> Metric:
    def compute(made: Predictions) -> float:
        own = made.by_head()[name]
        return top_k_accuracy(own.logits, own.labels, k=k)

    return _percentage(
        f"val/{name}_top{k}", f"{name} top-{k}", compute, kinds=(TargetKind.HEADS,), head=name
    )


def _of_all_heads(
    key: str, title: str, correct: Callable[..., NDArray[np.bool_]], *, k: int
) -> Metric:
    def compute(made: Predictions) -> float:
        heads = made.by_head().values()
        right = correct([own.logits for own in heads], [own.labels for own in heads], k=k)
        return float(right.mean())

    return _percentage(key, title, compute, is_share=True, kinds=(TargetKind.HEADS,))


def _loss(made: Predictions) -> float:
    if made.kind is TargetKind.HEADS:
        return statistics.fmean(map(_loss, made.by_head().values()))
    if made.kind is TargetKind.SINGLE_LABEL:
        return cross_entropy(made.logits, made.labels)
    return float(binary_cross_entropies(made.logits, made.targets.multi_hot()).mean())


def _map(made: Predictions) -> float:
    if made.kind is TargetKind.SINGLE_LABEL:
        return mean_average_precision(made.logits, made.labels)
    return multi_label_average_precision(made.logits, made.targets.multi_hot())


def _map_range(made: Predictions) -> tuple[float, float]:
    if made.kind is TargetKind.SINGLE_LABEL:
        return map_range(made.logits, made.labels)
    return _map(made), _map(made)  # logits are ranked as they are stored


def _mauc(made: Predictions) -> float:
    if made.kind is TargetKind.SINGLE_LABEL:
        return mean_roc_auc(made.logits, made.labels)
    return multi_label_roc_auc(made.logits, made.targets.multi_hot())


def _mauc_range(made: Predictions) -> tuple[float, float]:
    if made.kind is TargetKind.SINGLE_LABEL:
        return auc_range(made.logits, made.labels)
    return _mauc(made), _mauc(made)


def _clip_f1(*, micro: bool) -> Callable[[PostProcessing], Compute]:
    """Return macro or micro F1 of the classes of a clip above their thresholds."""

    def f1_by_class(made: Predictions, limit: float) -> FloatArray:
        truth, named = made.targets.multi_hot(), made.probabilities() > limit
        total = named.sum(axis=0) + truth.sum(axis=0)
        return 2 * (named & truth).sum(axis=0) / np.maximum(total, 1)

    def processed(post: PostProcessing) -> Compute:
        def compute(made: Predictions) -> float:
            if made.kind is TargetKind.SINGLE_LABEL:
                if post != PostProcessing():
                    raise ConfigError(
                        "a clip with one class has its likeliest, whatever the threshold; give the "
                        "metric without post-processing"
                    )
                return macro_f1(made.logits, made.labels)
            limits = _limits(post, made, "micro" if micro else "macro", f1_by_class)
            truth = made.targets.multi_hot()
            return multi_label_f1(made.probabilities(), truth, threshold=limits, micro=micro)

        return compute

    return processed


def _event_f1(key: str, title: str, count: Callable[..., Counts]) -> Metric:
    """Return the macro F1 of events detected at threshold 0.5, without filter or closed gaps.

    Clips without known times are left out, overlapping reference events of a class are one.
    """

    def processed(post: PostProcessing) -> Compute:
        def counts(timed: Predictions, scores: Frames, limits: float | FloatArray) -> Counts:
            size = timed.targets.num_classes
            return count(_reference(timed), _detected(scores, limits), num_classes=size)

        def compute(made: Predictions) -> float:
            timed = _timed(made)
            held: list[tuple[Predictions, Frames]] = []  # filtered once for all thresholds

            def f1_by_class(validation: Predictions, limit: float) -> FloatArray:
                if not held:
                    chosen_on = _timed(validation)
                    held.append((chosen_on, _filtered(chosen_on, post)))
                return counts(*held[0], limit).f1()

            limits = _limits(post, made, f"{key} {post.median_s}", f1_by_class)
            return counts(timed, _filtered(timed, post), limits).macro_f1()

        return compute

    return _percentage(
        key,
        title,
        processed(PostProcessing()),
        kinds=(TargetKind.EVENTS,),
        by_frame=True,
        at_report=True,
        processed=processed,
        takes=("threshold", "median_s"),
    )


def _psds(key: str, title: str, settings: Psds) -> Metric:
    """Return a PSDS over the thresholds of DCASE, of events and clips as in `_event_f1`."""

    def processed(post: PostProcessing) -> Compute:
        def compute(made: Predictions) -> float:
            timed = _timed(made)
            scores = _filtered(timed, post)
            return psds(
                _reference(timed),
                (_detected(scores, float(limit)) for limit in thresholds()),
                num_classes=timed.targets.num_classes,
                total_s=scores.clip_s.sum(),
                settings=settings,
            )

        return compute

    return Metric(
        key,
        title,
        Direction.MAXIMIZE,
        bounds=(0.0, 1.0),
        compute=processed(PostProcessing()),
        kinds=(TargetKind.EVENTS,),
        by_frame=True,
        at_report=True,
        processed=processed,
        takes=("median_s",),
    )


def _timed(made: Predictions) -> Predictions:
    return made.take(made.targets.have_times)


def _reference(made: Predictions) -> Events:
    return without_overlaps(made.targets.events())


def _filtered(made: Predictions, post: PostProcessing) -> Frames:
    """Return predictions over time after the median filters."""
    frames = _frames(made)
    if not post.median_s:
        return frames
    lengths = _per_class("median_s", post.median_s, made.targets.num_classes)
    halves = np.maximum(np.rint((lengths / frames.row_s - 1) / 2), 0)
    logits = median_filtered(frames.logits, (2 * halves + 1).astype(int).tolist())
    # The median of values of float16 is one of them.
    return dataclasses.replace(frames, logits=logits.astype(np.float16))


def _detected(scores: Frames, limits: float | FloatArray) -> Events:
    # The sigmoid keeps the order, so the logits themselves need a threshold alone.
    levels = np.log(np.asarray(limits) / (1 - np.asarray(limits)))
    return detect(
        scores.logits, row_s=scores.row_s, threshold=levels.tolist(), clip_s=scores.clip_s
    )


def _limits(
    post: PostProcessing,
    made: Predictions,
    name: str,
    f1_by_class: Callable[[Predictions, float], FloatArray],
) -> float | FloatArray:
    """Return the thresholds, one or (classes,), which are never chosen on the scored clips.

    Of thresholds that are equally good on the validation clips, the one nearest to 0.5 is taken; so
    it is 0.5 for a class that they lack.

    Args:
        post: The post-processing.
        made: The scored predictions.
        name: Name under which what was chosen is remembered.
        f1_by_class: Function of validation predictions and a threshold.

    Raises:
        ConfigError: There are no validation predictions, or other numbers of thresholds.
    """
    classes = made.targets.num_classes
    if not isinstance(post.threshold, str):
        if isinstance(post.threshold, float):
            return post.threshold
        return _per_class("threshold", post.threshold, classes)
    held = made.validation
    if held is not None and name in held.chosen:
        return held.chosen[name]
    validation = held.load() if held is not None else None
    if held is None or validation is None:
        raise ConfigError(
            "thresholds are chosen on validation clips, and no predictions of them are at hand; "
            "read the store, of trials with selection='best_on_validation' that this version "
            "trained, or give the thresholds"
        )
    tried = np.append(0.5, thresholds())
    tried = tried[np.argsort(np.abs(tried - 0.5), kind="stable")]
    scores = np.stack([f1_by_class(validation, float(limit)) for limit in tried])
    held.chosen[name] = tried[np.nan_to_num(scores, nan=0.0).argmax(axis=0)]
    return held.chosen[name]


def _per_class(name: str, values: float | tuple[float, ...], num_classes: int) -> FloatArray:
    given = np.atleast_1d(np.asarray(values, np.float64))
    if len(given) not in (1, num_classes):
        raise ConfigError(
            f"{name} has {len(given)} values, and the data set {num_classes} classes; give one, or "
            "one per class in their order"
        )
    return np.broadcast_to(given, (num_classes,))


def _frames(made: Predictions) -> Frames:
    if made.frames is None:
        raise ConfigError("predictions over time are needed, which a model with a frame head makes")
    return made.frames


def _percentage(key: str, title: str, compute: Compute, **others: Any) -> Metric:
    return Metric(
        key,
        title,
        Direction.MAXIMIZE,
        scale=100.0,
        unit="%",
        bounds=(0.0, 1.0),
        compute=compute,
        **others,
    )


def _of_labels(function: Callable[[Logits, Labels], float]) -> Compute:
    return lambda made: function(made.logits, made.labels)


TRAIN_LOSS = "train/loss"
VAL_LOSS = "val/loss"
VAL_TOP1 = "val/top1"
VAL_TOP5 = "val/top5"
VAL_MAP = "val/map"
VAL_MAUC = "val/mauc"
VAL_MEAN_CLASS_ACCURACY = "val/mean_class_accuracy"
VAL_MACRO_F1 = "val/macro_f1"
VAL_TRUE_PROBABILITY = "val/true_probability"
VAL_MICRO_F1 = "val/micro_f1"
VAL_D_PRIME = "val/d_prime"
VAL_EVENT_F1 = "val/event_f1"
VAL_INTERSECTION_F1 = "val/intersection_f1"
VAL_SEGMENT_F1 = "val/segment_f1"
VAL_PSDS1 = "val/psds1"
VAL_PSDS2 = "val/psds2"
VAL_ACTION_TOP1 = "val/action_top1"

ONE_HEAD = (TargetKind.SINGLE_LABEL, TargetKind.MULTI_LABEL, TargetKind.EVENTS)
"""Kinds of targets in which all classes are of one head."""

METRICS = {
    metric.key: metric
    for metric in (
        _top_k(1),
        _top_k(5),
        Metric(
            VAL_MAP,
            "mAP",
            Direction.MAXIMIZE,
            bounds=(0.0, 1.0),
            chance=map_chance,
            compute=_map,
            rounding=_map_range,
            kinds=ONE_HEAD,
        ),
        Metric(
            VAL_MAUC,
            "mAUC",
            Direction.MAXIMIZE,
            bounds=(0.0, 1.0),
            chance=auc_chance,
            compute=_mauc,
            rounding=_mauc_range,
            kinds=ONE_HEAD,
        ),
        _percentage(
            VAL_MEAN_CLASS_ACCURACY,
            "mean class accuracy",
            _of_labels(mean_class_accuracy),
            chance=class_mean_chance,
        ),
        _percentage(
            VAL_MACRO_F1,
            "macro F1",
            _clip_f1(micro=False)(PostProcessing()),
            chance=macro_f1_chance,
            kinds=ONE_HEAD,
            processed=_clip_f1(micro=False),
            takes=("threshold",),
        ),
        _percentage(
            VAL_MICRO_F1,
            "micro F1",
            _clip_f1(micro=True)(PostProcessing()),
            chance=micro_f1_chance,
            kinds=(TargetKind.MULTI_LABEL, TargetKind.EVENTS),
            processed=_clip_f1(micro=True),
            takes=("threshold",),
        ),
        # Infinite for a perfect ranking, which no epoch may store.
        Metric(
            VAL_D_PRIME,
            "d-prime",
            Direction.MAXIMIZE,
            chance=d_prime_chance,
            compute=lambda made: d_prime(_mauc(made)),
            kinds=ONE_HEAD,
            at_report=True,
        ),
        _event_f1(VAL_EVENT_F1, "event F1 (200 ms, 20 %)", collar_counts),
        _event_f1(VAL_INTERSECTION_F1, "event F1 (intersection of half)", intersection_counts),
        _event_f1(VAL_SEGMENT_F1, "segment F1 (1 s)", segment_counts),
        _psds(VAL_PSDS1, "PSDS, scenario 1", SCENARIO_1),
        _psds(VAL_PSDS2, "PSDS, scenario 2", SCENARIO_2),
        _percentage(
            VAL_TRUE_PROBABILITY,
            "probability of the true class",
            _of_labels(true_probability),
            chance=top_k_chance(1),
        ),
        *(_of_head(head, k) for head in ("verb", "noun") for k in (1, 5)),
        # Of the likeliest combination, every class is the likeliest of its head.
        _of_all_heads(VAL_ACTION_TOP1, "action top-1", all_correct, k=1),
        _of_all_heads("val/action_top5", "action top-5", combination_correct, k=5),
        _of_all_heads("val/action_each_top5", "action, each in its top-5", all_correct, k=5),
        Metric(
            VAL_LOSS,
            "validation loss",
            Direction.MINIMIZE,
            unit="nats",
            bounds=(0.0, math.inf),
            chance=loss_chance,
            compute=_loss,
            kinds=tuple(TargetKind),
        ),
        Metric(
            TRAIN_LOSS,
            "training loss",
            Direction.MINIMIZE,
            unit="nats",
            kinds=tuple(TargetKind),
        ),
    )
}
"""Key -> metric. What is added here is computed, stored, verified, reported and tracked; `lookup`
adds a user's own to those of its process."""

USUAL: Mapping[TargetKind, str] = {
    TargetKind.SINGLE_LABEL: VAL_TOP1,
    TargetKind.MULTI_LABEL: VAL_MAP,
    TargetKind.EVENTS: VAL_MAP,
    TargetKind.HEADS: VAL_ACTION_TOP1,
}
"""Kind of targets -> the metric by which trials are compared if a plan names none."""
_REPORTED, _SELECTION = "val/", "selection/"


def selection_key(key: str) -> str:
    """Return the key of a metric on the validation clips, which choose an epoch.

    Keys in `METRICS` that start with `val/`, and a user's own, are of the clips that are reported.
    """
    if ":" in key:
        return _SELECTION + key
    return _SELECTION + key.removeprefix(_REPORTED) if key.startswith(_REPORTED) else key


def reported_key(key: str) -> str:
    """Return the key in `METRICS` of a metric on any clips; the inverse of `selection_key`."""
    if not key.startswith(_SELECTION):
        return key
    name = key.removeprefix(_SELECTION)
    return name if ":" in name else _REPORTED + name


LEARNING_RATE = "train/learning_rate"
EPOCH_S = "time/epoch_s"
CLIPS_PER_S = "throughput/clips_per_s"
PEAK_MEMORY_MB = "memory/peak_mb"


def lookup(key: str) -> Metric:
    """Find a metric by key; a user's own, `module:name`, must have been loaded by `load`.

    So a key that was read from a store or a tracking server runs no code.

    Raises:
        ConfigError: No metric has that key, or it is a user's own and was not loaded.
    """
    if key not in METRICS and ":" in key:
        raise ConfigError(
            f"metric {shown(key)} is code that was named by what is stored, and nothing stored is "
            f"run unasked; if you trust it, say so by --own {printable(key)}"
        )
    return load(key)


def load(key: str) -> Metric:
    """Find a metric by key, or a user's own by `module:name`, which is imported and so runs.

    From then on this process computes an own metric like those of the catalog.

    Raises:
        ConfigError: No metric has that key.
    """
    if problem := mistake_of(key):
        raise ConfigError(problem)
    return METRICS[key]


def mistake_of(key: str, *, what: str = "metric") -> str:
    """Return why a key names no metric; empty if it names one, which is then in `METRICS`.

    Args:
        key: Key, or `module:name`.
        what: What the key was given as.
    """
    if key in METRICS:
        return ""
    if "(" in key and ":" not in key:
        return _mistake_of_processed(key, what)
    if ":" not in key:
        hint = "One of your own is named module:function; see orchestrator.metrics.metric."
        return unknown(what, key, (own for own in METRICS if ":" not in own), hint=hint)
    module, _, name = key.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # a user's code may raise anything
        return (
            f"{what} {key!r} cannot be imported ({type(error).__name__}: {error}); its module must "
            "be importable here and on every host"
        )
    if not isinstance(found, Metric) or found.compute is None:
        return (
            f"{what} {key!r} is a {type(found).__name__}; decorate a function of predictions with "
            "@orchestrator.metrics.metric(title, direction=...), or name a Metric with compute"
        )
    METRICS[key] = dataclasses.replace(found, key=key, compute=_checked(key, found))
    return ""


def _mistake_of_processed(key: str, what: str) -> str:
    """Return why a key names no metric with post-processing; otherwise put it into `METRICS`."""
    try:
        found = parse(key)
    except ConfigError as error:
        return str(error)
    takers = {name: known for name, known in METRICS.items() if known.processed and not known.post}
    if found is None or found[0] not in takers:
        hint = "Post-processing is written metric(threshold=...,median_s=...)."
        return unknown(
            f"{what} with post-processing", found[0] if found else key, takers, hint=hint
        )
    plain, post = takers[found[0]], found[1]
    asked = {name for name in ("threshold", "median_s") if f"{name}=" in key}
    if excess := sorted(asked - set(plain.takes)):
        return f"{what} {plain.key} takes {' and '.join(plain.takes)}, not {', '.join(excess)}"
    assert plain.processed is not None
    METRICS[key] = dataclasses.replace(
        plain,
        key=key,
        title=", ".join(filter(None, (plain.title, post.words))),
        compute=plain.processed(post),
        post=post,
        at_report=True,
    )
    return ""


def _checked(key: str, own: Metric) -> Compute:
    """Return a user's function of predictions that says what is wrong with it."""
    compute, (low, high) = own.compute, own.bounds
    assert compute is not None

    def checked(made: Predictions) -> float:
        try:
            value = float(compute(made))
        except Exception as error:
            raise ConfigError(
                f"metric {key!r} failed on the predictions of {len(made)} clips after epoch "
                f"{made.epoch} ({type(error).__name__}: {error}); it must return one number"
            ) from error
        if not (math.isnan(value) or low <= value <= high):
            raise ConfigError(
                f"metric {key!r} returned {value:g}, outside its bounds from {low:g} to {high:g}; "
                "correct it or its bounds"
            )
        return value

    return checked
