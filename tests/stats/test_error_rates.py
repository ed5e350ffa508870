"""The rules keep their promises on simulated ablations: a cheap part here, the whole when slow."""

import json

import numpy as np
import pytest

from tests.benchmarks.stats import error_rates
from tests.benchmarks.stats.bench_error_rates import main
from tests.benchmarks.stats.simulation import SHAPES, simulate


def assert_promises(fixed, simulations, *, errors=3.0):
    """Check rates against their bounds, give or take standard errors of the simulation."""
    error = error_rates.error_of(0.05, simulations)
    for row in fixed:
        assert max(row.false_call, row.false_call_mixed) <= 0.05 + errors * error, row
        joint = (row.coverage_joint, row.coverage_joint_mixed, row.coverage_joint_shifted)
        for coverage in (row.coverage, row.coverage_shifted, *joint):
            assert coverage >= 0.93 - errors * error, row
        if row.n < 6:
            assert row.width is None and min(row.coverage, *joint) == 1, row
        else:  # whole clips that tie leave gaps between the levels of a test
            assert row.coverage_shifted <= 0.97 + errors * error, row
            assert 0.95 < row.width < 1.4, row
        assert list(row.power.values()) == sorted(row.power.values()), row
        for effect, power in row.power_family.items():
            assert row.power_holm[effect] <= power + 1e-12, row
            assert power <= row.power[effect] + 1e-12, row


@pytest.mark.parametrize("shape", SHAPES)
def test_fixed_designs_keep_their_level_and_coverage(shape):
    simulations = 200
    rows = [error_rates.fixed_rates(shape, n, simulations=simulations, seed=1) for n in (5, 8)]
    assert_promises(rows, simulations)
    assert rows[0].false_call == 0
    assert rows[1].power[2.0] > 0.8


def test_five_contrasts_at_eight_seeds_are_found_more_often_than_by_holm():
    row = error_rates.fixed_rates("normal", 8, simulations=400, seed=2)
    assert row.power_family[1.0] >= 0.45
    assert row.power_family[1.0] >= row.power_holm[1.0] + 0.1


def test_sequential_rule_keeps_its_family_wise_error():
    found = error_rates.sequential_rates("discrete", 0.0, simulations=200, seed=3)
    assert found.any_call <= 0.05 + 3 * error_rates.error_of(0.05, 200)
    found = error_rates.sequential_rates("normal", 2.0, simulations=40, seed=3)
    assert found.called > 0.95
    assert found.blocks < error_rates.CAP


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_simulated_ablations_have_the_difference_they_name(shape, effect):
    found = simulate(shape, simulations=4_000, arms=2, blocks=5, effect=effect, seed=5)
    spread = found.differences.std() / np.sqrt(4_000 * 5)
    assert found.difference <= 0
    assert found.differences.mean() == pytest.approx(found.difference, abs=5 * spread)
    assert found.baseline.mean() == pytest.approx(found.level, abs=5 * spread)
    if effect:
        null = simulate(shape, simulations=4_000, arms=1, blocks=5, effect=0.0, seed=6)
        assert -found.difference == pytest.approx(null.differences.std(), rel=0.05)


def test_command_prints_the_same_numbers_as_table_and_json(capsys, monkeypatch):
    monkeypatch.setattr(error_rates, "SIZES", (3,))
    monkeypatch.setattr(
        "tests.benchmarks.stats.bench_error_rates.SHAPES", {"normal": SHAPES["normal"]}
    )
    main(["--simulations", "20", "--json"])
    found = json.loads(capsys.readouterr().out)
    main(["--simulations", "20"])
    table = capsys.readouterr().out
    assert [row["n"] for row in found["fixed"]] == [3]
    assert f"{100 * found['fixed'][0]['coverage']:.1f}" in table
    for name, rate in found["other"].items():
        line = next(line for line in table.splitlines() if line.startswith(f"| {name} "))
        assert line.endswith(f" {100 * rate:.1f} |")


def test_command_refuses_no_simulations(capsys):
    with pytest.raises(SystemExit):
        main(["--simulations", "0"])
    assert "at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_the_whole_table_keeps_every_promise(capsys):
    main(["--json"])
    found = json.loads(capsys.readouterr().out)
    simulations = found["simulations"]
    error = error_rates.error_of(0.05, simulations)
    fixed = [
        error_rates.Rates(
            **{
                **row,
                "power": {float(k): v for k, v in row["power"].items()},
                "power_family": {float(k): v for k, v in row["power_family"].items()},
                "power_holm": {float(k): v for k, v in row["power_holm"].items()},
            }
        )
        for row in found["fixed"]
    ]
    assert_promises(fixed, simulations)
    for row in found["sequential"]:
        if row["effect"] == 0:
            assert row["any_call"] <= 0.05 + 3 * error, row
        if row["effect"]:
            assert 0.85 * row["called_fixed"] <= row["called"] <= row["called_fixed"] + error, row
    for name, rate in found["other"].items():
        if "ordinary t" in name:
            assert rate > 0.05 + 3 * error
        else:
            assert rate <= 0.05 + 3 * error, name
