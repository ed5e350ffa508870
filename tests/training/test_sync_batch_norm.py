"""Batch norms shared by workers, here by one: equal to PyTorch's and timm's own."""

import copy

import pytest
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import nn

from orchestrator.training.data_parallel import Group
from orchestrator.training.sync_batch_norm import SharedBatchNorm, share_batch_norms


@pytest.fixture
def group(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1
    )
    yield Group()
    torch.distributed.destroy_process_group()


NORMS = {
    "2d": (lambda: nn.BatchNorm2d(3), (4, 3, 5, 6)),
    "1d": (lambda: nn.BatchNorm1d(3, momentum=0.3), (4, 3, 7)),
    "not affine": (lambda: nn.BatchNorm2d(3, affine=False), (4, 3, 5, 6)),
    "timm's": (lambda: BatchNormAct2d(3, act_layer=nn.SiLU), (4, 3, 5, 6)),
    "cumulative": (lambda: nn.BatchNorm2d(3, momentum=None), (2, 3, 2, 2)),
}


@pytest.mark.parametrize("name", NORMS)
def test_shared_norm_of_one_worker_equals_the_norm(name, group):
    make, shape = NORMS[name]
    generator = torch.Generator().manual_seed(0)
    own = nn.Sequential(make())
    for parameter in own.parameters():
        nn.init.uniform_(parameter, 0.5, 2, generator=generator)
    shared = copy.deepcopy(own)
    share_batch_norms(shared, group)
    assert isinstance(shared[0], SharedBatchNorm)
    for _ in range(2):
        x = 3 + 2 * torch.randn(shape, generator=generator)
        results = []
        for module in (own, shared):
            given = x.clone().requires_grad_()
            y = module.train()(given)
            y.square().sum().backward()
            results.append((y.detach(), given.grad, module.eval()(x).detach()))
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other, rtol=2e-5, atol=2e-5)
    assert own.state_dict().keys() == shared.state_dict().keys()
    for key, value in own.state_dict().items():
        torch.testing.assert_close(value, shared.state_dict()[key], rtol=1e-5, atol=1e-5)
    for (key, one), other in zip(own.named_parameters(), shared.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-4, msg=key)
