"""Arms that do not beat chance are called so first, in every form."""

import csv
import dataclasses
import io
import json
import math

import pytest
from report_examples import make_plan, make_record, make_records
from scipy import stats as scipy_stats

from orchestrator.analysis.chance import study_chance
from orchestrator.analysis.summary import summarize
from orchestrator.metrics import lookup
from orchestrator.records import ArmRecord, EffectRecord
from orchestrator.report.render.formats import to_csv, to_json, to_markdown
from orchestrator.report.render.latex import to_latex
from orchestrator.report.render.page import render_page
from orchestrator.report.render.text import render_text
from orchestrator.report.wording.findings import finding_sentence
from orchestrator.report.wording.notes import answers, chance_sentence
from orchestrator.tracking.sweep_views import drafts

CLASSES = tuple(f"class {i}" for i in range(50))
ARMS = ("no adaptor", "λ=0.001", "λ=0.01")


def study(levels, *, seeds=6, classes=CLASSES, data=None, margin=0.0, metric="val/top1"):
    """Arms with these mean accuracies, spread by a point over seeds."""
    arms = ARMS[: len(levels)]
    plan = make_plan(arms, seeds=seeds, dose="", margin=margin, metric=metric)
    plan = dataclasses.replace(plan, dataset={**plan.dataset, "class_names": classes})
    records = {}
    for key in plan.trials:
        # A shift of its own for each arm keeps their differences from being equal.
        spread = ((key.seed + arms.index(key.arm)) % 6 - 2.5) / 250 if seeds > 1 else 0.0
        record = make_record(key.id, top1=levels[arms.index(key.arm)] + spread)
        record.data.update(data or {})
        records[key.id] = record
    return plan, records


NONE_BEATS = "No arm beats chance (2 %, 1 of 50 classes) in top-1"
SOME = "2 of 3 arms do not beat chance (2 %, 1 of 50 classes) in top-1: no adaptor, λ=0.01."


@pytest.mark.parametrize(
    ("levels", "first"),
    [
        ((0.021, 0.022, 0.021), NONE_BEATS),
        ((0.021, 0.3, 0.022), SOME),
        ((0.021, 0.3, 0.35), "1 of 3 arms does not beat chance (2 %, 1 of 50 classes) in top-1: "),
        ((0.3, 0.35, 0.32), ""),
    ],
)
def test_arms_at_chance_are_said_first_in_every_form(levels, first):
    plan, records = study(levels)
    summary = summarize(plan, records)
    opening = answers(summary)[0].text
    assert opening.startswith(first) if first else "chance" not in opening
    said = chance_sentence(summary)
    forms = {
        "text": " ".join(render_text(summary, 80).split()),
        "markdown": to_markdown(summary),
        "html": render_page(summary, records).replace("\u00a0", " "),
        "latex": to_latex(summary).replace("\\%", "%").replace("$\\lambda$", "λ"),
        "mlflow": next(drafts(plan, records, store="s", final=True))
        .build()
        .tags["mlflow.note.content"],
    }
    for form, text in forms.items():
        assert ("not beat chance" in text or "No arm beats" in text) == bool(first), form
        if first:
            assert said[:60] in text, form
    data = json.loads(to_json(summary))
    assert data["chance_sentence"] == said and data["chance"]["value"] == pytest.approx(2)
    assert (data["answers"][0]["text"] == said) == bool(first)
    rows = list(csv.DictReader(io.StringIO(to_csv(summary))))
    assert [row["beats_chance"] for row in rows] == [str(level > 0.1) for level in levels]
    assert {float(row["chance"]) for row in rows} == {2.0}


def test_difference_of_two_arms_at_chance_rules_nothing_out():
    plan, records = study((0.021, 0.022, 0.3), margin=5.0)
    below, above = (finding_sentence(c) for c in summarize(plan, records).contrasts)
    assert "None of these arms beats chance" in below
    assert "rule out" not in below and "quivalent" not in below and "no worse" not in below
    assert "None of these arms" not in above


def test_effects_of_arms_at_chance_rule_nothing_out():
    levels = [{"a": a, "b": b} for a in "01" for b in "01"]
    arms = tuple(ArmRecord(name=f"{at['a']}{at['b']}", levels=at) for at in levels)
    pairs = {"a": ("0", "1"), "b": ("0", "1")}
    effects = (
        EffectRecord(
            factors=("a",),
            levels={"a": pairs["a"]},
            weights={"00": -0.5, "01": -0.5, "10": 0.5, "11": 0.5},
        ),
        EffectRecord(
            factors=("a", "b"), levels=pairs, weights={"00": 1, "01": -1, "10": -1, "11": 1}
        ),
    )
    plan = make_plan(arms, seeds=8, dose="", contrasts=(), effects=effects)
    for level, at_chance in ((0.125, True), (0.6, False)):
        for effect in summarize(plan, make_records(plan, level=level)).effects:
            assert ("None of these arms beats chance" in finding_sentence(effect)) == at_chance
            assert ("rule out" in finding_sentence(effect)) != at_chance


@pytest.mark.parametrize(
    ("data", "value", "rule"),
    [
        ({}, 2.0, "1 of 50 classes"),
        ({"num_classes": 10}, 10.0, "1 of 10 classes"),
        ({"num_classes": 4, "val_counts": [70, 10, 10, 10]}, 70.0, "always naming the commonest"),
        ({"num_classes": 4, "val_counts": [5, 5, 5, 5]}, 25.0, "1 of 4 classes"),
    ],
)
def test_chance_is_of_what_the_trials_recorded(data, value, rule):
    plan, records = study((0.3, 0.4), data=data)
    found = study_chance(plan, records, lookup("val/top1"))
    assert found.value == pytest.approx(value) and found.rule.startswith(rule)


def test_chance_over_folds_is_the_mean_of_theirs():
    plan = make_plan(seeds=1, folds=(1, 2))
    records = make_records(plan)
    for key in plan.trials:
        records[key.id].data["val_counts"] = [60, 40, 0, 0] if key.fold == 1 else [80, 20, 0, 0]
    found = study_chance(plan, records, lookup("val/top1"))
    assert found.value == pytest.approx(70)


@pytest.mark.parametrize(
    ("hits", "beats"), [(2, False), (8, False), (12, False), (20, True), (200, True)]
)
def test_arm_trained_once_is_held_against_chance_by_its_clips(hits, beats):
    """Of 400 clips of 50 classes; scipy's exact binomial interval is the oracle."""
    plan, records = study((hits / 400, 0.9), seeds=1, data={"num_val": 400})
    low = scipy_stats.binomtest(hits, 400).proportion_ci(0.95, method="exact").low
    assert (low > 1 / 50) == beats
    assert ("no adaptor" not in summarize(plan, records).at_chance) == beats


def test_loss_beats_chance_below_the_logarithm_of_the_classes():
    plan, records = study((0.3, 0.4), metric="val/loss")
    assert summarize(plan, records).at_chance == ()
    assert summarize(plan, records).chance.value == pytest.approx(math.log(50))
    for record in records.values():
        record.epochs[-1].metrics["val/loss"] += 3.5
    summary = summarize(plan, records)
    assert summary.at_chance == ARMS[:2]
    assert "(3.912 nats, equal shares of 50 classes)" in chance_sentence(summary)


def test_unknown_classes_are_said_below_the_table():
    plan, records = study((0.021, 0.022), classes=())
    summary = summarize(plan, records)
    assert summary.chance is None and summary.at_chance == ()
    assert "Chance is not known" in " ".join(render_text(summary, 80).split())
