"""DATAR++ against the authors' code.

The numbers were made by running LeapLabTHU/DAT 32173fc (`models/dat.py`, torch 2.11, CPU) as
published, with img_size=64 for inputs of every size, on the weights and images that
`dat_pp_files.py` and `conftest.py` compute by formula, loaded with strict=True. Its neighborhood
attention ran on NATTEN 0.14.6, the release that its README names, whose CPU kernels were built from
source (without AVX, which does not compile against this torch). The gradients are of the sum over
the batch of logits times (1, -2, 3, -4, 5).

Run beside it in the same way with random weights, the published tiny size at 224x224, 128x320 and
64x128 differed by 7e-7 in logits of 0.6, and two smaller models at 12 sizes, tables and factors by
6e-6; gradients by 2e-5 and 2e-4 of the largest of their tensor.
"""

from functools import partial

import pytest
import torch

from models.checkpoints.load import load_pretrained
from models.registry import create
from tests.models.dat_pp_files import SMALL, dat_pp_shapes

datar_pp_tiny = partial(create, "model", "datar_pp_tiny")

CASES = {
    "square": dict(
        size=(64, 64),
        strides=(8, 4, 2, 1),
        offset_range_factor=-1.0,
        logits=[
            [-0.916235, -0.646522, 1.548047, -1.362317, 0.124599],
            [-0.911875, -0.620395, 1.619263, -1.383832, 0.178225],
        ],
        gradients=(5.193405, 0.846199, 0.020481, 0.00433, 0.034042, 17.448883),
    ),
    "wide, more keys": dict(
        size=(64, 128),
        strides=(4, 2, 1, 1),
        offset_range_factor=-1.0,
        logits=[
            [-0.880877, -0.59703, 1.648737, -1.370738, 0.19075],
            [-0.886096, -0.606554, 1.656731, -1.361962, 0.197235],
        ],
        gradients=(1.895116, 0.41065, 0.001995, 0.002026, 0.0064, 9.5209),
    ),
    "tall, uneven, bounded offsets": dict(
        size=(100, 72),
        strides=(8, 4, 2, 1),
        offset_range_factor=2.0,
        logits=[
            [-0.911543, -0.571801, 1.625598, -1.368384, 0.210701],
            [-0.884821, -0.591133, 1.61458, -1.348327, 0.177831],
        ],
        gradients=(2.938612, 0.879199, 0.008612, 0.00242, 0.005475, 11.365441),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_datar_pp_with_the_authors_weights_gives_the_authors_outputs(case, dat_files, tmp_path):
    model = datar_pp_tiny(
        3,
        case["size"],
        5,
        **SMALL,
        strides=case["strides"],
        offset_range_factor=case["offset_range_factor"],
        table_size=(64, 64),
        drop_path_rate=0.0,
    )
    state = dat_files.formula_state(dat_pp_shapes(64, **SMALL, num_classes=5))
    torch.save({"model": state}, tmp_path / "dat_pp_small.pth")
    report = load_pretrained(model, tmp_path / "dat_pp_small.pth")
    assert not (report.missing or report.skipped or report.resized)
    image = dat_files.formula_input(2, 3, case["size"]).requires_grad_()
    logits = model(image).clip_logits
    torch.testing.assert_close(logits, torch.tensor(case["logits"]), atol=2e-5, rtol=0)
    (logits * torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0])).sum().backward()
    near, far = (block.attention for block in model.stages[0])
    norms = [
        tensor.grad.norm()
        for tensor in (
            image,
            far.offset.depthwise.weight,
            far.bias_table,
            near.bias_table,
            model.stages[2][0].attention.bias_table,
            model.stem.first.conv.weight,
        )
    ]
    torch.testing.assert_close(
        torch.stack(norms), torch.tensor(case["gradients"]), atol=2e-6, rtol=1e-4
    )
