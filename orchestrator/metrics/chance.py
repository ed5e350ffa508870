"""The chance level of a metric: what it gives without listening to a clip."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.metrics.labels import TargetKind


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The held-out clips, as a trial recorded them.

    Attributes:
        num_classes: Number of classes.
        num_clips: Number of held-out clips; 0 if unknown.
        counts: Clips per class; empty if unknown.
        kind: Kind of their targets.
    """

    num_classes: int
    num_clips: int = 0
    counts: tuple[int, ...] = ()
    kind: TargetKind = TargetKind.SINGLE_LABEL


@dataclass(frozen=True, kw_only=True)
class Chance:
    """A chance level and how it is reached.

    Attributes:
        value: Level, as the metric is stored.
        rule: How the level is reached, as text in brackets.
    """

    value: float
    rule: str


MAX_NAMED = 6
"""More arms than this are counted in a caution, not named."""

ChanceOf = Callable[[HeldOut], Chance | None]
"""From the held-out clips to a chance level; None where too little is known of them."""


def top_k_chance(k: int) -> ChanceOf:
    """Return the chance level of top-k accuracy.

    It is k over the number of classes or, if larger, the share of the k most common held-out
    classes, which a model reaches by always naming them.
    """

    def chance(held_out: HeldOut) -> Chance:
        named = min(k, held_out.num_classes)
        uniform = named / held_out.num_classes
        if any(held_out.counts):
            share = sum(sorted(held_out.counts)[-k:]) / sum(held_out.counts)
            if share > uniform + 1e-12:
                always = "the commonest class" if k == 1 else f"the {k} commonest classes"
                return Chance(value=share, rule=f"always naming {always}")
        return Chance(value=uniform, rule=f"{named} of {held_out.num_classes} classes")

    return chance


def class_mean_chance(held_out: HeldOut) -> Chance:
    """Return the chance level of a mean over classes of what a guess gets right: 1 of the classes.

    Any guess that does not listen has this mean class accuracy, and the guess by the shares of the
    held-out classes, the best of them, has this macro F1. Classes without a clip are left out, as
    in the metrics.
    """
    size = sum(count > 0 for count in held_out.counts) or held_out.num_classes
    return Chance(value=1 / size, rule=f"1 of {size} classes")


def macro_f1_chance(held_out: HeldOut) -> Chance | None:
    """Return the chance level of macro F1.

    Where a clip has any number of classes, naming every class for every clip gives a class of
    prevalence p an F1 of 2p / (1 + p). None without counts there.
    """
    if held_out.kind is TargetKind.SINGLE_LABEL:
        return class_mean_chance(held_out)
    shares = _shares(held_out)
    if not shares:
        return None
    value = math.fsum(2 * share / (1 + share) for share in shares) / len(shares)
    return Chance(value=value, rule="always naming every class")


def micro_f1_chance(held_out: HeldOut) -> Chance | None:
    """Return the largest micro F1 of naming the same classes for every clip: the commonest ones.

    None without counts of clips and classes.
    """
    shares = sorted(_shares(held_out), reverse=True)
    if not shares:
        return None
    hits = np.cumsum(shares)
    value = float((2 * hits / (np.arange(1, len(shares) + 1) + hits[-1])).max())
    return Chance(value=value, rule="always naming the commonest classes")


def _shares(held_out: HeldOut) -> list[float]:
    """Return the share of clips that have a class, of those that any has; empty if unknown."""
    if not held_out.num_clips:
        return []
    return [count / held_out.num_clips for count in held_out.counts if count]


def d_prime_chance(held_out: HeldOut) -> Chance:
    """Return the d-prime of clips in random order: zero."""
    return Chance(value=0.0, rule="clips in random order")


def auc_chance(held_out: HeldOut) -> Chance:
    """Return the area under the ROC curve of clips in random order: one half."""
    return Chance(value=0.5, rule="clips in random order")


def map_chance(held_out: HeldOut) -> Chance | None:
    """Return the expected mean average precision of clips in random order.

    For R clips of a class among n it is ((R - 1) / (n - 1) (n - H_n) + H_n) / n, where H_n is the
    n-th harmonic number: more than the prevalence R / n, to which it falls as n grows (Bestgen,
    Exact expected average precision of the random baseline, 2015). Classes have equal weight, as in
    the metric; classes without a clip are left out. Without counts, classes are taken to be of one
    size; without a number of clips, the prevalence is returned. Where a clip has any number of
    classes, both are needed, and None is returned without.
    """
    size = held_out.num_classes
    counts = [count for count in held_out.counts if count]
    if held_out.kind is TargetKind.SINGLE_LABEL:
        total = sum(counts) or held_out.num_clips
    elif counts and held_out.num_clips > 1:
        total = held_out.num_clips
    else:
        return None
    if total < 2:
        return Chance(value=1 / size, rule=f"the prevalence of one of {size} classes")
    harmonic = float((1 / np.arange(1, total + 1)).sum())
    expected = [
        ((size_of_class - 1) / (total - 1) * (total - harmonic) + harmonic) / total
        for size_of_class in counts or [max(1.0, total / size)]
    ]
    return Chance(value=math.fsum(expected) / len(expected), rule="clips in random order")


def loss_chance(held_out: HeldOut) -> Chance | None:
    """Return the cross entropy, in nats, of the same prediction for every clip.

    It is log(classes) for equal shares, or the entropy of the held-out classes if that is less.
    Where a clip has any number of classes, it is the mean binary entropy of their prevalences. None
    for several heads, whose classes are not told apart here.
    """
    if held_out.kind is TargetKind.HEADS:
        return None
    if held_out.kind is not TargetKind.SINGLE_LABEL:
        return _binary_loss_chance(held_out)
    uniform = math.log(held_out.num_classes)
    total = sum(held_out.counts)
    if total:
        shares = [count / total for count in held_out.counts if count]
        entropy = -math.fsum(share * math.log(share) for share in shares)
        if entropy < uniform - 1e-12:
            return Chance(value=entropy, rule="always saying the shares of the held-out classes")
    return Chance(value=uniform, rule=f"equal shares of {held_out.num_classes} classes")


def _binary_loss_chance(held_out: HeldOut) -> Chance:
    if not held_out.counts or not held_out.num_clips:
        return Chance(value=math.log(2), rule="an even guess on every class")
    shares = np.array(held_out.counts) / held_out.num_clips
    inside = shares[(shares > 0) & (shares < 1)]
    entropy = -(inside * np.log(inside) + (1 - inside) * np.log(1 - inside)).sum()
    return Chance(
        value=float(entropy) / len(shares),
        rule="always saying how frequent each class is among the held-out clips",
    )


def level_text(chance: Chance, *, unit: str) -> str:
    """Return a chance level with its unit and rule: `2 %, 1 of 50 classes`.

    Args:
        chance: Chance level, with its value in the unit.
        unit: Unit of the metric.
    """
    text = f"{chance.value:.{1 if unit == '%' else 3}f}"
    text = text.rstrip("0").removesuffix(".") if "." in text else text
    return f"{f'{text} {unit}'.rstrip()}, {chance.rule}"


def caution_text(
    chance: Chance,
    at_chance: Sequence[str],
    *,
    num_arms: int,
    title: str,
    unit: str,
    num_clips: int = 0,
) -> str:
    """Return which arms do not beat chance, for tracker and report; empty if all do.

    Args:
        chance: Chance level in the metric's unit.
        at_chance: The arms that do not beat it.
        num_arms: Number of arms with a number.
        title: Title of the metric.
        unit: Unit of the metric.
        num_clips: Number of clips, if the arms were held against chance by an interval over clips.
    """
    if not at_chance:
        return ""
    level = level_text(chance, unit=unit)
    over = f" over {num_clips:,} clips" if num_clips else ""
    if len(at_chance) == num_arms:
        return (
            f"No arm beats chance ({level}) in {title}{over}, so no difference between these arms "
            "says which is better: train longer, or check data and labels."
        )
    verb = "does" if len(at_chance) == 1 else "do"
    listed = f": {', '.join(at_chance)}" if len(at_chance) <= MAX_NAMED else ""
    return (
        f"{len(at_chance)} of {num_arms} arms {verb} not beat chance ({level}) in {title}{over}"
        f"{listed}."
    )
