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
    """Maps waveforms to logits; each link can be swapped without touching the others.

    Everything before the model runs in float32 even under autocast, because the adaptor's share of
    the features (0.005) is below bfloat16 resolution.

    A model with `normalizes_input = True` starts with a batch norm (HTS-AT, PANNs) and receives the
    front end's raw output, as its published weights expect. The statistics then only set the mask
    value: their mean, which the norm maps to about 0. For other models masks take the padding value
    (the front end's `padding_value`, in its units).

    Declarations (`models.protocols`) are read when a front end or model is assigned.

    Attributes:
        num_classes: Number of classes; 0 for a chain that was not built by name.
        class_names: Class names in the order of the logits; empty if unknown.
        front: Declarations of the front end.
        backbone: Declarations of the model.
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
        """Connect existing links; `build_chain` builds them by name."""
        super().__init__()
        self.frontend = frontend
        self.augmentation = augmentation
        self.transform = transform
        self.model = model
        # The identity: (x - 0) / (2 * 0.5).
        self.register_buffer("mean", torch.tensor(0.0))
        self.register_buffer("std", torch.tensor(0.5))

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; read the declarations of a new front end or model."""
        super().__setattr__(name, value)
        if name == "frontend":
            self.front = Frontend.of(value)
        elif name == "model":
            self.backbone = Backbone.of(value)

    @property
    def parts(self) -> dict[str, Any]:
        """Link -> its `name` and complete `arguments` as plain JSON; None if not built by name."""
        return {kind: built_as(self.get_submodule(kind)) for kind in CHAIN_PARTS}

    def set_normalization(self, mean: float, std: float) -> None:
        """Set the statistics of (features - mean) / (2 std), the AST rule.

        They do not affect evaluation of a model that normalizes its input.

        Args:
            mean: Mean of the front end's output over the training clips.
            std: Its standard deviation; see `models.frontends.base.feature_statistics`.

        Raises:
            ModelError: The standard deviation is not positive.
        """
        if not std > 0:
            raise ModelError(f"std={std}: the standard deviation of the features is > 0")
        self.mean.fill_(mean)
        self.std.fill_(std)

    def features(
        self,
        waveform: Tensor | None = None,
        clip_seeds: Tensor | None = None,
        *,
        frontend_output: Tensor | None = None,
        mix_waveforms: Tensor | None = None,
        mix_features: Tensor | None = None,
    ) -> Tensor:
        """Compute the input of the model.

        Args:
            waveform: (batch, time) in [-1, 1].
            clip_seeds: See `forward`.
            frontend_output: See `forward`.
            mix_waveforms: See `forward`.
            mix_features: See `forward`.

        Returns:
            (batch, channels, mels, frames) float32.
        """
        given = waveform if frontend_output is None else frontend_output
        if given is None:
            raise TypeError("a chain takes a waveform, or the output of its front end")
        if self.training and clip_seeds is None:
            clip_seeds = draw_clip_seeds(len(given), given.device)
        with full_precision(given):
            if mix_waveforms is not None:
                assert waveform is not None and clip_seeds is not None
                waveform = _mixed_waveforms(waveform, mix_waveforms)
                clip_seeds = clip_seeds[: len(waveform)]
            features, padding = self.normalized(waveform, frontend_output=frontend_output)
            if self.training:
                features = self.augmentation(features, clip_seeds=clip_seeds, padding=padding)
            if mix_features is not None:
                assert clip_seeds is not None
                features = _mixed(features, mix_features)
                clip_seeds = clip_seeds[: len(features)]
            return self.transform(features, clip_seeds=clip_seeds)

    def normalized(
        self, waveform: Tensor | None = None, *, frontend_output: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute the normalized features, before augmentation and transform.

        Args:
            waveform: (batch, time) in [-1, 1].
            frontend_output: See `forward`.

        Returns:
            (batch, channels, mels, frames) float32, and the scalar mask value.
        """
        features = frontend_output
        if features is None:
            assert waveform is not None
            if not waveform.shape[0]:
                raise ModelError(
                    "there is no clip in the batch: a waveform is (batch, time), 1 or more"
                )
            with full_precision(waveform):
                features = self.frontend(waveform)
        with full_precision(features):
            if self.backbone.normalizes_input:
                return features, self.mean
            padding = (self.front.padding_value - self.mean) / (2 * self.std)
            return (features - self.mean) / (2 * self.std), padding

    def forward(
        self,
        waveform: Tensor | None = None,
        clip_seeds: Tensor | None = None,
        *,
        frontend_output: Tensor | None = None,
        mix_waveforms: Tensor | None = None,
        mix_features: Tensor | None = None,
    ) -> Output:
        """Classify a batch of clips.

        Args:
            waveform: (batch, time) in [-1, 1].
            clip_seeds: (batch,) int64. A clip's augmentation and random transforms depend on its
                seed alone, not on the batch or rank. None draws them from the global generator in
                training.
            frontend_output: (batch, channels, mels, frames) float32, what the front end returned
                for these clips earlier; takes the place of the waveform.
            mix_waveforms: (batch / 2,) shares w of the first half of the clips. The second half
                are their partners: waveforms minus their means are mixed to w * first +
                (1 - w) * partner, minus its mean; a clip with w = 1 stays as it is. What follows
                has half the batch, under the seeds of the first half.
            mix_features: The same for features after the augmentation, without any mean.

        Returns:
            `Output` with clip_logits (batch, classes).

        Raises:
            ModelError: The batch is empty or too short for the front end.
        """
        features = self.features(
            waveform,
            clip_seeds,
            frontend_output=frontend_output,
            mix_waveforms=mix_waveforms,
            mix_features=mix_features,
        )
        return Output.of(self.model(features))


def _mixed(values: Tensor, weights: Tensor) -> Tensor:
    """Mix the first half of (2 * batch, ...) values with the second, by (batch,) shares."""
    first, partner = values.chunk(2)
    shares = weights.to(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    # Where the share is 1 the partner must not count even if it is not finite, nor round.
    return torch.where(shares == 1, first, shares * first + (1 - shares) * partner)


def _mixed_waveforms(waveform: Tensor, weights: Tensor) -> Tensor:
    """Mix as AST does: waveforms minus their means, the sum minus its own."""
    mixed = _mixed(waveform - waveform.mean(dim=1, keepdim=True), weights)
    mixed = mixed - mixed.mean(dim=1, keepdim=True)
    return torch.where(weights[:, None] == 1, waveform[: len(weights)], mixed)


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

    Each link initializes under its own seed, derived from `seed` and the kind of link, so arms that
    share a link share its initial weights. Global generators are unchanged.

    Args:
        frontend: (name, arguments).
        augmentation: (name, arguments).
        transform: (name, arguments).
        model: (name, arguments).
        num_classes: Number of classes.
        seed: Seed of the initial weights.

    Returns:
        The chain on the CPU in training mode, unnormalized until `Chain.set_normalization`.

    Raises:
        RegistryError: A name or an argument is unknown.
        ModelError: A link cannot be built, or the model does not fit the front end.
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
    """Build the model; on a size mismatch, name the arguments that change the front end's size."""
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
        # Weights are drawn on the CPU; device generators must not change.
        torch.default_generator.manual_seed(seed)
        return build()
