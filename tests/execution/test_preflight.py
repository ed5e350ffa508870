import dataclasses

import pytest

from orchestrator import cli, recipes
from orchestrator.data.entry import open_source
from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.errors import DataError, PlanError
from orchestrator.execution.preflight.arms import check_arms
from orchestrator.experiment.config import Component
from orchestrator.metrics.labels import TargetKind
from tests import tiny

ADAPTOR = {"transform": Component("adaptor", strength=0.2)}


def checks(*arms: Arm, base=None, on_gpu: bool = False):
    plan = Plan(name="p", question="?", base=base or tiny.experiment(), arms=arms, seeds=(0,))
    plan.check()
    return check_arms(plan, num_classes=3, num_samples=8000, sample_rate=16000, on_gpu=on_gpu)


def test_prove_shows_where_an_arm_differs():
    baseline, adaptor, fixed, noise = checks(
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
        checks(
            Arm(name="plain"),
            Arm(name="silent", changes={"transform": Component("gaussian", scale=0.0)}),
            Arm(name="real", changes={"transform": Component("adaptor")}),
        )
    assert "arm 'silent' changes transform" in str(caught.value)
    assert "it ablates nothing" in str(caught.value)
    assert "'real'" not in str(caught.value)


def test_arm_in_tf32_differs_on_gpus_alone():
    arms = (Arm(name="plain"), Arm(name="fewer bits", changes={"precision": "tf32"}))
    with pytest.raises(PlanError, match=r"'fewer bits' changes precision, .* ablates nothing"):
        checks(*arms)
    _, check = checks(*arms, on_gpu=True)
    assert not check.differs


def test_void_control_is_proved_equal_and_refused_where_it_is_not():
    control = Arm(
        name="control", changes={"transform": Component("adaptor", strength=0.0)}, null_control=True
    )
    _, check = checks(Arm(name="plain"), control)
    assert check.shows and check.new_weights == ("transform",)
    assert (check.output_change, check.loss_change, check.step_change) == (0, 0, 0)
    assert "differs in transform and in nothing that 2 training steps compute" in str(check)
    with pytest.raises(
        PlanError, match="'alive' is declared a null control, but its logits differ by up to"
    ):
        checks(Arm(name="plain"), dataclasses.replace(control, name="alive", changes=ADAPTOR))


def test_prove_names_every_arm_that_cannot_be_built():
    with pytest.raises(PlanError) as caught:
        checks(
            Arm(name="plain"),
            Arm(name="odd", changes={"model.groups": (5, 7)}),
            Arm(name="elsewhere", changes={"transform": Component("json.tool:Nothing")}),
        )
    assert "arm 'odd' cannot be built" in str(caught.value)
    assert "arm 'elsewhere' cannot be built" in str(caught.value)


def test_prove_takes_an_arm_that_differs_only_over_time():
    base = tiny.experiment()
    _, longer = checks(
        Arm(name="short"), Arm(name="long", changes={"epochs": base.epochs + 1}), base=base
    )
    assert longer.settings == ("epochs",) and longer.problem == ""


def test_prove_learning_rate_shows_after_a_step():
    base = dataclasses.replace(tiny.experiment(), schedule=Component("constant"))
    _, faster = checks(
        Arm(name="slow"), Arm(name="fast", changes={"optimizer.learning_rate": 1e-2}), base=base
    )
    assert faster.output_change == 0 and faster.step_change > 0


TRIPLET = tiny.experiment(
    frontend=recipes.res15_triplet().frontend,
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
    _, changed = checks(Arm(name="plain"), Arm(name="changed", changes={path: value}), base=base)
    assert changed.shows and changed.output_change == 0
    assert changed.step_change > 0 or changed.loss_change > 0


@pytest.mark.parametrize(
    ("path", "value"), [("clip_norm", 1e6), ("accumulation_steps", 2), ("model.neighbours", 7)]
)
def test_prove_takes_a_setting_that_three_clips_cannot_show(path, value):
    base = dataclasses.replace(TRIPLET, clip_norm=1e5)
    _, later = checks(Arm(name="plain"), Arm(name="later", changes={path: value}), base=base)
    assert not later.shows and later.problem == ""
    assert f"differs in {path}, which 2 training steps cannot show" in str(later)


def test_null_control_of_a_model_with_a_support_set_is_found_equal():
    silent = Component("adaptor", strength=0.0)
    control = Arm(name="control", changes={"transform": silent}, null_control=True)
    _, check = checks(Arm(name="plain"), control, base=TRIPLET)
    assert (check.output_change, check.loss_change, check.step_change) == (0, 0, 0)


def own(kind: str, name: str, **changes) -> Arm:
    return Arm(name=name, changes={kind: Component(f"tests.own_parts:{name}"), **changes})


def test_prove_takes_parts_of_ones_own_that_keep_their_contracts():
    arms = (
        *(own(kind, "Sound") for kind in ("transform",)),
        dataclasses.replace(own("augmentation", "Sound"), name="augmentation"),
        *(own("frontend", "Frontend"), own("model", "Model"), own("loss", "Loss")),
        *(own("optimizer", "sgd"), own("schedule", "flat")),
    )
    base = tiny.experiment(augmentation=Component("spec_augment"), transform=Component("adaptor"))
    shown = checks(Arm(name="plain"), *arms, base=base)
    assert [check.arm for check in shown if not check.shows] == ["plain", "flat"]


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("loss", "Mean", "returned shape () for 3 clips; one loss per clip, (3,), is needed"),
        ("loss", "Column", "returned shape (3, 1) for 3 clips; one loss per clip"),
        ("loss", "Number", "returned a float for 3 clips; one loss per clip"),
        ("loss", "Detached", "returned losses without a gradient"),
        ("loss", "NotANumber", "returned nan in 3 of 3 values; every value must be finite"),
        ("loss", "Refuses", "cannot be built: KeyError: 'gain'"),
        ("loss", "Unseeded", "fails when it is called as forward(logits, labels): TypeError"),
        ("model", "Bare", "returned shape (3, 3); an output with clip_logits"),
        ("model", "Short", "clip_logits of shape (3, 2) for 3 clips; (3, 3) is needed"),
        ("transform", "Flat", "returned shape (3, 1024) for 3 clips; (3, 1, 32, 32) is needed"),
        ("transform", "Halved", "returned shape (3, 1, 32, 16) for 3 clips"),
        ("transform", "Double", "returned type torch.float64; torch.float32 is needed"),
        ("transform", "Infinite", "every value must be finite"),
        ("transform", "Unseeded", "fails when it is called as forward(features, *, clip_seeds)"),
        ("transform", "a_function", "is a function; a torch.nn.Module is needed"),
        ("transform", "NOT_A_PART", "is a int, which cannot be called"),
        ("augmentation", "Halved", "returned shape (3, 1, 32, 16) for 3 clips"),
        ("augmentation", "Unseeded", "called as forward(features, *, clip_seeds, padding)"),
        ("frontend", "FlatFrontend", "returned shape (3, 32, 32) for 3 clips; (3, 1, 32, frames)"),
        ("frontend", "DoubleFrontend", "returned type torch.float64"),
        ("frontend", "Sizeless", "has output_size 32; (rows, frames)"),
        ("frontend", "Model", "cannot be called: missing a required argument"),
        ("optimizer", "no_optimizer", "returned a list; a torch.optim.Optimizer is needed"),
        ("optimizer", "of_another", "holds no parameter of the model's chain"),
        ("optimizer", "without_rate", "has learning rate nan"),
        ("optimizer", "Refuses", "cannot be built: KeyError: 'gain'"),
        ("schedule", "below_zero", "a learning rate is a finite number of at least 0"),
        ("schedule", "a_list", "fails when it is called as schedule(0), of"),
        ("schedule", "too_short", "IndexError"),
        ("schedule", "nothing", "returned a NoneType at step 0"),
        ("schedule", "no_such", "cannot be imported: module 'tests.own_parts' has no attribute"),
    ],
)
def test_prove_names_the_part_that_breaks_its_contract_and_how(kind, name, said):
    with pytest.raises(PlanError) as caught:
        checks(Arm(name="plain"), own(kind, name))
    (mistake,) = caught.value.mistakes
    assert mistake.startswith(f"arm {name!r} cannot be ")
    assert f"{kind} 'tests.own_parts:{name}' " in mistake and said in mistake


def test_prove_says_what_is_not_finite_and_in_which_arm():
    with pytest.raises(PlanError) as caught:
        checks(
            Arm(name="plain"),
            Arm(name="λ", changes={"transform": Component("adaptor", strength=1e300)}),
            Arm(name="rate", changes={"optimizer": Component("sgd", learning_rate=1e30)}),
        )
    strength, rate = caught.value.mistakes
    assert strength.startswith("arm 'λ' cannot be trained: transform 'adaptor' returned ")
    assert "every value must be finite" in strength
    assert rate.startswith("arm 'rate' cannot be trained: ") and "finite" in rate


def test_prove_says_every_arm_that_fails_where_the_baseline_fails_too():
    base = dataclasses.replace(tiny.experiment(), loss=Component("tests.own_parts:Mean"))
    with pytest.raises(PlanError) as caught:
        checks(
            Arm(name="plain"), own("transform", "Flat"), Arm(name="x", changes=ADAPTOR), base=base
        )
    first, second = caught.value.mistakes
    assert first.startswith("arm 'plain' cannot be trained: loss") and "arm 'Flat'" in second


@pytest.mark.parametrize(
    ("arms", "code", "said"),
    [
        ([Arm(name="b", changes=ADAPTOR)], 0, "every arm differs"),
        (
            [Arm(name="b", changes=ADAPTOR), Arm(name="long", changes={"epochs": 9})],
            2,
            "arm 'long' was not seen to differ: it changes epochs, and what that does comes with",
        ),
    ],
)
def test_check_exits_with_2_where_an_arm_was_not_seen_to_differ(arms, code, said, tmp_path, capsys):
    plan = Plan(
        name="p", question="?", base=tiny.experiment(), arms=(Arm(name="a"), *arms), seeds=(0,)
    )
    with pytest.raises(SystemExit) as end:
        cli.main(plan, ["--check", "--store", str(tmp_path / "store"), "--dataset", "synthetic"])
    output = capsys.readouterr()
    assert end.value.code == code
    assert said in output.out + output.err


def test_dataset_of_ones_own_that_is_no_source_is_one_message(tmp_path):
    with pytest.raises(DataError, match=r"'tests.own_parts:dataset' returned \['a.wav'"):
        open_source("tests.own_parts:dataset", {}, root=None)


@pytest.mark.parametrize(
    "mixup",
    [
        Component("pairs"),
        Component("reversed_batch", labels=True),
        Component("reversed_batch", on="waveform"),
        Component("random_partner", probability=1.0),
    ],
    ids=str,
)
def test_mixup_is_seen_to_differ(mixup):
    _, mixed = checks(Arm(name="plain"), Arm(name="mixed", changes={"mixup": mixup}))
    assert mixed.shows and mixed.loss_change > 0 and mixed.output_change == 0


@pytest.mark.parametrize(
    ("kind", "loss"),
    [
        ("single_label", "cross_entropy"),
        ("single_label", "binary_focal"),
        ("multi_label", "binary_focal"),
        ("events", "binary_cross_entropy"),
        ("heads", "focal"),
    ],
)
def test_class_weights_and_losses_are_seen_on_targets_of_every_kind(kind, loss):
    heads = {"verb": 2, "noun": 1} if kind == "heads" else None
    plan = Plan(
        name="weights",
        question="Do rare classes count too little?",
        base=tiny.experiment(loss=Component(loss)),
        arms=(
            Arm(name="alike"),
            Arm(name="weighted", changes={"class_weights": Component(f"{__name__}:rising")}),
            Arm(name="by number", changes={"class_weights": Component("effective_number")}),
        ),
    )
    _, weighted, by_number = check_arms(
        plan,
        num_classes=3,
        num_samples=8000,
        sample_rate=16000,
        kind=TargetKind(kind),
        heads=heads,
    )
    assert weighted.loss_change > 0 and weighted.output_change == 0
    assert by_number.problem == ""


def rising(counts):
    """Weights of a rule of one's own."""
    return range(1, len(counts) + 1)
