"""Scores of time steps: pooled over a clip, and repeated for the frames of a step."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def mean_probability_logits(logits: Tensor, scores: Tensor | None) -> Tensor:
    """Logits of the mean over time of sigmoid(logits), without leaving the logarithm.

    Args:
        logits: (B, steps, classes).
        scores: (B, steps, classes), by whose softmax over time the mean is weighted; None for
            equal weights.

    Returns:
        (B, classes).
    """
    weights = 0.0 if scores is None else functional.log_softmax(scores, dim=1)
    yes, no = (functional.logsigmoid(sign * logits) + weights for sign in (1, -1))
    return torch.logsumexp(yes, dim=1) - torch.logsumexp(no, dim=1)


def repeat_steps(logits: Tensor, step: int, frames: int) -> Tensor:
    """Give every frame the scores of its step, the last step lasting to the end.

    Args:
        logits: (B, steps, classes).
        step: frames of a step.
        frames: of the clip.

    Returns:
        (B, frames, classes).
    """
    place = torch.arange(frames, device=logits.device) // step
    return logits[:, place.clamp_max(logits.shape[1] - 1)]
