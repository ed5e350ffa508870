"""Held-out clips that every good trial misses alike, and the comparisons without them.

Where different seeds and arms agree on something that is not listed, the label may be wrong, or the
clip hard in a way that no arm has learned: the two cannot be told apart without listening.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.rows import finished_trials
from orchestrator.analysis.summary import Summary, summarize
from orchestrator.metrics import lookup
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.predictions import Loader, Predictions
from orchestrator.records import TrialKey, TrialRecord

MIN_TRIALS = 3
"""Fewer trials than this agree by chance."""

Hears = NDArray[np.bool_]
"""(clips, classes): whether a trial takes a class for sounding."""


@dataclass(frozen=True, kw_only=True)
class Missed:
    """A clip that all good trials miss alike.

    Attributes:
        clip: Id of the clip.
        listed: Its classes.
        unheard: Listed classes that no trial hears.
        heard: Classes that all trials hear and that are not listed.
        num_trials: Number of these trials.
        strength: Mean over trials, from 0 to 1: the probability of the class that is heard instead,
            or the share of clips that a trial would have to overtake to be right.
    """

    clip: str
    listed: tuple[int, ...]
    unheard: tuple[int, ...]
    heard: tuple[int, ...]
    num_trials: int
    strength: float


@dataclass(frozen=True, kw_only=True)
class MissedAlike:
    """What all good trials miss.

    Attributes:
        clips: The clips, the most strongly missed first.
        arms: The good arms.
        num_clips: Number of held-out clips that enough trials have predicted.
        one_class: Whether every clip has one class, so that a clip is missed by that class.
        without: The study without these clips; None if there are none, or if its metric is not
            computed from predictions.
    """

    clips: tuple[Missed, ...]
    arms: tuple[str, ...]
    num_clips: int
    one_class: bool
    without: Summary | None


def missed_alike(summary: Summary, records: Mapping[str, TrialRecord], load: Loader) -> MissedAlike:
    """Find the clips that all good trials miss alike.

    Good arms beat chance and reach at least half of the way from chance, or from the worst arm, to
    the best one. Where a clip has one class, all of their trials name the same other class first.
    Where it has any number of classes, all score a listed class below the median of the clips
    without it, or another class above the median of the clips with it: this needs no threshold.

    Args:
        summary: The study.
        records: Trial id -> record.
        load: Function that reads a trial's predictions at the plan's epoch.
    """
    good = _good_arms(summary)
    found: defaultdict[str, list[tuple[Predictions, int, Hears, NDArray[np.float64]]]]
    found = defaultdict(list)
    for trial, _ in finished_trials(summary.plan, records):
        made = load(trial.id) if trial.arm in good else None
        if made is None:
            continue
        hears, strength = _heard(made)
        for place, clip in enumerate(made.clip_ids):
            found[clip].append((made, place, hears, strength))
    enough = {clip: of for clip, of in found.items() if len(of) >= MIN_TRIALS}
    clips = [missed for clip, of in enough.items() if (missed := _missed(clip, of))]
    clips.sort(key=lambda one: (-one.strength, one.clip))
    return MissedAlike(
        clips=tuple(clips),
        arms=good,
        num_clips=len(enough),
        one_class=all(of[0][0].kind is TargetKind.SINGLE_LABEL for of in enough.values()),
        without=_without(summary, records, load, {missed.clip for missed in clips}),
    )


def _good_arms(summary: Summary) -> tuple[str, ...]:
    key, sign = summary.metric.key, summary.metric.sign
    means = {a.name: a.measures[key].interval.mean for a in summary.arms if key in a.measures}
    if not means:
        return ()
    scored = {arm: sign * mean for arm, mean in means.items()}
    best = max(scored.values())
    if summary.chance is None and best == min(scored.values()):
        return ()  # nothing tells arms that learned from arms that did not
    floor = min(scored.values()) if summary.chance is None else sign * summary.chance.value
    return tuple(
        arm
        for arm, value in scored.items()
        if arm not in summary.at_chance and value >= (best + floor) / 2
    )


def _heard(made: Predictions) -> tuple[Hears, NDArray[np.float64]]:
    """Return which classes a trial hears in each clip, and how strongly it errs in each."""
    if made.kind is TargetKind.HEADS:
        of_heads = [_heard(own) for own in made.by_head().values()]
        return (
            np.concatenate([hears for hears, _ in of_heads], axis=1),
            np.concatenate([strength for _, strength in of_heads], axis=1),
        )
    truth = made.targets.multi_hot()
    if made.kind is TargetKind.SINGLE_LABEL:
        hears = np.zeros(truth.shape, np.bool_)
        hears[np.arange(len(made)), made.logits.argmax(axis=1)] = True
        return hears, made.probabilities() * hears
    hears, strength = truth.copy(), np.zeros(truth.shape)
    for label in range(truth.shape[1]):
        scores, there = made.logits[:, label], truth[:, label]
        if there.all() or not there.any():
            continue
        # The share of clips of the other side that a clip is on the wrong side of.
        above = (scores[there, None] < scores[None, ~there]).mean(axis=1)
        below = (scores[~there, None] > scores[None, there]).mean(axis=1)
        strength[there, label], strength[~there, label] = above, below
        hears[there, label], hears[~there, label] = above <= 0.5, below > 0.5
    return hears, strength


def _missed(
    clip: str, of: list[tuple[Predictions, int, Hears, NDArray[np.float64]]]
) -> Missed | None:
    """Return what all trials miss of a clip; None if nothing."""
    made, place, *_ = of[0]
    truth = made.targets.take([place]).multi_hot()[0]
    heard_by_all = np.stack([hears[at] for _, at, hears, _ in of]).all(axis=0) & ~truth
    heard_by_none = ~np.stack([hears[at] for _, at, hears, _ in of]).any(axis=0) & truth
    # Seeds that name different other classes do not miss a clip alike.
    if not heard_by_all.any() and made.kind in (TargetKind.SINGLE_LABEL, TargetKind.HEADS):
        return None
    wrong = heard_by_all | heard_by_none
    if not wrong.any():
        return None
    strengths = np.stack([strength[at] for _, at, _, strength in of])[:, wrong]
    return Missed(
        clip=clip,
        listed=tuple(np.flatnonzero(truth).tolist()),
        unheard=tuple(np.flatnonzero(heard_by_none).tolist()),
        heard=tuple(np.flatnonzero(heard_by_all).tolist()),
        num_trials=len(of),
        strength=float(strengths.max(axis=1).mean()),
    )


def _without(
    summary: Summary,
    records: Mapping[str, TrialRecord],
    load: Loader,
    clips: Collection[str],
) -> Summary | None:
    """Return the study scored without some clips."""
    plan, key = summary.plan, summary.metric.key
    keys = [key, *filter(None, [plan.tie_break_of(key)])]
    if not clips or summary.metric.compute is None:
        return None
    scored = dict(records)
    for trial, record in finished_trials(plan, records):
        scored[trial.id] = _scored_without(trial, record, keys, load, clips)
    return summarize(plan, scored, metric=key, mixed=summary.conditions.mixed)


def _scored_without(
    trial: TrialKey, record: TrialRecord, keys: list[str], load: Loader, clips: Collection[str]
) -> TrialRecord:
    made = load(trial.id)
    values = dict.fromkeys(keys, float("nan"))
    epoch = record.epochs[-1].epoch if made is None else made.epoch
    kept = [] if made is None else [i for i, c in enumerate(made.clip_ids) if c not in clips]
    if made is not None and kept:
        rest = made.take(kept)
        for metric in map(lookup, keys):
            if metric.compute is not None and rest.fit(metric):
                values[metric.key] = metric.compute(rest)
    epochs = tuple(
        replace(one, metrics={**one.metrics, **values}) if one.epoch == epoch else one
        for one in record.epochs
    )
    return replace(record, epochs=epochs)
