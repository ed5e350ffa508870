"""Attention with a bias against PyTorch's own function."""

import pytest
import torch
from torch.nn import functional

from models.layers.attention import attend

# (queries, keys and values, bias): windows, shifted windows, keys of the sample's own
SHAPES = {
    "windows": ((2, 4, 3, 9, 8), (2, 4, 3, 9, 8), (3, 9, 9)),
    "shifted windows": ((2, 4, 3, 9, 8), (2, 4, 3, 9, 8), (4, 3, 9, 9)),
    "fewer keys": ((2, 3, 12, 8), (2, 3, 5, 8), (2, 3, 12, 5)),
}


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
def test_attend_has_the_values_and_gradients_of_pytorchs(shapes):
    torch.manual_seed(0)
    queries, keys, scores = shapes
    tensors = [torch.randn(shape, requires_grad=True) for shape in (queries, keys, keys, scores)]
    before = tensors[3].detach().clone()
    ours = attend(*tensors[:3], bias=tensors[3])
    reference = functional.scaled_dot_product_attention(*tensors[:3], attn_mask=tensors[3])
    torch.testing.assert_close(ours, reference, atol=2e-6, rtol=1e-5)
    upstream = torch.randn_like(ours)
    wanted = torch.autograd.grad(reference, tensors, upstream)
    for got, expected in zip(torch.autograd.grad(ours, tensors, upstream), wanted, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(tensors[3], before)
