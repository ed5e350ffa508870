import dataclasses
import itertools
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import recipes
from orchestrator.design.designs import (
    add_one_in,
    aliases,
    dose_series,
    effects_of,
    fractional_factorial,
    full_factorial,
    leave_one_out,
    one_at_a_time,
)
from orchestrator.design.factors import Arm, Contrast, Effect, Factor, FromBase, Level
from orchestrator.design.plan import Plan
from orchestrator.design.search_space import Choice, LogUniform, Search, Uniform
from orchestrator.errors import ConfigError, PlanError
from orchestrator.experiment import identity
from orchestrator.experiment.config import Component
from orchestrator.experiment.identity import canonical, complete
from orchestrator.experiment.overrides import from_canonical, override
from orchestrator.records import PlanRecord

BASE = recipes.datar_laptop()
ATTENTION = Factor("attention", (Level("on"), Level("off", {"model.deformable": False})))
INPUT = Factor(
    "input",
    (
        Level("plain"),
        Level("adaptor", {"transform": Component("adaptor")}),
        Level("noise", {"transform": Component("gaussian")}),
    ),
)

OFF = {"model.deformable": False}


@pytest.mark.parametrize("metric", ["val/top1", "val/map", "val/loss"])
@pytest.mark.parametrize("selection", ["last", "best"])
def test_metric_of_a_plan_chooses_the_best_epoch_of_its_trials(metric, selection):
    base = dataclasses.replace(BASE, selection=selection)
    made = Plan(
        name="p",
        question="?",
        base=base,
        arms=(Arm(name="a"), Arm(name="b", changes=OFF)),
        metric=metric,
    )
    before = {
        dataclasses.replace(override(base, arm.changes), seed=seed).id
        for arm in made.arms
        for seed in made.seeds
    }
    wanted = metric if selection == "best" else "val/top1"
    assert {t.experiment.selection_metric for t in made.trials()} == {wanted}
    assert ({trial.id for trial in made.trials()} == before) == (wanted == "val/top1")
    assert made.record().settings.get("selection_metric", "val/top1") == wanted
    assert made.record().arms[1].changes == {"model.deformable": "False"}


def test_metric_of_the_report_alone_leaves_the_epoch_to_one_that_epochs_have():
    made = Plan(
        name="p",
        question="?",
        base=dataclasses.replace(BASE, selection="best_on_validation"),
        arms=(Arm(name="a"), Arm(name="b", changes=OFF)),
        metric="val/macro_f1(threshold=validation)",
    )
    assert {t.experiment.selection_metric for t in made.trials()} == {"val/top1"}


def test_metric_that_an_arm_chooses_by_is_kept():
    base = dataclasses.replace(BASE, selection="best")
    arm = Arm(name="by loss", changes={"selection_metric": "val/loss"})
    made = Plan(name="p", question="?", base=base, arms=(Arm(name="a"), arm), metric="val/map")
    assert [t.experiment.selection_metric for t in made.trials()[:2]] == ["val/map", "val/loss"]


def plan(*arms: Arm, **changes) -> Plan:
    values = {"name": "p", "question": "?", "base": BASE, "arms": arms, "seeds": (0, 1)}
    return Plan(**{**values, **changes})


def test_one_at_a_time_changes_one_factor_per_arm():
    arms = one_at_a_time(ATTENTION, INPUT)
    assert [arm.name for arm in arms] == ["baseline", "off", "adaptor", "noise"]
    assert [len(arm.changes) for arm in arms] == [0, 1, 1, 1]


def test_full_factorial_has_every_combination():
    arms = full_factorial(ATTENTION, INPUT)
    assert len({tuple(arm.levels.values()) for arm in arms}) == 6
    assert arms[0].changes == {}


def test_leave_one_out_and_add_one_in_mirror_each_other():
    off = {"model.deformable": False}
    out, added = leave_one_out({"deformable": off}), add_one_in({"plain points": off})
    assert [arm.name for arm in out] == ["full", "without deformable"]
    assert [arm.name for arm in added] == ["plain", "with plain points"]
    assert out[1].changes == added[1].changes == off


def test_fractional_factorial_is_half_of_the_full_one_and_balanced():
    factors = [
        Factor(n, (Level(f"{n}-"), Level(f"{n}+", {"epochs": i}))) for i, n in enumerate("abcd")
    ]
    arms = fractional_factorial(*factors, generators={"d": ("a", "b", "c")})
    full = {tuple(arm.levels.items()) for arm in full_factorial(*factors)}
    found = [tuple(arm.levels.items()) for arm in arms]
    assert len(arms) == 8 and set(found) < full
    assert found[0] == (("a", "a-"), ("b", "b-"), ("c", "c-"), ("d", "d-"))
    for one, other in itertools.combinations("abcd", 2):  # every pair is crossed in full
        pairs = [(arm.levels[one], arm.levels[other]) for arm in arms]
        assert {pairs.count(pair) for pair in pairs} == {2}


def test_aliases_name_what_a_fraction_cannot_tell_apart():
    assert aliases("abcd", {"d": "abc"}) == (
        ("a x b", "c x d"),
        ("a x c", "b x d"),
        ("a x d", "b x c"),
    )
    assert ("c", "a x b") in aliases("abc", {"c": "ab"})
    assert aliases("abcd", {}) == ()


def test_fractional_factorial_names_what_is_wrong():
    three = Factor("t", (Level("0"), Level("1"), Level("2")))
    two = Factor("u", (Level("0"), Level("1")))
    with pytest.raises(ConfigError, match="'t' has 3 levels") as caught:
        fractional_factorial(three, two, generators={"u": ("x", "t")})
    assert "unknown parent of 'u' 'x'" in str(caught.value)


def test_dose_series_names_doses_after_the_control():
    arms = dose_series(
        "transform.strength",
        (0.005, 0.2),
        symbol="λ",
        control=Level("none"),
        shared={"transform": Component("adaptor")},
    )
    assert [arm.name for arm in arms] == ["none", "λ=0.005", "λ=0.2"]
    strengths = [plan(*arms).experiment(arm).transform.arguments for arm in arms[1:]]
    assert [s["strength"] for s in strengths] == [0.005, 0.2]


def test_trials_are_paired_and_run_block_by_block():
    trials = plan(*one_at_a_time(INPUT), seeds=(3, 1), folds=(2, 4)).trials()
    blocks = [(t.fold, t.seed) for t in trials]
    assert blocks == [b for b in [(2, 3), (2, 1), (4, 3), (4, 1)] for _ in range(3)]
    assert [t.arm for t in trials[:3]] == ["baseline", "adaptor", "noise"]
    assert len({t.id for t in trials}) == len(trials)


def test_seventh_seed_adds_only_its_block():
    small = plan(*one_at_a_time(INPUT), seeds=tuple(range(6)))
    large = small.replicate(seeds=range(7))
    new = {t.id for t in large.trials()} - {t.id for t in small.trials()}
    assert new == {t.id for t in large.trials() if t.seed == 6}


def test_check_names_every_mistake_at_once():
    broken = plan(
        Arm(name="a"),
        Arm(name="a", changes={"model.deformble": False}),
        Arm(name="b", changes={"epoch": 1}),
        metric="val/top3",
        contrasts=(Contrast("a", "c"), Contrast("b", "b")),
        seeds=(1, 1),
        folds=(),
    )
    with pytest.raises(PlanError) as caught:
        broken.check()
    text = str(caught.value)
    for part in (
        "two arms are called 'a'",
        "'deformble'; did you mean 'deformable'?",
        "'epoch'; did you mean 'epochs'?",
        "'val/top3'; did you mean 'val/top",
        "unknown arm in a contrast 'c'",
        "compares 'b' with itself",
        "seeds [1, 1] name one twice",
        "it has no folds",
    ):
        assert part in text


@pytest.mark.parametrize("changes", [{}, {"model.deformable": True}, {"epochs": BASE.epochs}])
def test_check_refuses_an_arm_equal_to_the_baseline(changes):
    with pytest.raises(PlanError, match="arm 'b' is equal to arm 'a'"):
        plan(Arm(name="a"), Arm(name="b", changes=changes)).check()


def test_check_refuses_two_equal_arms():
    off = {"model.deformable": False}
    with pytest.raises(PlanError, match="arm 'c' is equal to arm 'b'"):
        plan(Arm(name="a"), Arm(name="b", changes=off), Arm(name="c", changes=off)).check()


@pytest.mark.parametrize("margin", [float("nan"), float("inf"), -1.0])
def test_check_refuses_a_margin_that_is_no_finite_difference(margin):
    with pytest.raises(PlanError, match=f"its margin is {margin}; a margin is a finite number"):
        plan(*one_at_a_time(ATTENTION), margin=margin).check()


@pytest.mark.parametrize("again", [Contrast("off", "baseline"), Contrast("baseline", "off")])
def test_check_refuses_a_contrast_declared_twice_or_mirrored(again):
    with pytest.raises(PlanError, match="is declared twice, and every p") as caught:
        plan(
            *one_at_a_time(ATTENTION), contrasts=(Contrast("off", "baseline"), again, again)
        ).check()
    assert len(caught.value.mistakes) == 1


def test_check_refuses_a_dose_that_no_arm_varies_and_names_what_arms_do():
    arms = dose_series(
        "transform.strength",
        (0.1, 0.2),
        symbol="λ",
        control=Level("none"),
        shared={"transform": Component("adaptor")},
    )
    plan(*arms, dose="transform.strength").check()
    with pytest.raises(PlanError, match=r"did you mean 'transform.strength'\? \(valid: transform"):
        plan(*arms, dose="transform.strenght").check()
    with pytest.raises(PlanError, match=r"path of its dose 'epochs'.*do not differ in it"):
        plan(*arms, dose="epochs").check()


def test_only_drops_the_dose_with_the_arms_that_have_it():
    arms = (Arm(name="a"), Arm(name="b", changes={"epochs": 2}), Arm(name="c", changes=OFF))
    some = plan(*arms, dose="epochs")
    assert some.only(["a", "b"]).dose == "epochs"
    kept = some.only(["a", "c"])
    kept.check()
    assert kept.dose == ""
    assert dataclasses.replace(some, dose="epoch").only(["a", "c"]).dose == "epoch"


@pytest.mark.parametrize(
    ("words", "arms"),
    [
        (["no adaptor"], ["no adaptor"]),
        (["no", "adaptor"], ["no adaptor"]),  # as `ray submit` takes it apart
        (["λ=1", "no", "adaptor"], ["λ=1", "no adaptor"]),
        (["λ=1,λ=2"], ["λ=1", "λ=2"]),
        (["no", "adaptor,λ=2"], None),
        (["1,3", "λ=2"], ["no adaptor", "λ=2", "λ=2"]),
        (["λ=*"], ["λ=*"]),
        (["7"], ["7"]),  # an arm of that name, not the seventh
        (["9"], None),
        (["0"], None),
        (["²"], None),
        ([","], None),
    ],
)
def test_words_of_a_command_line_name_arms(words, arms):
    names = ("no adaptor", "λ=1", "λ=2", "7")
    some = plan(*(Arm(name=name, changes={"epochs": n}) for n, name in enumerate(names, 1)))
    if arms is None:
        with pytest.raises(ConfigError, match=r"unknown arm .* or a number from 1 to 4"):
            some.named_arms(words)
    else:
        assert list(some.named_arms(words)) == arms


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("a", ""), "arm 2 is called ''; give it a name"),
        (("a", "  "), "arm 2 is called '  '; give it a name"),
        (("a", "b\nc"), r"arm 2 is called 'b\\nc', with characters that no table can show"),
        (("a", "b\x07"), r"arm 2 is called 'b\\x07', with characters"),
        (("Adaptor", "adaptor"), "arms 'Adaptor' and 'adaptor' differ by case or white space"),
        (("a b", "a  b"), "arms 'a b' and 'a  b' differ by case or white space alone"),
        (("a", "a "), "arms 'a' and 'a ' differ by case or white space alone"),
    ],
)
def test_check_refuses_arm_names_that_a_table_cannot_tell_apart(names, said):
    one, other = names
    with pytest.raises(PlanError, match=said) as caught:
        plan(Arm(name=one), Arm(name=other, changes=OFF)).check()
    assert len(caught.value.mistakes) == 1


def test_check_says_a_mistake_of_the_base_once():
    base = dataclasses.replace(BASE, transform=Component("adapter"))
    with pytest.raises(PlanError) as caught:
        plan(*one_at_a_time(ATTENTION), base=base).check()
    assert len(caught.value.mistakes) == 1


def test_record_round_trip_through_json():
    declared = plan(*full_factorial(ATTENTION, INPUT), variant=("demo",))
    record = declared.record(command="python x", declared_at="now", name="synthetic")
    again = PlanRecord.from_json(json.loads(json.dumps(record.to_json())))
    assert again == record
    assert again.sweep == "p-demo"
    assert again.arms[1].changes["transform"] == "adaptor"
    assert len(again.contrasts) == 5


def test_ties_are_broken_by_the_loss_unless_the_plan_says_otherwise():
    arms = one_at_a_time(INPUT)
    assert plan(*arms).record().tie_break == "val/loss"
    assert plan(*arms, tie_break=None).record().tie_break == ""
    by_loss = plan(*arms, metric="val/loss").record()
    assert by_loss.tie_break == by_loss.tie_break_of("val/loss") == ""
    record = plan(*arms, tie_break="val/map").record()
    assert (record.tie_break_of("val/top1"), record.tie_break_of("val/map")) == ("val/map", "")
    assert PlanRecord.from_json({**record.to_json(), "tie_break": ""}).tie_break == ""
    old = {name: value for name, value in record.to_json().items() if name != "tie_break"}
    assert PlanRecord.from_json(old).tie_break == ""
    with pytest.raises(PlanError, match="unknown metric that breaks ties 'val/los'"):
        plan(*arms, tie_break="val/los").check()


def test_record_of_a_newer_version_is_refused():
    data = plan(*one_at_a_time(INPUT)).record().to_json()
    with pytest.raises(ValueError, match="update the orchestrator"):
        PlanRecord.from_json({**data, "schema": 99})


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_replicate_counts_and_pairs(num_seeds, num_folds, num_levels):
    levels = tuple(Level(str(n), {"epochs": n}) for n in range(1, num_levels + 1))
    trials = plan(
        *one_at_a_time(Factor("epochs", (Level("0"), *levels))),
        base=dataclasses.replace(BASE, epochs=99),
        seeds=tuple(range(num_seeds)),
        folds=tuple(range(num_folds)),
    ).trials()
    assert len(trials) == num_seeds * num_folds * (num_levels + 1)
    blocks = {(t.seed, t.fold) for t in trials}
    for arm in {t.arm for t in trials}:
        assert {(t.seed, t.fold) for t in trials if t.arm == arm} == blocks


def search(**space) -> Search:
    return Search(
        plan=plan(Arm(name="control")),
        space={path.replace("__", "."): values for path, values in space.items()},
        symbols={"transform.strength": "λ"},
        shared={"transform": Component("adaptor")},
    )


def test_search_points_become_arms_and_equal_points_one():
    asked = search(transform__strength=LogUniform(1e-3, 1))
    points = [{"transform.strength": 0.1}, {"transform.strength": 0.1}]
    joined = asked.with_points(points)
    assert [arm.name for arm in joined.arms] == ["control", "λ=0.1"]
    assert joined.declared_contrasts == ()
    joined.check()


def test_search_check_names_bad_bounds_and_paths():
    with pytest.raises(PlanError, match="must rise and be above zero"):
        search(transform__strength=LogUniform(0, 1)).check()
    with pytest.raises(PlanError, match="did you mean 'strength'"):
        search(transform__strenght=Uniform(0, 1)).check()
    with pytest.raises(PlanError, match="two different values"):
        search(transform__kernel_size=Choice((3,))).check()


def test_confirmation_of_a_search_is_an_ablation_on_seeds_that_it_never_saw():
    asked = dataclasses.replace(search(transform__strength=LogUniform(1e-3, 1)), confirm=2)
    found = asked.confirmation([{"transform.strength": v} for v in (0.1, 0.2)])
    assert [arm.name for arm in found.arms] == ["control", "λ=0.1", "λ=0.2"]
    assert [(c.arm, c.reference) for c in found.declared_contrasts] == [
        ("λ=0.1", "control"),
        ("λ=0.2", "control"),
    ]
    assert len(found.seeds) == 8 and not {*found.seeds} & {*asked.plan.seeds}
    record = asked.describe(asked.with_points([{"transform.strength": 0.1}]).record(), [])
    assert record.followed_by == found.sweep != record.sweep
    for changes, said in (
        ({"confirm": 31}, "confirm is 31, and the search has 30 points"),
        ({"confirm_seeds": 1}, "confirm_seeds is 1; a contrast needs at least 2"),
        ({"pruner": "hyperband"}, "unknown pruner 'hyperband'"),
        ({"costs": ("seconds",)}, "unknown cost 'seconds'"),
        ({"pruner": "asha", "costs": ("macs",)}, "by one number, and the search has 2 objectives"),
    ):
        with pytest.raises(PlanError, match=said):
            dataclasses.replace(asked, **changes).check()


def test_search_rounds_to_three_digits():
    assert LogUniform(1e-3, 1).round(0.0123456) == 0.0123


def test_only_keeps_arms_by_name_and_pattern_with_their_contrasts():
    names = ("a", "b, one", "b, two")
    some = plan(
        *(Arm(name=name, changes={"epochs": 2 + i}) for i, name in enumerate(names)),
        contrasts=(Contrast("b, two", "b, one"), Contrast("b, one", "a")),
    )
    kept = some.only(["b, ?*"])
    assert [arm.name for arm in kept.arms] == ["b, one", "b, two"]
    assert kept.contrasts == (Contrast("b, two", "b, one"),)
    assert kept.baseline_arm == "b, one"
    assert some.only(["*"]) == some
    with pytest.raises(ConfigError, match=r"unknown arm 'c' \(valid: a, b, one, b, two\)"):
        some.only(["a", "c"])


def test_prerequisites_that_no_arm_starts_from_are_left_out():
    used, idle, teacher = (override(BASE, {"seed": seed}) for seed in (7, 8, 9))
    some = plan(
        Arm(name="scratch"),
        Arm(name="started", changes={"initial": Component("trial", id=used.id)}),
        Arm(name="taught", changes={"distillation": Component("hard", teacher=teacher.id)}),
        prerequisites=lambda base: (used, idle, teacher),
    )
    assert [trial.id for trial in some.prerequisite_trials()] == [used.id, teacher.id]
    assert some.only(["scratch"]).prerequisite_trials() == ()


def taught_by(name: str, **more) -> dict:
    return {"distillation": Component("soft", teacher=f"arm:{name}"), **more}


def test_students_are_paired_with_the_teacher_of_their_seed_and_fold():
    some = plan(
        Arm(name="grandchild", changes=taught_by("child", epochs=7)),
        Arm(name="child", changes=taught_by("a, b")),
        Arm(name="a, b"),
        seeds=(0, 3),
        folds=(1, 2),
    )
    trials = {(t.arm, t.fold, t.seed): t for t in some.trials()}
    assert [t.arm for t in some.trials()[:3]] == ["grandchild", "child", "a, b"]
    for arm, teacher in (("grandchild", "child"), ("child", "a, b")):
        for block in some.blocks:
            trial = trials[(arm, *block)]
            assert trial.id == trial.experiment.id
            assert trial.experiment.distillation.arguments["teacher"] == trials[teacher, *block].id
            # A worker completes what it gets, and a store rebuilds what it holds.
            assert complete(from_canonical(canonical(trial.experiment))).id == trial.id
    assert len({t.id for t in some.trials()}) == 12
    changes = {arm.name: arm.changes for arm in some.record().arms}
    assert changes["a, b"]["distillation.teacher"] == "arm:a, b" or some.baseline_arm != "a, b"


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ({"a": {}, "b": taught_by("c")}, "unknown arm of its teacher 'c' (valid: a, b)"),
        ({"a": taught_by("b"), "b": taught_by("a")}, "arms teach each other in a circle: "),
        ({"a": taught_by("a"), "b": {}}, "arms teach each other in a circle: a -> a"),
        (
            {"a": {"selection": "best_on_test"}, "b": taught_by("a")},
            "arm 'b': its teacher 'a' is read at the epoch that is best on the clips it reports",
        ),
        (
            {"a": {}, "b": taught_by("a", selection="best")},
            "arm 'b' chooses its epoch on validation clips, on which its teacher 'a' is trained",
        ),
        (
            {"a": {}, "b": {"distillation": Component("soft", teacher="a")}},
            "distillation.teacher is 'a'; it must be the id of a trial, 16 hex digits, or an arm",
        ),
        (
            {"a": {}, "b": {"distillation": Component("soft")}},
            "distillation 'soft' needs the argument 'teacher'",
        ),
    ],
)
def test_teacher_that_is_no_other_arm_is_refused(arms, said):
    some = plan(*(Arm(name=name, changes=changes) for name, changes in arms.items()))
    with pytest.raises(PlanError) as refused:
        some.trials()
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 9}, "arm 'b' changes seed, which is a replicate and no arm"),
        ({"fold": 2}, "arm 'b' changes fold, which is a replicate and no arm"),
        ({"epochs": 9, "fold": 2}, "give Plan(folds=...) or --folds"),
        ({"revision": 7}, "arm 'b' changes revision"),
        ({"dataset.seed": 1}, "arm 'b' changes the data set, and every arm is trained and scored"),
        ({"dataset": Component("synthetic", num_classes=3)}, "arm 'b' changes the data set"),
    ],
)
def test_check_refuses_an_arm_that_changes_its_block_its_data_or_the_code(changes, said):
    with pytest.raises(PlanError, match=re.escape(said)) as caught:
        plan(Arm(name="a"), Arm(name="b", changes=changes)).check()
    assert len(caught.value.mistakes) == 1


def test_search_refuses_to_vary_the_seed_or_the_fold():
    with pytest.raises(PlanError, match="the search changes seed, which is a replicate"):
        search(seed=Choice((1, 2))).check()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("arms", (), "it has no arms"),
        ("arms", None, "plan: arms is None; it must be a tuple of Arm"),
        ("arms", "abc", "plan: arms is 'abc'; it must be a tuple of Arm"),
        ("arms", ("a", "b"), "plan: arms is ('a', 'b'); it must be a tuple of Arm"),
        ("arms", Arm(name="a"), "plan: arms is Arm(name='a'"),
        ("contrasts", ("a", "b"), "plan: contrasts is ('a', 'b'); it must be a tuple of Contrast"),
        ("contrasts", "a", "plan: contrasts is 'a'"),
        ("contrasts", Contrast("a", "b"), "plan: contrasts is Contrast(arm='a'"),
        ("effects", ("input",), "plan: effects is ('input',); it must be a tuple of Effect"),
        ("effects", None, "plan: effects is None"),
        ("name", None, "plan: name is None; it must be a string"),
        ("name", "n" * 101, "its name has 101 characters; 100 are the most"),
        ("metric", ["val/top1"], "plan: metric is ['val/top1']; it must be a string"),
        ("base", None, "plan: base is None; it must be an Experiment"),
        ("demo", "datar_laptop", "plan: demo is 'datar_laptop'; it must be an Experiment"),
        ("seeds", "012", "plan: seeds is '012'; it must be a tuple of whole numbers"),
        ("seeds", 3, "plan: seeds is 3; it must be a tuple of whole numbers"),
        ("seeds", (0, True), "plan: seeds is (0, True)"),
        ("seeds", (0, -1), "plan: seeds is (0, -1)"),
        ("seeds", (0.5,), "plan: seeds is (0.5,)"),
        ("seeds", (2**63,), f"plan: seeds is ({2**63},)"),
        ("seeds", range(10**12), "it has 2,000,000,000,000 trials"),
        ("folds", (-1,), "plan: folds is (-1,)"),
        ("folds", range(10**6), "one plan has 100,000 at most; give fewer seeds, folds or arms"),
        ("demo_seeds", None, "plan: demo_seeds is None"),
        ("cap", -1, "plan: cap is -1; it must be a whole number of at least 0"),
        ("cap", 1.5, "plan: cap is 1.5"),
        ("cap", 1001, "a study until decided of 1,001 blocks; 1,000 are the most"),
        ("margin", "1", "plan: margin is '1'; it must be a number"),
        ("margin", True, "plan: margin is True; it must be a number"),
        ("tie_break", 1, "plan: tie_break is 1; it must be the key of a metric, or None"),
        ("dose", 3, "plan: dose is 3; it must be a string"),
        ("prerequisites", (), "plan: prerequisites is (); it must be a function"),
    ],
)
def test_check_names_a_field_of_another_type_or_size(field, value, said):
    arms = (Arm(name="a"), Arm(name="b", changes=OFF))
    wrong = dataclasses.replace(plan(*arms), **{field: value})
    with pytest.raises(PlanError) as caught:
        wrong.check()
    (mistake,) = caught.value.mistakes
    assert said in mistake


def test_check_names_all_fields_of_other_types_at_once():
    with pytest.raises(PlanError) as caught:
        dataclasses.replace(plan(), arms=None, seeds="1", margin=None).check()
    assert [m.split()[1] for m in caught.value.mistakes] == ["arms", "seeds", "margin"]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Level(3), "level 3: its name is 3; it must be a string"),
        (lambda: Level("a", "epochs=3"), "changes is 'epochs=3'; it must be a mapping from path"),
        (lambda: Level("a", {1: 2}), "level 'a': changes is {1: 2}"),
        (
            lambda: Factor("f", "ab"),
            "factor 'f': levels is 'ab'; it must be a tuple of two or more",
        ),
        (lambda: Factor("f", ()), "factor 'f': levels is ()"),
        (lambda: Factor("f", (Level("a"),)), "it must be a tuple of two or more Level"),
        (lambda: Factor("f", ("a", "b")), "factor 'f': levels is ('a', 'b')"),
        (lambda: Arm(name="a", changes=[("epochs", 3)]), "arm 'a': changes is [('epochs', 3)]"),
        (
            lambda: Arm(name="a", null_control="no"),
            "arm 'a': null_control is 'no'; it must be True or False",
        ),
        (lambda: Arm(name="a", published={"val/top1": "70"}), "a mapping from metric to a finite"),
        (lambda: Contrast("a", 1), "contrast: reference is 1; it must be the name of an arm"),
        (lambda: Effect("input"), "effect: factors is 'input'; it must be a tuple of names"),
        (lambda: FromBase(3), "FromBase: value is 3"),
        (lambda: one_at_a_time(), "one_at_a_time: it varies nothing"),
        (lambda: one_at_a_time([INPUT]), "one_at_a_time: argument 1 is [Factor("),
        (lambda: full_factorial("ab"), "full_factorial: argument 1 is 'ab'; it must be a Factor"),
        (lambda: full_factorial(INPUT, INPUT), "two factors are called 'input'"),
        (lambda: fractional_factorial(ATTENTION, generators=["a"]), "generators is ['a']"),
        (lambda: effects_of("ab"), "effects_of: argument 1 is 'ab'"),
        (lambda: leave_one_out("ab"), "leave_one_out: components is 'ab'; it must be a mapping"),
        (lambda: add_one_in({}), "add_one_in: components is {}"),
        (
            lambda: dose_series("x", "0.1", symbol="λ", control=Level("none")),
            "dose_series: doses is '0.1'; it must be a tuple of numbers",
        ),
        (
            lambda: dose_series("x", (1,), symbol="λ", control="none"),
            "dose_series: control is 'none'; it must be a Level",
        ),
    ],
)
def test_value_of_another_type_is_one_mistake_where_it_is_made(made, said):
    with pytest.raises(PlanError) as caught:
        made()
    (mistake,) = caught.value.mistakes
    assert said in mistake


def test_function_of_the_base_that_fails_is_a_mistake_of_its_arm():
    odd = Arm(name="odd", changes={"epochs": FromBase(lambda base: {}["x"])})
    with pytest.raises(PlanError, match="arm 'odd': the function of 'epochs' fails: KeyError: 'x'"):
        plan(Arm(name="a"), odd).check()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"space": "x"}, "search: space is 'x'"),
        ({"space": {}}, "search: space is {}"),
        ({"space": {"epochs": (1, 2)}}, "search: space is {'epochs': (1, 2)}"),
        ({"num_points": -1}, "search: num_points is -1; it must be a whole number from 0"),
        ({"plan": None}, "search: plan is None; it must be a Plan"),
        ({"space": {"epochs": Uniform("a", 1)}}, "Uniform('a', 1): the bounds must be numbers"),
        ({"space": {"epochs": Choice(3)}}, "Choice(3): the values must be a tuple"),
    ],
)
def test_search_names_a_field_of_another_type(changes, said):
    with pytest.raises(PlanError, match=re.escape(said)):
        dataclasses.replace(search(epochs=Choice((1, 2))), **changes).check()


def test_name_of_an_arm_that_is_too_long_is_refused():
    with pytest.raises(PlanError, match="arm 2 has a name of 5,000 characters"):
        plan(Arm(name="a"), Arm(name="b" * 5000, changes=OFF)).check()


def test_ids_of_trials_are_those_of_their_experiments():
    trials = plan(*one_at_a_time(INPUT), seeds=(0, 7, 2**62), folds=(3, 1)).trials()
    assert [trial.id for trial in trials] == [trial.experiment.id for trial in trials]
    assert {(t.experiment.fold, t.experiment.seed) for t in trials} == {
        (t.fold, t.seed) for t in trials
    }


def test_plan_completes_as_few_experiments_for_many_seeds_as_for_one(monkeypatch):
    calls = []
    real = identity.fill_in
    monkeypatch.setattr(identity, "fill_in", lambda e: calls.append(1) or real(e))
    counts = []
    for seeds in (1, 2000):
        calls.clear()
        some = plan(*one_at_a_time(INPUT), seeds=tuple(range(seeds)))
        assert len(some.trials()) == 3 * seeds and some.trials() is some.trials()
        counts.append(len(calls))
    assert counts[0] == counts[1] > 0
