"""The short form of `tests.chaos.chaos`: three seeds, the third in both lanes."""

import pytest

from tests.chaos.chaos import disturbed, undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("on_two", [False, True], ids=["one lane", "both lanes"])
def test_disturbed_sweep_is_the_undisturbed_one(on_two, tmp_path):
    wanted = undisturbed(tmp_path / "undisturbed", on_two=on_two)
    for seed in (2,) if on_two else (0, 1):
        sweep = disturbed(tmp_path / f"seed-{seed}", seed, wanted, on_two=on_two, num_faults=4)
        assert len(sweep.faults) >= 4
