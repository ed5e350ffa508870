"""PSLA: pretraining, sampling, labeling and aggregation, arXiv 2102.01243 (TASLP 2021).

The authors' code is YuanGongND/psla 76aedd1 (BSD-3-Clause), weights under the same license. The
model, an EfficientNet with attention pooling, is numerically equal to theirs (tested with parity
vectors). Differences:

- logits instead of probabilities; see `weighted_log_odds`;
- any number of mels: the authors read one row of 128 / 32, this the mean of all rows;
- the trunk is initialized as in timm and the EfficientNet paper, the authors' as in PyTorch; the
  paper's best form starts from ImageNet (`models.load_pretrained(chain,
  "efficientnet_b2_imagenet")`) with a new stem for one channel;
- sampling, mixup, label enhancement, and weight averaging belong to the recipe, not the model.

Published weights expect AST's filterbank (`models.frontends.kaldi.KaldiFbank`) with 1056 frames of
audio at 16 kHz, normalized by its deviation, not twice that: `Chain.set_normalization(-4.6476,
2.28495)`. The trunk's strided convolutions are padded for an image of 260 x 260 (B0: 224), so on
spectrograms it differs from timm's `tf_efficientnet_b2`.

B batch, C channels, H heads, T time steps, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import count

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.output import Output
from models.psla.checkpoint import UNUSED, rename_psla_state
from models.psla.efficientnet import efficientnet, reduced
from models.registry import register

_EPS = 1e-7
_LEAST, _MOST = math.log(_EPS), math.log1p(-_EPS)


@register(
    "model",
    variants={
        "psla_b0": {},
        "psla_b2": {"width": 1.1, "depth": 1.2, "image_size": 260},
        "psla_laptop": {"norm_momentum": 0.1, "width": 0.5, "depth": 0.5, "image_size": 260},
    },
)
class Psla(nn.Module):
    """Classifies spectrograms by an EfficientNet with attention over time steps.

    Variants:
        psla_b0: PSLA on EfficientNet-B0: 9.41 M parameters with 527 classes.
        psla_b2: PSLA on EfficientNet-B2, the size of the paper: 13.64 M parameters with 527
            classes.
        psla_laptop: PSLA for a laptop, for 64 mels x 128 frames; not a published size. Batch norm
            statistics adapt faster, since a short training has few steps.
    """

    unused_published = UNUSED
    head_arguments = ("num_heads",)

    def __init__(
        self,
        num_channels: int,
        input_size: tuple[int, int],
        num_classes: int,
        *,
        num_heads: int = 4,
        drop_path_rate: float = 0.2,
        norm_momentum: float = 0.01,
        width: float = 1.0,
        depth: float = 1.0,
        image_size: int = 224,
    ) -> None:
        """Build the trunk and the heads.

        Args:
            num_channels: Number of channels of the spectrogram.
            input_size: (mels, frames); 0 frames accept any number.
            num_classes: Number of classes.
            num_heads: Number of attention heads; 1 has no head weights, 0 averages the
                probabilities of the steps.
            drop_path_rate: Drop path rate of the last block, rising linearly from 0 at the first.
            norm_momentum: Weight of a batch in the running statistics of the batch norms.
            width: Factor of the widths of EfficientNet-B0.
            depth: Factor of the depths of EfficientNet-B0.
            image_size: Side of the square image that determines the padding of strided
                convolutions.

        Raises:
            ModelError: The sizes or rates are invalid, or nothing is left of the input.
        """
        super().__init__()
        wrong = [
            f"{name}={value} is {rule}"
            for name, value, valid, rule in (
                ("num_heads", num_heads, num_heads >= 0, "0 or more"),
                ("drop_path_rate", drop_path_rate, 0 <= drop_path_rate < 1, "in [0, 1)"),
                ("norm_momentum", norm_momentum, 0 < norm_momentum <= 1, "in (0, 1]"),
                ("width", width, width > 0, "above 0"),
                ("depth", depth, depth > 0, "above 0"),
                ("image_size", image_size, image_size > 0, "1 or more"),
            )
            if not valid
        ]
        if wrong:
            raise ModelError("PSLA needs: " + "; ".join(wrong))
        self.num_channels = num_channels
        self.trunk = efficientnet(
            num_channels,
            width=width,
            depth=depth,
            image_size=image_size,
            drop_path_rate=drop_path_rate,
            norm_momentum=norm_momentum,
        )
        self.least = self._least(1)
        mels, frames = input_size
        if mels < self.least or 0 < frames < self.least:
            raise ModelError(
                f"(mels, frames) = {tuple(input_size)} leaves nothing: each is {self.least} or "
                "more; change the front end's rows and frames"
            )
        dim: int = self.trunk.num_features  # type: ignore[assignment]
        heads = max(num_heads, 1)
        self.attention = nn.ModuleList(nn.Linear(dim, num_classes) for _ in range(num_heads))
        self.classify = nn.ModuleList(nn.Linear(dim, num_classes) for _ in range(heads))
        self.head_parameters = tuple(
            f"{name}.{i}.{kind}"
            for name, number in (("attention", num_heads), ("classify", heads))
            for i in range(number)
            for kind in ("weight", "bias")
        )
        # The authors initialize a single head wider than torch does; several heads as torch does.
        for layer in (*self.attention, *self.classify) if num_heads < 2 else ():
            assert isinstance(layer, nn.Linear)
            nn.init.kaiming_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.head_weight = nn.Parameter(torch.full((heads,), 1 / heads)) if heads > 1 else None

    def forward(self, features: Tensor) -> Output:
        """Classify a batch of spectrograms.

        Args:
            features: (B, num_channels, mels, frames), normalized.

        Returns:
            `Output` with clip_logits (B, num_classes), the log-odds of the authors' probabilities.

        Raises:
            ModelError: There are too few mels or frames, or in training only one position in the
                last map.
        """
        sizes = [reduced(self.trunk, size) for size in features.shape[2:]]
        if not all(sizes):
            raise ModelError(
                f"the model takes {self.least} mels and frames or more, not "
                f"{tuple(features.shape[2:])}; pad shorter clips, or set the front end's number of "
                "frames"
            )
        if self.training and len(features) * math.prod(sizes) < 2:
            raise ModelError(
                f"one clip of {features.shape[3]} frames leaves one place, from which no batch "
                f"norm learns: train with more clips in a batch, or pad to {self._least(2)} frames"
            )
        steps = self.trunk.forward_features(features).mean(dim=2).transpose(1, 2)  # B T C
        return Output(self._pool(steps), embedding=steps.mean(dim=1))

    def rename_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Convert a published PSLA or EfficientNet state to this model's names; None for others."""
        depths = [len(stage) for stage in self.trunk.blocks]  # type: ignore[arg-type]
        return rename_psla_state(state, num_channels=self.num_channels, depths=depths)

    def _least(self, places: int) -> int:
        """Return the mels, or frames, that give this many positions in the last map."""
        return next(size for size in count(1) if reduced(self.trunk, size) >= places)

    def _pool(self, steps: Tensor) -> Tensor:
        precision = torch.promote_types(steps.dtype, torch.float32)
        logits = torch.stack([layer(steps) for layer in self.classify], dim=1).to(precision)
        shares = torch.full_like(logits, -math.log(logits.shape[2]))
        if len(self.attention):
            scores = torch.stack([layer(steps) for layer in self.attention], dim=1).to(precision)
            shares = functional.logsigmoid(scores).clamp(_LEAST, _MOST).log_softmax(dim=2)
        yes, no = (
            torch.logsumexp(functional.logsigmoid(sign * logits) + shares, dim=2)  # B H K
            for sign in (1, -1)
        )
        if self.head_weight is None:
            return (yes - no)[:, 0]
        return weighted_log_odds(yes, no, self.head_weight.to(precision))


def weighted_log_odds(yes: Tensor, no: Tensor, weight: Tensor) -> Tensor:
    """Return the log-odds of a weighted sum of the heads' probabilities.

    The weights are unconstrained, so they need not sum to 1 and the sum p need not be a
    probability. The authors clamp it to [1e-7, 1 - 1e-7] in their loss. Here 1 - p is at least
    1e-7, and p at least 1e-7 of the largest head's, so that improbable classes keep their order.

    Args:
        yes: (B, H, K) log-probabilities of the heads.
        no: (B, H, K) logarithms of 1 minus the probabilities.
        weight: (H,).

    Returns:
        (B, K).
    """
    weight = weight[:, None]
    top = yes.amax(dim=1)
    p = (weight * (yes - top[:, None]).exp()).sum(dim=1).clamp_min(_EPS)
    rest = 1 - weight.sum() + (weight * no.exp()).sum(dim=1)
    return top + p.log() - rest.clamp_min(_EPS).log()
