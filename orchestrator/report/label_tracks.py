"""Events of held-out clips as label tracks, which Audacity opens beside the audio."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from orchestrator.analysis.outcomes import class_name
from orchestrator.analysis.summary import Summary
from orchestrator.analysis.tracks import Track
from orchestrator.errors import ConfigError
from orchestrator.metrics.events import Events
from orchestrator.report.files import write

LISTED = "listed"
"""Folder of the events that the data set lists."""


def write_label_tracks(summary: Summary, found: dict[str, Track], folder: Path) -> list[Path]:
    """Write a file per clip into a folder per arm, and one of the listed events.

    A line is onset and offset in seconds and the class, between tabs. Characters of a name that
    cannot be in a file's are escaped as in an address.

    Args:
        summary: The study.
        found: Arm -> its events.
        folder: Folder to write to.

    Returns:
        The folders.

    Raises:
        ConfigError: No trial predicts over time.
        StoreError: A file cannot be written.
    """
    if not found:
        raise ConfigError(
            f"no trial of {summary.plan.sweep} has predictions over time of clips with events; "
            "label tracks need a model with a frame head, and the store that it was trained in"
        )
    folders = [folder / LISTED]
    for arm, track in found.items():
        folders.append(folder / quote(arm, safe=" +,=()"))
        for place, clip in enumerate(track.clip_ids):
            name = f"{quote(clip, safe='')}.txt"
            write(folders[0] / name, _lines(summary, track.listed, place))
            write(folders[-1] / name, _lines(summary, track.detected, place))
    return folders


def _lines(summary: Summary, events: Events, place: int) -> str:
    own = sorted(events[events[:, 0] == place].tolist(), key=lambda event: event[2:])
    return "".join(
        f"{onset:.6f}\t{offset:.6f}\t{class_name(summary, int(label))}\n"
        for _, label, onset, offset in own
    )
