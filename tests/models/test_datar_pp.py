from functools import partial

import pytest
import torch
from torch.nn import functional

import models
from models.datar_pp.deformable import DeformableAttentionPp
from models.datar_pp.neighborhood import NeighborhoodAttention
from models.errors import ModelError
from models.macs import count_macs, num_params
from models.registry import create
from tests.models.dat_pp_files import SMALL

datar_pp_base = partial(create, "model", "datar_pp_base")
datar_pp_laptop = partial(create, "model", "datar_pp_laptop")
datar_pp_small = partial(create, "model", "datar_pp_small")
datar_pp_tiny = partial(create, "model", "datar_pp_tiny")


def small(*, input_size=(64, 96), num_classes=5, **changes):
    torch.manual_seed(0)
    arguments = SMALL | {"neighbourhood_size": 5, "drop_path_rate": 0.0} | changes
    return datar_pp_tiny(1, input_size, num_classes, **arguments)


@pytest.mark.parametrize(
    ("build", "params", "macs_g"),
    [
        (datar_pp_tiny, 23_962_876, 4.09),
        (datar_pp_small, 53_127_366, 9.12),
        (datar_pp_base, 93_690_640, 16.16),
    ],
)
def test_published_sizes_have_the_authors_params_and_macs(build, params, macs_g):
    """Against the authors' code; the MACs are of its convolutions and linear layers."""
    with torch.device("meta"):
        model = build(3, (224, 224), 1000)
        macs = count_macs(model, torch.zeros(1, 3, 224, 224))
    assert num_params(model) == params
    assert round(macs.layers / 1e9, 2) == macs_g


def test_tiny_takes_the_spectrogram_of_the_paper():
    with torch.device("meta"):
        model = datar_pp_tiny(1, (128, 1024), 309)
        assert model(torch.zeros(1, 1, 128, 1024)).clip_logits.shape == (1, 309)
        assert model.stages[0][1].attention.bias_table.shape == (2, 63, 511)


def test_laptop_has_its_own_front_end_and_learns_in_seconds():
    built = models.create_model("datar_pp_laptop", num_classes=2)
    assert built.frontend.output_size == (64, 128)
    assert num_params(built.model) == pytest.approx(456_000, rel=0.01)
    torch.manual_seed(0)
    time = torch.arange(82000) / 16000
    pitches = 300.0 + 1200.0 * torch.arange(2).repeat(4)
    waveform = (2 * torch.pi * pitches[:, None] * time + torch.rand(8, 1)).sin() / 4
    labels = torch.arange(2).repeat(4)
    optimizer = torch.optim.AdamW(built.parameters(), lr=1e-3)
    losses = []
    for _ in range(6):
        loss = functional.cross_entropy(built(waveform).clip_logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("input_size", [(64, 128), (33, 33), (80, 101)])
def test_forward_on_several_sizes_returns_finite_logits(input_size):
    output = small(input_size=input_size)(torch.randn(2, 1, *input_size))
    assert output.clip_logits.shape == (2, 5)
    assert output.frame_logits is None
    assert output.clip_logits.isfinite().all()


def test_forward_of_one_clip_equals_its_row_in_a_batch():
    model = small().eval()
    batch = torch.randn(3, 1, 64, 96)
    single = model(batch[1:2]).clip_logits
    torch.testing.assert_close(single, model(batch).clip_logits[1:2], atol=1e-6, rtol=1e-5)


def test_forward_of_silence_is_finite():
    assert small()(torch.zeros(1, 1, 64, 96)).clip_logits.isfinite().all()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"deformable": False},
        {"relative_position_bias": False},
        {"strides": (4, 4, 2, 1)},
        {"offset_range_factor": 2.0},
    ],
    ids=str,
)
def test_backward_reaches_every_parameter(changes):
    model = small(**changes)
    model(torch.randn(2, 1, 64, 96)).clip_logits.square().sum().backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_state_dict_of_one_model_gives_another_its_outputs():
    one, other = small(), small(num_classes=5)
    torch.nn.init.normal_(one.stages[0][0].local.weight)
    other.load_state_dict(one.state_dict())
    features = torch.randn(1, 1, 64, 96)
    assert torch.equal(one(features)[0], other(features)[0])


def test_arms_share_all_weights_that_both_have():
    full = small().state_dict()
    for changes in (
        {"deformable": False},
        {"relative_position_bias": False},
        {"strides": (4, 2, 1, 1)},
        {"offset_range_factor": 2.0},
    ):
        arm = small(**changes).state_dict()
        assert arm.keys() <= full.keys()
        assert all(torch.equal(arm[name], full[name]) for name in arm)


def test_without_offsets_keys_stay_at_the_reference_points_inside_the_map():
    model = small(deformable=False, input_size=(96, 96))
    assert not [name for name, _ in model.named_parameters() if "offset" in name]
    positions = model.stages[0][1].attention.positions(torch.randn(2, 24, 24, 16))
    assert positions.shape == (1, 1, 3, 3, 2)
    expected = torch.tensor([-0.5, 0.5, 1.0])  # the last one lies outside before it is clamped
    torch.testing.assert_close(positions[0, 0, :, 1, 0], expected)
    torch.testing.assert_close(positions[0, 0, 2, :, 1], expected)


def test_zeroed_offsets_equal_the_model_without_offsets():
    moving, still = small().eval(), small(deformable=False).eval()
    for name, parameter in moving.named_parameters():
        if "offset.project" in name:
            torch.nn.init.zeros_(parameter)
    features = torch.randn(2, 1, 64, 96)
    expected = still(features).clip_logits
    torch.testing.assert_close(moving(features).clip_logits, expected, atol=1e-6, rtol=1e-5)


def test_offsets_are_clamped_to_the_map_or_bounded_by_the_factor():
    clamped, bounded = small(), small(offset_range_factor=2.0)
    for model in (clamped, bounded):
        torch.nn.init.constant_(model.stages[0][1].attention.offset.project.weight, 10.0)
    query = torch.randn(2, 16, 24, 16)
    positions = clamped.stages[0][1].attention.positions(query)
    assert positions.abs().max() == 1
    attention = bounded.stages[0][1].attention
    moved = (attention.positions(query) - attention.reference).abs().amax(dim=(0, 1, 2, 3))
    assert (moved <= 2 * attention.cell + 1e-6).all()  # 2 x 3 keys: two half cells
    torch.testing.assert_close(attention.cell, torch.tensor([1.0, 0.5]))


@pytest.mark.parametrize(
    "changes",
    [
        {"deformable": False},
        {"relative_position_bias": False},
        {"offset_range_factor": 2.0},
        {"strides": (4, 4, 2, 1)},
        {"neighbourhood_size": 7},
        {"table_size": (64, 64)},
    ],
    ids=str,
)
def test_every_ablation_changes_the_output(changes):
    features = torch.randn(1, 1, 64, 96)
    assert not torch.equal(small()(features)[0], small(**changes)(features)[0])


def test_bias_table_of_another_map_is_stretched():
    """A table that is linear in the distance means the same at every resolution."""

    def attention(table_map_size):
        torch.manual_seed(0)
        built = DeformableAttentionPp(
            8,
            map_size=(6, 10),
            table_map_size=table_map_size,
            num_heads=2,
            num_groups=1,
            kernel_size=3,
            stride=2,
            offset_range_factor=-1.0,
            deformable=False,
            relative_position_bias=True,
        )
        axes = (torch.linspace(-1, 1, size) for size in built.bias_table.shape[1:])
        y, x = torch.meshgrid(*axes, indexing="ij")
        built.bias_table.data = torch.stack([3 * y - x, x - 2 * y])
        query = torch.randn(1, 6, 10, 8)
        return built, query

    (small_table, x), (large_table, _) = attention((3, 4)), attention((7, 9))
    large_table.load_state_dict(
        {k: v for k, v in small_table.state_dict().items() if k != "bias_table"}, strict=False
    )
    assert large_table.bias_table.shape == (2, 13, 17)
    torch.testing.assert_close(small_table(x), large_table(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(3, 4), (5, 17), (19, 8)])
def test_neighborhood_attention_equals_pairs_written_out(height, width):
    torch.manual_seed(2)
    size = 5
    attention = NeighborhoodAttention(
        8, map_size=(height, width), num_heads=2, neighbourhood_size=size
    )
    torch.nn.init.normal_(attention.bias_table)
    x = torch.randn(1, height, width, 8)
    full_height, full_width = max(height, size), max(width, size)
    padded = functional.pad(x, (0, 0, 0, full_width - width, 0, full_height - height))[0]
    q, k, v = attention.qkv(padded).view(full_height, full_width, 3, 2, 4).unbind(2)
    expected = torch.zeros(height, width, 8)
    for i in range(height):
        for j in range(width):
            top = min(max(i - 2, 0), full_height - size)
            left = min(max(j - 2, 0), full_width - size)
            near = [(m, n) for m in range(top, top + size) for n in range(left, left + size)]
            scores = torch.stack(
                [
                    (q[i, j] * k[m, n]).sum(1) / 2 + attention.bias_table[:, m - i + 4, n - j + 4]
                    for m, n in near
                ]
            )
            values = torch.stack([v[m, n] for m, n in near])
            expected[i, j] = (scores.softmax(0)[:, :, None] * values).sum(0).flatten()
    torch.testing.assert_close(attention(x)[0], attention.out(expected), atol=1e-5, rtol=1e-4)


def test_resize_takes_any_input_size():
    model = small(input_size=(20, 100), resize=(64, 96))
    assert model(torch.randn(1, 1, 20, 100)).clip_logits.shape == (1, 5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input_size": (32, 998)}, r"33 or more, nearest \(33, 998\).*resize"),
        ({"input_size": (64, 64), "strides": (16, 4, 2, 1)}, "65 or more"),
        ({"groups": (1, 1, 3, 4)}, r"groups=\(1, 1, 3, 4\) divide the heads \(1, 2, 4, 8\)"),
        ({"groups": (2, 4)}, "4 of each"),
        ({"head_dim": 24}, "multiples of head_dim"),
        ({"depths": (1, 1)}, "4 of each"),
        ({"strides": (8, 4, 2, 0)}, "1 or more"),
        ({"neighbourhood_size": 4}, "neighbourhood_size=4 is odd"),
        ({"table_size": (224,)}, r"table_size=\(224,\)"),
        ({"drop_path_rate": 1.0}, "drop_path_rate"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_say_what_does(changes, words):
    with pytest.raises(ModelError, match=words):
        small(**changes)


def test_features_of_another_size_are_refused():
    with pytest.raises(ModelError, match=r"built for \(64, 96\)"):
        small()(torch.randn(1, 1, 64, 128))


def test_autocast_to_bfloat16_stays_near_float32():
    model = small().eval()
    features = torch.randn(2, 1, 64, 96)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(features).clip_logits
    assert output.isfinite().all()
    torch.testing.assert_close(output.float(), model(features).clip_logits, atol=0.05, rtol=0.05)
    output.float().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.slow
def test_compiled_laptop_model_equals_eager():
    torch.manual_seed(0)
    model = datar_pp_laptop(1, (64, 64), 10, depths=(2, 1, 1, 1)).eval()
    features = torch.randn(2, 1, 64, 64)
    compiled = torch.compile(model)
    torch.testing.assert_close(
        compiled(features).clip_logits, model(features).clip_logits, atol=1e-5, rtol=1e-4
    )
