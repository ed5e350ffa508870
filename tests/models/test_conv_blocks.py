"""The convolution blocks' ways to take less memory, against PyTorch's own."""

import pytest
import torch
from torch.nn import functional

from models.layers import conv_blocks
from models.layers.conv_blocks import ConvBlock, dropout


@pytest.mark.parametrize("num_parts", [2, 3])
def test_convolution_by_parts_has_the_values_of_the_whole(num_parts, monkeypatch):
    torch.manual_seed(0)
    block = ConvBlock(8, 64, kernel_size=3, num_convs=2, pool_size=2).eval()
    x = torch.randn(2, 8, 12, 10)
    whole = block(x).detach()
    calls = []
    convolve = functional.conv2d
    monkeypatch.setattr(
        functional, "conv2d", lambda *args, **kw: calls.append(args) or convolve(*args, **kw)
    )
    monkeypatch.setattr(conv_blocks, "_MAX_WEIGHTS", -(-64 * 64 * 9 // num_parts))
    with torch.no_grad():
        parts = block(x)
    assert len(calls) == num_parts + 1  # the first has an eighth of the weights
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-6)


def test_dropout_has_pytorchs_draws_and_keeps_one_byte_per_value():
    x, weights = torch.randn(2, 3, 40, 8), torch.randn(2, 3, 40, 8)
    results, kept_bytes = [], []

    def keep(tensor):
        kept_bytes[-1] += tensor.nbytes
        return tensor

    for function in (dropout, functional.dropout):
        torch.manual_seed(0)
        leaf = x.clone().requires_grad_()
        kept_bytes.append(0)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            output = function(leaf, 0.2, training=True)
        (output * weights).sum().backward()
        results.append((output, leaf.grad))
    for own, expected in zip(*results, strict=True):
        assert torch.equal(own, expected)
    assert kept_bytes[0] == x.numel()
    assert kept_bytes[0] < kept_bytes[1]


@pytest.mark.parametrize(("rate", "training"), [(0.2, False), (0.0, True)])
def test_dropout_that_drops_nothing_is_the_identity(rate, training):
    x = torch.randn(3, 4)
    assert dropout(x, rate, training=training) is x
