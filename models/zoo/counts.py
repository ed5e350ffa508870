"""Our parameters and MACs compared with the published ones, counted as the authors do.

A row names the count, its input, and the parts that the authors count and our models lack: front
ends of frozen layers, and heads that never run. These parts are computed from our models, not
copied. Published counts are printed in a paper or measured by running the authors' code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.card import SCALE, Extra, PublishedCount
from models.zoo.cards import COUNTS

if TYPE_CHECKING:
    from torch import nn

    from models.macs import Macs

TOLERANCE = 0.005
"""Larger relative differences must be explained in a note and in the model's docstring."""

_IMAGENET_CLASSES = 1000


@dataclass(frozen=True, kw_only=True)
class Row:
    """A published count and ours.

    Attributes:
        published: The published count.
        model_count: Count of our model alone.
        added: Extra -> count, of the parts added for comparability.
    """

    published: PublishedCount
    model_count: int
    added: Mapping[str, int]

    @property
    def ours(self) -> int:
        """Our count with the added parts."""
        return self.model_count + sum(self.added.values())

    @property
    def difference(self) -> float:
        """(ours - published) / published."""
        return self.ours / self.published.value - 1

    def in_unit(self, count: float) -> str:
        """Format a count in the unit of the published one, with at least two decimals."""
        number, unit = self.published.printed.split()
        decimals = max(len(number.partition(".")[2]), 2)
        return f"{count / SCALE[unit]:.{decimals}f} {unit}"


def compare(model: str | None = None) -> tuple[Row, ...]:
    """Reproduce every published count, on the meta device, which allocates nothing.

    Args:
        model: Registered name; None for all models.
    """
    return tuple(_row(count) for count in COUNTS if model in (None, count.model))


def _row(published: PublishedCount) -> Row:
    counted = _count(
        published.model,
        published.num_channels,
        published.input_size,
        published.num_classes,
        tuple(sorted(published.arguments.items())),
    )
    factor = 2 if published.quantity == "multiply-adds" else 1
    count = {
        "params": counted.num_params,
        "MACs": counted.macs.layers,
        "MACs + attention": counted.macs.layers + counted.macs.attention,
        "multiply-adds": 2 * counted.macs.layers,
    }[published.quantity]
    kind = 0 if published.quantity == "params" else 1
    added = {
        extra: factor * _EXTRAS[extra](counted.model, published)[kind] for extra in published.extras
    }
    return Row(published=published, model_count=count, added=added)


@dataclass(frozen=True)
class _Counted:
    model: nn.Module
    num_params: int
    macs: Macs


@functools.lru_cache(maxsize=64)
def _count(
    name: str,
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    arguments: Iterable[tuple[str, Any]],
) -> _Counted:
    import torch

    from models.macs import count_macs, num_params
    from models.registry import create

    with torch.device("meta"):
        model = create("model", name, num_channels, input_size, num_classes, **dict(arguments))
        macs = count_macs(model, torch.zeros(1, num_channels, *input_size))
    return _Counted(model, num_params(model), macs)


# Each returns the parameters and MACs of a part that our model lacks.


def _front_end(_: Any, published: PublishedCount) -> tuple[int, int]:
    """The Fourier matrix (real and imaginary part) and the mel filters, as layers."""
    from models.frontends.log_mel import LogMel

    front = LogMel(**published.frontend)
    bins = front.n_fft // 2 + 1
    weights = 2 * bins * front.n_fft + bins * front.n_mels
    return weights, weights * published.input_size[1]


def _imagenet_heads(model: Any, _: PublishedCount) -> tuple[int, int]:
    """DeiT's heads on the class and the distillation token; AST runs neither."""
    return 2 * (model.pos_embed.shape[2] + 1) * _IMAGENET_CLASSES, 0


def _unused_head(_: Any, published: PublishedCount) -> tuple[int, int]:
    """HTS-AT's linear head beside the token-semantic one, classes x classes."""
    return published.num_classes * (published.num_classes + 1), 0


def _unused_norm(_: Any, published: PublishedCount) -> tuple[int, int]:
    """The batch norm over classes in the attention of PANNs, which is not run."""
    return 2 * published.num_classes, 0


def _repeated_frames(model: Any, published: PublishedCount) -> tuple[int, int]:
    """HTS-AT's linear head runs on every frame; ours runs once per step and repeats the result."""
    steps = model.num_frames // model.frames_per_step
    return 0, (model.num_frames - steps) * model.head.in_features * published.num_classes


_EXTRAS: Mapping[Extra, Callable[[Any, PublishedCount], tuple[int, int]]] = {
    "front end": _front_end,
    "ImageNet heads": _imagenet_heads,
    "unused head": _unused_head,
    "unused norm": _unused_norm,
    "repeated frames": _repeated_frames,
}
