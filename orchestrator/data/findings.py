"""Findings of an audit: one frozen record per clip, and what follows from it.

A problem is either `broken` (the clip cannot be trusted: the run stops, or an explicit policy
drops the clip and records it) or a `note` (the clip is used, and what was done to it is recorded).
No clip is ever replaced by silence or padded to its expected length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.data.source import Clip, Source
from orchestrator.errors import DataError

BROKEN = {
    "missing": "listed, and there is no such file",
    "empty": "no samples at all",
    "unreadable": "the decoder refuses it",
    "truncated": "shorter than the file itself declares",
    "short": "shorter than every clip of this dataset is",
    "non_finite": "NaN or infinite samples",
    "silent": "every sample is zero",
    "leak": "the same audio as another clip, in another fold or under another label",
}
NOTES = {
    "duplicate": "the same audio as another clip of its fold and label: it counts twice",
    "wrong_rate": "resampled to the pack's rate",
    "stereo": "channels averaged to mono",
    "long": "longer than every clip of this dataset is; kept whole",
    "beyond_end": "an event ends after the clip; kept as it is listed",
    "over_full_scale": "samples beyond full scale were clipped",
}
LONG_TAIL_S = 0.5
OTHER_LENGTHS = "folder"
"""The data set that takes clips of any length from a folder; see `orchestrator.data.folder`."""


@dataclass(frozen=True)
class Problem:
    """One problem of a clip: a key of `BROKEN` or `NOTES`, and the particulars."""

    kind: str
    reason: str

    @property
    def severity(self) -> str:
        """Either "broken" or "note"."""
        return "broken" if self.kind in BROKEN else "note"


@dataclass(frozen=True)
class ClipRecord:
    """Measures and problems of one clip; the measures are None if it could not be decoded.

    Attributes:
        clip: The listed clip.
        rate_hz: The file's own rate.
        channels: The file's channels.
        frames: Samples per channel.
        seconds: Duration, frames / rate_hz.
        peak: Largest absolute sample of the mono signal; 1.0 is full scale.
        rms_dbfs: Level of the mono signal in dB relative to full scale; None for digital silence.
        zero_tail_s: Seconds of exact zeros at the end.
        sha256: Digest of rate and decoded mono samples; independent of the file format.
        problems: Problems, worst first.
    """

    clip: Clip
    rate_hz: int | None = None
    channels: int | None = None
    frames: int | None = None
    seconds: float | None = None
    peak: float | None = None
    rms_dbfs: float | None = None
    zero_tail_s: float | None = None
    sha256: str | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def broken(self) -> bool:
        """Whether the clip cannot be used."""
        return any(problem.severity == "broken" for problem in self.problems)

    @property
    def reason(self) -> str:
        """Why the clip is broken, in one line."""
        said = [f"{p.kind}: {p.reason}" for p in self.problems if p.severity == "broken"]
        return "; ".join(said)


def decide(source: Source, records: Iterable[ClipRecord]) -> dict[str, str]:
    """Apply the source's policy to the findings.

    Args:
        source: Its policy "stop" refuses a dataset with a broken clip, "drop" leaves the broken
            clips out.
        records: One per clip.

    Returns:
        Clip id -> reason, for every dropped clip.

    Raises:
        DataError: The policy is "stop" and clips are broken, or dropping would leave a class or
            fold without clips.
    """
    records = list(records)
    dropped = {record.clip.clip_id: record.reason for record in records if record.broken}
    if dropped and source.on_broken == "stop":
        short = any(problem.kind == "short" for record in records for problem in record.problems)
        raise DataError(
            f"{len(dropped)} of {len(records)} clips of {source.name!r} are broken:\n"
            f"{_listing(dropped)}\n"
            "Nothing was packed. Mend the files, or leave these clips out and have the record say "
            f"so: --policy drop, in a sweep --dataset {source.name}:on_broken=drop."
            + f" Clips of other lengths are taken with --dataset {OTHER_LENGTHS}."
            * short
        )
    kept = [record.clip for record in records if not record.broken]
    bare = [f"class {name!r}" for name, count in source.class_counts(kept).items() if not count] + [
        f"fold {name}"
        for fold, name in source.fold_names.items()
        if all(clip.fold != fold for clip in kept)
    ]
    if bare:
        raise DataError(
            f"{source.name!r} without its {len(dropped)} broken clips has no clip left in "
            f"{', '.join(bare)}; that would be another task. Mend the files:\n{_listing(dropped)}"
        )
    return dropped


def notes_of(source: Source, records: Iterable[ClipRecord]) -> tuple[str, ...]:
    """Describe in sentences what was done to the clips that are used."""
    records = list(records)
    kept = [record for record in records if not record.broken]
    counts = Counter(problem.kind for record in kept for problem in record.problems)
    notes = list(source.notes)
    for kind, text in NOTES.items():
        if counts[kind]:
            notes.append(f"{_clips(counts[kind])}: {text}")
    tails = sum((record.zero_tail_s or 0.0) > LONG_TAIL_S for record in kept)
    if tails:
        notes.append(f"{_clips(tails)}: the last {LONG_TAIL_S:g} s or more are digital silence")
    if source.unlisted:
        count = len(source.unlisted)
        notes.append(f"{count} audio file{'s' * (count != 1)} beside the listed ones not used")
    if len(kept) < len(records):
        notes.append(f"{len(records) - len(kept)} of {_clips(len(records))} dropped as broken")
    return tuple(notes)


def _clips(count: int) -> str:
    return f"{count} clip{'s' * (count != 1)}"


def _listing(dropped: dict[str, str], *, limit: int = 20) -> str:
    lines = [f"  - {name}: {reason}" for name, reason in list(dropped.items())[:limit]]
    if len(dropped) > limit:
        lines.append(f"  ... and {len(dropped) - limit} more (python -m orchestrator.data audit)")
    return "\n".join(lines)
