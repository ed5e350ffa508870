"""Optimizers and schedules do what they say."""

import torch

from models.registry import create


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
