"""Cepstra of the keyword models against plain formulas in float64 and against the authors' code."""

import numpy as np
import pytest
import scipy.fft
import torch

from models.errors import ModelError
from models.frontends.mfcc import HonkMfcc, Mfcc, cosine_transform


def chirp(num_samples=16000, noise=0.003):
    """A chirp in a little noise: (1, samples) at 16 kHz."""
    t = np.arange(num_samples) / 16000
    wave = 0.3 * np.sin(2 * np.pi * (200 + 1500 * t) * t)
    wave += noise * np.random.default_rng(0).standard_normal(num_samples)
    return torch.from_numpy(wave.astype(np.float32))[None]


def frames_of(wave, *, hop=160, size=480):
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    return np.stack([wave[i : i + size] for i in range(0, len(wave) - size + 1, hop)]) * window


def tensorflow_filters(n_mels=80, bins=257, low=20.0, high=7600.0):
    """`SpectrogramToMelMatrix` of TensorFlow's models, in numpy."""

    def mel(hertz):
        return 1127 * np.log(1 + hertz / 700)

    places = mel(np.linspace(0, 8000, bins))[:, None]
    corners = np.linspace(mel(low), mel(high), n_mels + 2)
    left, center, right = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (places - left) / (center - left), (right - places) / (right - center)
    filters = np.maximum(0, np.minimum(rising, falling))
    filters[0] = 0
    return filters


def test_mfcc_equals_tensorflows_formula():
    wave = chirp()
    magnitude = np.abs(np.fft.rfft(frames_of(wave[0].double().numpy()), 512))
    logarithm = np.log(np.maximum(magnitude @ tensorflow_filters(), 1e-12))
    # Every coefficient by the factor that makes all but the first orthonormal.
    expected = scipy.fft.dct(logarithm, type=2, axis=1)[:, :40] / np.sqrt(2 * 80)
    features = Mfcc()(wave)
    assert features.shape == (1, 1, 40, 98)
    np.testing.assert_allclose(features[0, 0].T.numpy(), expected, atol=2e-4)


def test_honk_mfcc_equals_librosas_formula():
    wave, front = chirp(), HonkMfcc()
    padded = np.pad(wave[0].double().numpy(), 240, mode="reflect")
    power = np.abs(np.fft.rfft(frames_of(padded))) ** 2
    logarithm = np.log(power @ front.filters.double().numpy())
    expected = scipy.fft.dct(logarithm, type=2, norm="ortho", axis=1)
    features = front(wave)
    assert features.shape == (1, 1, 40, 101)
    np.testing.assert_allclose(features[0, 0].T.numpy(), expected, atol=2e-4)


def test_honk_mfcc_of_silence_is_zero():
    assert not HonkMfcc()(torch.zeros(1, 16000)).any()


def test_cosines_are_orthonormal_but_for_the_first_of_tensorflows():
    theirs = cosine_transform(80, 40, scale_first=1.0)
    own = cosine_transform(80, 40, scale_first=0.5**0.5)
    torch.testing.assert_close(own.T @ own, torch.eye(40), atol=1e-6, rtol=0)
    assert torch.equal(theirs[:, 1:], own[:, 1:])


@pytest.mark.parametrize("num_samples", [16000, 15963, 480])
@pytest.mark.parametrize("front", [Mfcc, HonkMfcc])
def test_fixed_length_leaves_the_clips_own_frames_and_fills_up_with_silence(front, num_samples):
    wave = chirp(num_samples)
    own = front(num_frames=0)(wave)
    frames = own.shape[3]
    for num_frames in (frames, frames + 1, frames + 20):
        placed = front(num_frames=num_frames)(wave)
        # Products over another number of frames are summed in another order.
        torch.testing.assert_close(placed[..., :frames], own, atol=2e-4, rtol=0)
    # A window reaches three hops; behind it nothing is left of the clip.
    silence = front(num_frames=17)(torch.zeros(1, 480))
    torch.testing.assert_close(placed[..., frames + 3 :], silence, atol=2e-4, rtol=0)


@pytest.mark.parametrize("front", [Mfcc, HonkMfcc])
def test_fixed_length_cuts_longer_clips(front):
    wave = chirp()
    assert torch.equal(front(num_frames=50)(wave), front(num_frames=0)(wave)[..., :50])


@pytest.mark.parametrize("front", [Mfcc, HonkMfcc])
def test_clips_of_a_batch_do_not_touch(front):
    waves = torch.cat([chirp(), chirp(noise=0.1)])
    both = front()(waves)
    torch.testing.assert_close(both[1:], front()(waves[1:]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("front", [Mfcc, HonkMfcc])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_mfcc": 90}, "n_mfcc <= n_mels"),
        ({"f_max": 9000.0}, "f_max=9000.0"),
        ({"hop_length": 0}, "hop_length=0"),
    ],
    ids=str,
)
def test_settings_that_make_no_features_are_refused(front, changes, words):
    with pytest.raises(ModelError, match=words):
        front(**changes)


@pytest.mark.parametrize("front", [Mfcc, HonkMfcc])
def test_short_clips_are_refused_with_the_length_to_pad_to(front):
    with pytest.raises(ModelError, match="pad them to 480"):
        front()(torch.zeros(1, 479))
    with pytest.raises(ModelError, match="a waveform is"):
        front()(torch.zeros(479))
