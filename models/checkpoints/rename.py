"""What the published formats of several families have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable

from torch import Tensor


def rename_by_patterns(name: str, patterns: Iterable[tuple[str, str]]) -> str:
    """Return a name by the first of the (pattern, replacement) that matches all of it, or as is."""
    for pattern, ours in patterns:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, ours, name)
    return name


def share_channels(stem: Tensor, num_channels: int) -> Tensor:
    """Give the weights of a first convolution another number of input channels.

    They are summed over the file's channels and shared out equally, so that several equal channels
    count as one (AST's rule).

    Args:
        stem: (out, in, height, width).
        num_channels: input channels of the model to be.

    Returns:
        (out, num_channels, height, width); the very tensor where it has as many channels.
    """
    if stem.shape[1] == num_channels:
        return stem
    summed = stem.sum(dim=1, keepdim=True) / num_channels
    return summed.repeat(1, num_channels, 1, 1)
