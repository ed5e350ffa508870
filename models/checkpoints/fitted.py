"""A published parameter in the shape that a model has."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Fitted(NamedTuple):
    """A published parameter in a model's shape.

    Attributes:
        value: the very tensor that was given where nothing had to change.
        how: how its places were read, for the load report; empty where the shapes say it.
    """

    value: Tensor
    how: str = ""
