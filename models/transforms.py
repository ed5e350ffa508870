"""Input transforms, applied between normalization and the model.

A transform is a module with `forward(features, *, clip_seeds)`, active in training and evaluation,
that keeps the shape (batch, channels, mels, frames).
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from models.errors import ModelError
from models.registry import register
from models.seeding import clip_laplace, clip_normal, derive_seed, draw_clip_seeds

_GAUSSIAN = derive_seed(0, "gaussian")
_LAPLACIAN = derive_seed(0, "laplacian")
_MATCHED = derive_seed(0, "matched_noise")


@register("transform")
class Identity(nn.Module):
    """Returns the features unchanged."""

    def __init__(self, num_channels: int) -> None:
        """Accept the number of channels, as every transform does."""
        super().__init__()

    def forward(self, features: Tensor, *, clip_seeds: Tensor | None = None) -> Tensor:
        """Return the features unchanged."""
        return features


@register("transform")
class Adaptor(nn.Module):
    """DATAR's learnable adaptor: x + strength * (bias + W * x), a convolution over the features.

    Source: arXiv 2312.16228, equation 5. The paper does not give kernel size, padding, or
    initialization; this uses size-preserving zero padding and PyTorch's default initialization.
    """

    def __init__(self, num_channels: int, *, kernel_size: int = 3, strength: float = 0.005) -> None:
        """Draw the convolution.

        Args:
            num_channels: Number of input and output channels.
            kernel_size: Odd kernel size in mel bins and frames.
            strength: Fixed factor of the learned part (lambda in the paper).

        Raises:
            ModelError: The kernel size is not odd.
        """
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ModelError(
                f"kernel_size={kernel_size}: an adaptor's kernel is odd (1, 3, 5, ...)"
            )
        self.strength = strength
        self.conv = nn.Conv2d(num_channels, num_channels, kernel_size, padding="same")

    def forward(self, features: Tensor, *, clip_seeds: Tensor | None = None) -> Tensor:
        """Add the learned part to (batch, channels, mels, frames)."""
        return features + self.strength * self.conv(features)


class _Noise(nn.Module):
    """Additive noise, independent per element; in training, and in evaluation if `at_test`."""

    def __init__(self, *, scale: float, at_test: bool) -> None:
        super().__init__()
        if scale < 0:
            raise ModelError(f"scale={scale}: the scale of a noise is >= 0")
        self.scale = scale
        self.at_test = at_test

    def draw(self, clip_seeds: Tensor, count: int) -> Tensor:
        """Draw (batch, count) numbers of scale 1."""
        raise NotImplementedError

    def forward(self, features: Tensor, *, clip_seeds: Tensor | None = None) -> Tensor:
        """Add noise to (batch, channels, mels, frames); without seeds, draw them globally."""
        if not (self.training or self.at_test):
            return features
        if clip_seeds is None:
            clip_seeds = draw_clip_seeds(len(features), features.device)
        noise = self.draw(clip_seeds, math.prod(features.shape[1:]))
        return features + self.scale * noise.view_as(features)


@register("transform")
class Gaussian(_Noise):
    """Gaussian noise on the features: DATAR's N(0, 0.005), reading the scale as a deviation.

    Source: arXiv 2312.16228, table 4.
    """

    def __init__(self, num_channels: int, *, scale: float = 0.005, at_test: bool = False) -> None:
        """Set the noise.

        Args:
            num_channels: Unused; every transform takes it.
            scale: Standard deviation in units of the normalized features.
            at_test: Also add noise in evaluation.

        Raises:
            ModelError: The scale is negative.
        """
        super().__init__(scale=scale, at_test=at_test)

    def draw(self, clip_seeds: Tensor, count: int) -> Tensor:
        """Draw (batch, count) standard normal numbers."""
        return clip_normal(clip_seeds, stream=_GAUSSIAN, count=count)


@register("transform")
class Laplacian(_Noise):
    """Laplace noise on the features: DATAR's L(0, 0.005), reading the scale as b.

    Source: arXiv 2312.16228, table 4.
    """

    def __init__(self, num_channels: int, *, scale: float = 0.005, at_test: bool = False) -> None:
        """Set the noise.

        Args:
            num_channels: Unused; every transform takes it.
            scale: Scale b of exp(-|x| / b) / 2b, in units of the normalized features.
            at_test: Also add noise in evaluation.

        Raises:
            ModelError: The scale is negative.
        """
        super().__init__(scale=scale, at_test=at_test)

    def draw(self, clip_seeds: Tensor, count: int) -> Tensor:
        """Draw (batch, count) Laplace numbers of scale 1."""
        return clip_laplace(clip_seeds, stream=_LAPLACIAN, count=count)


@register("transform")
class MatchedNoise(nn.Module):
    """Gaussian noise with the variance that an untrained adaptor adds to each clip.

    A control for `Adaptor`: an equally strong perturbation of the same clip, with nothing learned.
    The convolution is drawn as the adaptor's, so in a trial with the same seed it equals the
    adaptor's initial weights. It stays fixed, and only the variance of its output over mel bins and
    frames is used, per clip and channel. The noise is standardized, so variances agree to rounding
    error, not just on average.

    Matched: the variance at initialization, for every clip and strength. Not matched: the adaptor's
    training, its constant offset per clip, which is not noise, and its smoothness, since the noise
    is white.

    Source: none; the paper's own noises (arXiv 2312.16228, table 4) have one fixed scale.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        num_channels: int,
        *,
        kernel_size: int = 3,
        strength: float = 0.005,
        at_test: bool = True,
    ) -> None:
        """Draw the convolution.

        Args:
            num_channels: Number of input and output channels.
            kernel_size: Odd kernel size of the adaptor.
            strength: Strength of the adaptor (lambda in the paper).
            at_test: Also add noise in evaluation, where the adaptor is active too.

        Raises:
            ModelError: The kernel size is not odd.
        """
        super().__init__()
        adaptor = Adaptor(num_channels, kernel_size=kernel_size, strength=strength)
        assert adaptor.conv.bias is not None
        self.strength = strength
        self.at_test = at_test
        # Buffers: saved in checkpoints but not trained.
        self.register_buffer("weight", adaptor.conv.weight.detach())
        self.register_buffer("bias", adaptor.conv.bias.detach())

    def forward(self, features: Tensor, *, clip_seeds: Tensor | None = None) -> Tensor:
        """Add noise to (batch, channels, mels, frames); without seeds, draw them globally."""
        if not (self.training or self.at_test):
            return features
        if clip_seeds is None:
            clip_seeds = draw_clip_seeds(len(features), features.device)
        learned = nn.functional.conv2d(features, self.weight, self.bias, padding="same")
        deviation = self.strength * learned.float().std(dim=(2, 3), correction=0, keepdim=True)
        drawn = clip_normal(clip_seeds, stream=_MATCHED, count=math.prod(features.shape[1:]))
        drawn = drawn.view_as(features)
        drawn = drawn - drawn.mean(dim=(2, 3), keepdim=True)
        drawn = drawn / drawn.std(dim=(2, 3), correction=0, keepdim=True)
        return features + (deviation * drawn).to(features.dtype)
