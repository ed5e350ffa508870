import pytest
import torch
from scipy import stats

from models.augment import SpecAugment, none
from models.errors import ModelError
from models.seeding import clip_laplace, clip_normal, clip_uniform, derive_seed, draw_clip_seeds
from models.transforms import Adaptor, Gaussian, Identity, Laplacian, MatchedNoise

SEEDS = torch.tensor([3, -7, 2**62, 3])


def test_identity_returns_its_input():
    features = torch.randn(2, 1, 4, 5)
    assert Identity(1)(features, clip_seeds=None) is features


def test_adaptor_equals_equation_5_written_out():
    torch.manual_seed(0)
    adaptor = Adaptor(2, kernel_size=3, strength=0.2)
    x = torch.randn(1, 2, 4, 5)
    y = adaptor(x)
    weight, bias = adaptor.conv.weight, adaptor.conv.bias
    for channel, i, j in ((0, 0, 0), (1, 2, 3), (0, 3, 4), (1, 1, 0)):
        total = bias[channel].clone()
        for k in range(2):
            for di in range(3):
                for dj in range(3):
                    m, n = i + di - 1, j + dj - 1
                    if 0 <= m < 4 and 0 <= n < 5:
                        total = total + weight[channel, k, di, dj] * x[0, k, m, n]
        expected = x[0, channel, i, j] + 0.2 * total
        torch.testing.assert_close(y[0, channel, i, j], expected)


def test_adaptor_of_strength_zero_changes_nothing():
    features = torch.randn(2, 1, 4, 5)
    assert torch.equal(Adaptor(1, strength=0.0)(features), features)


def test_adaptor_with_an_even_kernel_is_refused():
    with pytest.raises(ModelError, match="odd"):
        Adaptor(1, kernel_size=4)


@pytest.mark.parametrize("kind", [Gaussian, Laplacian])
def test_noise_of_a_clip_depends_on_its_seed_alone(kind):
    noise = kind(1, scale=0.1)
    features = torch.zeros(4, 1, 8, 9)
    batch = noise(features, clip_seeds=SEEDS)
    for i in range(4):
        alone = noise(features[:1], clip_seeds=SEEDS[i : i + 1])
        assert torch.equal(alone[0], batch[i])
    assert torch.equal(batch[0], batch[3])
    assert not torch.equal(batch[0], batch[1])


@pytest.mark.parametrize("kind", [Gaussian, Laplacian])
def test_noise_in_evaluation_is_added_only_if_asked_for(kind):
    features = torch.randn(2, 1, 8, 9)
    assert kind(1).eval()(features, clip_seeds=SEEDS[:2]) is features
    at_test = kind(1, at_test=True)
    assert torch.equal(
        at_test.eval()(features, clip_seeds=SEEDS[:2]),
        at_test.train()(features, clip_seeds=SEEDS[:2]),
    )


def test_noise_without_seeds_follows_the_global_generator():
    features = torch.zeros(2, 1, 8, 9)
    torch.manual_seed(5)
    first = Gaussian(1)(features)
    assert not torch.equal(first, Gaussian(1)(features))
    torch.manual_seed(5)
    assert torch.equal(first, Gaussian(1)(features))


def test_noise_of_negative_scale_is_refused():
    with pytest.raises(ModelError, match="scale=-1"):
        Laplacian(1, scale=-1.0)


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (clip_uniform, stats.uniform()),
        (clip_normal, stats.norm()),
        (clip_laplace, stats.laplace()),
    ],
    ids=["uniform", "normal", "laplace"],
)
def test_draws_of_clips_follow_their_distribution(draw, expected):
    values = draw(torch.arange(40), stream=7, count=500)
    assert values.isfinite().all()
    assert stats.kstest(values.flatten().numpy(), expected.cdf).pvalue > 0.01
    # Neighboring seeds and neighboring places are as good as independent.
    assert abs(stats.pearsonr(values[:-1].flatten(), values[1:].flatten()).statistic) < 0.03
    assert abs(stats.pearsonr(values[:, :-1].flatten(), values[:, 1:].flatten()).statistic) < 0.03


def test_uniform_draws_of_another_number_are_another_stream():
    one, two = (clip_uniform(SEEDS[:2], stream=stream, count=8) for stream in (1, 2))
    assert not torch.isclose(one, two).any()


def test_uniform_draws_are_these():
    """Golden numbers: a change here changes every published result."""
    drawn = clip_uniform(torch.tensor([0, 1]), stream=derive_seed(0, "spec_augment"), count=2)
    assert drawn.tolist() == [
        [0.44752436876296997, 0.03142422437667847],
        [0.0667676329612732, 0.05714672803878784],
    ]
    assert derive_seed(0, "model") == 3211678333516522061


def test_draw_clip_seeds_follows_the_global_generator():
    torch.manual_seed(1)
    first = draw_clip_seeds(3, torch.device("cpu"))
    torch.manual_seed(1)
    assert torch.equal(first, draw_clip_seeds(3, torch.device("cpu")))


def test_no_augmentation_returns_its_input():
    features = torch.randn(2, 1, 4, 5)
    assert none()(features, clip_seeds=SEEDS[:2], padding=torch.tensor(0.0)) is features


def test_spec_augment_masks_one_band_and_one_span_with_the_value_of_padding():
    seeds = torch.arange(200)
    features = torch.ones(200, 2, 20, 30)
    masked = SpecAugment(freq_mask=6, time_mask=9)(
        features, clip_seeds=seeds, padding=torch.tensor(-0.25)
    )
    assert masked.unique().tolist() == [-0.25, 1.0]
    assert torch.equal(masked[:, 0], masked[:, 1])
    hidden = masked[:, 0] < 0
    bands, spans = hidden.all(dim=2), hidden.all(dim=1)
    assert torch.equal(hidden, bands[:, :, None] | spans[:, None, :])
    for mask, widest in ((bands, 6), (spans, 9)):
        width = mask.sum(1)
        assert set(width.tolist()) == set(range(widest))
        edges = mask.int().diff(dim=1, prepend=torch.zeros(200, 1), append=torch.zeros(200, 1))
        assert (edges.abs().sum(1) <= 2).all()
        assert mask.any(0)[:-1].all()


def test_spec_augment_widths_and_starts_follow_torchaudio():
    """The rule of torchaudio's mask_along_axis on the same uniform numbers."""
    seeds = torch.arange(50)
    uniform = clip_uniform(seeds, stream=derive_seed(0, "spec_augment"), count=4)
    masked = SpecAugment(freq_mask=48, time_mask=192)(
        torch.ones(50, 1, 128, 256), clip_seeds=seeds, padding=torch.tensor(0.0)
    )
    for i in range(50):
        expected = torch.ones(128, 256)
        width, start = uniform[i, 0] * 48, uniform[i, 1] * (128 - uniform[i, 0] * 48)
        expected[int(start) : int(start) + int(width)] = 0
        width, start = uniform[i, 2] * 192, uniform[i, 3] * (256 - uniform[i, 2] * 192)
        expected[:, int(start) : int(start) + int(width)] = 0
        assert torch.equal(masked[i, 0], expected)


def test_spec_augment_of_a_clip_depends_on_its_seed_alone():
    augment, features = SpecAugment(freq_mask=10, time_mask=10), torch.randn(4, 1, 16, 16)
    batch = augment(features, clip_seeds=SEEDS, padding=torch.tensor(0.0))
    alone = augment(features[2:3], clip_seeds=SEEDS[2:3], padding=torch.tensor(0.0))
    assert torch.equal(alone[0], batch[2])


def test_spec_augment_of_width_zero_changes_nothing():
    features = torch.randn(2, 1, 8, 8)
    augment = SpecAugment(freq_mask=0, time_mask=0)
    assert torch.equal(augment(features, clip_seeds=SEEDS[:2], padding=torch.tensor(0.0)), features)


def test_spec_augment_wider_than_the_features_hides_at_most_all():
    augment = SpecAugment(freq_mask=100, time_mask=0)
    masked = augment(
        torch.ones(50, 1, 8, 8), clip_seeds=torch.arange(50), padding=torch.tensor(0.0)
    )
    assert masked.isfinite().all()


def test_spec_augment_of_negative_width_is_refused():
    with pytest.raises(ModelError, match=">= 0"):
        SpecAugment(freq_mask=-1)


@pytest.mark.parametrize("strength", [0.005, 0.2])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_matched_noise_has_the_variance_of_the_untrained_adaptor_clip_by_clip(
    strength, kernel_size
):
    torch.manual_seed(11)
    adaptor = Adaptor(2, kernel_size=kernel_size, strength=strength)
    torch.manual_seed(11)
    noise = MatchedNoise(2, kernel_size=kernel_size, strength=strength)
    # Clips of other loudness and color, so that one variance for all would not do.
    scales = torch.tensor([0.1, 1.0, 4.0, 0.5]).view(4, 1, 1, 1)
    features = (scales * torch.randn(4, 2, 32, 48)).cumsum(dim=3) / 4
    learned = (adaptor(features) - features).double()
    added = (noise(features, clip_seeds=SEEDS) - features).double()
    expected = learned.var(dim=(2, 3), correction=0)
    torch.testing.assert_close(added.var(dim=(2, 3), correction=0), expected, rtol=1e-3, atol=0)
    assert expected.max() > 100 * expected.min()
    # White where the adaptor's addition follows the features, and without its constant.
    assert (added.mean(dim=(2, 3)).abs() < 0.01 * expected.sqrt()).all()
    flat, clips = added.flatten(1), features.double().flatten(1)
    for pair in zip(flat, clips, strict=True):
        assert abs(torch.corrcoef(torch.stack(pair))[0, 1]) < 0.1


def test_matched_noise_learns_nothing_and_stays_on_at_test_unless_told_otherwise():
    features = torch.randn(2, 1, 8, 9)
    noise = MatchedNoise(1)
    assert list(noise.parameters()) == []
    assert set(noise.state_dict()) == {"weight", "bias"}
    on = noise.eval()(features, clip_seeds=SEEDS[:2])
    assert torch.equal(on, noise.train()(features, clip_seeds=SEEDS[:2]))
    off = MatchedNoise(1, at_test=False).eval()
    assert off(features, clip_seeds=SEEDS[:2]) is features


def test_matched_noise_of_a_clip_depends_on_its_seed_and_its_features_alone():
    noise, features = MatchedNoise(1, strength=0.2), torch.randn(4, 1, 16, 16)
    batch = noise(features, clip_seeds=SEEDS)
    alone = noise(features[2:3], clip_seeds=SEEDS[2:3])
    torch.testing.assert_close(alone[0], batch[2])
    assert noise(features.bfloat16().float(), clip_seeds=SEEDS).isfinite().all()


def test_matched_noise_of_a_silent_clip_is_finite():
    noise = MatchedNoise(1, kernel_size=1)
    assert noise(torch.zeros(1, 1, 8, 8), clip_seeds=SEEDS[:1]).isfinite().all()
