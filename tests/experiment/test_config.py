import dataclasses
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import registry
from orchestrator import recipes
from orchestrator.errors import ConfigError
from orchestrator.experiment.config import Component, File
from orchestrator.experiment.identity import canonical, complete, replicate_ids
from orchestrator.experiment.overrides import (
    differences,
    flatten,
    from_canonical,
    mistakes_of,
    override,
)
from orchestrator.records import experiment_id

BASE = recipes.datar_laptop()


def test_id_golden_values_are_unchanged():
    # A change here means that stored results no longer match: raise REVISION if numbers changed,
    # and say so in the changelog; never edit these to make the test pass.
    assert complete(recipes.datar_tiny()).id == "ceca1282ee359bdc"
    fbank = {"num_frames": 128, "frame_length_ms": 50.0, "frame_shift_ms": 40.0}
    longer = {f"frontend.{name}": value for name, value in fbank.items()} | {"epochs": 12}
    assert override(BASE, longer).id == "c8b42b48645a17f1"
    assert complete(BASE).id == "bc733d9862be9e3d"


def test_id_stated_default_equals_unstated_default():
    stated = override(BASE, {"transform": Component("adaptor", strength=0.005, kernel_size=3)})
    unstated = override(BASE, {"transform": Component("adaptor")})
    assert stated.id == unstated.id


def test_id_integer_for_a_float_is_the_same():
    assert override(BASE, {"clip_norm": 5}).id == override(BASE, {"clip_norm": 5.0}).id


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(BASE)])
def test_id_every_field_counts(field):
    changed = {
        "dataset": Component("synthetic", seed=1),
        "frontend": Component("kaldi_fbank", n_mels=80),
        "augmentation": Component("spec_augment"),
        "transform": Component("adaptor"),
        "model": Component("datar_tiny"),
        "loss": Component("cross_entropy", label_smoothing=0.1),
        "optimizer": Component("adam_w", learning_rate=1.0),
        "schedule": Component("constant"),
        "sampler": Component("weighted"),
        "mixup": Component("pairs"),
        "averaging": Component("ema"),
        "distillation": Component("hard", teacher="0" * 16),
        "waveform_augmentation": Component("wave_augment", shift_s=0.1),
        "class_weights": Component("effective_number"),
        "test_shifts_s": (0.0, 0.1),
        "initial": Component("trial", id="x"),
        "precision": "bf16",
        "selection": "best",
        "shuffled_labels": 0.5,
        "selection_metric": "val/map",
        "frozen": True,
        "head": "mlp",
    }
    # A head is one of a frozen model.
    base = override(BASE, {"frozen": field == "head", "augmentation": Component("none")})
    value = changed.get(field, getattr(BASE, field))
    if field not in changed:
        value += 1
    assert override(base, {field: value}).id != base.id


def test_precision_is_one_of_three_and_each_has_its_id():
    wanted = ("fp32", "tf32", "bf16")
    assert len({override(BASE, {"precision": value}).id for value in wanted}) == 3
    (mistake,) = mistakes_of(BASE, {"precision": "fp16"})
    assert all(value in mistake for value in wanted)


def test_shuffled_labels_must_be_a_share():
    assert "shuffled_labels is 1.5; it is a share" in mistakes_of(BASE, {"shuffled_labels": 1.5})[0]
    assert vars(from_canonical(canonical(complete(BASE)))) == vars(complete(BASE))


def test_best_epoch_is_chosen_on_validation_clips_unless_test_clips_are_named():
    wanted = ("last", "best_on_validation", "best_on_test")
    made = [override(BASE, {"selection": value}) for value in wanted]
    assert len({one.id for one in made}) == 3 and made[0].id == complete(BASE).id
    short = override(BASE, {"selection": "best"})
    assert short.selection == "best_on_validation" and short.id == made[1].id
    # What an earlier version stored chose on the test clips, and keeps an id of its own.
    stored = canonical(made[2]) | {"selection": "best"}
    assert experiment_id(stored) not in {one.id for one in made}
    assert from_canonical(stored).selection == "best_on_test"


def test_selection_metric_must_be_a_metric():
    found = mistakes_of(BASE, {"selection_metric": "val/top2"})
    assert "unknown selection_metric 'val/top2'" in found[0] and "val/top1" in found[0]
    changed = override(BASE, {"selection_metric": "val/loss"})
    assert vars(from_canonical(canonical(changed))) == vars(changed)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            (name, bad)
            for name in ("epochs", "batch_size", "accumulation_steps")
            for bad in (0, -1)
        ),
        *((name, bad) for name in ("epochs", "batch_size") for bad in (True, 1.5, "3", 10**12)),
        *(("clip_norm", bad) for bad in (-1, math.nan, math.inf, True, "5", None)),
        *(("seed", bad) for bad in (-1, 2**63, True, 0.5)),
        *(("fold", bad) for bad in (-1, True, "1", 10**12)),
        *(("shuffled_labels", bad) for bad in (-0.1, 1.5, math.nan, True)),
        *(("revision", bad) for bad in (0, -1, True)),
        *(("optimizer.learning_rate", bad) for bad in (math.nan, math.inf)),
        *((part, bad) for part in ("model", "initial") for bad in (None, "datar_laptop", 3)),
        ("transform", Component(3)),  # type: ignore[arg-type]
    ],
)
def test_number_out_of_its_range_or_part_of_another_type_is_one_mistake(field, value):
    (mistake,) = mistakes_of(BASE, {field: value})
    assert mistake.startswith(f"{field} is {value!r}" if "." in field else f"{field} is ")
    direct = BASE if "." in field else dataclasses.replace(BASE, **{field: value})
    with pytest.raises(ConfigError, match=f"{field} is "):
        complete(direct) if "." not in field else override(BASE, {field: value})


def test_mistakes_of_an_experiment_come_all_at_once():
    odd = dataclasses.replace(BASE, clip_norm=-1, seed=-1, batch_size=0, model=None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as caught:
        complete(odd)
    lines = str(caught.value).splitlines()
    assert [line.split()[0] for line in lines] == ["model", "batch_size", "clip_norm", "seed"]


def test_file_path_is_not_part_of_the_id(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "weights").write_bytes(b"same")
    ids = {
        override(
            BASE,
            {"initial": Component("checkpoint", file=File.read(tmp_path / folder / "weights"))},
        ).id
        for folder in ("a", "b")
    }
    assert len(ids) == 1


def test_override_names_every_mistake_and_the_nearest_name():
    mistakes = mistakes_of(
        BASE,
        {
            "model.deformble": False,
            "epoch": 3,
            "transform": Component("adapter"),
            "optimizer.learning_rate": "fast",
            "precision": "fp16",
            "batch_size": 0,
            "seed.x": 1,
        },
    )
    text = "\n".join(mistakes)
    assert len(mistakes) == 7
    assert "'deformble'; did you mean 'deformable'?" in text
    assert "'epoch'; did you mean 'epochs'?" in text
    assert "'adapter'; did you mean 'adaptor'?" in text
    assert "optimizer.learning_rate is 'fast'; it must be float" in text
    assert "'fp32', 'tf32', 'bf16'" in text
    assert "batch_size is 0" in text
    assert "'seed.x'" in text


def test_part_that_is_given_by_its_name_alone_is_told_the_component_of_that_name():
    with pytest.raises(ConfigError, match=r"for example Component\('inverse_frequency'\)"):
        override(BASE, {"class_weights": "inverse_frequency"})


def test_override_whole_component_and_its_argument_in_one_level():
    changed = override(BASE, {"transform.strength": 0.2, "transform": Component("adaptor")})
    assert changed.transform.arguments == {"kernel_size": 3, "strength": 0.2}


def test_override_bool_is_not_an_integer():
    with pytest.raises(ConfigError, match="epochs is True"):
        override(BASE, {"epochs": True})


def test_component_of_another_distribution_is_pinned_by_its_source():
    changed = override(BASE, {"transform": Component("json.tool:main", size=3)})
    assert changed.transform.arguments["size"] == 3
    assert len(changed.transform.arguments["module_digest"]) == 16
    (mistake,) = mistakes_of(BASE, {"transform": Component("somebody.parts:Mine")})
    assert "no module 'somebody.parts'" in mistake


def test_canonical_refuses_what_cannot_be_hashed():
    with pytest.raises(ConfigError, match="finite"):
        canonical({"x": math.nan})
    with pytest.raises(ConfigError, match="use numbers, strings"):
        canonical({"x": object()})


def test_canonical_round_trip_keeps_the_id():
    experiment = override(BASE, {"initial": Component("checkpoint", file=File("sha256:0", "x"))})
    assert complete(from_canonical(canonical(experiment))).id == experiment.id


def test_experiment_survives_pickling():
    done = complete(BASE)
    assert pickle.loads(pickle.dumps(BASE)) == BASE
    assert pickle.loads(pickle.dumps(done)) == done


def test_completed_experiment_cannot_hold_what_is_not_complete():
    done = complete(BASE)
    assert complete(done) is done
    changed = dataclasses.replace(done, transform=Component("adaptor"))
    assert changed.transform.arguments == {"kernel_size": 3, "strength": 0.005}
    assert changed.id == override(BASE, {"transform": Component("adaptor")}).id
    with pytest.raises(ConfigError, match="epochs is 0"):
        dataclasses.replace(done, epochs=0)


def test_completed_experiment_at_another_fold_and_seed_is_the_one_completed_there():
    there = dataclasses.replace(BASE, fold=3, seed=7)
    assert complete(BASE).at(fold=3, seed=7) == complete(there)
    assert replicate_ids(complete(BASE), [(3, 7)]) == [complete(there).id]


def test_differences_are_what_was_changed():
    other = override(BASE, {"model.deformable": False, "epochs": 99})
    assert differences(BASE, other) == {
        "model.deformable": (True, False),
        "epochs": (BASE.epochs, 99),
    }


@given(
    st.dictionaries(
        st.sampled_from(["transform.strength", "clip_norm", "optimizer.learning_rate"]),
        st.floats(0.001, 10, allow_nan=False),
    ),
    st.integers(0, 10**6),
)
def test_override_is_idempotent_and_order_free(changes, seed):
    base = override(BASE, {"transform": Component("adaptor")})
    changes = {**changes, "seed": seed}
    once = override(base, changes)
    assert override(once, changes).id == once.id
    assert override(base, dict(reversed(changes.items()))).id == once.id


def test_flatten_has_no_unstated_argument():
    flat = flatten(complete(BASE))
    for kind in registry.KINDS:
        for name in registry.lookup(kind, flat[kind]).arguments:
            assert f"{kind}.{name}" in flat
