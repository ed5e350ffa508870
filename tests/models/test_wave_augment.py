"""Augmentations of waveforms against values by hand; a clip's draws depend on its seed alone."""

import numpy as np
import pytest
import torch

from models.errors import ModelError
from models.registry import create
from models.wave_augment import _stretched

RATE = 1000
MANY = 4000


def augment(waveform, *, seeds=None, num_samples=None, **arguments):
    part = create("waveform_augmentation", "wave_augment", RATE, **arguments)
    count, length = waveform.shape
    seeds = torch.arange(count) if seeds is None else seeds
    lengths = torch.full((count,), length) if num_samples is None else num_samples
    return part(waveform, clip_seeds=seeds, num_samples=lengths)


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (2.0, [2, 2.5, 3, 3.5]),  # 1 1.5 2 2.5 3 3.5 4 4, and its middle
        (0.5, [0.0, 1, 3, 0]),  # every other sample in the middle
        (1.25, [1, 1.8, 2.6, 3.4]),  # 5 samples at 0, 0.8, 1.6, 2.4 and 3.2, the last cut off
        (1.0, [1.0, 2, 3, 4]),
    ],
)
def test_stretched_clip_is_interpolated_about_its_middle(factor, expected):
    made = _stretched(torch.tensor([[1.0, 2, 3, 4]]), torch.tensor([factor], dtype=torch.float64))
    torch.testing.assert_close(made, torch.tensor([expected]))


def test_stretch_changes_the_pitch_by_up_to_its_share():
    tone = torch.sin(torch.arange(1000) * (2 * torch.pi * 100 / RATE)).expand(200, 1000)
    made = augment(tone, stretch=0.15)
    crossings = (made[:, 200:800].diff(dim=1).sign().diff(dim=1) != 0).sum(dim=1) / 2 / 0.6
    assert 84 < crossings.min() < 90 and 113 < crossings.max() < 119  # 100 Hz / 1.15 and / 0.85


@pytest.mark.parametrize("fill", ["zeros", "roll"])
def test_shifts_are_even_over_both_directions(fill):
    clips = torch.zeros(MANY, 40)
    clips[:, 20], clips[:, 0], clips[:, -1] = 1.0, 0.25, 0.5
    made = augment(clips, shift_s=0.004, shift_fill=fill)
    shifts, counts = (made.argmax(dim=1) - 20).unique(return_counts=True)
    assert shifts.tolist() == list(range(-4, 5))  # 4 ms at 1 kHz
    assert 370 < counts.min() and counts.max() < 520  # 444 are expected of each
    later = made[made.argmax(dim=1) == 22][0]
    # Two samples later: the last one leaves, or comes in again in front of the first.
    expected = torch.zeros(40)
    expected[22], expected[2] = 1.0, 0.25
    if fill == "roll":
        expected[1] = 0.5
    torch.testing.assert_close(later, expected)


def test_gain_is_drawn_in_decibels():
    made = augment(torch.full((MANY, 4), 0.1), gain_db=(-20.0, 6.0))
    gains = 20 * torch.log10(made[:, 0] / 0.1)
    assert gains.min() == pytest.approx(-20, abs=0.05) and gains.max() == pytest.approx(6, abs=0.05)
    assert gains.mean().item() == pytest.approx(-7, abs=0.4)
    torch.testing.assert_close(made, made[:, :1].expand(-1, 4))


def snr_db(clean, noisy, num_samples):
    power = clean.square().sum(dim=1) / num_samples
    return 10 * torch.log10(power / (noisy - clean).square().mean(dim=1))


def test_noise_has_the_ratio_to_a_clips_own_length_and_fills_its_padding():
    clips = torch.zeros(300, 2000)
    clips[:, :500] = 0.01 * torch.randn(300, 500)
    lengths = torch.full((300,), 500)
    made = augment(clips, num_samples=lengths, noise_snr_db=(3.0, 3.0))
    assert snr_db(clips, made, lengths).mean().item() == pytest.approx(3, abs=0.05)
    assert (made[:, 500:] != 0).float().mean() > 0.99
    loud = augment(clips, num_samples=lengths, noise_snr_db=(3.0, 3.0), gain_db=(6.0, 6.0))
    torch.testing.assert_close(loud, made * 10**0.3)  # the ratio is to the clip as it becomes
    ratios = snr_db(clips, augment(clips, num_samples=lengths, noise_snr_db=(0.0, 20.0)), lengths)
    assert ratios.min() > -0.5 and ratios.max() < 20.5 and 8 < ratios.mean() < 12
    assert augment(torch.zeros(2, 50), noise_snr_db=(0.0, 0.0)).eq(0).all()  # silence stays


LONG, SHORT = np.arange(100, dtype=np.float32) / 1000, np.array([-0.5, -0.6, -0.7], np.float32)


def test_background_is_an_even_part_of_an_even_recording_in_its_share_of_the_clips():
    made = augment(
        torch.zeros(MANY, 8),
        background=[LONG, SHORT],
        background_probability=0.8,
        background_volume=(0.1, 0.1),
    )
    heard = made[made.ne(0).any(dim=1)]
    assert len(heard) / MANY == pytest.approx(0.8, abs=0.02)
    of_short = heard[:, 1] < 0
    assert of_short.float().mean().item() == pytest.approx(0.5, abs=0.03)
    # A part of the long one keeps its order, and starts anywhere up to 100 - 8.
    starts = (heard[~of_short][:, 0] * 10_000).round()
    assert (starts.min(), starts.max()) == (0, 92) and len(starts.unique()) == 93
    torch.testing.assert_close(heard[~of_short].diff(dim=1), torch.full((len(starts), 7), 1e-4))
    # The short one is heard again and again, from any of its samples.
    loops = torch.tensor(SHORT).repeat(4)
    expected = {tuple(loops[start : start + 8].mul(0.1).tolist()) for start in range(3)}
    assert {tuple(row) for row in heard[of_short].tolist()} == expected


def test_background_has_volumes_or_ratios():
    clips = 0.01 * torch.randn(MANY, 50)
    noise = 0.3 * np.random.default_rng(0).normal(size=5000).astype(np.float32)
    ratio = augment(clips, background=[noise], background_snr_db=(5.0, 5.0))
    found = snr_db(clips, ratio, torch.full((MANY,), 50))
    torch.testing.assert_close(found, torch.full((MANY,), 5.0), atol=0.01, rtol=0)
    flat = augment(
        torch.zeros(MANY, 50), background=[np.ones(60, np.float32)], background_volume=(0.0, 0.1)
    )
    assert flat.min() >= 0 and 0.0999 < flat.max() <= 0.1
    assert flat.mean().item() == pytest.approx(0.05, abs=0.002)


EVERYTHING = {
    "stretch": 0.1,
    "gain_db": (-6.0, 6.0),
    "shift_s": 0.01,
    "background": [LONG],
    "background_volume": (0.0, 1.0),
    "noise_snr_db": (0.0, 10.0),
}


def test_clip_depends_on_its_seed_alone_and_is_limited():
    clips, seeds = torch.randn(6, 200).clamp(-1, 1), torch.tensor([5, 9, 2**62, 5, 0, 7])
    made = augment(clips, seeds=seeds, **EVERYTHING)
    alone = augment(clips[3:4], seeds=seeds[3:4], **EVERYTHING)
    assert torch.equal(made[3:4], alone)
    assert not torch.equal(made, augment(clips, seeds=seeds + 1, **EVERYTHING))
    assert made.dtype == torch.float32 and made.min() == -1 and made.max() == 1


def test_arms_that_differ_in_a_step_share_the_draws_of_the_others():
    clips = torch.zeros(50, 200)
    clips[:, 100] = 0.01
    alone = augment(clips, shift_s=0.01)
    ramp = np.arange(400, dtype=np.float32) / 1000
    both = augment(clips, shift_s=0.01, background=[ramp], background_volume=(1.0, 1.0))
    # The recording rises evenly, so that a clip's second difference is the shifted click alone.
    torch.testing.assert_close(both.diff(n=2), alone.diff(n=2), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"stretch": 1.0}, r"a stretch is in \[0, 1\)"),
        ({"shift_s": -0.1}, "a shift is >= 0 seconds"),
        ({"background_probability": 1.5}, "a probability in"),
        ({"gain_db": (6.0, -6.0)}, r"gain_db=\(6.0, -6.0\): the lowest value comes first"),
        ({"background_volume": (-0.1, 0.1)}, "factors are >= 0"),
        ({"background": [LONG]}, r"one of background_volume, such as \(0.0, 0.1\)"),
        (
            {"background": [LONG], "background_volume": (0, 1), "background_snr_db": (0, 1)},
            "one of background_volume",
        ),
        ({"background": "noise", "background_volume": (0, 1)}, r"AudioFolder\.read\(PATH\)"),
        ({"background": [], "background_volume": (0, 1)}, "recordings"),
    ],
)
def test_wrong_argument_is_refused_with_what_is_right(arguments, said):
    with pytest.raises(ModelError, match=said):
        create("waveform_augmentation", "wave_augment", RATE, **arguments)
