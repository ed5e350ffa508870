"""Why trials fail, in words, and when their failures end a sweep.

A trial whose worker was lost (killed, its host gone, cut off from the store) goes on elsewhere. One
that diverged has its outcome. Any other exception fails the trial; where every arm fails alike, it
is a bug in what they share, and the sweep ends before it costs a night.
"""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path

import models
from orchestrator.design.factors import Trial

_PACKAGES = (str(Path(str(models.__file__)).parent), str(Path(__file__).parents[1]))
_LIBRARIES = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))

FAILED_AT = "failed_at"
"""Where a trial failed (see `place_of`); in its provenance."""

HOST_MEMORY = (
    "out of memory on its host, where Ray ended its worker; --max-concurrent runs fewer trials at "
    "a time"
)
MEMORY_ADVICE = (
    "to need less, give --activation-checkpointing, precision='bf16' or more accumulation_steps"
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: PyTorch's own, that of a library of CUDA's, or the machine's."""
    import torch

    words = ("out of memory", "ALLOC_FAILED", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


def is_of_the_group(error: BaseException) -> bool:
    """Whether other workers of a trial went away: theirs is the error that counts."""
    import torch

    words = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer")
    return isinstance(error, torch.distributed.DistError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


def error_text(error: Exception) -> str:
    """Return the traceback of a failed trial, with the way out at its end if memory ran out."""
    text = "".join(traceback.format_exception(error)).rstrip()
    return f"{text}; {MEMORY_ADVICE}" if is_out_of_memory(error) else text


def place_of(error: BaseException) -> str:
    """Return where an error was raised, as `FILE, line N, in NAME: CODE`.

    That is the last line of the user's code, else the last of this package's: libraries raise what
    they were called wrongly with. Empty if neither was running.
    """
    frames = traceback.extract_tb(error.__traceback__)
    known = [frame for frame in frames if not frame.filename.startswith(("<", *_LIBRARIES))]
    users = [frame for frame in known if not frame.filename.startswith(_PACKAGES)]
    ours = [frame for frame in frames if frame.filename.startswith(_PACKAGES)]
    last = (users or ours or known)[-1:]
    return "".join(f"{f.filename}, line {f.lineno}, in {f.name}: {f.line}" for f in last)


def why_lost(error: Exception | str) -> str:
    """Return what became of a worker in one line, from Ray's error or from its text."""
    from ray.exceptions import RayActorError, RayTaskError

    if isinstance(error, RayTaskError):
        lines = str(error).strip().splitlines()
        return f"its worker failed ({lines[-1].strip()})" if lines else "its worker failed"
    text = str(error)
    if "running low on memory" in text:
        return HOST_MEMORY
    if isinstance(error, RayActorError) and "node" in text.lower().partition("has died")[0][-40:]:
        return "its host was lost"
    return "its worker process was killed or crashed"


class FailedAlike:
    """Finds the error with which every arm fails: the same exception at the same line of code."""

    def __init__(self, arms: Iterable[str], *, store: str):
        """Wait for a trial of each arm, and for two trials at least.

        Args:
            arms: Arm of every trial to come; none where they are not known yet.
            store: Place of the store, for the message.
        """
        self._store = store
        of_trials = list(arms)
        self._num_trials = len(of_trials)
        self._missing = set(of_trials)
        self._num_ended = 0
        self._errors: set[str] = set()

    def ended(self, trial: Trial, *, note: str, place: str) -> str:
        """Note the end of a trial.

        Args:
            trial: The trial.
            note: Line that names the exception.
            place: Where it was raised (see `place_of`); empty unless the trial failed.

        Returns:
            The message that ends the sweep; empty while arms fare differently.
        """
        self._missing.discard(trial.arm)
        self._num_ended += 1
        self._errors.add(f"{note.partition(':')[0]} {place}" if place else "")
        if self._missing or self._num_ended < 2 or len(self._errors) > 1 or "" in self._errors:
            return ""
        which = f"all {self._num_ended} trials failed alike"
        if self._num_ended != self._num_trials:
            which = f"the first {self._num_ended} trials, among them one of each arm, failed alike,"
            which += " so the others were not begun"
        return (
            f"{which}: {note}\n  {place}\nMend it and run the same command again; "
            f"`python -m orchestrator.store show {trial.id} --store {self._store}` prints the "
            "whole traceback"
        )
