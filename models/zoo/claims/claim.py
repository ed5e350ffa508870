"""A count that somebody published, and how to count the same here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Quantity = Literal["params", "MACs", "MACs + attention", "multiply-adds"]
Extra = Literal["front end", "ImageNet heads", "unused head", "unused norm", "repeated frames"]

SCALE = {"M": 1e6, "G": 1e9}
"""The units that counts are printed in."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A published count, and how to count the same here.

    Attributes:
        model: registered name.
        label: how the paper calls it.
        quantity: parameters; MACs of convolutions and linear layers; those and the products of
            attention; or twice the MACs.
        theirs: as printed, for example `28.32 M`.
        whose: the paper, or the authors' code where the number was measured on it.
        input_size: (mels, frames), or (height, width) of an image.
        num_channels: of the input.
        num_classes: of the head.
        arguments: of the model, where they differ from the defaults.
        frontend: arguments of `log_mel`, for what the front end adds.
        extras: parts that the other side counts and the model here is without.
        note: why the numbers differ, where they do by more than `TOLERANCE`.
    """

    model: str
    label: str
    quantity: Quantity
    theirs: str
    whose: str
    input_size: tuple[int, int]
    num_channels: int = 1
    num_classes: int = 527
    arguments: Mapping[str, Any] = field(default_factory=dict)
    frontend: Mapping[str, Any] = field(default_factory=dict)
    extras: tuple[Extra, ...] = ()
    note: str = ""

    @property
    def value(self) -> float:
        """The number itself."""
        number, unit = self.theirs.split()
        return float(number) * SCALE[unit]
