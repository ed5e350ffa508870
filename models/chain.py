"""The chain: waveform -> front end -> normalization -> augmentation -> transform -> model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from models.errors import ModelError
from models.output import Output
from models.precision import full_precision
from models.protocols import Backbone, Frontend, built_as
from models.registry import CHAIN_PARTS, create, stated
from models.seeding import derive_seed, draw_clip_seeds

Link = tuple[str, Mapping[str, Any]]


class Chain(nn.Module):
    """From waveform to logits; each link can be swapped without touching the others.

    Everything before the model runs in float32, inside autocast too: the adaptor's share of the
    features (0.005) is below the resolution of bfloat16.

    A model with `normalizes_input = True` has a batch norm in front (HTS-AT, PANNs) and gets the
    front end's output as it is, so that published weights keep their meaning; any front end can
    stand before any model. The statistics then only give the value of masks: their mean, which
    is what such a norm turns into 0. Before other models masks take the value of padding
    (`padding_value` of the front end, in its units).

    What the front end and the model say of themselves is read when they are put into the chain
    (`models.protocols`).

    Attributes:
        num_classes: size of the clip logits; 0 where a chain was not built by name.
        class_names: of the logits, in their order; empty where they are not known.
        front: what the front end says of itself.
        backbone: what the model says of itself.
    """

    mean: Tensor
    std: Tensor
    num_classes: int = 0
    class_names: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        frontend: nn.Module,
        augmentation: nn.Module,
        transform: nn.Module,
        model: nn.Module,
    ) -> None:
        """Put built links together; `build_chain` builds them by name."""
        super().__init__()
        self.frontend = frontend
        self.augmentation = augmentation
        self.transform = transform
        self.model = model
        # With these, normalization changes nothing.
        self.register_buffer("mean", torch.tensor(0.0))
        self.register_buffer("std", torch.tensor(0.5))

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; of a new front end or model, read what it says of itself."""
        super().__setattr__(name, value)
        if name == "frontend":
            self.front = Frontend.of(value)
        elif name == "model":
            self.backbone = Backbone.of(value)

    @property
    def parts(self) -> dict[str, Any]:
        """How each link was built, as plain JSON: link -> its `name` and `arguments`.

        The arguments are complete, as in an experiment's canonical form. A link that was not
        built by name is None.
        """
        return {kind: built_as(self.get_submodule(kind)) for kind in CHAIN_PARTS}

    def set_normalization(self, mean: float, std: float) -> None:
        """Set the statistics of (features - mean) / (2 std), the AST rule.

        Before a model that normalizes its input they change nothing in evaluation.

        Args:
            mean: mean of the front end's output on the training clips.
            std: standard deviation of the same; see
                `models.frontends.base.feature_statistics`.

        Raises:
            ModelError: the deviation is not positive.
        """
        if not std > 0:
            raise ModelError(f"std={std}: the standard deviation of the features is > 0")
        self.mean.fill_(mean)
        self.std.fill_(std)

    def features(self, waveform: Tensor, clip_seeds: Tensor | None = None) -> Tensor:
        """Compute what the model gets to see.

        Args:
            waveform: (batch, time) in [-1, 1].
            clip_seeds: as in `forward`.

        Returns:
            (batch, channels, mels, frames) float32.
        """
        if self.training and clip_seeds is None:
            clip_seeds = draw_clip_seeds(len(waveform), waveform.device)
        with full_precision(waveform):
            features, padding = self.normalized(waveform)
            if self.training:
                features = self.augmentation(features, clip_seeds=clip_seeds, padding=padding)
            return self.transform(features, clip_seeds=clip_seeds)

    def normalized(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Compute what the augmentation and the transform start from.

        Args:
            waveform: (batch, time) in [-1, 1].

        Returns:
            (batch, channels, mels, frames) float32, and the value that masks write, a scalar.
        """
        if not len(waveform):
            raise ModelError(
                "there is no clip in the batch: a waveform is (batch, time), 1 or more"
            )
        with full_precision(waveform):
            features = self.frontend(waveform)
            if self.backbone.normalizes_input:
                return features, self.mean
            padding = (self.front.padding_value - self.mean) / (2 * self.std)
            return (features - self.mean) / (2 * self.std), padding

    def forward(self, waveform: Tensor, clip_seeds: Tensor | None = None) -> Output:
        """Classify a batch of clips.

        Args:
            waveform: (batch, time) in [-1, 1], clips of equal length.
            clip_seeds: (batch,) int64. Augmentation and random transforms of a clip are functions
                of its seed alone, whatever the batch or the rank. Without them, training draws
                seeds from the global generator.

        Returns:
            `Output` with clip_logits (batch, classes).

        Raises:
            ModelError: there are no clips, or they are too short for the front end.
        """
        return Output.of(self.model(self.features(waveform, clip_seeds)))


def build_chain(
    *,
    frontend: Link,
    augmentation: Link,
    transform: Link,
    model: Link,
    num_classes: int,
    seed: int,
) -> Chain:
    """Build a chain from names and arguments.

    Each link draws its weights under its own seed, derived from the seed and the kind of link:
    two arms that share a link share its initial weights, whatever their other links are. The
    global generators are left as they were.

    Args:
        frontend: a pair (name, arguments).
        augmentation: a pair (name, arguments).
        transform: a pair (name, arguments).
        model: a pair (name, arguments).
        num_classes: size of the clip logits.
        seed: of the initial weights.

    Returns:
        The chain on the CPU in training mode, with a normalization that changes nothing until
        `Chain.set_normalization`.

    Raises:
        RegistryError: a name or an argument is unknown.
        ModelError: a link cannot be built, or the model does not fit the front end.
    """
    whole = isinstance(num_classes, Integral) and not isinstance(num_classes, bool)
    if not whole or num_classes < 1:
        raise ModelError(
            f"num_classes={num_classes!r}: a whole number; a model has at least one class"
        )

    def build(kind: str, link: Link, *context: Any) -> nn.Module:
        name, arguments = _checked_link(kind, link)
        made: Any = _seeded(
            lambda: create(kind, name, *context, **arguments), derive_seed(seed, kind)
        )
        made.built_as = {"name": name, "arguments": stated(kind, name, arguments)}
        return made

    made = build("frontend", frontend)
    front = Frontend.of(made)
    channels, size = front.num_channels, front.output_size
    chain = Chain(
        frontend=made,
        augmentation=build("augmentation", augmentation),
        transform=build("transform", transform, channels),
        model=_fitting(
            lambda: build("model", model, channels, size, num_classes), front, frontend[0]
        ),
    )
    chain.num_classes = int(num_classes)
    return chain


def _checked_link(kind: str, link: Any) -> Link:
    match link:
        case (str(name), Mapping() as arguments):
            return name, arguments
    raise ModelError(
        f"{kind}={link!r}: a pair (name, arguments), for example ('log_mel', {{'n_mels': 64}})"
    )


def _fitting(build: Callable[[], nn.Module], front: Frontend, name: str) -> nn.Module:
    """Build the model; where it does not fit, say which arguments change the front end's size."""
    try:
        return build()
    except ModelError as error:
        rows, frames = map(" and ".join, (front.rows_arguments, front.frames_arguments))
        if "front end" not in str(error) or not (rows and frames):
            raise
        raise ModelError(
            f"{error} ({name} makes {tuple(front.output_size)}: its rows are set by {rows}, "
            f"its frames by {frames})"
        ) from error


def _seeded(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        # The CPU's generator alone: weights are drawn there, and a device's must stay as it is.
        torch.default_generator.manual_seed(seed)
        return build()
