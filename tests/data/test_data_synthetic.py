"""Made-up sounds: the same every time, different between classes, and not too easy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from orchestrator.data import open_pack, peek, prepare
from orchestrator.data.entry import open_source
from orchestrator.data.sounds import SOUNDS
from orchestrator.data.synthetic import NUM_SOUNDS
from orchestrator.errors import DataError

SMALL = {"num_classes": 3, "clips_per_class": 5, "seconds": 0.5}

GOLDEN = ((0.082025, 0.084194, 0.096681, 0.069455), (0.124409, 0.008812, -0.061637, -0.149848))


def clip(index: int, **arguments) -> np.ndarray:
    source = open_source("synthetic", SMALL | arguments, root=None)
    return source.read(source.clips[index]).samples


def test_synthetic_same_arguments_same_samples():
    assert np.array_equal(clip(7), clip(7))
    assert not np.array_equal(clip(7), clip(8))
    assert not np.array_equal(clip(7), clip(7, seed=1))


def test_synthetic_clip_does_not_depend_on_the_rest_of_the_set():
    assert np.array_equal(clip(4), clip(4, num_classes=9, num_folds=2))
    assert np.array_equal(clip(4), clip(4, clips_per_class=50))
    assert np.array_equal(clip(5), clip(0, first_class=1))


@pytest.mark.parametrize("kind", range(NUM_SOUNDS), ids=[sound.__name__ for sound in SOUNDS])
def test_synthetic_every_kind_is_a_sound(kind):
    for seconds in (0.25, 2.0):
        source = open_source(
            "synthetic",
            SMALL
            | {"num_classes": 2, "first_class": min(kind, NUM_SOUNDS - 2), "seconds": seconds},
            root=None,
        )
        for one in source.clips:
            samples = source.read(one).samples
            assert samples.shape == (round(seconds * 16000),) and samples.dtype == np.float32
            assert np.isfinite(samples).all() and 0.05 < np.abs(samples).max() < 0.75


def test_synthetic_list_of_sounds_is_complete():
    assert len(SOUNDS) == NUM_SOUNDS == len({sound.__name__ for sound in SOUNDS})


def test_peek_synthetic_knows_the_pack_before_it_is_made(packs):
    foreseen = peek("synthetic", SMALL, root=None, packs=packs)
    made = prepare("synthetic", SMALL, root=None, packs=packs)
    assert foreseen is not None and made.made and foreseen == replace(made, made=False)
    pack = open_pack(made.fingerprint, packs=packs)
    assert pack.class_names == ("tone_sweep_up", "tone_sweep_down", "voice")
    assert [len(pack.split(fold)[1]) for fold in made.folds] == [3] * 5


@pytest.mark.parametrize(
    "change",
    [
        {"num_classes": 4},
        {"first_class": 1},
        {"clips_per_class": 6},
        {"num_folds": 4},
        {"seconds": 0.6},
        {"sample_rate": 22050},
        {"min_snr_db": 1.0},
        {"max_snr_db": 19.0},
        {"seed": 1},
    ],
)
def test_synthetic_every_argument_changes_the_fingerprint(packs, change):
    infos = [peek("synthetic", SMALL | c, root=None, packs=packs) for c in ({}, change)]
    assert infos[0] and infos[1] and infos[0].fingerprint != infos[1].fingerprint


def test_synthetic_pinned_fingerprint_refuses_other_arguments(packs):
    info = peek("synthetic", SMALL, root=None, packs=packs)
    assert info is not None
    arguments = SMALL | {"fingerprint": info.fingerprint}
    assert prepare("synthetic", arguments, root=None, packs=packs).fingerprint == info.fingerprint
    with pytest.raises(DataError, match="the experiment names"):
        prepare("synthetic", arguments | {"seed": 5}, root=None, packs=packs)


def test_synthetic_mistakes_are_named_together(packs):
    with pytest.raises(DataError, match=r"reach beyond the 25 kinds.*num_folds is 1"):
        prepare("synthetic", {"num_classes": 26, "num_folds": 1}, root=None, packs=packs)


def test_synthetic_clip_keeps_its_samples():
    """Another sound needs another GENERATOR_REVISION; the last bits may differ by processor."""
    loud = {"min_snr_db": 0.0, "max_snr_db": 20.0}
    assert clip(0, **loud)[4000:4004] == pytest.approx(GOLDEN[0], abs=1e-5)
    assert clip(13, **loud)[4000:4004] == pytest.approx(GOLDEN[1], abs=1e-5)


def test_synthetic_default_is_neither_noise_nor_child_s_play(packs):
    """Nearest centroid on the mean and spread of a log spectrum, a classifier of 1960."""
    info = prepare("synthetic", {}, root=None, packs=packs)
    pack = open_pack(info.fingerprint, packs=packs)
    waves = pack.batch(range(len(pack)), 32000).numpy()
    frames = np.lib.stride_tricks.sliding_window_view(waves, 512, axis=1)[:, ::256]
    power = np.abs(np.fft.rfft(frames * np.hanning(512))[..., 1:]) ** 2
    bands = np.log(power.reshape(*power.shape[:2], 32, 8).mean(-1) + 1e-8)
    features = np.concatenate([bands.mean(1), bands.std(1)], axis=1)
    hits = 0
    for fold in info.folds:
        train, val = pack.split(fold)
        labels = pack.labels[train]
        centroids = np.stack([features[train][labels == k].mean(0) for k in range(10)])
        far = ((features[val][:, None] - centroids) ** 2).sum(-1)
        hits += int((far.argmin(1) == pack.labels[val]).sum())
    # Chance is 40 of 400; 60 is four standard deviations above it.
    assert 60 < hits < 280
