"""Pool the scores of time steps over a clip, and repeat them for the frames of a step."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def mean_probability_logits(logits: Tensor, scores: Tensor | None) -> Tensor:
    """Compute the logit of the mean over time of sigmoid(logits), in log space.

    Args:
        logits: (B, steps, classes).
        scores: (B, steps, classes), whose softmax over time weights the mean; None for equal
            weights.

    Returns:
        (B, classes).
    """
    weights = 0.0 if scores is None else functional.log_softmax(scores, dim=1)
    yes, no = (functional.logsigmoid(sign * logits) + weights for sign in (1, -1))
    return torch.logsumexp(yes, dim=1) - torch.logsumexp(no, dim=1)


def repeat_steps(logits: Tensor, step: int, frames: int) -> Tensor:
    """Repeat the scores of each step for its frames; the last step extends to the end.

    Args:
        logits: (B, steps, classes).
        step: Number of frames per step.
        frames: Number of frames of the clip.

    Returns:
        (B, frames, classes).
    """
    place = torch.arange(frames, device=logits.device) // step
    return logits[:, place.clamp_max(logits.shape[1] - 1)]
