"""Losses of single clips against their formula."""

import torch

from models.registry import create


def test_binary_cross_entropy_is_the_mean_over_classes():
    logits, labels = torch.randn(3, 4), torch.tensor([0, 3, 1])
    p = logits.sigmoid()
    yes = torch.nn.functional.one_hot(labels, 4)
    expected = -(yes * p.log() + (1 - yes) * (1 - p).log()).mean(dim=1)
    torch.testing.assert_close(create("loss", "binary_cross_entropy")(logits, labels), expected)
