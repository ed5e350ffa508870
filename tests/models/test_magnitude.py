"""SlowFast's log-mel front end against torchaudio.

Beside librosa 0.11, which the authors' loader calls, features of noisy clips of 81903 and 33333
samples at 16 kHz and 47975 at 24 kHz differ by 1.3e-5 at most, and the filters are equal.
"""

import math

import pytest
import torch
from torchaudio import functional as audio
from torchaudio.transforms import Spectrogram

from models.errors import ModelError
from models.frontends.htk_log_mel import HtkLogMel

VGG = dict(sample_rate=16000, win_length=320, hop_length=160, f_max=8000.0)
EPIC = dict(sample_rate=24000, win_length=240, hop_length=120, f_max=12000.0)


def noisy(num_samples):
    generator = torch.Generator().manual_seed(0)
    tone = torch.sin(0.1 * torch.arange(num_samples)) * (torch.arange(num_samples) % 9000 < 4000)
    return (0.05 * torch.randn(2, num_samples, generator=generator) + 0.5 * tone).float()


@pytest.mark.parametrize(
    ("settings", "num_samples", "frames"),
    [(VGG, 81903, 512), (EPIC, 47975, 400)],
    ids=["VGG", "EPIC"],
)
def test_features_are_torchaudios(settings, num_samples, frames):
    clips = noisy(num_samples)
    magnitude = Spectrogram(
        n_fft=2048,
        win_length=settings["win_length"],
        hop_length=settings["hop_length"],
        pad_mode="constant",
        power=1.0,
    )(clips)
    filters = audio.melscale_fbanks(
        1025, 0.0, settings["f_max"], 128, settings["sample_rate"], norm=None, mel_scale="htk"
    )
    expected = (filters.T @ magnitude + 1e-6).log()
    features = HtkLogMel(**settings)(clips)
    assert features.shape == (2, 1, 128, frames)
    torch.testing.assert_close(features[:, 0], expected, atol=1e-4, rtol=0)


def test_clips_are_lengthened_by_their_last_frame_or_cut():
    clips = noisy(8000)
    free = HtkLogMel(**VGG)(clips)
    longer, shorter = (HtkLogMel(num_frames=n, **VGG)(clips) for n in (80, 30))
    assert (free.shape[3], longer.shape[3], shorter.shape[3]) == (51, 80, 30)
    torch.testing.assert_close(longer[..., :51], free)
    torch.testing.assert_close(longer[..., 51:], free[..., -1:].expand(-1, -1, -1, 29))
    torch.testing.assert_close(shorter, free[..., :30])


def test_silence_is_the_floor():
    features = HtkLogMel()(torch.zeros(1, 4000))
    torch.testing.assert_close(features, torch.full_like(features, math.log(1e-6)))


def test_an_empty_filter_warns():
    with pytest.warns(UserWarning, match="lower n_mels or raise n_fft"):
        HtkLogMel(n_fft=512)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"win_length": 4096}, "win_length=4096"),
        ({"f_max": 9000.0}, r"f_max <= 8000 \(half the sample rate\)"),
        ({"f_min": 8000.0}, "do not fit"),
    ],
    ids=str,
)
def test_settings_that_make_no_filterbank_are_refused(changes, words):
    with pytest.raises(ModelError, match=words):
        HtkLogMel(**changes)


def test_clips_without_samples_are_refused():
    with pytest.raises(ModelError, match="pad them to 1 or more"):
        HtkLogMel()(torch.zeros(1, 0))
    with pytest.raises(ModelError, match=r"a waveform is \(batch, time\)"):
        HtkLogMel()(torch.zeros(10))
