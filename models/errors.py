"""Errors of the model zoo; every one is a `ValueError` with a message for the user."""

from __future__ import annotations

import traceback
from pathlib import Path


class ModelError(ValueError):
    """A model, front end or chain that cannot be built or run with what it was given."""


class CheckpointError(ModelError):
    """A checkpoint file that cannot be read, or that does not belong to the model."""


class DownloadError(CheckpointError):
    """A checkpoint that could not be fetched; says from where, and how to do it by hand."""


def failure(error: Exception) -> str:
    """Say in a line which exception the user's own code raised, and where."""
    place = [] if isinstance(error, SyntaxError) else traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({Path(frame.filename).name}, line {frame.lineno})" for frame in place)
    return f"{type(error).__name__}: {error}{where}"
