"""Errors of the model zoo; every one is a `ValueError` with a message for the user."""

from __future__ import annotations


class ModelError(ValueError):
    """A model, front end or chain that cannot be built or run with what it was given."""


class CheckpointError(ModelError):
    """A checkpoint file that cannot be read, or that does not belong to the model."""


class DownloadError(CheckpointError):
    """A checkpoint that could not be fetched; says from where, and how to do it by hand."""
