"""What is compared, in causal order, and when an observed value departs from a log's.

A fact whose value is decided by data and settings must be equal, or equal to within rounding. Of a
fact that the seed moves, a log has a value per run: another run of the same experiment lies within
the prediction interval of t at `NOISE`. That is so wide that a few hundred such comparisons of
healthy runs raise no alarm; what it misses, the facts before it do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Any

from orchestrator.stats.intervals import t_quantile

NOISE = 1e-4
"""Probability that a healthy run lies outside the interval of a log's runs, per fact.

At 5e-4, a log of five runs that were alike by chance (first epochs on 80 clips) called one of 20
healthy runs; planted faults are named as well at either.
"""
MIN_RUNS = 3
"""Runs of a log below which they have no spread to compare with."""
SIGMAS = 5.0
"""Standard errors by which a share of random draws may differ."""
LISTED = 3

Value = Any
"""A number, a text, a list, or name -> one of these, as JSON has them."""


@dataclass(frozen=True, kw_only=True)
class Logged:
    """A fact in a log.

    Attributes:
        values: One per run, at least one.
        tolerance: How far from the one value an observed one may lie; None for the fact's own rule.
    """

    values: tuple[Value, ...]
    tolerance: float | None = None

    @property
    def first(self) -> Value:
        """The value of the first run, which is that of all where no seed moves it."""
        return self.values[0]

    @property
    def typical(self) -> Value:
        """The mean of the runs where they differ in a number, else the value of the first."""
        differ = any(value != self.first for value in self.values)
        return fmean(self.values) if differ and isinstance(self.first, float) else self.first


Rule = Callable[[Value, Logged, Mapping[str, Value]], str]
"""Function of the observed value, the log's and all observed ones: what differs; empty if alike."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something that is compared.

    Attributes:
        key: Name in a log.
        title: Name in a message.
        rule: How it is compared.
        causes: What usually makes it differ, and where to look.
    """

    key: str
    title: str
    rule: Rule
    causes: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A fact that was compared.

    Attributes:
        fact: The fact.
        here: Observed value.
        logged: The log's.
        departure: What differs; empty if nothing does.
    """

    fact: Fact
    here: Value
    logged: Logged
    departure: str


def compare(observed: Mapping[str, Value], log: Mapping[str, Logged]) -> list[Finding]:
    """Compare all facts that both have, in causal order."""
    return [
        Finding(
            fact=fact,
            here=observed[fact.key],
            logged=log[fact.key],
            departure=fact.rule(observed[fact.key], log[fact.key], observed),
        )
        for fact in FACTS
        if fact.key in observed and fact.key in log
    ]


def value_text(value: Value) -> str:
    """Write a value in a few words."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        items = list(value.items())
        some = ", ".join(f"{name} {value_text(one)}" for name, one in items[:LISTED])
        return some + (f" and {len(items) - LISTED} more" if len(items) > LISTED else "")
    if isinstance(value, list | tuple):
        some = ", ".join(map(value_text, value[:LISTED]))
        return some + (f" and {len(value) - LISTED} more" if len(value) > LISTED else "")
    return str(value)


def _equal(here: Value, logged: Logged, observed: Mapping[str, Value]) -> str:
    there = logged.first
    return "" if here == there else f"{value_text(here)}, the log has {value_text(there)}"


def _close(*, relative: float = 0.0, absolute: float = 0.0) -> Rule:
    """Return a rule of numbers that seeds do not move, or only where they draw the clips."""

    def rule(here: Value, logged: Logged, observed: Mapping[str, Value]) -> str:
        there = fmean(logged.values)
        own = max(absolute, relative * abs(there), _interval(logged.values))
        allowed = own if logged.tolerance is None else logged.tolerance
        return "" if abs(here - there) <= allowed else _numbers(here, there, allowed)

    return rule


def _noisy(*, relative: float, alone: float, absolute: float = 0.0) -> Rule:
    """Return a rule of numbers that the seed moves.

    Args:
        relative: Share of the log's mean below which no difference counts: rounding of another
            device, and a spread of a few runs that is small by chance.
        alone: The share where the log has too few runs for a spread.
        absolute: Difference below which none counts, of numbers that may be near 0.
    """

    def rule(here: Value, logged: Logged, observed: Mapping[str, Value]) -> str:
        runs = [float(value) for value in logged.values]
        there = fmean(runs)
        allowed = logged.tolerance
        if allowed is None and len(runs) < MIN_RUNS:
            allowed = max(absolute, alone * max(abs(there), abs(here)))
        elif allowed is None:
            allowed = max(_interval(runs), relative * abs(there), absolute)
        if math.isfinite(here) and abs(here - there) <= allowed:
            return ""
        return _numbers(here, there, allowed)

    return rule


def _interval(runs: Sequence[float]) -> float:
    """Return the half width of the prediction interval of another run; 0 for too few runs."""
    if len(runs) < MIN_RUNS:
        return 0.0
    return t_quantile(len(runs) - 1, 1 - NOISE) * stdev(runs) * math.sqrt(1 + 1 / len(runs))


def _numbers(here: float, there: float, allowed: float) -> str:
    return f"{here:.4g}, the log has {there:.4g} (alike within {allowed:.2g})"


def _names(here: Value, logged: Logged, observed: Mapping[str, Value]) -> str:
    missing = sorted({*logged.first} - {*here})
    added = sorted({*here} - {*logged.first})
    parts = [f"{value_text(missing)} missing here"] if missing else []
    parts += [f"{value_text(added)} not in the log"] if added else []
    return ", ".join(parts)


def _order(here: Value, logged: Logged, observed: Mapping[str, Value]) -> str:
    if {*here} != {*logged.first}:
        return ""  # other classes are a departure of their own
    moved = [n for n, pair in enumerate(zip(here, logged.first, strict=True)) if len({*pair}) > 1]
    if not moved:
        return ""
    n = moved[0]
    return f"class {n} is {here[n]}, the log has {logged.first[n]} ({len(moved)} classes moved)"


def _counts(here: Value, logged: Logged, observed: Mapping[str, Value]) -> str:
    names = [*logged.first, *(name for name in here if name not in logged.first)]
    other = [name for name in names if here.get(name, 0) != logged.first.get(name, 0)]
    some = "; ".join(
        f"{name} {here.get(name, 0)}, the log has {logged.first.get(name, 0)}"
        for name in other[:LISTED]
    )
    return some + (f"; and {len(other) - LISTED} more" if len(other) > LISTED else "")


def _labels(here: Value, logged: Logged, observed: Mapping[str, Value]) -> str:
    shared = [clip for clip in logged.first if clip in here]
    other = [clip for clip in shared if here[clip] != logged.first[clip]]
    if not other:
        return ""
    clip = other[0]
    return (
        f"{len(other)} of {len(shared)} clips have other labels: {clip} is "
        f"{value_text(here[clip])}, the log has {value_text(logged.first[clip])}"
    )


def _levels(here: Value, logged: Logged, observed: Mapping[str, Value]) -> str:
    """Compare dB by clip: the same recordings, decoded and mixed alike, agree to rounding."""
    pairs = [
        (here[clip], level)
        for clip, level in logged.first.items()
        if here.get(clip) is not None and level is not None
    ]
    if not pairs:
        return ""
    away = median(abs(one - other) for one, other in pairs)
    allowed = 0.05 if logged.tolerance is None else logged.tolerance
    if away <= allowed:
        return ""
    shift = median(one - other for one, other in pairs)
    return (
        f"clips differ by {away:.2f} dB in the median ({shift:+.2f} dB) over {len(pairs)} of them"
    )


def _shares(here: Value, logged: Logged, observed: Mapping[str, Value]) -> str:
    """Compare shares of draws, each within the error of as many draws as were looked at."""
    draws = float(observed["draws.count"])
    there = {
        name: fmean(run.get(name, 0.0) for run in logged.values)
        for name in dict.fromkeys(name for run in logged.values for name in run)
    }
    other = []
    for name in [*there, *(name for name in here if name not in there)]:
        share, at = there.get(name, 0.0), here.get(name, 0.0)
        error = math.sqrt(2 * max(share * (1 - share), 1 / draws) / draws)
        if abs(at - share) > SIGMAS * error:
            other.append(f"{name} {100 * at:.1f} %, the log has {100 * share:.1f} %")
    return "; ".join(other[:LISTED]) + (
        f"; and {len(other) - LISTED} more" if len(other) > LISTED else ""
    )


def _rates(here: Value, logged: Logged, observed: Mapping[str, Value]) -> str:
    """Compare learning rates at the same shares of the epoch, to 1 % of the largest."""
    there = logged.first
    allowed = 0.01 * max(map(abs, there))
    for place, (one, other) in enumerate(zip(here, there, strict=True)):
        if abs(one - other) > allowed:
            share = f"{100 * place / (len(there) - 1):.0f} %"
            times = f", {one / other:.3g} times as much" if other else ""
            return f"{one:.3g} at {share} of the epoch, the log has {other:.3g}{times}"
    return ""


def _none(here: Value, logged: Logged, observed: Mapping[str, Value]) -> str:
    return value_text(here) if here else ""


FACTS: tuple[Fact, ...] = (
    Fact(
        key="data.sample_rate",
        title="sample rate",
        rule=_equal,
        causes="sample_rate of the data set; the front end must be told the same",
    ),
    Fact(
        key="data.file_rates",
        title="sample rates of the files",
        rule=_equal,
        causes="files of another copy or download, resampled before, or a header with a wrong rate",
    ),
    Fact(
        key="data.classes",
        title="classes",
        rule=_names,
        causes="a class that was not downloaded or is filtered out, or is spelled otherwise",
    ),
    Fact(
        key="data.num_classes",
        title="number of classes",
        rule=_equal,
        causes="a class that was not downloaded or is filtered out, or another version of the list",
    ),
    Fact(
        key="data.class_order",
        title="order of the labels",
        rule=_order,
        causes="classes sorted by another rule (name, id, first seen); logits of checkpoints and "
        "predictions then mean other classes",
    ),
    Fact(
        key="data.clips",
        title="number of clips",
        rule=_counts,
        causes="missing or dropped clips, another split or fold, or clips that were cut otherwise",
    ),
    Fact(
        key="data.clips_by_class",
        title="clips by class",
        rule=_counts,
        causes="clips under another label, or clips missing from one class",
    ),
    Fact(
        key="data.seconds",
        title="length of the clips",
        rule=_close(relative=0.01),
        causes="seconds of the data set, clips cut or padded before, or a wrong sample rate",
    ),
    Fact(
        key="data.labels",
        title="labels of single clips",
        rule=_labels,
        causes="rows of the list moved against the files, or a list of another version",
    ),
    Fact(
        key="data.levels",
        title="level of single clips",
        rule=_levels,
        causes="one channel taken instead of the mean of all, a gain or a normalization, or "
        "another decoder",
    ),
    Fact(
        key="features.shape",
        title="shape of the features",
        rule=_equal,
        causes="front end: n_mels, hop_length, num_frames",
    ),
    Fact(
        key="features.mean",
        title="mean of the features",
        rule=_close(relative=0.01, absolute=0.02),
        causes="front end: logarithm and its floor, power or magnitude, window, filters; scale of "
        "the waveform",
    ),
    Fact(
        key="features.std",
        title="deviation of the features",
        rule=_close(relative=0.02),
        causes="front end: logarithm and its base, power or magnitude, number of filters",
    ),
    Fact(
        key="model.parameters",
        title="parameters of the model",
        rule=_equal,
        causes="model: size or an option, or the number of classes",
    ),
    Fact(
        key="draws.distinct",
        title="sampler: distinct clips of an epoch",
        rule=_close(absolute=0.05),
        causes="sampler: draws with replacement or by weight (about 63 %) against each clip once",
    ),
    Fact(
        key="draws.by_class",
        title="sampler: share of each class in the draws",
        rule=_shares,
        causes="sampler: weights by class or none",
    ),
    Fact(
        key="mixup.on",
        title="mixup: what is mixed",
        rule=_equal,
        causes="mixup: none, waveforms or features",
    ),
    Fact(
        key="mixup.share",
        title="mixup: share of mixed clips",
        rule=_close(absolute=0.1),
        causes="mixup: its probability",
    ),
    Fact(
        key="mixup.weight",
        title="mixup: mean share of the larger part",
        rule=_close(absolute=0.05),
        causes="mixup: alpha of the Beta distribution",
    ),
    Fact(
        key="mixup.labels",
        title="mixup: whether labels are mixed",
        rule=_equal,
        causes="mixup: labels",
    ),
    Fact(
        key="step.clips",
        title="clips of an optimizer step",
        rule=_equal,
        causes="batch_size, which counts all workers and accumulated parts",
    ),
    Fact(
        key="epochs",
        title="epochs of the training",
        rule=_equal,
        causes="epochs; a schedule over all steps then has other rates in every epoch",
    ),
    Fact(
        key="step.rates",
        title="learning rate over the first epoch",
        rule=_rates,
        causes="optimizer.learning_rate, schedule and its warm-up, scaling by batch size",
    ),
    Fact(
        key="input.mean",
        title="mean of what the model was trained on",
        rule=_noisy(relative=0.0, alone=0.0, absolute=0.05),
        causes="normalization, augmentation (masks), mixing",
    ),
    Fact(
        key="input.std",
        title="deviation of what the model was trained on",
        rule=_noisy(relative=0.05, alone=0.2),
        causes="normalization (by the deviation or twice it), augmentation (masks), mixing",
    ),
    Fact(
        key="train/loss",
        title="training loss of the first epoch",
        rule=_noisy(relative=0.02, alone=0.15),
        causes="loss and its options, initial weights, optimizer, augmentation",
    ),
    Fact(
        key="eval.in_training",
        title="modules in training mode while evaluated",
        rule=_none,
        causes="a train() of your own that ignores its mode, or a missing eval()",
    ),
    Fact(
        key="eval.change",
        title="change of a clip's logits by the clips beside it",
        rule=_close(absolute=1e-3),
        causes="dropout or batch statistics in evaluation",
    ),
    Fact(
        key="val/loss",
        title="loss on the held-out clips",
        rule=_noisy(relative=0.05, alone=0.25),
        causes="evaluation: its clips, its shifts, averaged weights",
    ),
    *(
        Fact(
            key=key,
            title=f"{title} on the held-out clips",
            rule=_noisy(relative=0.1, alone=0.25),
            causes="evaluation: its clips, its metric, averaged weights",
        )
        for key, title in (("val/top1", "top-1"), ("val/map", "mAP"))
    ),
)
"""Everything that is compared, causes before effects."""

BEFORE_TRAINING = tuple(fact.key for fact in FACTS if fact.key.startswith(("data.", "features.")))
"""Facts that are known before a step is taken."""


def check_keys(keys: Sequence[str]) -> list[str]:
    """Return those of some keys that are no facts."""
    return [key for key in keys if key not in {*(fact.key for fact in FACTS), "draws.count"}]
