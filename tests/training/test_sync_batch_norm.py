"""Batch norms shared by workers: equal to PyTorch's and timm's own over all of the clips."""

import pytest
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import nn

from orchestrator.errors import ConfigError
from orchestrator.training.data_parallel import Group
from orchestrator.training.sync_batch_norm import SharedBatchNorm, share_batch_norms
from tests.collectives import Collectives

NORMS = {
    "2d": (lambda: nn.BatchNorm2d(3), (4, 3, 5, 6)),
    "1d": (lambda: nn.BatchNorm1d(3, momentum=0.3), (4, 3, 7)),
    "vectors": (lambda: nn.BatchNorm1d(3), (8, 3)),
    "not affine": (lambda: nn.BatchNorm2d(3, affine=False), (4, 3, 5, 6)),
    "not tracking": (lambda: nn.BatchNorm2d(3, track_running_stats=False), (4, 3, 5, 6)),
    "frozen": (lambda: nn.BatchNorm2d(3).requires_grad_(False), (4, 3, 5, 6)),
    "timm's": (lambda: BatchNormAct2d(3, act_layer=nn.SiLU), (4, 3, 5, 6)),
    "cumulative": (lambda: nn.BatchNorm2d(3, momentum=None), (2, 3, 2, 2)),
}


def own_norm(name: str) -> nn.Sequential:
    own = nn.Sequential(NORMS[name][0]())
    generator = torch.Generator().manual_seed(0)
    for parameter in own.parameters():
        nn.init.uniform_(parameter, 0.5, 2, generator=generator)
    return own


def passes(module: nn.Module, batches, rows, bf16=False):
    """Outputs, gradients of inputs and of parameters, evaluation, state; rows of each batch."""
    results = []
    for x in batches:
        given = x[rows].clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            y = module.train()(given)
            # An activation's gradient in bf16 is rounded once more than in float32.
            (y.float().square() * (1 + torch.arange(y.shape[-1]))).sum().backward()
        results.append([y.detach(), given.grad, module.eval()(x).detach()])
    return (
        results,
        {key: p.grad for key, p in module.named_parameters() if p.grad is not None},
        {key: value.clone() for key, value in module.state_dict().items()},
    )


def passes_of_worker(name, batches, shares, bf16):
    shared, group = own_norm(name), Group()
    share_batch_norms(shared, group)
    assert isinstance(shared[0], SharedBatchNorm)
    rows = shares[group.rank]
    group.has_clips = len(rows) > 0
    with Collectives() as seen:
        if group.has_clips:
            result = passes(shared, batches, rows, bf16=bf16)
        else:  # in the trainer it takes part with a clip whose loss counts nothing
            for x in batches:
                y = shared.train()(x[:1].clone().requires_grad_())
                (0 * y.float()).sum().backward()
                shared.eval()(x)
            result = [], {}, {k: v.clone() for k, v in shared.state_dict().items()}
    assert seen.waits == 0
    return *result, len(seen.names)


def data(name, *, far: float = 3.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    shape = NORMS[name][1]
    return [(far + 2 * torch.randn(shape, generator=generator)).to(dtype) for _ in range(2)]


@pytest.mark.parametrize("shares", ["even", "uneven", "none left"])
@pytest.mark.parametrize("name", NORMS)
def test_shared_norm_of_two_workers_equals_the_norm(name, shares, both):
    batches = data(name)
    everything = list(range(len(batches[0])))
    cut = {"even": len(everything) // 2, "uneven": 1, "none left": len(everything)}[shares]
    one, one_grads, one_state = passes(own_norm(name), batches, everything)
    results = both(passes_of_worker, name, batches, [everything[:cut], everything[cut:]], False)
    for batch in range(2):
        for which in range(2):  # outputs and gradients of inputs
            parts = [made[batch][which] for made, *_ in results if made]
            torch.testing.assert_close(
                torch.cat(parts), one[batch][which], rtol=2e-5, atol=2e-5 * (1 + 9 * which)
            )
        for made, *_ in results:
            if made:
                torch.testing.assert_close(made[batch][2], one[batch][2], rtol=2e-5, atol=2e-5)
    for key, grad in one_grads.items():
        total = sum(grads[key] for _, grads, *_ in results if key in grads)
        torch.testing.assert_close(total, grad, rtol=1e-4, atol=1e-4, msg=key)
    for _, _, state, collectives in results:
        assert collectives == 2 * len(batches)  # one forward, one backward
        assert state.keys() == one_state.keys()
        for key, value in state.items():
            torch.testing.assert_close(value, one_state[key], rtol=1e-5, atol=1e-5, msg=key)
            assert value.equal(results[0][2][key]), f"{key} differs between the workers"


def test_norm_of_values_far_from_zero_equals_that_of_double_precision(both):
    batches = data("2d", far=3e3)
    exact, *_ = passes(own_norm("2d").double(), [x.double() for x in batches], range(4))
    results = both(passes_of_worker, "2d", batches, [[0], [1, 2, 3]], False)
    for batch in range(2):
        y = torch.cat([made[batch][0] for made, *_ in results])
        # An input of 3000 is itself rounded to 1e-4.
        torch.testing.assert_close(y.double(), exact[batch][0], rtol=0, atol=1e-3)


def test_norm_of_bf16_equals_the_norm_to_its_rounding(both):
    batches = data("2d", dtype=torch.bfloat16)
    one, one_grads, one_state = passes(own_norm("2d"), batches, range(4), bf16=True)
    results = both(passes_of_worker, "2d", batches, [[0, 1], [2, 3]], True)
    for batch in range(2):
        for which in range(2):
            parts = torch.cat([made[batch][which] for made, *_ in results])
            assert parts.dtype == torch.bfloat16
            torch.testing.assert_close(parts, one[batch][which], rtol=2**-7, atol=2**-5)
    for key, grad in one_grads.items():
        total = sum(grads[key] for _, grads, *_ in results)
        torch.testing.assert_close(total, grad, rtol=1e-2, atol=1e-2, msg=key)
    for key, value in one_state.items():
        torch.testing.assert_close(results[1][2][key], value, rtol=1e-5, atol=1e-5, msg=key)


def test_norm_in_evaluation_before_sharing_stays_in_evaluation():
    norm = nn.Sequential(nn.BatchNorm2d(3).eval())
    share_batch_norms(norm, Group())
    assert not norm[0].training


def test_norm_with_its_own_forward_pass_is_refused():
    class Whitening(nn.BatchNorm2d):
        def forward(self, input):  # noqa: A002
            return input

    class Renamed(nn.BatchNorm2d):
        pass

    share_batch_norms(nn.Sequential(Renamed(3)), Group())
    with pytest.raises(ConfigError, match=r"Whitening.*--num-workers 1"):
        share_batch_norms(nn.Sequential(Whitening(3)), Group())
