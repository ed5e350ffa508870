"""The base of DAT and DAT++: stem, stages on shrinking maps, average pool, linear head."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.output import Output


class Pyramid(nn.Module):
    """Runs the parts that a subclass builds: `stem`, `stages`, `downs`, `norm`, `head`.

    Stem and downs map (B, C, H, W) to (B, H', W', C'); stages keep that shape.
    """

    head_parameters = ("head.weight", "head.bias")

    stem: nn.Module
    stages: nn.ModuleList
    downs: nn.ModuleList
    norm: nn.LayerNorm
    head: nn.Linear

    def __init__(self, input_size: tuple[int, int], resize: tuple[int, ...]) -> None:
        """Set the (mels, frames) of the input and, unless (), those it is resized to.

        0 frames accept any number, if a resize then fixes the size.
        """
        super().__init__()
        self.input_size = tuple(input_size)
        self.resize = tuple(resize)

    def forward_features(self, features: Tensor) -> Tensor:
        """Compute the normalized token map of the last stage.

        Args:
            features: (batch, channels, mels, frames) of the input size.

        Returns:
            (batch, mels / 32, frames / 32, dim), rounded up.

        Raises:
            ModelError: The size is not the input size.
        """
        mels, frames = self.input_size
        if features.shape[2] != mels or frames not in (0, features.shape[3]):
            raise ModelError(
                f"features of {tuple(features.shape[-2:])} (mels, frames), but the model was built "
                f"for {self.input_size}"
            )
        if self.resize:
            features = functional.interpolate(features, self.resize, mode="bilinear")
        x = self.stem(features)
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i < len(self.downs):
                x = self.downs[i](x.permute(0, 3, 1, 2))
        return self.norm(x)

    def forward(self, features: Tensor) -> Output:
        """(batch, channels, mels, frames) -> `Output` with clip_logits (batch, classes)."""
        x = self.forward_features(features).mean(dim=(1, 2))
        return Output(self.head(x), embedding=x)


def drop_rates(rate: float, depths: tuple[int, ...]) -> list[float]:
    """Return every block's drop path rate, rising linearly from 0 to `rate`."""
    last = max(sum(depths) - 1, 1)
    return [rate * i / last for i in range(sum(depths))]
