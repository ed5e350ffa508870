"""Mixup: which clips are mixed, where in the chain, and in what shares.

A mixed clip is x = w * first + (1 - w) * partner, as waveforms or as features. All draws are pure
functions of seed and epoch over the whole order of an epoch, whatever the number of workers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from models.registry import register
from orchestrator.errors import ConfigError

_STREAM = 4


class Mixed(NamedTuple):
    """What an epoch trains on.

    Attributes:
        first: (clips,) int64 positions among the training clips.
        partner: (clips,) positions of what each is mixed with.
        weight: (clips,) float32 share of the first.
    """

    first: np.ndarray
    partner: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Mixup:
    """A way to mix.

    Attributes:
        on: What is mixed: waveforms before the front end, or features after the masks; empty mixes
            nothing.
        labels: Whether labels are mixed too: the loss is w * loss(first) + (1 - w) * loss(partner),
            which for cross entropies is the loss on mixed labels. Otherwise the first's count.
        draws_per_clip: Draws of the sampler for one mixed clip.
        mix: Function of (draws,), the number of training clips, the batch size and a generator.
    """

    on: Literal["", "waveform", "features"] = ""
    labels: bool = True
    draws_per_clip: int = 1
    mix: Callable[[np.ndarray, int, int, np.random.Generator], Mixed]

    @property
    def mixes_labels(self) -> bool:
        """Whether the loss counts the labels of both clips."""
        return bool(self.on) and self.labels

    def __call__(
        self, draws: np.ndarray, *, num_clips: int, batch_size: int, seed: int, epoch: int
    ) -> Mixed:
        """Mix the draws of an epoch.

        Args:
            draws: (draws_per_clip * clips,) positions among the training clips.
            num_clips: Number of training clips.
            batch_size: Clips per step.
            seed: The experiment's seed.
            epoch: Epoch, counted from 1.
        """
        rng = np.random.default_rng([_STREAM, seed, epoch])
        return self.mix(draws, num_clips, batch_size, rng)


@register("mixup")
def none() -> Mixup:
    """No mixing."""

    def mix(draws: np.ndarray, num_clips: int, size: int, rng: np.random.Generator) -> Mixed:
        return Mixed(draws, draws, np.ones(len(draws), np.float32))

    return Mixup(mix=mix)


@register("mixup")
def random_partner(
    *,
    alpha: float = 10.0,
    probability: float = 0.5,
    on: Literal["waveform", "features"] = "waveform",
    labels: bool = True,
) -> Mixup:
    """Some clips are mixed with any other clip of the training set, as AST and PSLA mix.

    The partner is drawn evenly from all training clips, whatever the sampler.

    Args:
        alpha: Weights are drawn from Beta(alpha, alpha).
        probability: Share of the clips that are mixed.
        on: What is mixed.
        labels: Whether labels are mixed too.

    Source: YuanGongND/ast 31088be (`src/dataloader.py`) and YuanGongND/psla 76aedd1
    (`src/dataloaders/audioset_dataset.py`), which mix waveforms minus their means, and take the
    mean off the sum.
    """
    _hold(alpha, probability)

    def mix(draws: np.ndarray, num_clips: int, size: int, rng: np.random.Generator) -> Mixed:
        mixes = rng.random(len(draws)) < probability
        partner = np.where(mixes, rng.integers(num_clips, size=len(draws)), draws)
        weight = np.where(mixes, rng.beta(alpha, alpha, len(draws)), 1.0)
        return Mixed(draws, partner, weight.astype(np.float32))

    return Mixup(on=on, labels=labels, mix=mix)


@register("mixup")
def pairs(
    *,
    alpha: float = 1.0,
    on: Literal["waveform", "features"] = "features",
    labels: bool = True,
) -> Mixup:
    """Draws 2i and 2i + 1 make clip i, with shares w and 1 - w, as PANNs mix.

    An epoch draws two clips for every one that it trains on.

    Args:
        alpha: Weights are drawn from Beta(alpha, alpha); at 1 evenly from 0 to 1.
        on: What is mixed.
        labels: Whether labels are mixed too.

    Source: qiuqiangkong/audioset_tagging_cnn d2f4b8c (`utils/utilities.py`, `Mixup`;
    `pytorch/pytorch_utils.py`, `do_mixup`), which mixes after the model's first batch norm. Here it
    is before that norm, whose statistics are then of the mixed features; otherwise both are the
    same, because the weights sum to 1.
    """
    _hold(alpha)

    def mix(draws: np.ndarray, num_clips: int, size: int, rng: np.random.Generator) -> Mixed:
        first, partner = draws[0::2], draws[1::2]
        return Mixed(first, partner, rng.beta(alpha, alpha, len(first)).astype(np.float32))

    return Mixup(on=on, labels=labels, draws_per_clip=2, mix=mix)


@register("mixup")
def reversed_batch(
    *,
    alpha: float = 0.5,
    group: int = 0,
    on: Literal["waveform", "features"] = "features",
    labels: bool = False,
) -> Mixup:
    """Clip b of n in a batch is mixed with clip n - 1 - b, as HTS-AT mixes.

    HTS-AT keeps the labels of the first clip, so that the other is noise: `labels=True` mixes them.

    Args:
        alpha: Weights are drawn from Beta(alpha, alpha), one per clip.
        group: Clips that are reversed together; 0 takes the whole batch. HTS-AT reverses what lies
            on one GPU, 32 of 128.
        on: What is mixed.
        labels: Whether labels are mixed too.

    Source: RetroCirce/HTS-Audio-Transformer 2e29471 (`sed_model.py`, `training_step`; `utils.py`,
    `do_mixup`), after the model's first batch norm; see `pairs`.
    """
    _hold(alpha)
    if group < 0:
        raise ConfigError(f"group={group}: a number of clips, or 0 for the whole batch")

    def mix(draws: np.ndarray, num_clips: int, size: int, rng: np.random.Generator) -> Mixed:
        partner = draws.copy()
        for batch in range(0, len(draws), size):
            ends = min(batch + size, len(draws))
            for start in range(batch, ends, group or size):
                end = min(start + (group or size), ends)
                partner[start:end] = draws[start:end][::-1]
        return Mixed(draws, partner, rng.beta(alpha, alpha, len(draws)).astype(np.float32))

    return Mixup(on=on, labels=labels, mix=mix)


def _hold(alpha: float, probability: float = 1.0) -> None:
    if not alpha > 0:
        raise ConfigError(f"alpha={alpha}: the parameter of a Beta distribution is above 0")
    if not 0 <= probability <= 1:
        raise ConfigError(f"probability={probability}: a share, from 0 to 1")
