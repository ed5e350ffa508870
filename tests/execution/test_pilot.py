"""A few steps of the largest arm, on the CPU and, where there is one, on a GPU."""

import pytest
import torch

from orchestrator.execution.pilot import run_pilot
from orchestrator.experiment.config import Component, Runtime
from tests import tiny


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_pilot_measures_the_largest_arm_and_stores_nothing(device, tmp_path):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    large = tiny.experiment()
    store = tiny.store_with_pack(tmp_path, large)
    small = tiny.experiment(model=Component("tests.own_parts:Model"))
    arms = {"small": small, "large": large, "small too": small}
    found = run_pilot(arms, store=store, runtime=Runtime(), device=device)
    assert found.arm == "large"
    assert 50 < found.peak_mb < found.total_mb  # PyTorch, and CUDA, alone take more than 50 MB
    assert 0 < found.busy <= 1
    assert store.files.names("trials") == []
