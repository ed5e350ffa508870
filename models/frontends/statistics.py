"""Mean and deviation of a front end's output, by which the chain normalizes it."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from models.errors import ModelError


@torch.no_grad()
def feature_statistics(frontend: nn.Module, waveforms: Iterable[Tensor]) -> tuple[float, float]:
    """Mean and standard deviation of a front end's output, for `Chain.set_normalization`.

    Taken over every element of the padded features, as the model sees them and as AST measures
    its own (there with augmentation, here without): a data set of short clips has a mean nearer
    to 0, the value of padding.

    Args:
        frontend: the front end that will be trained on.
        waveforms: batches (batch, time) of the training clips, any batch size.

    Returns:
        (mean, standard deviation), accumulated in float64 and rounded to 4 decimals, so that
        batch size and order do not change them.

    Raises:
        ModelError: there are no clips, or their features do not vary.
    """
    count, total, squares = 0, 0.0, 0.0
    for waveform in waveforms:
        features = frontend(waveform).double()
        count += features.numel()
        total += features.sum().item()
        squares += features.square().sum().item()
    if count == 0:
        raise ModelError("no clips to take feature statistics from")
    mean = total / count
    deviation = round(math.sqrt(max(squares / count - mean * mean, 0.0)), 4)
    if not deviation > 0:
        raise ModelError(
            f"the features do not vary or are not finite (mean {mean:g}, deviation {deviation}): "
            "are the clips silent?"
        )
    return round(mean, 4), deviation
