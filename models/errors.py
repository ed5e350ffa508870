"""Errors of the model zoo; each is a `ValueError` with a message for the user."""

from __future__ import annotations

import traceback
from pathlib import Path


class ModelError(ValueError):
    """A model, front end or chain cannot be built or run with the given inputs."""


class CheckpointError(ModelError):
    """A checkpoint cannot be read or does not belong to the model."""


class DownloadError(CheckpointError):
    """A checkpoint cannot be fetched; the message says how to download it by hand."""


def failure(error: Exception) -> str:
    """Describe in one line which exception the user's code raised, and where."""
    place = [] if isinstance(error, SyntaxError) else traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({Path(frame.filename).name}, line {frame.lineno})" for frame in place)
    return f"{type(error).__name__}: {error}{where}"
