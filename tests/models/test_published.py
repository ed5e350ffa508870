"""Published numbers are the papers', in fields that can be compared one by one."""

import dataclasses
import typing

import pytest

from models import list_models
from models.card import Conditions, Result
from models.registry import lookup
from models.zoo.cards import RESULTS, published_results

PERCENT = ("top1", "top5", "verb_top1", "noun_top1", "action_top1", "intersection_f1")


@pytest.mark.parametrize("result", RESULTS, ids=str)
def test_record_names_what_exists_in_the_units_of_trials(result):
    assert result.model in list_models()
    split, _, name = result.metric.partition("/")
    assert split == "val"
    assert result.unit == ("%" if name in PERCENT else "")
    assert 0 < result.value < (100 if result.unit else 3)
    assert result.source.arxiv
    for path, value in result.changes.items():
        kind, _, argument = path.partition(".")
        if argument:
            assert argument in lookup(kind, result.model).arguments
        else:
            assert set(value[1]) <= set(lookup(kind, value[0]).arguments)


def test_no_number_is_listed_twice():
    told_apart = [
        (r.model, r.form, r.metric, r.class_name, r.conditions, r.source) for r in RESULTS
    ]
    assert len(set(told_apart)) == len(told_apart)


def test_conditions_are_plain_values_so_that_a_trial_can_be_held_against_them():
    kinds = typing.get_type_hints(Conditions)
    for result in RESULTS:
        for field in dataclasses.fields(Conditions):
            value = getattr(result.conditions, field.name)
            assert value is None or isinstance(value, str | int | float | tuple), kinds[field.name]
    with pytest.raises(dataclasses.FrozenInstanceError):
        RESULTS[0].conditions.epochs = 1  # type: ignore[misc]


def only(**asked: object) -> Result:
    found = published_results(**asked)  # type: ignore[arg-type]
    assert len(found) == 1, [str(result) for result in found]
    return found[0]


def test_spreads_of_kwt_2_are_those_printed():
    found = {
        r.value: r.conditions.spread
        for r in published_results("kwt_2")
        if r.conditions.num_classes == 35
    }
    assert found == {97.74: 0.03, 97.53: None, 97.3: 0.03}


def test_numbers_of_kwt_say_whether_a_teacher_helped():
    found = {
        (r.model, r.form): r.value
        for r in published_results(dataset="speech_commands_v2")
        if r.model.startswith("kwt") and r.conditions.num_classes == 35 and r.form
    }
    assert all(
        0 < found[model, "with a teacher"] - found[model, "without a teacher"] < 0.25
        for model in ("kwt_1", "kwt_2", "kwt_3")
    )


def test_table_4_of_datar_is_whole():
    rows = [r for r in published_results("datar_tiny") if r.source.place == "Table 4"]
    assert [r.value for r in rows if r.metric == "val/top1"] == [69.4, 70.5, 70.2, 70.5, 70.5, 71.5]
    assert [r.value for r in rows if r.metric == "val/top5"] == [86.6, 89.9, 90.1, 89.6, 90.2, 90.5]
    assert rows[0].changes == {"model.deformable": False, "transform": ("identity", {})}
    assert {r.conditions.epochs for r in rows} == {300}
    assert {r.conditions.num_classes for r in rows} == {None}


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        (dict(model="datar_tiny", dataset="vggsound", metric="val/top1"), 55.5),
        (dict(model="datar_tiny", dataset="epic_kitchens_100", metric="val/action_top1"), 16.3),
        (dict(model="ast_base", form="weights averaged"), 0.459),
        (dict(model="ast_base", form="AST-P", dataset="esc50"), 95.6),
        (dict(model="htsat_tiny", form="H"), 0.440),
        (dict(model="htsat_tiny", form="HCP, six seeds", metric="val/map"), 0.487),
        (dict(model="htsat_tiny", dataset="esc50"), 97.0),
        (dict(model="cnn14", metric="val/map", form=""), 0.431),
        (dict(model="cnn10", metric="val/d_prime"), 2.678),
        (dict(model="resnet38"), 0.434),
    ],
)
def test_number_is_the_papers(asked, value):
    assert only(**asked).value == value


@pytest.mark.parametrize("form", ["HCP", "HCP, six seeds"])
def test_mean_over_the_classes_of_desed_is_the_printed_one(form):
    rows = published_results("htsat_tiny", dataset="desed", form=form)
    classes = [row.value for row in rows if row.class_name]
    assert len(classes) == 10
    # Printed to one decimal each.
    assert next(row.value for row in rows if not row.class_name) == pytest.approx(
        sum(classes) / 10, abs=0.1
    )


def test_quoted_numbers_can_be_left_out():
    assert {r.source.paper for r in published_results("ast_base", quoted=False)} == {"AST"}
    assert {r.source.paper for r in published_results("ast_base", quoted=True)} == {
        "DATAR",
        "HTS-AT",
    }
