"""The log spectrogram of VGGSound against scipy, which the authors' loader calls."""

import math

import numpy as np
import pytest
import torch
from scipy import signal

from models.errors import ModelError
from models.frontends.log_spectrogram import LogSpectrogram


def noisy(num_samples, *, rate=16000):
    """Tones that come and go in noise, here and there beyond 1."""
    place = np.arange(num_samples) / rate
    noise = np.random.default_rng(0).standard_normal(num_samples)
    tone = np.sin(2 * math.pi * 700 * place) * (np.sin(9 * place) > 0)
    return np.clip(0.1 * noise + 0.9 * tone, -1.3, 1.3)


def of_scipy(clip, *, rate, n_fft, hop_length):
    """What the authors' loader does with a clip of full length."""
    _, _, density = signal.spectrogram(
        np.clip(clip, -1, 1), rate, nperseg=n_fft, noverlap=n_fft - hop_length
    )
    log = np.log(density + 1e-7)
    return (log - log.mean()) / (log.std() + 1e-9)


@pytest.mark.parametrize("seconds", [10.0, 4.3, 12.7, 1.0])
def test_features_are_scipys_after_the_authors_tiling(seconds):
    clip = noisy(round(16000 * seconds))
    expected = of_scipy(np.tile(clip, 10)[:160000], rate=16000, n_fft=512, hop_length=159)
    features = LogSpectrogram()(torch.from_numpy(clip)[None].float())
    assert features.shape == (1, 1, 257, 1004)
    torch.testing.assert_close(
        features[0, 0].double(), torch.from_numpy(expected), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("n_fft", [256, 255], ids=["even", "odd"])
def test_other_settings_are_scipys_too(n_fft):
    front = LogSpectrogram(sample_rate=8000, seconds=0.0, n_fft=n_fft, hop_length=100)
    clip = noisy(6000, rate=8000)
    expected = of_scipy(clip, rate=8000, n_fft=n_fft, hop_length=100)
    features = front(torch.from_numpy(clip)[None].float())
    assert front.output_size == (n_fft // 2 + 1, 0)
    torch.testing.assert_close(
        features[0, 0].double(), torch.from_numpy(expected), atol=1e-4, rtol=0
    )


def test_bins_above_the_highest_frequency_are_left_out():
    front = LogSpectrogram(sample_rate=44100, n_fft=1411, hop_length=438)
    assert front.output_size == (256, (441000 - 1411) // 438 + 1)
    assert front(torch.randn(1, 5000)).shape[2:] == front.output_size


def test_a_clip_shorter_than_a_second_is_repeated_until_the_end():
    front, clip = LogSpectrogram(seconds=2.0), torch.from_numpy(noisy(2000))[None].float()
    torch.testing.assert_close(front(clip), front(clip.repeat(1, 16)))


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_a_constant_clip_is_zero_throughout(level):
    features = LogSpectrogram()(torch.full((1, 20000), level))
    assert not features.any()


def test_clips_of_a_batch_do_not_meet():
    front = LogSpectrogram(seconds=1.0)
    clips = torch.from_numpy(noisy(48000)).float().view(3, 16000)
    torch.testing.assert_close(front(clips)[1:2], front(clips[1:2]), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "changes",
    [{"n_fft": 2}, {"hop_length": 0}, {"f_max": 10.0}, {"seconds": 0.01}, {"seconds": -1.0}],
    ids=str,
)
def test_settings_that_make_no_spectrogram_are_refused(changes):
    with pytest.raises(ModelError, match=next(iter(changes))):
        LogSpectrogram(**changes)


def test_clips_without_a_frame_say_how_long_to_pad():
    with pytest.raises(ModelError, match="pad them to 1 or more"):
        LogSpectrogram()(torch.zeros(1, 0))
    with pytest.raises(ModelError, match="pad them to 512 or more"):
        LogSpectrogram(seconds=0.0)(torch.zeros(1, 511))
    with pytest.raises(ModelError, match=r"a waveform is \(batch, time\)"):
        LogSpectrogram()(torch.zeros(100))
