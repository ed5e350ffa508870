"""What `--dry-run` says of a plan beside its trials."""

import dataclasses

import pytest

from orchestrator import cli, recipes
from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.experiment.config import Component

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


def test_clips_that_train_choose_and_are_reported_are_counted(capsys):
    dataset = Component("synthetic", clips_per_class=10, num_classes=4, num_folds=5)
    by = {name: {"selection": name} for name in ("best", "best_on_test")}
    arms = (Arm(name="last"), *(Arm(name=name, changes=changes) for name, changes in by.items()))
    base = dataclasses.replace(PLAN.base, dataset=dataset)
    said = listing(dataclasses.replace(PLAN, base=base, arms=arms, folds=(1, 5)), capsys=capsys)
    rule = "the fold after the reported one (f mod 5 + 1), trained on the other 3"
    for fold, chooses in ((1, 2), (5, 1)):
        assert said.count(f"32 clips train, 8 are reported (fold {fold})\n") == 1
        assert (
            f"24 clips train, 8 choose the epoch (fold {chooses}: {rule}), 8 are reported "
            f"(fold {fold})\n"
        ) in said


def test_tf32_without_a_gpu_is_said_to_be_fp32(capsys):
    said = "precision tf32 (fewer bits) is computed as fp32 on a CPU"
    assert said in listing(PLAN, capsys=capsys)
    assert said not in listing(PLAN, "--gpus-per-worker", "1", capsys=capsys)
    plain = dataclasses.replace(PLAN, arms=(Arm(name="plain"),))
    assert "tf32" not in listing(plain, capsys=capsys)
