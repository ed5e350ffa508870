from functools import partial

import pytest
import torch
from torch.nn import functional

from models.datar.deformable import DeformableAttention, look_up_bias, sample_map
from models.datar.windows import WindowAttention
from models.errors import ModelError
from models.layers.blocks import DropPath
from models.macs import count_macs, num_params
from models.registry import create

datar_base = partial(create, "model", "datar_base")
datar_small = partial(create, "model", "datar_small")
datar_tiny = partial(create, "model", "datar_tiny")

SMALL = dict(dims=(16, 32, 64, 128), depths=(2, 2, 2, 1), head_dim=16, groups=(2, 4), window_size=3)


def small(*, input_size=(64, 96), num_classes=5, **changes):
    torch.manual_seed(0)
    return datar_tiny(1, input_size, num_classes, **(SMALL | {"drop_path_rate": 0.0} | changes))


@pytest.mark.parametrize(
    ("build", "params_m", "macs_g"),
    [(datar_tiny, 28.32, 4.36), (datar_small, 49.70, 8.53), (datar_base, 87.88, 15.15)],
)
def test_published_sizes_have_the_authors_params_and_macs(build, params_m, macs_g):
    with torch.device("meta"):
        model = build(3, (224, 224), 1000)
        macs = count_macs(model, torch.zeros(1, 3, 224, 224))
    assert round(num_params(model) / 1e6, 2) == params_m
    assert round(macs.layers / 1e9, 2) == macs_g
    assert model.training


def test_tiny_macs_on_a_spectrogram_are_those_of_padded_windows():
    with torch.device("meta"):
        macs = count_macs(datar_tiny(3, (128, 1024), 309), torch.zeros(1, 3, 128, 1024))
    assert round(macs.layers / 1e9, 2) == 12.77
    assert round((macs.layers + macs.attention) / 1e9, 2) == 13.80
    assert macs.total == macs.layers + macs.attention + macs.sampling


@pytest.mark.parametrize("input_size", [(64, 96), (32, 32), (128, 64)])
def test_forward_on_several_sizes_returns_finite_logits(input_size):
    output = small(input_size=input_size)(torch.randn(2, 1, *input_size))
    assert output.clip_logits.shape == (2, 5)
    assert output.frame_logits is None
    assert output.clip_logits.isfinite().all()


@pytest.mark.parametrize(
    "changes",
    [{"deformable": False}, {"relative_position_bias": False}, {"stride": 2}],
    ids=str,
)
def test_backward_reaches_every_parameter(changes):
    model = small(**changes)
    model(torch.randn(2, 1, 64, 96)).clip_logits.square().sum().backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_backward_without_offsets_leaves_no_offset_parameters():
    assert not [n for n, _ in small(deformable=False).named_parameters() if "offset" in n]


def test_arms_share_all_weights_that_both_have():
    full = small().state_dict()
    for changes in ({"deformable": False}, {"relative_position_bias": False}, {"stride": 2}):
        arm = small(**changes).state_dict()
        assert arm.keys() <= full.keys()
        assert all(torch.equal(arm[name], full[name]) for name in arm)


def test_without_offsets_keys_are_sampled_at_the_reference_points():
    attention = small(deformable=False).stages[2][-1].attention
    positions = attention.positions(torch.randn(2, 4, 6, 64))
    y, x = (torch.arange(4) + 0.5) / 4 * 2 - 1, (torch.arange(6) + 0.5) / 6 * 2 - 1
    assert positions.shape == (1, 2, 4, 6, 2)
    torch.testing.assert_close(positions[0, 1, :, 3, 0], y)
    torch.testing.assert_close(positions[0, 0, 2, :, 1], x)


def test_zeroed_offsets_equal_the_model_without_offsets():
    moving, still = small().eval(), small(deformable=False).eval()
    for name, parameter in moving.named_parameters():
        if "offset.project" in name:
            torch.nn.init.zeros_(parameter)
    features = torch.randn(2, 1, 64, 96)
    expected = still(features).clip_logits
    torch.testing.assert_close(moving(features).clip_logits, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "changes", [{"deformable": False}, {"offset_range_factor": 1.0}, {"stride": 2}], ids=str
)
def test_every_ablation_changes_the_output(changes):
    features = torch.randn(1, 1, 64, 96)
    assert not torch.equal(small()(features)[0], small(**changes)(features)[0])


def test_deformable_attention_equals_a_sum_written_out():
    torch.manual_seed(1)
    attention = DeformableAttention(
        8,
        map_size=(3, 4),
        num_heads=2,
        num_groups=1,
        kernel_size=3,
        stride=1,
        offset_range_factor=2.0,
        deformable=True,
        relative_position_bias=True,
    )
    x = torch.randn(1, 3, 4, 8)
    query = attention.query(x)
    keys = attention.positions(query)[0, 0].reshape(12, 2)

    def look_up(image, y, x):
        """Bilinear with corners at +-1 and zeros outside: (C, H, W) -> (C,)."""
        height, width = image.shape[1:]
        y, x = (y + 1) / 2 * (height - 1), (x + 1) / 2 * (width - 1)
        total = torch.zeros(len(image))
        for i in range(height):
            for j in range(width):
                weight = (1 - (y - i).abs()).clamp_min(0) * (1 - (x - j).abs()).clamp_min(0)
                total = total + weight * image[:, i, j]
        return total

    sampled = torch.stack([look_up(x[0].permute(2, 0, 1), *key) for key in keys])
    k, v = attention.key_value(sampled).chunk(2, dim=1)
    expected = torch.zeros(12, 8)
    for n, point in enumerate(attention.query_grid.reshape(12, 2)):
        bias = torch.stack([look_up(attention.bias_table, *((point - key) / 2)) for key in keys])
        for head in range(2):
            own = slice(4 * head, 4 * head + 4)
            score = k[:, own] @ query.reshape(12, 8)[n, own] / 2 + bias[:, head]
            expected[n, own] = score.softmax(0) @ v[:, own]
    torch.testing.assert_close(
        attention(x).reshape(12, 8), attention.out(expected), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_dense_interpolation_equals_grid_sample_in_value_and_gradient(stride):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, 7, 8, generator=generator)
    table = torch.randn(4, 9, 13, generator=generator)
    axes = (torch.linspace(-0.9, 0.8, 5), torch.linspace(-0.7, 0.9, 7))
    queries = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    # Some points lie outside the map.
    points = 1.3 * (2 * torch.rand(2, 2, 35 // stride, 2, generator=generator) - 1)
    results = []
    for dense in (False, True):
        leaves = [t.clone().requires_grad_() for t in (x, table, points)]
        sampled = sample_map(leaves[0], leaves[2], dense=dense)
        bias = look_up_bias(leaves[1], queries, leaves[2], dense=dense)
        (sampled.sin().sum() + bias.cos().sum()).backward()
        results.append([sampled, bias, *(leaf.grad for leaf in leaves)])
    for usual, dense in zip(*results, strict=True):
        torch.testing.assert_close(dense, usual, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("shifted", [False, True])
def test_window_attention_on_a_padded_map_equals_pairs_written_out(shifted):
    torch.manual_seed(2)
    window, height, width = 3, 4, 5
    attention = WindowAttention(
        8, map_size=(height, width), num_heads=2, window_size=window, shifted=shifted
    )
    x = torch.randn(1, height, width, 8)
    padded = functional.pad(x, (0, 0, 0, 1, 0, 2))[0]
    q, k, v = attention.qkv(padded).chunk(3, dim=-1)
    shift = 2 if shifted else 0
    spots = [(i, j) for i in range(6) for j in range(6)]

    def home(i, j):
        """Window of a token after the roll, and whether the roll wrapped it around."""
        y, x = (i - shift) % 6, (j - shift) % 6
        return (y // window, x // window), (i < shift, j < shift), (y % window, x % window)

    for i, j in ((0, 0), (1, 4), (3, 2), (2, 3), (3, 4)):
        here, wrapped, place = home(i, j)
        scores, values = [], []
        for m, n in spots:
            other, other_wrapped, other_place = home(m, n)
            if other != here:
                continue
            row = (place[0] - other_place[0] + 2) * 5 + place[1] - other_place[1] + 2
            product = (q[i, j] * k[m, n]).view(2, 4).sum(1) / 2
            # Tokens of one window that the roll alone brought together do not see each other.
            scores.append(product + attention.bias_table[row] - 100 * (wrapped != other_wrapped))
            values.append(v[m, n].view(2, 4))
        mixed = (torch.stack(scores).softmax(0)[:, :, None] * torch.stack(values)).sum(0)
        expected = attention.out(mixed.flatten())
        torch.testing.assert_close(attention(x)[0, i, j], expected, atol=1e-5, rtol=1e-4)


def test_resize_takes_any_input_size():
    model = small(input_size=(80, 100), resize=(64, 96))
    assert model(torch.randn(1, 1, 80, 100)).clip_logits.shape == (1, 5)
    with pytest.raises(ModelError, match=r"built for \(80, 100\)"):
        model(torch.randn(1, 1, 80, 90))


def test_resize_takes_as_many_frames_as_a_clip_has():
    model = small(input_size=(80, 0), resize=(64, 96))
    for frames in (20, 100, 300):
        assert model(torch.randn(1, 1, 80, frames)).clip_logits.shape == (1, 5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input_size": (80, 998)}, r"multiples of 32, nearest \(64|resize"),
        ({"input_size": (64, 0)}, "frames to a multiple of 32, or the model's resize"),
        ({"groups": (3, 4)}, "divide the heads"),
        ({"head_dim": 24}, "multiples of head_dim"),
        ({"depths": (1, 1)}, "4 depths"),
        ({"stride": 0}, "stride=0"),
        ({"drop_path_rate": 1.0}, "drop_path_rate"),
    ],
)
def test_sizes_that_do_not_fit_say_what_does(changes, words):
    with pytest.raises(ModelError, match=words):
        small(**changes)


def test_features_of_another_size_are_refused():
    with pytest.raises(ModelError, match=r"built for \(64, 96\)"):
        small()(torch.randn(1, 1, 64, 128))


def test_drop_path_drops_whole_clips_and_keeps_the_mean():
    torch.manual_seed(0)
    x = torch.ones(4000, 2, 2)
    dropped = DropPath(0.25)(x)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (dropped == dropped[:, :1, :1]).all()
    assert dropped.mean() == pytest.approx(1, abs=0.05)
    assert DropPath(0.25).eval()(x) is x
