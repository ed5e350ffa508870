"""Helpers shared by the published formats of several families."""

from __future__ import annotations

import re
from collections.abc import Iterable

from torch import Tensor


def rename_by_patterns(name: str, patterns: Iterable[tuple[str, str]]) -> str:
    """Rename by the first (pattern, replacement) that matches the full name, if any."""
    for pattern, ours in patterns:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, ours, name)
    return name


def share_channels(stem: Tensor, num_channels: int) -> Tensor:
    """Convert a first convolution to another number of input channels.

    Weights are summed over the file's channels and divided equally, so that several equal channels
    act as one (AST's rule).

    Args:
        stem: (out, in, height, width).
        num_channels: Input channels of the model.

    Returns:
        (out, num_channels, height, width); `stem` itself if the channels match.
    """
    if stem.shape[1] == num_channels:
        return stem
    summed = stem.sum(dim=1, keepdim=True) / num_channels
    return summed.repeat(1, num_channels, 1, 1)
