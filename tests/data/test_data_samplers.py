"""Order and seeds are functions of seed, epoch and clip, and of nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.data import clip_seeds, epoch_order, shard
from orchestrator.data.samplers import shuffle_targets
from orchestrator.metrics.labels import Event
from orchestrator.metrics.targets import Targets

SEEDS = st.integers(min_value=0, max_value=2**63 - 1)
# Recorded once: another order is another experiment.
ORDER = [0, 5, 3, 6, 2, 1, 4, 7]
CLIP_SEEDS = [2443975374642125838, 1378474915537381725]
RECORDED = [2, 0, 3, 3, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 0, 3, 1]
EPOCHS = st.integers(min_value=0, max_value=10_000)


@given(st.integers(0, 500), SEEDS, EPOCHS)
def test_epoch_order_any_arguments_is_a_permutation(num_clips, seed, epoch):
    order = epoch_order(num_clips, seed=seed, epoch=epoch)
    assert order.dtype == np.int64
    assert np.array_equal(np.sort(order), np.arange(num_clips))
    assert np.array_equal(order, epoch_order(num_clips, seed=seed, epoch=epoch))


@given(SEEDS, EPOCHS)
def test_epoch_order_next_epoch_or_seed_differs(seed, epoch):
    order = epoch_order(200, seed=seed, epoch=epoch)
    assert (order != epoch_order(200, seed=seed, epoch=epoch + 1)).any()
    assert (order != epoch_order(200, seed=seed + 1, epoch=epoch)).any()


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=50), SEEDS, EPOCHS)
def test_clip_seeds_do_not_depend_on_the_batch(indices, seed, epoch):
    together = clip_seeds(np.array(indices), seed=seed, epoch=epoch)
    alone = [int(clip_seeds(np.array([i]), seed=seed, epoch=epoch)[0]) for i in indices]
    assert together.dtype == np.int64 and together.tolist() == alone
    assert (together >= 0).all()


@given(SEEDS, EPOCHS)
def test_clip_seeds_differ_between_clips_epochs_and_seeds(seed, epoch):
    indices = np.arange(1000)
    seeds = [clip_seeds(indices, seed=seed + s, epoch=epoch + e) for s in (0, 1) for e in (0, 1)]
    assert len(np.unique(np.concatenate(seeds))) == 4000


def test_clip_seeds_are_spread_evenly():
    seeds = clip_seeds(np.arange(64_000), seed=0, epoch=0)
    counts = np.bincount(seeds >> 57, minlength=64)
    # Chi-squared with 63 degrees of freedom: 99.9 % of fair generators stay below 104.
    assert ((counts - 1000) ** 2 / 1000).sum() < 104


def test_order_and_seeds_keep_their_values():
    assert epoch_order(8, seed=1, epoch=2).tolist() == ORDER
    assert clip_seeds(np.array([0, 5]), seed=1, epoch=2).tolist() == CLIP_SEEDS


@given(st.integers(0, 200), st.integers(1, 16))
def test_shard_ranks_together_are_the_whole_order(num_clips, world):
    order = epoch_order(num_clips, seed=0, epoch=0)
    parts = [shard(order, rank, world) for rank in range(world)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(num_clips))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(st.sampled_from([1, 2, 4]))
def test_shard_global_batch_is_the_same_set_for_any_world(world):
    order = epoch_order(64, seed=3, epoch=0)
    per_rank = 16 // world
    first = [shard(order, rank, world)[:per_rank] for rank in range(world)]
    assert set(np.concatenate(first).tolist()) == set(order[:16].tolist())


def test_samplers_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="epoch is -1"):
        epoch_order(3, seed=0, epoch=-1)
    with pytest.raises(ValueError, match="rank is 2 of 2 ranks; give 0 to 1"):
        shard(np.arange(3), 2, 2)


def test_shuffled_labels_keep_counts_and_touch_a_share_of_the_training_clips():
    labels = np.repeat(np.arange(4), 25)
    targets = Targets.of_labels(labels, num_classes=4)
    training = np.arange(20, 100)
    shuffled = shuffle_targets(targets, training, share=0.5, seed=3).labels
    assert np.array_equal(np.bincount(shuffled), np.bincount(labels))
    changed = np.flatnonzero(shuffled != labels)
    assert 20 <= len(changed) <= 40 and set(changed) <= set(training)
    again, other = (shuffle_targets(targets, training, share=0.5, seed=s).labels for s in (3, 4))
    assert np.array_equal(shuffled, again) and not np.array_equal(shuffled, other)
    assert shuffle_targets(targets, training, share=0.0, seed=3) is targets
    # Recorded once: another permutation is another experiment.
    assert shuffled[20:40].tolist() == RECORDED


def test_shuffled_events_stay_together():
    lists = [(Event(0, 0.0, 1.0), Event(1, 0.5, 2.0)), (), (Event(2, 0.1, 0.2),)] * 4
    targets = Targets.of(lists, num_classes=3)
    shuffled = shuffle_targets(targets, np.arange(12), share=1.0, seed=0)
    forms = [[str(t.form(clip)) for clip in range(12)] for t in (targets, shuffled)]
    assert forms[0] != forms[1] and sorted(forms[0]) == sorted(forms[1])
