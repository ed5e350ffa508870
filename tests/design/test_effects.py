"""Effects as a plan declares them: weights, aliases, mistakes, the stored form, the stages."""

import dataclasses
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import recipes
from orchestrator.cli.power import power_analysis
from orchestrator.design.designs import (
    aliases,
    effects_of,
    fractional_factorial,
    full_factorial,
    noise_control,
)
from orchestrator.design.effects import declared_effect
from orchestrator.design.factors import Arm, Contrast, Effect, Factor, Level
from orchestrator.design.plan import Plan
from orchestrator.errors import ConfigError, PlanError
from orchestrator.execution.stages import Ended, stages
from orchestrator.experiment.config import Component
from orchestrator.records import EpochRecord, PlanRecord, Status, TrialRecord
from orchestrator.store import Store

BASE = recipes.datar_laptop()


def factors(count: int) -> tuple[Factor, ...]:
    values = ({"epochs": 2}, {"batch_size": 7}, {"clip_norm": 9.0}, {"shuffled_labels": 0.5})
    return tuple(
        Factor(name, (Level(f"no {name}"), Level(f"with {name}", values[i % len(values)])))
        for i, name in enumerate("abcdefg"[:count])
    )


A, B = factors(2)


def plan(**changes) -> Plan:
    values = {
        "name": "p",
        "question": "?",
        "base": BASE,
        "arms": full_factorial(A, B),
        "effects": (Effect(("a", "b")), Effect(("a",))),
        "seeds": tuple(range(12)),
    }
    return Plan(**{**values, **changes})


def finish(store, trial, top1):
    store.write_record(
        TrialRecord(
            id=trial.id,
            status=Status.FINISHED,
            experiment={},
            epochs=(EpochRecord(epoch=1, metrics={"val/top1": top1}),),
        )
    )


def test_effects_are_stored_with_their_weights_before_anything_runs():
    declared = plan().record()
    interaction, main = declared.effects
    assert dict(interaction.weights) == {
        "no a, no b": 1,
        "no a, with b": -1,
        "with a, no b": -1,
        "with a, with b": 1,
    }
    assert interaction.name == "a x b" and main.levels == {"a": ("no a", "with a")}
    assert sorted(main.weights.values()) == [-0.5, -0.5, 0.5, 0.5]
    again = PlanRecord.from_json(json.loads(json.dumps(declared.to_json())))
    assert again == declared


def test_plan_stored_before_effects_were_known_has_none():
    data = plan(effects=()).record().to_json()
    del data["effects"]
    assert PlanRecord.from_json(data).effects == ()


def test_declared_effects_replace_the_contrasts_nobody_declared():
    assert plan().declared_contrasts == () and plan().num_declared == 2
    both = plan(contrasts=(Contrast("with a, no b", "no a, no b"),))
    assert both.num_declared == 3
    assert len(plan(effects=()).declared_contrasts) == 3


def test_effects_of_lists_main_effects_and_interactions():
    names = [effect.factors for effect in effects_of(*factors(3))]
    assert names == [("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c")]
    assert effects_of(*factors(3), order=3)[-1].factors == ("a", "b", "c")


@pytest.mark.parametrize(
    ("effects", "message"),
    [
        ((Effect(("a", "z")),), "unknown factor of the effect 'a x z' 'z'"),
        ((Effect(("a",)), Effect(("a",))), "the effect 'a' is declared twice"),
        ((Effect(("a", "b")), Effect(("b", "a"))), "the effect 'b x a' is declared twice"),
        ((Effect(()),), "name one or more different factors"),
    ],
)
def test_mistaken_effects_are_refused(effects, message):
    with pytest.raises(PlanError) as caught:
        plan(effects=effects).check()
    assert message in str(caught.value)


def test_effect_over_an_unbalanced_set_of_arms_is_refused():
    three = plan().arms[:3]
    with pytest.raises(PlanError, match="full_factorial or fractional_factorial"):
        plan(arms=three, effects=(Effect(("a", "b")),)).check()


def test_arm_without_the_factors_takes_no_part():
    control = Arm(name="control", changes={"epochs": 5})
    (effect,) = plan(arms=(*plan().arms, control), effects=(Effect(("a",)),)).record().effects
    assert "control" not in effect.weights and len(effect.weights) == 4


def test_only_drops_effects_that_lost_an_arm():
    assert plan().only(["*"]).effects == plan().effects
    assert plan().only(["with a*"]).effects == ()


DESIGNS = [
    (3, {"c": ("a", "b")}),
    (4, {"d": ("a", "b", "c")}),
    (5, {"d": ("a", "b"), "e": ("a", "c")}),
    (6, {"e": ("a", "b", "c"), "f": ("b", "c", "d")}),
]


@pytest.mark.parametrize(("count", "generators"), DESIGNS)
def test_aliases_read_from_the_arms_are_those_of_the_generators(count, generators):
    some = factors(count)
    levels = {arm.name: arm.levels for arm in fractional_factorial(*some, generators=generators)}
    names = [factor.name for factor in some]
    expected = {name: set() for name in (e.factors for e in effects_of(*some))}
    for group in aliases(names, generators, order=2):
        for name in group:
            expected[tuple(name.split(" x "))] |= set(group) - {name}
    for effect in effects_of(*some):
        assert set(declared_effect(effect, levels).aliases) == expected[effect.factors]


def test_full_factorial_has_no_aliases():
    levels = {arm.name: arm.levels for arm in full_factorial(*factors(3))}
    assert all(not declared_effect(e, levels).aliases for e in effects_of(*factors(3), order=3))


@given(st.integers(2, 4))
def test_weights_of_different_effects_of_a_full_factorial_are_orthogonal(count):
    some = factors(count)
    levels = {arm.name: arm.levels for arm in full_factorial(*some)}
    weights = [declared_effect(e, levels).weights for e in effects_of(*some, order=count)]
    for one, other in itertools.combinations(weights, 2):
        assert sum(one[arm] * other[arm] for arm in levels) == 0


def test_until_decided_goes_on_until_effects_are_called(tmp_path):
    store = Store.open(tmp_path)
    sizes, reason = [], ""
    for stage in stages(plan().until_decided(), store):
        if isinstance(stage, Ended):
            reason = stage.reason
            break
        sizes.append(len(stage.plan.blocks))
        for trial in stage.trials:
            noise = 0.001 * (trial.seed % 3)
            gain = 0.1 * ("with a" in trial.arm) + 0.1 * (trial.arm == "with a, with b")
            finish(store, trial, 0.5 + gain + noise * (trial.arm == "with a, no b"))
    assert sizes[0] == 7 and 7 <= sizes[-1] < 12
    assert "every declared contrast is called" in reason


def test_until_decided_with_effects_needs_blocks_for_all_of_them():
    few = dataclasses.replace(plan(), seeds=tuple(range(6)))
    with pytest.raises(PlanError, match="6 blocks can never call one of 2 contrasts"):
        few.until_decided().check()


def test_dry_run_plans_with_the_spread_of_the_effect(tmp_path):
    store, asked = Store.open(tmp_path), plan(effects=(Effect(("a", "b")),))
    spread = {0: 0.02, 1: -0.01, 2: 0.0}
    for trial in asked.trials():
        if trial.seed in spread:
            finish(store, trial, 0.5 + spread[trial.seed] * (trial.arm == "with a, with b"))
    records = store.read_records(t.id for t in asked.trials())
    said = " ".join(power_analysis(asked, records))
    assert "planned with a spread of 3.2 points, the upper 80 % limit of the 1.5 points" in said
    assert "seen in 3 stored pairs;" not in said and "seen in 3 stored pairs" in said
    assert "can give is 0.00049" in " ".join(power_analysis(plan(), {}))


def test_noise_control_takes_over_the_arguments_of_its_adaptor():
    level = noise_control(Component("adaptor", strength=0.2, kernel_size=5))
    arm = Arm(name="control", changes=level.changes)
    built = plan(arms=(Arm(name="plain"), arm), effects=()).experiment(arm).transform
    assert built.name == "matched_noise"
    assert built.arguments == {"strength": 0.2, "kernel_size": 5, "at_test": True}
    with pytest.raises(ConfigError, match="'gaussian' is no adaptor"):
        noise_control(Component("gaussian"))
