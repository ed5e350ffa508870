"""DATAR against the authors' code.

The numbers were made by running LeapLabTHU/DAT 797f187 (`models/dat.py`, torch 2.11, CPU) on the
weights and images that `conftest.py` computes by formula, loaded with strict=True. For rectangles
its `img_size` was given as a pair; the code is otherwise as published. The gradients are of the
sum over the batch of logits times (1, -2, 3, -4, 5).
"""

import pytest
import torch

from models.datar.model import Dat

DIMS = (16, 32, 64, 128)
CASES = {
    "square": dict(
        size=(64, 64),
        depths=(2, 2, 2, 2),
        groups=(2, 4),
        stride=1,
        logits=[
            [-3.183487, 0.170129, 2.604643, -3.731650, 2.097502],
            [-3.143772, 0.236624, 2.480598, -3.627988, 2.083125],
        ],
        gradients=(10.286853, 0.920519, 0.047720, 121.425293),
    ),
    "wide": dict(
        size=(64, 128),
        depths=(2, 2, 2, 1),
        groups=(1, 2),
        stride=1,
        logits=[
            [-2.821181, 0.915234, 1.138318, -2.562120, 1.913483],
            [-2.770523, 0.838602, 1.193240, -2.555758, 1.858163],
        ],
        gradients=(14.083304, 0.496846, 0.030701, 47.063118),
    ),
    "tall, every second key": dict(
        size=(128, 64),
        depths=(2, 1, 2, 1),
        groups=(2, 4),
        stride=2,
        logits=[
            [-2.622962, 0.631304, 1.407603, -2.559483, 1.720326],
            [-2.452883, 0.654752, 1.185337, -2.303434, 1.584090],
        ],
        gradients=(9.359015, 3.720803, 0.065490, 228.378204),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_datar_with_the_authors_weights_gives_the_authors_outputs(case, dat_files):
    shared = dict(dims=DIMS, depths=case["depths"], head_dim=16, groups=case["groups"])
    model = Dat(
        3,
        case["size"],
        5,
        **shared,
        window_size=2,
        stride=case["stride"],
        offset_range_factor=2.0,
        deformable=True,
        relative_position_bias=True,
        drop_path_rate=0.0,
        resize=(),
    )
    shapes = dat_files.published_shapes(case["size"], **shared, window=2, num_classes=5)
    model.load_state_dict(model.rename_published(dat_files.formula_state(shapes)), strict=True)
    image = dat_files.formula_input(2, 3, case["size"]).requires_grad_()
    logits = model(image).clip_logits
    torch.testing.assert_close(logits, torch.tensor(case["logits"]), atol=2e-5, rtol=0)
    (logits * torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0])).sum().backward()
    attention = model.stages[2][-1].attention
    norms = [
        tensor.grad.norm()
        for tensor in (
            image,
            attention.offset.depthwise.weight,
            attention.bias_table,
            model.stem.conv.weight,
        )
    ]
    torch.testing.assert_close(
        torch.stack(norms), torch.tensor(case["gradients"]), atol=2e-6, rtol=2e-5
    )
