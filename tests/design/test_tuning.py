"""Every arm at its own best setting: equal budgets, and only validation clips choose."""

import dataclasses

import pytest

from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.design.tuning import Tuning
from orchestrator.errors import PlanError
from tests import tiny

LR = "optimizer.learning_rate"
PLAN = Plan(
    name="tried",
    question="?",
    base=tiny.experiment(optimizer__learning_rate=1e-3),
    arms=(
        Arm(name="plain"),
        Arm(name="slow", changes={LR: 1e-4}),
        Arm(name="wide", changes={"batch_size": 10}),
    ),
    seeds=(3, 4),
)
TUNING = Tuning(setting="lr", num_trials=8)


def test_every_arm_gets_the_same_budget_around_its_own_setting_on_validation_clips():
    TUNING.check(PLAN)
    searches = {arm.name: TUNING.search(PLAN, arm) for arm in PLAN.arms}
    assert len({search.plan.sweep for search in searches.values()}) == 3
    for name, shared in (("plain", 1e-3), ("slow", 1e-4), ("wide", 1e-3)):
        search = searches[name]
        search.check()
        (values,) = search.space.values()
        assert (values.low, values.high) == pytest.approx((shared / 10, shared * 10))
        (control,) = search.plan.trials()  # one seed, the first
        assert control.experiment.optimizer.arguments["learning_rate"] == shared
        assert control.experiment.selection == "best_on_validation" and control.seed == 3
        assert 1 + search.num_points == TUNING.num_trials
        tried = search.with_points([{LR: 2e-3}]).trials()[1].experiment
        assert tried.optimizer.arguments["learning_rate"] == 2e-3
        assert tried.batch_size == control.experiment.batch_size


def test_tuned_plan_differs_from_the_shared_one_in_that_setting_alone():
    own = TUNING.tuned(PLAN, {"plain": 1e-3, "slow": 3e-4, "wide": 5e-3})
    own.check()
    assert own.sweep == "tried-tuned" and own.declared_contrasts == PLAN.declared_contrasts
    assert [trial.id for trial in own.trials()][::3] == [trial.id for trial in PLAN.trials()][::3]
    rates = [own.experiment(arm).optimizer.arguments["learning_rate"] for arm in own.arms]
    assert rates == [1e-3, 3e-4, 5e-3]
    assert own.experiment(own.arms[2]).batch_size == 10


def test_what_cannot_be_tuned_is_named_with_what_can():
    with pytest.raises(
        PlanError, match=r"of 'plain' that can be tuned 'optimizer\.learning'"
    ) as said:
        Tuning(setting="optimizer.learning", num_trials=8).check(PLAN)
    assert "optimizer.learning_rate" in str(said.value)
    with pytest.raises(PlanError, match="It is 'fp32' there"):
        Tuning(setting="precision", num_trials=8).check(PLAN)
    with pytest.raises(PlanError, match="name one fold by --folds"):
        TUNING.check(dataclasses.replace(PLAN, folds=(1, 2)))
