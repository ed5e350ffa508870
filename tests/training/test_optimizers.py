"""Optimizers and schedules do what they say."""

import pytest
import torch

from models.registry import create
from orchestrator.training.averaging import Averaging
from orchestrator.training.state import pack_state, unpack_state


def test_steps_multiply_the_rate_at_the_stated_shares():
    rate = create("schedule", "steps", 10, 0.1, fractions=(0.2, 0.4), factor=0.1)
    assert [round(rate(step), 6) for step in (0, 1, 2, 3, 4, 9)] == [
        *(0.1, 0.1),
        *(0.01, 0.01),
        *(0.001, 0.001),
    ]


def test_sgd_keeps_its_momentum_and_leaves_out_what_is_frozen():
    weight = torch.nn.Parameter(torch.ones(2))
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    pairs = [("weight", weight), ("frozen", frozen)]
    optimizer = create("optimizer", "sgd", pairs, learning_rate=0.5, momentum=0.5, weight_decay=0.0)
    for _ in range(2):
        weight.grad = torch.ones(2)
        optimizer.step()
    # 1 - 0.5 - 0.5 (1 + 0.5)
    torch.testing.assert_close(weight.data, torch.full((2,), -0.25))
    assert torch.equal(frozen, torch.ones(2))


@pytest.mark.parametrize("name", ["adam_w", "sgd"])
def test_weights_that_lie_otherwise_in_memory_are_resumed_as_the_same_numbers(name):
    """One kernel for all parameters reads memory in order, and a checkpoint's is contiguous."""

    def step(layer, optimizer, x):
        layer.zero_grad()
        layer(x).square().sum().backward()
        optimizer.step()

    def made(layer):
        arguments = {"momentum": 0.9} if name == "sgd" else {}
        return create(
            "optimizer", name, list(layer.named_parameters()), learning_rate=0.01, **arguments
        )

    torch.manual_seed(0)
    plain, turned, resumed = (torch.nn.Linear(3, 5) for _ in range(3))
    inputs = torch.randn(4, 2, 3)
    for layer in (turned, resumed):
        layer.weight = torch.nn.Parameter(plain.weight.detach().T.contiguous().T)
        layer.load_state_dict(plain.state_dict())
        assert not layer.weight.is_contiguous()
    optimizers = [made(layer) for layer in (plain, turned)]
    for x in inputs[:2]:
        for layer, optimizer in zip((plain, turned), optimizers, strict=True):
            step(layer, optimizer, x)
    state = {key: value.contiguous() for key, value in pack_state(turned, optimizers[1]).items()}
    optimizers.append(made(resumed))
    unpack_state(state, resumed, optimizers[2], Averaging(), device=torch.device("cpu"))
    for x in inputs[2:]:
        for layer, optimizer in zip((plain, turned, resumed), optimizers, strict=True):
            step(layer, optimizer, x)
    for layer in (turned, resumed):
        torch.testing.assert_close(layer.weight, plain.weight)


def test_complex_weights_train():
    weight = torch.nn.Parameter(torch.ones(2, dtype=torch.complex64))
    optimizer = create("optimizer", "adam_w", [("weight", weight)], learning_rate=0.5)
    weight.abs().sum().backward()
    optimizer.step()
    assert (weight.abs() < 1).all()
