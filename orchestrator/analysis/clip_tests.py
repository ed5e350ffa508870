"""Compare two trials over the same held-out clips; the result says nothing about seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.outcomes import Loader
from orchestrator.analysis.summary import Summary
from orchestrator.errors import ConfigError, unknown
from orchestrator.metrics.catalog import VAL_ACTION_TOP1, VAL_MAP, VAL_TOP1, lookup
from orchestrator.metrics.classification import all_correct, log_softmax
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.predictions import Predictions
from orchestrator.records import PlanRecord, Status, TrialKey, TrialRecord
from orchestrator.stats import (
    CAVEAT,
    ClipTest,
    average_precision_of,
    clip_bootstrap,
    mcnemar,
    mean_of,
)

Recordings = Callable[[], Mapping[str, str]]
"""Function that returns clip -> source recording; empty if unknown."""

MAX_PAIRS = 4
LISTED = 10


@dataclass(frozen=True, kw_only=True)
class ClipComparison:
    """Two trials on the same clips; differences are run minus reference, in fractions.

    Attributes:
        run: Trial to compare.
        reference: Trial to compare with.
        mcnemar: Test of top-1, from the clips that each trial got right; None where clips have any
            number of classes.
        tests: Metric key -> paired bootstrap over clips.
        caveat: Sentence about what the result cannot show.
    """

    run: TrialKey
    reference: TrialKey
    mcnemar: ClipTest | None
    tests: Mapping[str, ClipTest]
    caveat: str = CAVEAT


def find_trial(given: str, plan: PlanRecord, records: Mapping[str, TrialRecord]) -> TrialKey:
    """Find a finished trial by its id, a prefix of it, or the name of a one-trial arm.

    Args:
        given: Text given by the user.
        plan: Study with the trial.
        records: Trial id -> record.

    Raises:
        ConfigError: No trial or several match, or it has not finished; the message names the
            trials.
    """
    matching = [trial for trial in plan.trials if trial.arm == given]
    if not matching:
        matching = [trial for trial in plan.trials if given and trial.id.startswith(given)]
    if not matching:
        arms = list(dict.fromkeys(trial.arm for trial in plan.trials))
        hint = f"Or give a trial's id, for example {plan.trials[0].id}." if plan.trials else ""
        raise ConfigError(unknown("arm or trial", given, arms, hint=hint))
    if len(matching) > 1:
        listed = ", ".join(f"{t.id} (seed {t.seed}, fold {t.fold})" for t in matching[:LISTED])
        more = f" and {len(matching) - LISTED} more" if len(matching) > LISTED else ""
        raise ConfigError(f"{given!r} means {len(matching)} trials; give one id: {listed}{more}")
    (trial,) = matching
    record = records.get(trial.id)
    status = record.status if record else Status.MISSING
    if status is not Status.FINISHED:
        raise ConfigError(f"the trial {trial.id} ({trial.arm}) is {status}; choose a finished one")
    return trial


def compare_clips(
    run: TrialKey,
    reference: TrialKey,
    load: Loader | None,
    *,
    metrics: Sequence[str] = (VAL_TOP1, VAL_MAP, VAL_ACTION_TOP1),
    recordings: Recordings | None = None,
) -> ClipComparison:
    """Compare two trials over their common clips.

    Args:
        run: Finished trial.
        reference: Another finished trial.
        load: Function that reads predictions at the plan's epoch; None if the source has none.
        metrics: Metric keys for the bootstrap; those that are not defined for the clips' targets
            are left out, and mAP is taken if none is.
        recordings: Source recordings; clips of one recording are drawn together.

    Raises:
        ConfigError: Predictions are missing, the clips differ, or both trials are the same.
    """
    if run.id == reference.id:
        raise ConfigError(f"{run.id} is compared with itself; give two different trials")
    scored, other = _predictions(run, load), _predictions(reference, load)
    if set(scored.clip_ids) != set(other.clip_ids):
        shared = len(set(scored.clip_ids) & set(other.clip_ids))
        raise ConfigError(
            f"{run.id} (fold {run.fold}) and {reference.id} (fold {reference.fold}) were scored on "
            f"other clips: {len(scored.clip_ids)} and {len(other.clip_ids)}, {shared} in common; "
            "choose two trials of the same fold and data set"
        )
    place = {clip: i for i, clip in enumerate(other.clip_ids)}
    order = np.array([place[clip] for clip in scored.clip_ids])
    other = other.take(order)
    if other.targets != scored.targets:
        raise ConfigError(f"{run.id} and {reference.id} do not agree on the clips' classes")
    single, both = scored.kind is TargetKind.SINGLE_LABEL, (scored, other)
    recording_of: Mapping[str, str] = recordings() if recordings else {}
    whole = all(clip in recording_of for clip in scored.clip_ids)
    sources = np.array([recording_of[clip] for clip in scored.clip_ids]) if whole else None
    if sources is not None and len(set(sources.tolist())) == len(sources):
        sources = None  # every clip is its own recording
    groups = len(scored) if sources is None else len(set(sources.tolist()))
    if groups < 2:
        raise ConfigError(
            f"the {len(scored)} held-out clips are of {groups} recording, and clips of one "
            "recording are not independent; a comparison over clips needs two recordings or more"
        )
    tests: dict[str, ClipTest] = {}
    defined = [key for key in metrics if lookup(key).is_defined_for(scored.kind)]
    for key in defined or [VAL_MAP]:
        if key in (VAL_TOP1, VAL_ACTION_TOP1):
            pair = tuple(mean_of(_right(made)) for made in both)
        else:
            truth = scored.targets.multi_hot()
            pair = tuple(
                average_precision_of(
                    log_softmax(made.logits) if single else made.logits.astype(np.float64), truth
                )
                for made in both
            )
        tests[key] = clip_bootstrap(*pair, num_clips=len(scored), sources=sources)
    return ClipComparison(
        run=run,
        reference=reference,
        mcnemar=mcnemar(*map(_right, both)) if single or scored.targets.heads else None,
        tests=tests,
    )


def _right(made: Predictions) -> NDArray[np.bool_]:
    """Return (clips,) whether the class of each clip, or that of every head, is named first."""
    heads = tuple(made.by_head().values()) or (made,)
    return all_correct([one.logits for one in heads], [one.labels for one in heads], k=1)


def single_pairs(summary: Summary, load: Loader | None) -> list[ClipComparison]:
    """Compare the contrasts of a study with one trial per arm over clips; otherwise none.

    Contrasts without predictions, or with different code or data, are left out.
    """
    cells = {arm.name: arm.cells for arm in summary.arms}
    if load is None or max(map(len, cells.values()), default=0) != 1:
        return []
    key = summary.metric.key
    metrics = (key if key in (VAL_MAP, VAL_ACTION_TOP1) else VAL_TOP1,)
    keys = {trial.arm: trial for trial in summary.plan.trials}
    comparisons: list[ClipComparison] = []
    for contrast in summary.contrasts[:MAX_PAIRS]:
        pair = keys[contrast.arm], keys[contrast.reference]
        if contrast.difference is not None and all(load(trial.id) is not None for trial in pair):
            comparisons.append(compare_clips(*pair, load, metrics=metrics))
    return comparisons


def _predictions(trial: TrialKey, load: Loader | None) -> Predictions:
    made = load(trial.id) if load else None
    if not made:
        where = "the store holds none" if load else "a tracking server holds none; use --store"
        raise ConfigError(f"no per-clip predictions of {trial.id} ({trial.arm}): {where}")
    return made
