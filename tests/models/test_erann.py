"""ERANN: sizes of its maps and its counts; there is no code of its authors to run."""

import pytest
import torch
from torch.nn import functional

from models.erann.model import ErannBlock
from models.errors import ModelError
from models.registry import create
from models.zoo.counts import compare


def small(*, input_size=(64, 0), **changes):
    torch.manual_seed(0)
    arguments = {"widen": 1, "depth": 2} | changes
    return create("model", "erann_1_6", 1, input_size, 3, **arguments).eval()


@pytest.mark.parametrize(
    ("wide_strides", "frames"), [(0, [640, 320, 160, 80, 40]), (2, [640, 160, 40, 20, 10])]
)
def test_maps_shrink_by_the_strides_of_the_stages(wide_strides, frames):
    model, x = small(wide_strides=wide_strides), torch.randn(1, 1, 128, 640)
    sizes = []
    for stage in model.stages:
        x = stage(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes == list(zip((8, 16, 32, 64, 128), (128, 64, 32, 16, 8), frames, strict=True))


def test_block_is_two_activated_convolutions_around_a_shortcut():
    block = ErannBlock(3, 4, freq_stride=2, time_stride=4).eval()
    assert block.conv1.kernel_size == (3, 6)
    assert block.conv2.kernel_size == (3, 5)
    x = torch.randn(2, 3, 8, 22)
    # Norms that were never trained leave x as it is, but for their epsilon.
    plain = x / (1 + block.norm1.eps) ** 0.5
    y = functional.conv2d(
        functional.leaky_relu(plain, 0.01), block.conv1.weight, stride=(2, 4), padding=1
    )
    y = functional.leaky_relu(y / (1 + block.norm2.eps) ** 0.5, 0.01)
    y = functional.conv2d(y, block.conv2.weight, padding=(1, 2))
    shortcut = functional.conv2d(x, block.shortcut.weight, stride=(2, 4))
    torch.testing.assert_close(block(x), y + shortcut[..., :5])
    assert ErannBlock(4, 4, freq_stride=1, time_stride=1).shortcut is None


@pytest.mark.parametrize(("name", "theirs"), [("erann_1_6", "54.5 M"), ("erann_2_5", "37.9 M")])
def test_counts_are_those_of_the_papers_ratios(name, theirs):
    [row] = compare(name)
    assert row.published.printed == theirs
    assert abs(row.difference) < 0.001


def test_too_few_frames_are_refused_with_the_number_to_pad_to():
    model = small(wide_strides=2)
    assert model(torch.randn(1, 1, 64, 64)).clip_logits.shape == (1, 3)
    with pytest.raises(ModelError, match=r"64 frames or more, not .*pad"):
        model(torch.randn(1, 1, 64, 63))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"wide_strides": 4}, "wide_strides=4"),
        ({"widen": 0}, "widen=0"),
        ({"input_size": (16, 0)}, "32 mels"),
        ({"input_size": (64, 8)}, "32 frames or more; change the front end's rows and frames"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ModelError, match=words):
        small(**changes)
