"""Which clips an epoch draws, in which order and with which seeds.

All are pure functions of seed, epoch and clip. Nothing here has state, so a run that resumes at an
epoch boundary sees the same clips with the same augmentation, and neither batch size nor the number
of workers changes what a clip looks like.

A sampler is built from the targets of the training clips, and called for the draws of an epoch.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from models.registry import register
from orchestrator.errors import ConfigError
from orchestrator.metrics.targets import Targets

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_TURNS = 10
"""Streams from here on shuffle again; those below have their purposes."""


class Sampler(Protocol):
    """The draws of the epochs of a training."""

    def __call__(self, count: int, *, seed: int, epoch: int) -> np.ndarray:
        """Return (count,) int64 positions among the training clips.

        Args:
            count: Number of draws in every epoch.
            seed: The experiment's seed.
            epoch: Epoch, counted from 1.
        """
        ...


@register("sampler")
def each_once(targets: Targets) -> Sampler:
    """Every clip once an epoch, shuffled; more draws than clips begin again, shuffled anew."""
    num_clips = len(targets)

    def draw(count: int, *, seed: int, epoch: int) -> np.ndarray:
        passes = range(max(1, -(-count // num_clips)))
        orders = [_shuffled(num_clips, seed=seed, epoch=epoch, turn=turn) for turn in passes]
        return np.concatenate(orders)[:count]

    return draw


@register("sampler")
def weighted(targets: Targets, *, smoothing: float = 0.01) -> Sampler:
    """Independent draws with replacement, rare classes more often, as AST and PSLA train.

    A class that `n` training clips have weighs 1000 / (n + smoothing), a clip the sum over its
    classes. A clip without any class is never drawn.

    Args:
        targets: Targets of the training clips.
        smoothing: What is added to the count of a class.

    Source: YuanGongND/ast 31088be (`egs/audioset/gen_weight_file.py`) and YuanGongND/psla 76aedd1
    (`src/gen_weight_file.py`).
    """
    probability = clip_weights(targets, smoothing=smoothing)
    probability /= probability.sum()

    def draw(count: int, *, seed: int, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([_WEIGHTED, seed, epoch])
        return rng.choice(len(targets), size=count, p=probability).astype(np.int64)

    return draw


@register("sampler")
def balanced(targets: Targets) -> Sampler:
    """One clip of each class in turn, drawn with replacement, as HTS-AT trains on AudioSet.

    The classes are shuffled, one clip of each is drawn, and so on until the epoch has its draws. A
    clip of several classes may be drawn for any of them.

    Source: RetroCirce/HTS-Audio-Transformer 2e29471 (`data_generator.py`, `generate_queue`).
    """
    members = _members(targets)

    def draw(count: int, *, seed: int, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([_BALANCED, seed, epoch])
        rounds = -(-count // len(members))
        turns = rng.permuted(np.tile(np.arange(len(members)), (rounds, 1)), axis=1).ravel()[:count]
        sizes = np.array([len(own) for own in members])
        chosen = rng.integers(sizes[turns])
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        return np.concatenate(members)[starts[turns] + chosen]

    return draw


@register("sampler")
def class_cycles(targets: Targets) -> Sampler:
    """One clip of each class in turn, through each class's own shuffled list, as PANNs train.

    The classes are shuffled for every round. A class's list is shuffled anew once it is through, so
    that its clips are drawn equally often; epochs go on where the one before ended.

    Source: qiuqiangkong/audioset_tagging_cnn d2f4b8c (`utils/data_generator.py`,
    `BalancedTrainSampler`).
    """
    members = _members(targets)
    num_classes = len(members)

    def draw(count: int, *, seed: int, epoch: int) -> np.ndarray:
        numbers = np.arange((epoch - 1) * count, epoch * count)
        rounds, places = np.divmod(numbers, num_classes)
        first, last = int(rounds[0]), int(rounds[-1])
        orders = np.stack(
            [
                _shuffled(num_classes, seed=seed, epoch=number, turn=_ROUND)
                for number in range(first, last + 1)
            ]
        )
        turns = orders[rounds - first, places]
        drawn = np.empty(count, np.int64)
        for number, own in enumerate(members):
            at = np.flatnonzero(turns == number)
            passes, spots = np.divmod(rounds[at], len(own))
            for turn in np.unique(passes):
                label = _CLASS + number
                lists = own[_shuffled(len(own), seed=seed, epoch=int(turn), turn=label)]
                drawn[at[passes == turn]] = lists[spots[passes == turn]]
        return drawn

    return draw


_WEIGHTED, _BALANCED = 1, 2
_ROUND, _CLASS = 10**6, 10**7
"""Streams of shuffled rounds and of shuffled classes, above any number of passes."""


def clip_weights(targets: Targets, *, smoothing: float = 0.01) -> np.ndarray:
    """Return (clips,) float64 weights of `weighted`.

    Raises:
        ConfigError: The smoothing is not above 0, or no clip has a class.
    """
    if not smoothing > 0:
        raise ConfigError(f"smoothing={smoothing}: it is above 0, 0.01 in AST and PSLA")
    of_class = 1000.0 / (targets.counts() + smoothing)
    clips, classes = targets.pairs().T
    of_clip = np.bincount(clips, of_class[classes], minlength=len(targets))
    if not of_clip.any():
        raise ConfigError("no training clip has a class, so none can be weighted by its classes")
    return of_clip


def _members(targets: Targets) -> list[np.ndarray]:
    """Return the clips of each class that has any.

    Raises:
        ConfigError: No clip has a class.
    """
    pairs = targets.pairs()
    order = np.argsort(pairs[:, 1], kind="stable")
    _, starts = np.unique(pairs[order, 1], return_index=True)
    if not len(starts):
        raise ConfigError("no training clip has a class, so none can be drawn class by class")
    return np.split(pairs[order, 0], starts[1:])


def epoch_order(num_clips: int, *, seed: int, epoch: int) -> np.ndarray:
    """Shuffle the clips of one epoch.

    Args:
        num_clips: Number of clips.
        seed: The experiment's seed.
        epoch: Epoch, counted from 0.

    Returns:
        `(num_clips,)` int64, a permutation of 0 to num_clips - 1.

    Raises:
        ValueError: An argument is negative.
    """
    return _shuffled(num_clips, seed=seed, epoch=epoch, turn=0)


def _shuffled(count: int, *, seed: int, epoch: int, turn: int) -> np.ndarray:
    _check(num_clips=count, epoch=epoch)
    stream = 1 if turn == 0 else _TURNS + turn
    keys = _hash(np.arange(count), seed=seed, epoch=epoch, stream=stream)
    # Equal keys are next to impossible; a stable sort keeps even them reproducible.
    return np.argsort(keys, kind="stable").astype(np.int64)


def clip_seeds(clip_indices: np.ndarray, *, seed: int, epoch: int) -> np.ndarray:
    """Give every clip its own random seed for an epoch, by splitmix64.

    Args:
        clip_indices: `(batch,)` integers, positions in the pack.
        seed: The experiment's seed.
        epoch: Epoch, counted from 0.

    Returns:
        `(batch,)` int64, 0 to 2^63 - 1. A clip's seed depends neither on the rest of the batch nor
        on the rank that trains it.

    Raises:
        ValueError: `epoch` is negative.
    """
    _check(epoch=epoch)
    return (_hash(clip_indices, seed=seed, epoch=epoch, stream=2) >> np.uint64(1)).astype(np.int64)


def draw_seeds(clip_indices: np.ndarray, *, seed: int, epoch: int) -> np.ndarray:
    """Give every draw of an epoch its own seed: a clip's first draw that of `clip_seeds`.

    Args:
        clip_indices: `(draws,)` integers, all draws of the epoch in order.
        seed: The experiment's seed.
        epoch: Epoch, counted from 0.

    Returns:
        `(draws,)` int64, 0 to 2^63 - 1.
    """
    seeds = clip_seeds(clip_indices, seed=seed, epoch=epoch)
    order = np.argsort(clip_indices, kind="stable")
    sorted_clips = clip_indices[order]
    first = np.searchsorted(sorted_clips, sorted_clips)
    before = np.empty(len(order), np.int64)
    before[order] = np.arange(len(order)) - first
    again = _hash(seeds, seed=seed, epoch=epoch, stream=3) ^ before.astype(np.uint64)
    others = (_splitmix64(again) >> np.uint64(1)).astype(np.int64)
    return np.where(before == 0, seeds, others)


def shard(order: np.ndarray, rank: int, world_size: int) -> np.ndarray:
    """Return one rank's part of an order, a view: every `world_size`-th clip from `rank` on.

    A global batch of `world_size * n` clips is thus the same set for any number of ranks. The parts
    differ in length by at most one; no clip is repeated or left out.

    Args:
        order: `(num_clips,)` integers.
        rank: Rank, 0 to world_size - 1.
        world_size: Number of ranks.

    Raises:
        ValueError: The rank is not below the world size.
    """
    if not 0 <= rank < world_size:
        raise ValueError(f"rank is {rank} of {world_size} ranks; give 0 to {world_size - 1}")
    return order[rank::world_size]


def _check(**counts: int) -> None:
    for name, value in counts.items():
        if value < 0:
            raise ValueError(f"{name} is {value}; give 0 or more")


def _splitmix64(state: np.ndarray) -> np.ndarray:
    """Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014."""
    with np.errstate(over="ignore"):
        mixed = state + _GAMMA
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX_1
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_2
        return mixed ^ (mixed >> np.uint64(31))


def _hash(indices: np.ndarray, *, seed: int, epoch: int, stream: int) -> np.ndarray:
    state = np.zeros(1, np.uint64)
    for part in (stream, seed, epoch):
        state = _splitmix64(state ^ np.uint64(part % 2**64))
    return _splitmix64(state ^ np.asarray(indices).astype(np.int64).astype(np.uint64))


def shuffle_targets(targets: Targets, indices: np.ndarray, *, share: float, seed: int) -> Targets:
    """Return targets that a share of the clips swap among themselves, all that a clip has at once.

    The counts per class stay the same, and so do the classes and events that occur together.

    Args:
        targets: Targets of the pack.
        indices: `(training clips,)` positions that may change.
        share: Share of these, rounded; some get their own targets back by chance.
        seed: Seed of the selection and the permutation.
    """
    if not share:
        return targets
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(indices)[: round(share * len(indices))]
    order = np.arange(len(targets))
    order[chosen] = rng.permutation(chosen)
    return targets.take(order)
