"""What a metric gives without listening to a clip: the level that an arm has to beat."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The held-out clips, as far as a trial recorded them.

    Attributes:
        num_classes: classes that may be named.
        num_clips: held-out clips; 0 where unknown.
        counts: clips of every class; empty where unknown.
    """

    num_classes: int
    num_clips: int = 0
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Chance:
    """A chance level and how it is reached.

    Attributes:
        value: level, as the metric is stored.
        rule: what reaches it, as a text in brackets says it.
    """

    value: float
    rule: str


MAX_NAMED = 6
"""More arms than this are counted in a caution, not named."""

ChanceOf = Callable[[HeldOut], Chance]


def top_k_chance(k: int) -> ChanceOf:
    """Return the chance level of top-k accuracy.

    It is k of all classes or, where that is more, the share of the k commonest held-out classes,
    which a model reaches that always names them.
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


def map_chance(held_out: HeldOut) -> Chance:
    """Return the expected mean average precision of clips in random order.

    For R clips of a class among n it is ((R - 1) / (n - 1) (n - H_n) + H_n) / n, where H_n is the
    n-th harmonic number: more than the prevalence R / n, to which it falls as n grows (Bestgen,
    Exact expected average precision of the random baseline, 2015). Classes count alike, as in the
    metric; those without a clip do not. Where classes were not counted they are taken to be of one
    size, and where clips were not, the prevalence is returned.
    """
    size = held_out.num_classes
    counts = [count for count in held_out.counts if count]
    total = sum(counts) or held_out.num_clips
    if total < 2:
        return Chance(value=1 / size, rule=f"the prevalence of one of {size} classes")
    harmonic = float((1 / np.arange(1, total + 1)).sum())
    expected = [
        ((size_of_class - 1) / (total - 1) * (total - harmonic) + harmonic) / total
        for size_of_class in counts or [max(1.0, total / size)]
    ]
    return Chance(value=math.fsum(expected) / len(expected), rule="clips in random order")


def loss_chance(held_out: HeldOut) -> Chance:
    """Return the cross entropy, in nats, of saying the same of every clip.

    It is log(classes) for equal shares, or the entropy of the held-out classes where that is less.
    """
    uniform = math.log(held_out.num_classes)
    total = sum(held_out.counts)
    if total:
        shares = [count / total for count in held_out.counts if count]
        entropy = -math.fsum(share * math.log(share) for share in shares)
        if entropy < uniform - 1e-12:
            return Chance(value=entropy, rule="always saying the shares of the held-out classes")
    return Chance(value=uniform, rule=f"equal shares of {held_out.num_classes} classes")


def level_text(chance: Chance, *, unit: str) -> str:
    """Return a chance level with its unit and rule: `2 %, 1 of 50 classes`.

    Args:
        chance: its value in the unit.
        unit: unit of the metric.
    """
    text = f"{chance.value:.{1 if unit == '%' else 3}f}"
    text = text.rstrip("0").removesuffix(".") if "." in text else text
    return f"{f'{text} {unit}'.rstrip()}, {chance.rule}"


def caution_text(
    chance: Chance | None, at_chance: Sequence[str], *, num_arms: int, title: str, unit: str
) -> str:
    """Say which arms do not beat chance, as tracker and report do; empty where all do.

    Args:
        chance: chance level in the metric's unit; None where it is not known.
        at_chance: the arms that do not beat it.
        num_arms: number of arms that have a number.
        title: title of the metric.
        unit: unit of the metric.
    """
    if chance is None or not at_chance:
        return ""
    level = level_text(chance, unit=unit)
    if len(at_chance) == num_arms:
        return (
            f"No arm beats chance ({level}) in {title}, so nothing that follows says which "
            "is better: train longer, or check data and labels."
        )
    verb = "does" if len(at_chance) == 1 else "do"
    listed = f": {', '.join(at_chance)}" if len(at_chance) <= MAX_NAMED else ""
    return (
        f"{len(at_chance)} of {num_arms} arms {verb} not beat chance ({level}) in {title}{listed}."
    )
