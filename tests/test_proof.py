import dataclasses

import pytest

from orchestrator import baselines
from orchestrator.ablation import Arm
from orchestrator.config import Component
from orchestrator.errors import PlanError
from orchestrator.plan import Plan
from orchestrator.proof import prove
from tests import tiny

ADAPTOR = {"transform": Component("adaptor", strength=0.2)}


def proofs(*arms: Arm, base=None):
    plan = Plan(name="p", question="?", base=base or tiny.experiment(), arms=arms, seeds=(0,))
    plan.check()
    return prove(plan, num_classes=3, num_samples=8000, sample_rate=16000)


def test_prove_shows_where_an_arm_differs():
    baseline, adaptor, fixed, noise = proofs(
        Arm(name="plain"),
        Arm(name="adaptor", changes={"transform": Component("adaptor", strength=0.2)}),
        Arm(name="fixed", changes={"model.deformable": False}),
        Arm(name="noise", changes={"transform": Component("gaussian", scale=0.1)}),
    )
    assert baseline.settings == () and baseline.step_change == 0
    assert adaptor.new_weights == ("transform",) and adaptor.num_params == baseline.num_params + 10
    assert adaptor.output_change > 0
    assert fixed.settings == ("model.deformable",) and fixed.step_change > 0
    assert noise.new_weights == () and noise.output_change == 0 and noise.step_change > 0


def test_prove_refuses_an_arm_that_ablates_nothing():
    with pytest.raises(PlanError) as caught:
        proofs(
            Arm(name="plain"),
            Arm(name="silent", changes={"transform": Component("gaussian", scale=0.0)}),
            Arm(name="real", changes={"transform": Component("adaptor")}),
        )
    assert "arm 'silent' changes transform" in str(caught.value)
    assert "it ablates nothing" in str(caught.value)
    assert "'real'" not in str(caught.value)


def test_void_control_is_proved_equal_and_refused_where_it_is_not():
    void = Arm(name="void", changes={"transform": Component("adaptor", strength=0.0)}, void=True)
    _, proof = proofs(Arm(name="plain"), void)
    assert proof.shows and proof.new_weights == ("transform",)
    assert (proof.output_change, proof.loss_change, proof.step_change) == (0, 0, 0)
    assert "differs in transform and in nothing that 2 training steps compute" in str(proof)
    with pytest.raises(PlanError, match="'alive' is declared void, but its logits differ by up to"):
        proofs(Arm(name="plain"), dataclasses.replace(void, name="alive", changes=ADAPTOR))


def test_prove_names_every_arm_that_cannot_be_built():
    with pytest.raises(PlanError) as caught:
        proofs(
            Arm(name="plain"),
            Arm(name="odd", changes={"model.groups": (5, 7)}),
            Arm(name="elsewhere", changes={"transform": Component("json.tool:Nothing")}),
        )
    assert "arm 'odd' cannot be built" in str(caught.value)
    assert "arm 'elsewhere' cannot be built" in str(caught.value)


def test_prove_takes_an_arm_that_differs_only_over_time():
    base = tiny.experiment()
    _, longer = proofs(
        Arm(name="short"), Arm(name="long", changes={"epochs": base.epochs + 1}), base=base
    )
    assert longer.settings == ("epochs",) and longer.problem == ""


def test_prove_learning_rate_shows_after_a_step():
    base = dataclasses.replace(tiny.experiment(), schedule=Component("constant"))
    _, faster = proofs(
        Arm(name="slow"), Arm(name="fast", changes={"optimizer.learning_rate": 1e-2}), base=base
    )
    assert faster.output_change == 0 and faster.step_change > 0


TRIPLET = tiny.experiment(
    frontend=baselines.res15_triplet().frontend,
    model=Component("res15_triplet", dim=8, depth=3, pool=(4, 4)),
    loss=Component("triplet"),
)
SGD = tiny.experiment(optimizer=Component("sgd", learning_rate=0.01))


@pytest.mark.parametrize(
    ("base", "path", "value"),
    [
        (TRIPLET, "loss.margin", 1.0),
        (TRIPLET, "model.neighbours", 1),
        (SGD, "optimizer.momentum", 0.5),
        (tiny.experiment(), "optimizer.beta1", 0.8),
        (tiny.experiment(), "optimizer.beta2", 0.99),
        (tiny.experiment(), "precision", "bf16"),
        (TRIPLET, "precision", "bf16"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_prove_shows_a_setting_of_loss_optimizer_memory_or_precision(base, path, value):
    _, changed = proofs(Arm(name="plain"), Arm(name="changed", changes={path: value}), base=base)
    assert changed.shows and changed.output_change == 0
    assert changed.step_change > 0 or changed.loss_change > 0


@pytest.mark.parametrize(
    ("path", "value"), [("clip_norm", 1e6), ("accumulation_steps", 2), ("model.neighbours", 7)]
)
def test_prove_takes_a_setting_that_three_clips_cannot_show(path, value):
    base = dataclasses.replace(TRIPLET, clip_norm=1e5)
    _, later = proofs(Arm(name="plain"), Arm(name="later", changes={path: value}), base=base)
    assert not later.shows and later.problem == ""
    assert f"differs in {path}, which 2 training steps cannot show" in str(later)


def test_void_control_of_a_model_that_remembers_is_proved_equal():
    silent = Component("adaptor", strength=0.0)
    void = Arm(name="void", changes={"transform": silent}, void=True)
    _, proof = proofs(Arm(name="plain"), void, base=TRIPLET)
    assert (proof.output_change, proof.loss_change, proof.step_change) == (0, 0, 0)
