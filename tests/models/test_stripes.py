import pytest
import torch

from models.augment import Stripes
from models.chain import build_chain
from models.errors import ModelError
from models.seeding import clip_uniform, derive_seed

ZERO = torch.tensor(0.0)


def runs(mask):
    """Lengths of the runs of True in a vector."""
    return [len(run) for run in "".join("x" if m else " " for m in mask).split()]


def test_stripes_follow_the_rule_of_torchlibrosa():
    """Its loop over clips and stripes, on the same uniform numbers."""
    seeds = torch.arange(50)
    uniform = clip_uniform(seeds, stream=derive_seed(0, "stripes"), count=8).view(50, 4, 2)
    masked = Stripes()(torch.ones(50, 1, 64, 200), clip_seeds=seeds, padding=ZERO)
    for clip, draws in zip(masked[:, 0], uniform, strict=True):
        expected = torch.ones(64, 200)
        for width_draw, start_draw in draws[:2]:
            width = int(width_draw * 64)
            start = int(start_draw * (200 - width))
            expected[:, start : start + width] = 0
        for width_draw, start_draw in draws[2:]:
            width = int(width_draw * 8)
            start = int(start_draw * (64 - width))
            expected[start : start + width] = 0
        assert torch.equal(clip, expected)


def test_stripes_of_one_axis_have_every_width_below_the_bound_and_every_place():
    augment = Stripes(time_stripes=1, time_width=5, freq_stripes=0)
    masked = augment(torch.ones(600, 2, 4, 12), clip_seeds=torch.arange(600), padding=-ZERO - 2)
    assert masked.unique().tolist() == [-2, 1]
    assert torch.equal(masked[:, 0], masked[:, 1])
    hidden = masked[:, 0] < 0
    assert torch.equal(hidden.all(dim=1), hidden.any(dim=1))
    widths = [sum(runs(clip)) for clip in hidden[:, 0]]
    assert {len(runs(clip)) for clip in hidden[:, 0]} == {0, 1}
    assert set(widths) == {0, 1, 2, 3, 4}
    # 120 of each are expected; 5 standard deviations are 49.
    assert all(71 < widths.count(width) < 169 for width in range(5))
    assert hidden.any(dim=(0, 1)).tolist() == 11 * [True] + [False]


def test_stripes_of_a_clip_depend_on_its_seed_alone():
    augment, features = Stripes(time_width=8), torch.randn(3, 1, 16, 16)
    seeds = torch.tensor([5, -3, 2**62])
    batch = augment(features, clip_seeds=seeds, padding=ZERO)
    assert torch.equal(augment(features[1:2], clip_seeds=seeds[1:2], padding=ZERO)[0], batch[1])
    assert not torch.equal(augment(features, clip_seeds=seeds + 1, padding=ZERO), batch)


@pytest.mark.parametrize("changes", [{"time_stripes": 0, "freq_stripes": 0}, {"time_width": 1}])
def test_stripes_of_no_number_or_width_change_nothing(changes):
    features = torch.randn(8, 1, 16, 16)
    augment = Stripes(**({"freq_width": 1} | changes))
    assert torch.equal(augment(features, clip_seeds=torch.arange(8), padding=ZERO), features)


def test_stripes_wider_than_the_features_hide_at_most_all():
    masked = Stripes(time_width=500)(
        torch.ones(50, 1, 16, 8), clip_seeds=torch.arange(50), padding=ZERO
    )
    assert masked.isfinite().all()
    assert (masked == 0).all(dim=(1, 2, 3)).any()


@pytest.mark.parametrize("changes", [{"time_stripes": -1}, {"freq_width": 0}], ids=str)
def test_stripes_of_impossible_numbers_are_refused(changes):
    with pytest.raises(ModelError, match="stripes are >= 0, widths >= 1"):
        Stripes(**changes)


@pytest.mark.parametrize("name", ["cnn6_laptop", "htsat_laptop"])
def test_stripes_before_a_model_that_normalizes_take_the_mean(name):
    built = build_chain(
        frontend=("log_mel", {"hop_length": 640}),
        augmentation=("stripes", {}),
        transform=("identity", {}),
        model=(name, {}),
        num_classes=3,
        seed=0,
    )
    waveform, seeds = 0.1 * torch.randn(4, 160000), torch.arange(4)
    raw = built.frontend(waveform)
    built.set_normalization(raw.mean().item(), raw.std().item())
    masked = built.features(waveform, seeds)
    hidden = masked != raw
    assert 0 < hidden.sum() < hidden.numel() / 2
    assert (masked[hidden] == built.mean).all()
    assert built(waveform, seeds).clip_logits.isfinite().all()
