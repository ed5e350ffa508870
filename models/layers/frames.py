"""Change the number of frames of a spectrogram: stretching and random crops.

Torch refuses CUDA's bicubic kernel under `torch.use_deterministic_algorithms(True)`, because it
adds gradients in no fixed order. In that mode four gathered taps replace it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Coefficient of the cubic convolution kernel, as in torch.nn.functional.interpolate.
_A = -0.75


def stretch_frames(x: Tensor, size: int) -> Tensor:
    """Resize the last axis to `size` by cubic convolution, keeping the first and last frame.

    Equal to `interpolate(mode="bicubic", align_corners=True)` on (batch, channels, mels, frames).
    """
    if x.is_cuda and torch.are_deterministic_algorithms_enabled():
        return stretch_by_taps(x, size)
    return functional.interpolate(x, (x.shape[2], size), mode="bicubic", align_corners=True)


def stretch_by_taps(x: Tensor, size: int) -> Tensor:
    """Compute `stretch_frames` as a weighted sum of four frames around each position."""
    frames = x.shape[-1]
    place = torch.arange(size, device=x.device, dtype=x.dtype) * ((frames - 1) / max(size - 1, 1))
    start = place.floor()
    t = place - start
    weights = (_outer(t + 1), _inner(t), _inner(1 - t), _outer(2 - t))
    terms = [
        x[..., (start.long() + tap - 1).clamp(0, frames - 1)] * weight
        for tap, weight in enumerate(weights)
    ]
    return torch.stack(terms).sum(dim=0)


def random_crops(x: Tensor, size: int) -> Tensor:
    """Crop every clip to `size` frames at its own random position, from the global generator."""
    starts = torch.randint(0, x.shape[3] - size, (len(x), 1), device=x.device)
    places = starts + torch.arange(size, device=x.device)
    clips = torch.arange(len(x), device=x.device)[:, None]
    return x.permute(0, 3, 1, 2)[clips, places].permute(0, 2, 3, 1)


def _inner(distance: Tensor) -> Tensor:
    return ((_A + 2) * distance - (_A + 3)) * distance * distance + 1


def _outer(distance: Tensor) -> Tensor:
    return ((_A * distance - 5 * _A) * distance + 8 * _A) * distance - 4 * _A
