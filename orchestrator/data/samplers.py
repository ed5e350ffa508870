"""The order of clips and their random seeds, as pure functions of seed, epoch and clip.

Nothing here has state, so a run that resumes at an epoch boundary sees the same clips with the
same augmentation, and neither batch size nor the number of workers changes what a clip looks like.
"""

from __future__ import annotations

import numpy as np

from orchestrator.metrics.targets import Targets

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


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
    _check(num_clips=num_clips, epoch=epoch)
    keys = _hash(np.arange(num_clips), seed=seed, epoch=epoch, stream=1)
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
