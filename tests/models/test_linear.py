"""The linear layer by oneDNN against PyTorch's own, and when it is taken.

Where oneDNN is not the faster one, the tests take it nevertheless: it computes the same anywhere.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional

from models import count_macs
from models.layers import linear as subject
from models.layers.linear import Linear, linear, linear_gelu, plain_linear, use_fast_linear

SHAPES = [((3, 5, 7), 11), ((1, 64), 3), ((2, 49, 96), 384), ((300, 4), 16), ((0, 4), 2)]

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN"
)


@pytest.fixture(autouse=True)
def onednn(monkeypatch):
    monkeypatch.setattr(subject, "onednn_is_faster", lambda: True)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("shape", "outputs"), SHAPES, ids=str)
def test_linear_by_onednn_has_the_values_and_gradients_of_pytorchs(shape, outputs, bias):
    torch.manual_seed(0)
    x = torch.randn(shape, requires_grad=True)
    weight = torch.randn(outputs, shape[-1], requires_grad=True)
    inputs = (x, weight, torch.randn(outputs, requires_grad=True)) if bias else (x, weight)
    ours, reference = linear(*inputs), functional.linear(*(t.double() for t in inputs))
    torch.testing.assert_close(ours, reference.float(), atol=2e-5, rtol=1e-5)
    upstream = torch.randn_like(ours)
    ours = torch.autograd.grad(ours, inputs, upstream)
    for got, wanted in zip(
        ours, torch.autograd.grad(reference, inputs, upstream.double()), strict=True
    ):
        torch.testing.assert_close(got, wanted, atol=5e-5, rtol=1e-5)


def test_linear_by_onednn_can_be_differentiated_twice():
    torch.manual_seed(0)
    inputs = [torch.randn(size, requires_grad=True) for size in ((4, 3), (2, 3), (2,))]

    def penalty(function):
        (grad,) = torch.autograd.grad(function(*inputs).tanh().sum(), inputs[0], create_graph=True)
        return torch.autograd.grad(grad.square().sum(), inputs)

    for got, wanted in zip(penalty(linear), penalty(functional.linear), strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def test_linear_takes_strided_input():
    x = torch.arange(24.0).view(2, 3, 4).transpose(0, 2)
    layer = Linear(2, 5)
    torch.testing.assert_close(layer(x), functional.linear(x, layer.weight, layer.bias))


def test_linear_gelu_without_gradient_is_the_exact_gelu():
    torch.manual_seed(0)
    layer, x = Linear(6, 9), 3 * torch.randn(4, 5, 6)
    with torch.no_grad():
        torch.testing.assert_close(
            linear_gelu(x, layer), functional.gelu(layer(x)), atol=2e-6, rtol=1e-5
        )


def test_linear_in_autocast_gives_bfloat16():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert Linear(4, 2)(torch.randn(3, 4)).dtype == torch.bfloat16
        with torch.no_grad():
            assert linear_gelu(torch.randn(3, 4), Linear(4, 2)).dtype == torch.bfloat16


def test_use_fast_linear_keeps_names_weights_and_special_layers():
    class Special(nn.Linear):
        pass

    module = nn.Sequential(nn.Linear(3, 3), Special(3, 3))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    use_fast_linear(module)
    assert [type(part) for part in module] == [Linear, Special]
    assert before.keys() == module.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_count_macs_sees_linear_layers_that_onednn_would_run():
    assert count_macs(Linear(8, 4), torch.randn(2, 8)).layers == 2 * 8 * 4


def test_plain_linear_is_pytorchs_own_to_the_bit():
    torch.manual_seed(0)
    layer, x = Linear(96, 33), torch.randn(50, 96)
    with plain_linear():
        assert torch.equal(layer(x), functional.linear(x, layer.weight, layer.bias))
