"""What samplers and mixups draw, against frequencies and weights computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.registry import create
from orchestrator.data.mixup import Mixup
from orchestrator.data.samplers import clip_seeds, clip_weights, draw_seeds, epoch_order
from orchestrator.errors import ConfigError
from orchestrator.metrics.labels import Event, TargetKind
from orchestrator.metrics.targets import Targets

# Six clips of one class each: class 0 has three, class 1 two, class 2 one, class 3 none.
SINGLE = Targets.of_labels([0, 0, 0, 1, 1, 2], num_classes=4)
# The same counts in five clips with any number of classes; the last has none.
MULTI = Targets.of([(0, 1), (0,), (0, 1, 2), (), ()], num_classes=4, kind=TargetKind.MULTI_LABEL)


def drawn(name: str, targets: Targets, count: int, *, seed: int = 3, epoch: int = 1, **arguments):
    sampler = create("sampler", name, targets, **arguments)
    order = sampler(count, seed=seed, epoch=epoch)
    assert order.shape == (count,) and order.dtype == np.int64
    np.testing.assert_array_equal(order, sampler(count, seed=seed, epoch=epoch))
    return order


def test_each_once_is_the_order_of_the_epoch_and_begins_again_beyond_it():
    order = drawn("each_once", SINGLE, 15, seed=7, epoch=4)
    assert order[:6].tolist() == epoch_order(6, seed=7, epoch=4).tolist()
    assert sorted(order[6:12]) == list(range(6)) and order[6:12].tolist() != order[:6].tolist()
    assert len(set(order[12:])) == 3


def test_weight_of_a_clip_is_the_sum_over_its_classes_of_a_thousand_over_the_count():
    # AST's and PSLA's file of weights: 1000 / (count + 0.01) of each label, added.
    of_class = 1000 / 3.01, 1000 / 2.01, 1000 / 1.01
    assert of_class == pytest.approx((332.22591362, 497.51243781, 990.09900990))
    assert clip_weights(SINGLE) == pytest.approx([of_class[k] for k in (0, 0, 0, 1, 1, 2)])
    assert clip_weights(MULTI) == pytest.approx(
        [829.73835143, 332.22591362, 1819.83736133, 0.0, 0.0]
    )


def test_class_of_two_events_counts_once_in_a_clip():
    twice = Targets.of([(Event(0, 0.0, 1.0), Event(0, 2.0, 3.0)), (Event(1, 0, 1),)], num_classes=2)
    assert clip_weights(twice) == pytest.approx([1000 / 1.01, 1000 / 1.01])


def test_weighted_draws_have_the_frequencies_of_their_weights():
    counts = np.bincount(drawn("weighted", MULTI, 30_000), minlength=5) / 30_000
    # 829.738 + 332.226 + 1819.837 = 2981.802; the standard deviation of a share is below 0.003.
    assert counts == pytest.approx([0.27827, 0.11142, 0.61031, 0.0, 0.0], abs=0.012)
    assert counts[3] == counts[4] == 0


def test_balanced_draws_every_class_that_has_clips_once_a_round():
    order = drawn("balanced", SINGLE, 30_000)
    classes = SINGLE.labels[order].reshape(-1, 3)
    assert (np.sort(classes, axis=1) == [0, 1, 2]).all()
    assert len(np.unique(classes, axis=0)) == 6  # the order of the classes is shuffled
    # A third of the draws by class, and within a class evenly over its 3, 2 and 1 clips.
    shares = np.bincount(order, minlength=6) / 30_000
    assert shares == pytest.approx([1 / 9, 1 / 9, 1 / 9, 1 / 6, 1 / 6, 1 / 3], abs=0.01)


def test_balanced_clip_of_several_classes_is_drawn_for_any_of_them():
    shares = np.bincount(drawn("balanced", MULTI, 30_000), minlength=5) / 30_000
    # Class 0: clips 0, 1, 2; class 1: clips 0, 2; class 2: clip 2.
    expected = [1 / 9 + 1 / 6, 1 / 9, 1 / 9 + 1 / 6 + 1 / 3, 0, 0]
    assert shares == pytest.approx(expected, abs=0.01)


def test_class_cycles_draw_every_clip_of_a_class_before_one_comes_again():
    sampler = create("sampler", "class_cycles", SINGLE)
    # Epochs of 7 draws cut rounds of 3 classes; six epochs are 14 rounds.
    epochs = [sampler(7, seed=5, epoch=epoch) for epoch in range(1, 7)]
    order = np.concatenate(epochs)
    classes = SINGLE.labels[order].reshape(14, 3)
    assert (np.sort(classes, axis=1) == [0, 1, 2]).all()
    for label, size in ((0, 3), (1, 2), (2, 1)):
        own = order[SINGLE.labels[order] == label]
        for start in range(0, 14 - size, size):
            assert len(set(own[start : start + size])) == size
    assert len({tuple(own) for own in order[SINGLE.labels[order] == 0][:12].reshape(4, 3)}) > 1


@pytest.mark.parametrize("name", ["weighted", "balanced", "class_cycles"])
def test_clips_without_any_class_cannot_be_balanced(name):
    empty = Targets.of([(), ()], num_classes=2, kind=TargetKind.MULTI_LABEL)
    with pytest.raises(ConfigError, match="no training clip has a class"):
        create("sampler", name, empty)


def test_clip_that_is_drawn_again_gets_another_seed():
    indices = np.array([4, 2, 4, 4, 0])
    seeds = draw_seeds(indices, seed=1, epoch=2)
    first = clip_seeds(indices, seed=1, epoch=2)
    assert seeds[[0, 1, 4]].tolist() == first[[0, 1, 4]].tolist()
    assert len(set(seeds.tolist())) == 5 and (seeds >= 0).all()


def mixed(name: str, draws, *, num_clips: int = 100, batch_size: int = 4, **arguments):
    mixup: Mixup = create("mixup", name, **arguments)
    one, two = (
        mixup(np.asarray(draws), num_clips=num_clips, batch_size=batch_size, seed=1, epoch=2)
        for _ in range(2)
    )
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    return mixup, one


def beta_variance(alpha: float) -> float:
    """The variance of Beta(a, a) is 1 / (4 (2a + 1))."""
    return 1 / (4 * (2 * alpha + 1))


def test_no_mixup_leaves_every_draw_alone():
    mixup, made = mixed("none", [3, 1, 2])
    assert not mixup.on and not mixup.mixes_labels
    assert made.first.tolist() == [3, 1, 2] and made.weight.tolist() == [1, 1, 1]


def test_random_partner_mixes_half_of_the_clips_by_beta_10_10():
    # AST and PSLA: probability 0.5, Beta(10, 10), any clip of the set, labels mixed, waveforms.
    mixup, made = mixed("random_partner", np.zeros(40_000, np.int64))
    assert mixup.on == "waveform" and mixup.mixes_labels and mixup.draws_per_clip == 1
    mixes = made.weight != 1
    assert mixes.mean() == pytest.approx(0.5, abs=0.01)
    assert made.weight[mixes].mean() == pytest.approx(0.5, abs=0.005)
    assert made.weight[mixes].var() == pytest.approx(1 / 84, rel=0.05)
    assert (made.partner[~mixes] == 0).all()
    shares = np.bincount(made.partner[mixes], minlength=100) / mixes.sum()
    assert shares == pytest.approx(np.full(100, 0.01), abs=0.004)


def test_pairs_mix_two_draws_to_one_clip_by_an_even_share():
    # PANNs: 64 draws make 32 clips; Beta(1, 1) is even, with variance 1/12; targets are mixed.
    draws = np.arange(40_000)
    mixup, made = mixed("pairs", draws)
    assert (mixup.on, mixup.mixes_labels, mixup.draws_per_clip) == ("features", True, 2)
    assert made.first.tolist() == draws[::2].tolist()
    assert made.partner.tolist() == draws[1::2].tolist()
    assert made.weight.mean() == pytest.approx(0.5, abs=0.01)
    assert made.weight.var() == pytest.approx(1 / 12, rel=0.05)


def test_reversed_batch_mixes_features_and_keeps_the_labels_of_the_first():
    # HTS-AT: Beta(0.5, 0.5) per clip, the partner is the batch reversed, labels are untouched.
    mixup, made = mixed("reversed_batch", [10, 11, 12, 13, 14, 15, 16])
    assert mixup.on == "features" and not mixup.mixes_labels
    assert made.partner.tolist() == [13, 12, 11, 10, 16, 15, 14]
    _, of_two = mixed("reversed_batch", [10, 11, 12, 13, 14, 15, 16], group=2)
    assert of_two.partner.tolist() == [11, 10, 13, 12, 15, 14, 16]
    _, many = mixed("reversed_batch", np.arange(40_000))
    assert many.weight.var() == pytest.approx(1 / 8, rel=0.05) == beta_variance(0.5)
    labels, _ = mixed("reversed_batch", [1, 2], labels=True)
    assert labels.mixes_labels


def test_mixup_refuses_what_is_no_share_and_no_beta():
    with pytest.raises(ConfigError, match=r"alpha=0.0.*above 0"):
        create("mixup", "pairs", alpha=0.0)
    with pytest.raises(ConfigError, match=r"probability=1.5.*from 0 to 1"):
        create("mixup", "random_partner", probability=1.5)
    with pytest.raises(ConfigError, match=r"group=-1"):
        create("mixup", "reversed_batch", group=-1)
