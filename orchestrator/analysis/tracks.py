"""Events of held-out clips over time: those that are listed, and those that trials detect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.analysis.rows import finished_trials
from orchestrator.analysis.summary import Summary
from orchestrator.metrics.events import Events, detect
from orchestrator.metrics.predictions import Loader, Predictions
from orchestrator.records import TrialKey, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Track:
    """What one trial detects in its held-out clips.

    Attributes:
        trial: The trial.
        clip_ids: (clips,) names.
        clip_s: (clips,) lengths in seconds.
        listed: Listed events: place of the clip, class, onset and offset in seconds.
        detected: Detected events, likewise.
    """

    trial: TrialKey
    clip_ids: tuple[str, ...]
    clip_s: tuple[float, ...]
    listed: Events
    detected: Events


def tracks(summary: Summary, records: Mapping[str, TrialRecord], load: Loader) -> dict[str, Track]:
    """Return arm -> the events of its first finished trial that predicts over time.

    Events are those of frame scores above 0.5, neither filtered nor closed, by which events are
    scored; clips whose events have no times are left out. {} where no clip has events.

    Args:
        summary: The study.
        records: Trial id -> record.
        load: Function that reads a trial's predictions at the plan's epoch.
    """
    found: dict[str, Track] = {}
    for trial, _ in finished_trials(summary.plan, records):
        made = None if trial.arm in found else load(trial.id)
        if made is not None and made.frames is not None:
            found[trial.arm] = _track(trial, made.take(made.targets.have_times))
    return found


def _track(trial: TrialKey, made: Predictions) -> Track:
    frames = made.frames
    assert frames is not None
    # A score above 0.5 is a logit above 0.
    detected = detect(frames.logits, row_s=frames.row_s, threshold=0.0, clip_s=frames.clip_s)
    return Track(
        trial=trial,
        clip_ids=made.clip_ids,
        clip_s=tuple(frames.clip_s.tolist()),
        listed=made.targets.events(),
        detected=detected,
    )
