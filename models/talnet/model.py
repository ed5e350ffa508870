"""TALNet: tagging and localization of sound events, arXiv 1810.09050 (ICASSP 2019).

The authors' code is MaigoAkisame/cmu-thesis 7578dda (MIT, Python 2); the weights are on a
university host under the same license. Numerically equal to the authors' model (tested with parity
vectors). Differences:

- an unweighted norm over mels normalizes the input; its running statistics replace those that the
  authors store with their features, in an archive of 341 GB. If you have `normalizer.pkl`, set them
  by `set_input_statistics`;
- logits instead of probabilities, which the authors clamp to [1e-7, 1 - 1e-7];
- only the pooling of the published model, linear softmax;
- max pooling splits the gradient between equal neighbors.

Published weights expect `models.frontends.talnet.TalnetFbank` at 16 kHz: ten seconds give 400
frames. Scores are per step of four frames, 100 ms.

B batch, C channels, T time (frames), F frequency (mels). Internal maps are (B, C, T, F), the
authors' order.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.layers.steps import repeat_steps
from models.output import Output
from models.registry import register
from models.talnet.checkpoint import rename_talnet_state

# Number of convolution pairs, of five, that halve time; all halve frequency.
_TIME_POOLS = 2


@register(
    "model",
    variants={
        "talnet": {},
        "talnet_laptop": {"dims": (8, 16, 32, 64, 128), "hidden_dim": 64},
    },
)
class TalNet(nn.Module):
    """Scores frames by a convolutional recurrent network, and clips by their frames.

    A clip's probability is the mean of its frames' probabilities, each weighted by itself ("linear
    softmax"), so that confident frames dominate.

    Variants:
        talnet: TALNet: ten 3x3 convolutions and a GRU, 9.98 M parameters with 527 classes.
        talnet_laptop: TALNet for a laptop: a quarter of the width at half the frame rate; not a
            published size.
    """

    normalizes_input = True
    head_parameters = ("head.weight", "head.bias")

    def __init__(
        self,
        num_channels: int,
        input_size: tuple[int, int],
        num_classes: int,
        *,
        dims: tuple[int, ...] = (32, 64, 128, 256, 512),
        hidden_dim: int = 512,
        dropout: float = 0.0,
    ) -> None:
        """Initialize Xavier-uniform convolutions and head, orthogonal GRU weights, and zero biases.

        Args:
            num_channels: Number of channels of the spectrogram.
            input_size: (mels, frames), with any number of frames.
            num_classes: Number of classes.
            dims: Widths of the convolution pairs. Every pair halves the mels, the first two also
                the frames.
            hidden_dim: Width of the recurrent layer in each direction.
            dropout: Dropout rate before every convolution, the recurrent layer, and the classifier.

        Raises:
            ModelError: The input is too small for the pooling, or the rate is not a probability.
        """
        super().__init__()
        mels, frames = input_size
        if len(dims) < _TIME_POOLS or min(dims) < 1 or hidden_dim < 1:
            raise ModelError(
                f"dims={dims}, hidden_dim={hidden_dim}: two widths or more, each at least 1"
            )
        self.step = 1 << _TIME_POOLS
        if mels < 1 << len(dims) or 0 < frames < self.step:  # 0 frames: any number
            raise ModelError(
                f"(mels, frames) = {tuple(input_size)} leaves nothing: {1 << len(dims)} mels and "
                f"{self.step} frames or more; change the front end's rows and frames"
            )
        if not 0 <= dropout < 1:
            raise ModelError(f"dropout={dropout}: a probability in [0, 1)")
        self.n_mels = mels
        self.dropout = dropout
        self.mel_norm = nn.BatchNorm1d(mels, affine=False)
        widths = [num_channels, *(dim for dim in dims for _ in range(2))]
        self.convs = nn.ModuleList(
            nn.Conv2d(widths[i], dim, 3, padding=1) for i, dim in enumerate(widths[1:])
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(dim) for dim in widths[1:])
        self.recurrent = BiGru(dims[-1] * (mels >> len(dims)), hidden_dim)
        self.head = nn.Linear(2 * hidden_dim, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(self.head.bias)

    def set_input_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Set the normalization that published weights were trained with.

        The authors store it with their features, in `normalizer.pkl`: (mean, deviation).

        Args:
            mean: (mels,) means of the front end's output over the training clips.
            std: (mels,) standard deviations.
        """
        norm = self.mel_norm
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(std.square() - norm.eps)

    def forward(self, features: Tensor) -> Output:
        """Score a batch of spectrograms.

        Args:
            features: (B, num_channels, mels, frames) in decibels; the norm over mels learns the
                scale.

        Returns:
            `Output` with clip_logits (B, num_classes) and frame_logits (B, frames, num_classes),
            constant over the four frames of a step; the last step extends to the end.

        Raises:
            ModelError: The number of mels is wrong, or there are too few frames.
        """
        mels, frames = features.shape[2:]
        if mels != self.n_mels or frames < self.step:
            raise ModelError(
                f"the model takes {self.n_mels} mels and {self.step} frames or more, not "
                f"({mels}, {frames}); pad shorter clips, or set the front end's number of frames"
            )
        x = self.mel_norm(features.transpose(1, 2).flatten(2))
        x = x.unflatten(2, (features.shape[1], frames)).permute(0, 2, 3, 1)
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = functional.dropout(x, self.dropout, self.training)
            x = functional.relu(norm(conv(x)))
            if i % 2:
                x = _halved(x, 3)
                x = _halved(x, 2) if i < 2 * _TIME_POOLS else x
        x = functional.dropout(x.transpose(1, 2).flatten(2), self.dropout, self.training)
        x = self.recurrent(x)
        embedding = x.mean(dim=1)
        logits = self.head(functional.dropout(x, self.dropout, self.training))
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        repeated = repeat_steps(logits, self.step, frames)
        return Output(linear_softmax_logits(logits), repeated, embedding)

    def rename_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Convert a published state to this model's names."""
        return rename_talnet_state(state)


class BiGru(nn.Module):
    """A bidirectional one-layer `torch.nn.GRU` with the same parameter names.

    The compiler refuses torch's class, but accepts the operation behind it.
    """

    def __init__(self, in_dim: int, dim: int) -> None:
        """Initialize orthogonal weights and zero biases; `dim` is the width of each direction."""
        super().__init__()
        self.dim = dim
        self.names = [
            f"{kind}_l0{direction}"
            for direction in ("", "_reverse")
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        for name in self.names:
            width = {"weight_ih": [in_dim], "weight_hh": [dim]}.get(name.partition("_l0")[0], [])
            parameter = nn.Parameter(torch.empty(3 * dim, *width))
            (nn.init.orthogonal_ if width else nn.init.zeros_)(parameter)
            self.register_parameter(name, parameter)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, in_dim) -> (B, T, 2 dim)."""
        start = x.new_zeros(2, x.shape[0], self.dim)
        weights: list[Tensor] = [self.get_parameter(name) for name in self.names]
        # In training mode: otherwise cuDNN has no gradient, and there is no dropout here.
        return torch.gru(x, start, weights, True, 1, 0.0, True, True, True)[0]


def linear_softmax_logits(logits: Tensor) -> Tensor:
    """Compute the logit of sum(p^2) / sum(p) over time in log space, p = sigmoid(logits).

    (B, steps, classes) -> (B, classes).
    """
    yes, no = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    return torch.logsumexp(2 * yes, dim=1) - torch.logsumexp(yes + no, dim=1)


def _halved(x: Tensor, dim: int) -> Tensor:
    """Return the maximum of neighbors, dropping an odd last one.

    Not max pooling, whose gradient has no fixed order on CUDA. Equal neighbors get half the
    gradient each; they are mostly zeros, whose gradient vanishes in the ReLU.
    """
    pairs = x.narrow(dim, 0, x.shape[dim] // 2 * 2).unflatten(dim, (-1, 2))
    return torch.maximum(*pairs.unbind(dim + 1))
