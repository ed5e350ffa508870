"""The MLP by rows against the plain formula, in values and derivatives.

Where oneDNN is not the faster one, the tests take it nevertheless: it computes the same anywhere.
"""

import pytest
import torch
from timm.layers import mlp as timm_mlp
from torch import nn
from torch.nn import functional

from models.layers import linear as linears
from models.layers import mlp as subject
from models.layers.blocks import Mlp
from models.layers.linear import plain_linear
from models.layers.timm_parts import use_fast_layers

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN"
)


@pytest.fixture(autouse=True)
def onednn(monkeypatch):
    monkeypatch.setattr(linears, "onednn_is_faster", lambda: True)
    monkeypatch.setattr(subject, "_CACHED_VALUES", 0)  # as many rows at a time as are between


def case(*shape):
    torch.manual_seed(0)
    return Mlp(6, 9), torch.randn(*shape, 6, requires_grad=True)


def exact(mlp, x, precision=torch.float64):
    layers = (mlp.up, mlp.down)
    weights = [t.to(precision) for layer in layers for t in (layer.weight, layer.bias)]
    hidden = functional.linear(x.to(precision), *weights[:2])
    return functional.linear(functional.gelu(hidden), *weights[2:])


@pytest.mark.parametrize("shape", [(4,), (9,), (10,), (2, 3, 5), (36,)], ids=str)
def test_mlp_by_rows_has_the_values_and_gradients_of_the_formula(shape):
    mlp, x = case(*shape)
    inputs, upstream = (x, *mlp.parameters()), torch.randn(*shape, 6)
    own, reference = mlp(x), exact(mlp, x)
    torch.testing.assert_close(own, reference.float(), atol=2e-6, rtol=1e-5)
    own = torch.autograd.grad(own, inputs, upstream)
    for got, wanted in zip(
        own, torch.autograd.grad(reference, inputs, upstream.double()), strict=True
    ):
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def test_mlp_by_rows_can_be_differentiated_twice():
    mlp, x = case(20)

    def penalty(y):
        (grad,) = torch.autograd.grad(y.tanh().sum(), x, create_graph=True)
        return torch.autograd.grad(grad.square().sum(), (x, *mlp.parameters()), allow_unused=True)

    for got, wanted in zip(penalty(mlp(x)), penalty(exact(mlp, x)), strict=True):
        got, wanted = (0.0 if g is None else g for g in (got, wanted))
        torch.testing.assert_close(
            torch.as_tensor(got), torch.as_tensor(wanted), atol=1e-5, rtol=1e-4
        )


def test_mlp_by_rows_gives_frozen_weights_no_gradient():
    mlp, x = case(20)
    mlp.up.requires_grad_(False)
    mlp.down.bias.requires_grad_(False)
    mlp(x.detach()).sum().backward()
    assert [p.grad is not None for p in mlp.parameters()] == [False, False, True, False]


def test_mlp_by_rows_keeps_its_input_and_one_value_of_what_lies_between():
    mlp, x = case(90)
    kept = {}

    def keep(tensor):
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        mlp(x)
    weights = mlp.up.weight.numel() + mlp.up.bias.numel() + mlp.down.weight.numel()
    assert sum(kept.values()) == 90 * (6 + 9) + weights


def test_mlp_of_timm_becomes_the_same_in_place():
    torch.manual_seed(0)
    block = timm_mlp.Mlp(6, 9, drop=(0.0, 0.5)).eval()
    other = timm_mlp.Mlp(6, 9, act_layer=nn.ReLU)
    x = torch.randn(20, 6, requires_grad=True)
    before, names = block(x), list(block.state_dict())
    parts = nn.Sequential(block, other)
    use_fast_layers(parts)
    assert list(block.state_dict()) == names
    assert type(parts[1]) is timm_mlp.Mlp
    after = block(x)
    torch.testing.assert_close(after, before, atol=1e-6, rtol=1e-5)
    assert "_Mlp" in type(after.grad_fn.next_functions[0][0]).__name__
    assert not torch.equal(block.train()(x), after)  # the second dropout stays


def test_plain_mlp_is_pytorchs_own_to_the_bit():
    mlp, x = case(20)
    with plain_linear():
        assert torch.equal(mlp(x), exact(mlp, x, torch.float32))
