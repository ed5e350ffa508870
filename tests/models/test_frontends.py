import csv
import os
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from torchaudio.compliance import kaldi

from models.errors import ModelError
from models.frontends.base import feature_statistics
from models.frontends.features import Features
from models.frontends.kaldi import KaldiFbank
from models.registry import create

ROOT = Path(os.environ.get("ESC10_ROOT", Path(__file__).parents[3] / "shared/data/esc10"))


def reference(waveform, *, sample_rate, num_frames, **changes):
    """One clip through torchaudio, as AST's loader does it: (mels, frames)."""
    arguments = dict(
        htk_compat=True,
        sample_frequency=sample_rate,
        use_energy=False,
        window_type="hanning",
        num_mel_bins=128,
        dither=0.0,
        frame_shift=10,
    )
    features = kaldi.fbank((waveform - waveform.mean())[None], **(arguments | changes))
    return functional.pad(features, (0, 0, 0, num_frames - len(features))).T


def signals(sample_rate):
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(sample_rate, generator=generator)
    half_silent = noise.clone()
    half_silent[sample_rate // 2 :] = 0
    tone = torch.sin(torch.arange(sample_rate) * 0.05)
    return torch.stack([noise, half_silent, tone, torch.zeros_like(noise), 0.3 + 0 * noise])


@pytest.mark.parametrize("num_frames", [50, 128])
def test_kaldi_fbank_at_16_khz_equals_torchaudio(num_frames):
    clips = signals(16000)
    features = KaldiFbank(num_frames=num_frames)(clips)
    assert features.shape == (len(clips), 1, 128, num_frames)
    for clip, row in zip(clips, features, strict=True):
        expected = reference(clip, sample_rate=16000, num_frames=num_frames)
        torch.testing.assert_close(row[0], expected, atol=1e-4, rtol=0)


def test_kaldi_fbank_with_other_settings_equals_torchaudio():
    clips = signals(22050)
    frontend = KaldiFbank(
        sample_rate=22050,
        n_mels=40,
        num_frames=60,
        frame_length_ms=40.0,
        frame_shift_ms=17.0,
        f_min=50.0,
        f_max=-500.0,
        preemphasis=0.9,
    )
    changes = dict(
        num_mel_bins=40,
        frame_length=40.0,
        frame_shift=17.0,
        low_freq=50.0,
        high_freq=-500.0,
        preemphasis_coefficient=0.9,
    )
    for clip, row in zip(clips, frontend(clips), strict=True):
        expected = reference(clip, sample_rate=22050, num_frames=60, **changes)
        torch.testing.assert_close(row[0], expected, atol=1e-4, rtol=0)


def test_ten_seconds_at_44100_hz_labeled_43000_fill_1024_frames_exactly():
    clip = 0.1 * torch.randn(1, 441000, generator=torch.Generator().manual_seed(0))
    features = KaldiFbank(sample_rate=43000)(clip)
    expected = reference(clip[0], sample_rate=43000, num_frames=1024)
    torch.testing.assert_close(features[0, 0], expected, atol=1e-4, rtol=0)
    assert (features[..., -1] != 0).all()
    assert (KaldiFbank(sample_rate=43000)(clip[:, :440964])[..., -1] == 0).all()


@pytest.mark.skipif(not (ROOT / "meta/esc10.csv").exists(), reason=f"no recordings in {ROOT}")
@pytest.mark.parametrize(("rate", "label"), [(16000, 16000), (44100, 43000)])
def test_kaldi_fbank_on_recordings_equals_torchaudio(rate, label):
    soundfile, soxr = pytest.importorskip("soundfile"), pytest.importorskip("soxr")
    with (ROOT / "meta/esc10.csv").open() as file:
        names = [row["filename"] for row in csv.DictReader(file)][::100]
    frontend = KaldiFbank(sample_rate=label)
    for name in names:
        clip, own_rate = soundfile.read(ROOT / "audio" / name, dtype="float32")
        clip = torch.from_numpy(soxr.resample(clip, own_rate, rate))
        expected = reference(clip, sample_rate=label, num_frames=1024)
        torch.testing.assert_close(frontend(clip[None])[0, 0], expected, atol=1e-4, rtol=0)


def test_kaldi_fbank_in_autocast_stays_float32():
    clips = signals(16000)
    frontend = KaldiFbank(num_frames=98)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = frontend(clips)
    assert features.dtype == torch.float32
    assert torch.equal(features, frontend(clips))


def test_kaldi_fbank_of_a_clip_does_not_depend_on_the_batch():
    clips = signals(16000)
    frontend = KaldiFbank(num_frames=98)
    assert torch.equal(frontend(clips)[1:2], frontend(clips[1:2]))


def test_kaldi_fbank_keeps_nothing_in_the_state_dict():
    assert KaldiFbank().state_dict() == {}
    assert KaldiFbank(n_mels=64, num_frames=256).output_size == (64, 256)


def test_kaldi_fbank_of_a_clip_shorter_than_a_window_says_how_long_it_must_be():
    with pytest.raises(ModelError, match=r"399 samples.*pad them to 400"):
        KaldiFbank()(torch.zeros(1, 399))
    assert KaldiFbank(num_frames=4)(torch.zeros(1, 400)).shape == (1, 1, 128, 4)


def test_kaldi_fbank_of_several_channels_is_refused():
    with pytest.raises(ModelError, match="batch, time"):
        KaldiFbank()(torch.zeros(1, 2, 16000))


@pytest.mark.parametrize(
    "changes",
    [
        {"f_max": 9000.0},
        {"f_min": 8000.0},
        {"num_frames": 0},
        {"n_mels": 1},
        {"frame_shift_ms": 0.0},
        {"frame_length_ms": 0.01},
    ],
    ids=str,
)
def test_kaldi_fbank_with_impossible_settings_is_refused(changes):
    with pytest.raises(ModelError):
        KaldiFbank(**changes)


@pytest.mark.slow
def test_compiled_kaldi_fbank_is_as_near_to_float64_as_eager():
    # The compiler reorders sums; beside a pure tone that shows in the third decimal of both.
    clips = signals(16000)
    frontend = KaldiFbank(num_frames=98)
    exact = KaldiFbank(num_frames=98).double()._features(clips.double()).transpose(1, 2)
    eager, compiled = (f(clips)[:, 0] - exact for f in (frontend, torch.compile(frontend)))
    assert (compiled.abs().amax((1, 2)) <= 3 * eager.abs().amax((1, 2))).all()


def test_feature_statistics_are_those_of_all_elements_in_any_batching():
    clips = signals(16000)
    frontend = KaldiFbank(num_frames=128)
    features = frontend(clips).double()
    expected = (features.mean().item(), features.std(correction=0).item())
    assert feature_statistics(frontend, [clips]) == pytest.approx(expected, abs=5.1e-5)
    assert feature_statistics(frontend, clips.split(2)) == feature_statistics(frontend, [clips])
    assert feature_statistics(frontend, [clips.flip(0)]) == feature_statistics(frontend, [clips])


def test_ready_features_pass_as_they_are():
    x = torch.randn(2, 3, 8, 10)
    front = Features(num_channels=3, n_mels=8)
    assert torch.equal(front(x), x)
    assert front(x.half()).dtype == torch.float32
    assert (front.output_size, front.state_dict()) == ((8, 0), {})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (torch.zeros(2, 16000), r"takes \(batch, 3, 8, 10\), not \(2, 16000\); a waveform"),
        (torch.zeros(2, 3, 8, 11), r"not \(2, 3, 8, 11\)"),
        (torch.zeros(2, 1, 8, 10), r"not \(2, 1, 8, 10\)"),
        (torch.zeros(2, 3, 8, 10, dtype=torch.uint8), "uint8 are no floating-point numbers"),
    ],
)
def test_ready_features_of_another_size_or_type_are_refused(given, words):
    with pytest.raises(ModelError, match=words):
        Features(num_channels=3, n_mels=8, num_frames=10)(given)


@pytest.mark.parametrize("changes", [{"num_channels": 0}, {"n_mels": 0}, {"num_frames": -1}])
def test_ready_features_of_no_size_are_refused(changes):
    with pytest.raises(ModelError, match="1 or more"):
        Features(**changes)


def test_feature_statistics_of_nothing_are_refused():
    frontend = KaldiFbank(num_frames=98)
    with pytest.raises(ModelError, match="no clips"):
        feature_statistics(frontend, [])
    with pytest.raises(ModelError, match="silent"):
        feature_statistics(frontend, [torch.zeros(1, 16000)])


@pytest.mark.parametrize(
    ("name", "rows"),
    [("kaldi_fbank", 64), ("log_mel", 64), ("htk_log_mel", 64), ("log_spectrogram", 257)],
)
def test_tone_is_loudest_in_the_row_of_its_frequency(name, rows):
    sizes = {"seconds": 0.0} if name == "log_spectrogram" else {"n_mels": rows, "num_frames": 90}
    frontend = create("frontend", name, sample_rate=16000, **sizes)
    hertz = frontend.rows_hz()
    assert len(hertz) == rows
    for row in (rows // 3, rows // 2, rows - rows // 6):
        tone = torch.sin(2 * torch.pi * hertz[row] * torch.arange(16000) / 16000)
        loud = frontend(0.5 * tone[None])[0, 0].mean(dim=1)
        assert abs(int(loud.argmax()) - row) <= 1
    assert create("frontend", "mfcc").rows_hz() is None
