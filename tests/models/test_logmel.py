import dataclasses
import warnings

import numpy as np
import pytest
import torch
from torchaudio.functional import melscale_fbanks

from models.chain import build_chain
from models.errors import ModelError
from models.frontends.base import feature_statistics
from models.frontends.log_mel import LogMel, slaney_mel_filters

SMALL = dict(n_fft=256, win_length=200, hop_length=100, n_mels=32, f_min=0.0, f_max=7000.0)


def noise(num_samples, batch_size=2):
    return 0.1 * torch.randn(batch_size, num_samples, generator=torch.Generator().manual_seed(0))


def reference(clip, *, n_fft, win_length, hop_length, filters):
    """One clip in numpy, float64: (mels, frames)."""
    clip = np.pad(clip.double().numpy(), n_fft // 2, mode="reflect")
    window = np.zeros(n_fft)
    start = (n_fft - win_length) // 2
    window[start : start + win_length] = 0.5 - 0.5 * np.cos(
        2 * np.pi * np.arange(win_length) / win_length
    )
    starts = range(0, len(clip) - n_fft + 1, hop_length)
    power = np.stack([np.abs(np.fft.rfft(window * clip[s : s + n_fft])) ** 2 for s in starts])
    return 10 * np.log10(np.maximum(power @ filters.double().numpy(), 1e-10)).T


@pytest.mark.parametrize(
    ("n_mels", "n_fft", "rate", "f_min", "f_max"),
    [
        (64, 1024, 32000, 50.0, 14000.0),
        (128, 2048, 44100, 0.0, 22050.0),
        (40, 512, 16000, 300, 900),
    ],
)
def test_slaney_filters_equal_torchaudio(n_mels, n_fft, rate, f_min, f_max):
    filters = slaney_mel_filters(
        n_mels=n_mels, n_fft=n_fft, sample_rate=rate, f_min=f_min, f_max=f_max
    )
    expected = melscale_fbanks(
        n_fft // 2 + 1, f_min, f_max, n_mels, rate, norm="slaney", mel_scale="slaney"
    )
    # torchaudio rounds to float32 on the way.
    torch.testing.assert_close(filters, expected, atol=2e-6, rtol=0)


def test_slaney_filters_are_the_published_ones():
    # librosa.filters.mel(sr=32000, n_fft=1024, n_mels=64, fmin=50, fmax=14000), librosa 0.11
    filters = slaney_mel_filters(n_mels=64, n_fft=1024, sample_rate=32000, f_min=50, f_max=14000)
    peaks = filters.max(dim=0)
    assert peaks.indices[[0, 1, 20, 40, 63]].tolist() == [3, 5, 39, 118, 424]
    torch.testing.assert_close(
        peaks.values[[0, 1, 20, 40, 63]],
        torch.tensor([0.015011813, 0.01793357, 0.01266662, 0.004703423, 0.0013412121]),
        rtol=2e-6,
        atol=0,
    )
    torch.testing.assert_close(filters.sum(), torch.tensor(2.0481262), rtol=2e-6, atol=0)


@pytest.mark.parametrize("changes", [{}, SMALL], ids=["published", "other"])
def test_log_mel_equals_float64_numpy(changes):
    frontend, clips = LogMel(**changes), noise(5000)
    features = frontend(clips)
    arguments = dict(n_fft=1024, win_length=1024, hop_length=320)
    arguments |= {name: value for name, value in changes.items() if name in arguments}
    expected = [reference(clip, **arguments, filters=frontend.filters) for clip in clips]
    # As power: rounding is relative to the loudest bin of the frame, not to a bin near zero.
    actual, expected = (10 ** (x / 10) for x in (features[:, 0].double(), np.stack(expected)))
    torch.testing.assert_close(actual, torch.from_numpy(expected), atol=1e-10, rtol=1e-5)


def test_ten_seconds_at_32_khz_give_1001_frames_of_64_mels():
    features = LogMel()(torch.zeros(2, 320000))
    assert features.shape == (2, 1, 64, 1001)
    assert (features == LogMel.padding_value).all()
    assert LogMel().output_size == (64, 0)


def test_a_number_of_frames_pads_with_silence_or_cuts():
    clips = noise(16000)
    features = LogMel()(clips)
    padded, cut = LogMel(num_frames=64)(clips), LogMel(num_frames=40)(clips)
    assert torch.equal(padded[..., :51], features)
    assert (padded[..., 51:] == -100).all()
    assert torch.equal(cut, features[..., :40])


def test_log_mel_in_autocast_stays_float32():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = LogMel()(noise(16000).bfloat16().float())
    assert features.dtype == torch.float32
    assert torch.equal(features, LogMel()(noise(16000).bfloat16().float()))


def test_log_mel_of_a_clip_does_not_depend_on_the_batch():
    clips = noise(16000, batch_size=3)
    assert torch.equal(LogMel()(clips)[1:2], LogMel()(clips[1:2]))


def test_log_mel_keeps_nothing_in_the_state_dict():
    assert LogMel().state_dict() == {}


def test_log_mel_above_half_the_sample_rate_warns_of_empty_filters():
    with pytest.warns(UserWarning, match="9 of 64 mel filters are empty"):
        frontend = LogMel(sample_rate=16000, hop_length=160)
    assert (frontend(noise(16000))[:, :, 55:] == -100).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LogMel()


def test_log_mel_of_too_short_a_clip_says_how_long_it_must_be():
    with pytest.raises(ModelError, match=r"512 samples.*pad them to 513"):
        LogMel()(torch.zeros(1, 512))
    assert LogMel()(torch.zeros(1, 513)).shape == (1, 1, 64, 2)
    with pytest.raises(ModelError, match="batch, time"):
        LogMel()(torch.zeros(16000))


@pytest.mark.parametrize(
    "changes",
    [
        {"win_length": 2048},
        {"hop_length": 0},
        {"n_mels": 0},
        {"num_frames": -1},
        {"f_min": 16000.0},
        {"f_max": 50.0},
    ],
    ids=str,
)
def test_log_mel_with_impossible_settings_is_refused(changes):
    with pytest.raises(ModelError):
        LogMel(**changes)


@pytest.mark.slow
def test_compiled_log_mel_equals_eager():
    clips, frontend = noise(16000), LogMel()
    compiled = torch.compile(frontend, fullgraph=True)(clips)
    torch.testing.assert_close(compiled, frontend(clips), atol=1e-3, rtol=0)


def chain(*, normalizes_input, augmentation=("none", {})):
    built = build_chain(
        frontend=("log_mel", {"num_frames": 64}),
        augmentation=augmentation,
        transform=("identity", {}),
        model=("datar_laptop", {}),
        num_classes=2,
        seed=0,
    )
    built.backbone = dataclasses.replace(built.backbone, normalizes_input=normalizes_input)
    return built


def test_features_reach_a_model_that_normalizes_them_as_they_are():
    clips = noise(20000)
    raw = LogMel(num_frames=64)(clips)
    mean, std = feature_statistics(LogMel(num_frames=64), [clips])
    for normalizes_input, expected in ((True, raw), (False, (raw - mean) / (2 * std))):
        built = chain(normalizes_input=normalizes_input).eval()
        built.set_normalization(mean, std)
        torch.testing.assert_close(built.features(clips), expected)


@pytest.mark.parametrize(("normalizes_input", "expected"), [(True, -30.0), (False, -3.5)])
def test_masks_take_the_mean_or_the_value_of_padding(normalizes_input, expected):
    masked = ("spec_augment", {"freq_mask": 32, "time_mask": 32})
    built = chain(normalizes_input=normalizes_input, augmentation=masked)
    built.set_normalization(-30.0, 10.0)
    features = built.features(noise(20000), torch.arange(2))
    hidden = features[features != built.eval().features(noise(20000))]
    assert len(hidden) > 0
    torch.testing.assert_close(hidden, torch.full_like(hidden, expected))
