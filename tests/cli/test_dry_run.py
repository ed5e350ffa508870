"""What `--dry-run` says of a plan beside its trials."""

import dataclasses

import pytest

from orchestrator import cli, recipes
from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan

PLAN = Plan(
    name="bits",
    question="?",
    base=recipes.datar_laptop(),
    arms=(Arm(name="plain"), Arm(name="fewer bits", changes={"precision": "tf32"})),
)


def listing(plan: Plan, *argv: str, capsys) -> str:
    with pytest.raises(SystemExit) as end:
        cli.main(plan, ["--dry-run", *argv, "--store", "nowhere"])
    assert end.value.code == 0
    return capsys.readouterr().out


def test_tf32_without_a_gpu_is_said_to_be_fp32(capsys):
    said = "precision tf32 (fewer bits) is computed as fp32 on a CPU"
    assert said in listing(PLAN, capsys=capsys)
    assert said not in listing(PLAN, "--gpus-per-worker", "1", capsys=capsys)
    plain = dataclasses.replace(PLAN, arms=(Arm(name="plain"),))
    assert "tf32" not in listing(plain, capsys=capsys)
