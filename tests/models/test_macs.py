import pytest
import torch
from torch import nn

from models.datar.deformable import DeformableAttention
from models.macs import count_macs, num_params
from models.talnet.model import BiGru


def test_count_macs_of_layers_follows_the_formulas():
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.Flatten(2), nn.Linear(20, 7))
    macs = count_macs(model, torch.zeros(5, 2, 4, 5))
    assert macs.layers == 5 * (4 * 5 * 3 * 2 * 9 + 3 * 20 * 7)
    assert (macs.attention, macs.sampling) == (0, 0)
    assert num_params(model) == 2 * 3 * 9 + 3 + 20 * 7 + 7


def test_count_macs_of_deformable_attention_counts_products_and_sampling():
    attention = DeformableAttention(
        8,
        map_size=(4, 6),
        num_heads=2,
        num_groups=2,
        kernel_size=3,
        stride=1,
        offset_range_factor=2.0,
        deformable=True,
        relative_position_bias=True,
    )
    macs = count_macs(attention, torch.zeros(1, 4, 6, 8))
    assert macs.layers == 24 * (4 * 8 * 8 + 8 * 9 + 2 * 8)
    assert macs.attention == 2 * 24 * 24 * 8
    assert macs.sampling == 4 * (24 * 8 + 2 * 24 * 24)


def test_count_macs_restores_the_training_mode():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].eval()
    count_macs(model, torch.zeros(1, 2))
    assert (model.training, model[0].training, model[1].training) == (True, True, False)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_count_macs_of_a_recurrent_layer_are_those_of_its_three_gates(device):
    with torch.device(device):
        macs = count_macs(BiGru(12, 8), torch.zeros(3, 20, 12))
    assert macs.layers == 3 * 20 * 2 * 3 * 8 * (12 + 8)
