"""The short form of `tests.chaos.chaos`: three seeds, the first and the third with a server."""

import pytest

from tests.chaos.chaos import disturbed, undisturbed


@pytest.mark.slow
def test_disturbed_sweep_is_the_undisturbed_one(tmp_path):
    wanted = undisturbed(tmp_path / "undisturbed")
    for seed in range(3):
        sweep = disturbed(tmp_path / f"seed-{seed}", seed, wanted, num_faults=4)
        assert len(sweep.faults) >= 4
