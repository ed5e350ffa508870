"""What a dataset is before it becomes a pack: its clips, and how one of them is read.

A dataset is one file with one registered function that returns a `Source`. The function may look
at lists and at file sizes, never at the audio: that is left to `audit` and `packing`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.errors import DataError

if TYPE_CHECKING:
    import numpy as np

POLICIES = ("stop", "drop")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Clip:
    """One row of a dataset's list.

    Attributes:
        clip_id: unique within the dataset; names the clip in predictions.
        label: 0 to num_classes - 1.
        fold: the number of the fold that the clip is validated in.
        source_id: the recording that the clip was cut from; clips of one recording belong
            together.
        path: the audio file, or "" for a clip that is made up.
    """

    clip_id: str
    label: int
    fold: int
    source_id: str
    path: str = ""


@dataclass(frozen=True)
class Decoded:
    """One clip as it came out of the decoder.

    Attributes:
        samples: `(time,)` float32 at `rate_hz`, mono: the mean of the file's channels.
        rate_hz: the rate that the decoder returned.
        channels: channels of the file, before they were averaged.
    """

    samples: np.ndarray
    rate_hz: int
    channels: int


class RootMissing(DataError):
    """A dataset of files was asked for without saying where they are."""


class ClipFault(DataError):
    """A clip that cannot be used; `problem` is one of `findings.BROKEN`."""

    def __init__(self, problem: str, reason: str):
        self.problem = problem
        self.reason = reason
        super().__init__(f"{problem}: {reason}")


@dataclass(frozen=True)
class Source:
    """A dataset that can be audited and packed.

    Attributes:
        name: the dataset's registered name.
        sample_rate: rate in Hz that the pack will have.
        class_names: one per label, in order.
        fold_names: fold number -> name; "train" marks an official split.
        clips: every listed clip, in the list's order.
        read: decodes one clip, or raises `ClipFault`.
        signature: changes whenever the list, a file or an argument changes; cheap.
        seconds: the length that every clip has, or 0.0 where lengths vary.
        on_broken: "stop" or "drop", see `findings.decide`.
        fingerprint: the pack's fingerprint where it is known beforehand, else "".
        root: where the dataset was found; a hint for people, never part of a fingerprint.
        licence: the dataset's licence where it is known, else "".
        unlisted: audio files that lie beside the listed ones and are not used.
        notes: what was found out while the list was read.
    """

    name: str
    sample_rate: int
    class_names: tuple[str, ...]
    fold_names: Mapping[int, str]
    clips: tuple[Clip, ...]
    read: Callable[[Clip], Decoded]
    signature: str
    seconds: float = 0.0
    on_broken: str = "stop"
    fingerprint: str = ""
    root: str = ""
    licence: str = ""
    unlisted: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def digest(value: Any) -> str:
    """Hash a JSON value; 32 hexadecimal digits that depend on nothing but the value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def is_file_name(text: object) -> bool:
    """Whether a fingerprint or signature can name a file below the place for packs."""
    return isinstance(text, str) and bool(_FILE_NAME.fullmatch(text))


def check_arguments(dataset: str, *, sample_rate: int, on_broken: str = "stop") -> None:
    """Refuse a sample rate or a policy that cannot be.

    Raises:
        DataError: `sample_rate` is not 1,000 to 768,000 Hz, or the policy is unknown.
    """
    if not 1_000 <= sample_rate <= 768_000:
        raise DataError(
            f"dataset {dataset!r}: sample_rate is {sample_rate!r}; give 1000 to 768000 Hz, "
            "the rate that the model's front end expects"
        )
    if on_broken not in POLICIES:
        raise DataError(
            f"dataset {dataset!r}: on_broken is {on_broken!r} (valid: {', '.join(POLICIES)})"
        )
