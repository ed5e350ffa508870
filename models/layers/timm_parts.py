"""Our linear layers and feed-forward networks in place of timm's."""

from __future__ import annotations

from timm.layers.mlp import Mlp
from torch import Tensor, nn

from models.layers.linear import Linear, use_fast_linear
from models.layers.mlp import feed_forward


def use_fast_layers(module: nn.Module) -> None:
    """Turn timm's linear layers and MLPs into ours of equal values, in place.

    Parameters and their names stay as they are, and so do MLPs of another form than the usual one.
    """
    use_fast_linear(module)
    for part in module.modules():
        if type(part) is Mlp and _is_usual(part):
            part.__class__ = _FastMlp


class _FastMlp(Mlp):
    fc1: Linear
    fc2: Linear

    def forward(self, x: Tensor) -> Tensor:
        return self.drop2(feed_forward(x, self.fc1, self.fc2))


def _is_usual(mlp: Mlp) -> bool:
    exact = type(mlp.act) is nn.GELU and mlp.act.approximate == "none"
    return exact and mlp.drop1.p == 0 and type(mlp.norm) is nn.Identity
