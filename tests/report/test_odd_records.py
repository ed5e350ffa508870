"""Records that hold little or nothing give a report with words, in every form."""

import dataclasses
import math

import pytest
from report_examples import make_plan, make_record, make_records

from orchestrator.analysis.summary import summarize
from orchestrator.records import Status, TrialRecord
from orchestrator.report.files import RENDERERS
from orchestrator.report.render.page import render_page
from orchestrator.report.render.text import render_text
from orchestrator.tracking.sweep_views import drafts

NAN = {"val/top1": math.nan, "val/top5": math.nan, "val/loss": math.nan, "train/loss": math.nan}


def whole(**overrides):
    plan = make_plan(**overrides)
    return plan, make_records(plan, (0.01, 0.02, 0.03))


def without_classes():
    plan, records = whole(seeds=3)
    return dataclasses.replace(plan, dataset={}), records


def all_nan():
    plan, records = whole(seeds=3)
    for key in plan.trials:
        if key.arm == "λ=0.01":
            for epoch in records[key.id].epochs:
                epoch.metrics.update(NAN)
    return plan, records


def nothing_finite():
    plan, records = whole(seeds=3)
    for record in records.values():
        for epoch in record.epochs:
            epoch.metrics.update(NAN)
    return plan, records


def arm_without_trials():
    plan, records = whole(seeds=3)
    kept = tuple(t for t in plan.trials if t.arm != "λ=0.01")
    return dataclasses.replace(plan, trials=kept), records


def baseline_without_trials():
    plan, records = whole(seeds=3)
    kept = tuple(t for t in plan.trials if t.arm != plan.baseline)
    return dataclasses.replace(plan, trials=kept), records


def no_trials():
    plan, _ = whole(seeds=3)
    return dataclasses.replace(plan, trials=()), {}


def one_seed_on_folds():
    return whole(seeds=1, folds=(1, 2, 3))


def duplicate_trials():
    plan, records = whole(seeds=3)
    return dataclasses.replace(plan, trials=(*plan.trials, *plan.trials[:5])), records


def no_epochs():
    plan, _ = whole(seeds=3)
    made = {t.id: dataclasses.replace(make_record(t.id), epochs=()) for t in plan.trials}
    return plan, made


def bare_records():
    plan, _ = whole(seeds=2)
    made = {t.id: TrialRecord(id=t.id, status=Status.FINISHED, experiment={}) for t in plan.trials}
    return plan, made


def best_of_nothing():
    plan, records = whole(seeds=3, selection="best_on_validation")
    made = {k: dataclasses.replace(r, best_epoch=0) for k, r in records.items()}
    return plan, made


CASES = {
    without_classes: "Chance is not known",
    all_nan: "no finite val/top1 at its last epoch",
    nothing_finite: "INCOMPLETE: 0 of 12 planned trials count (12 finished without a number)",
    arm_without_trials: "no trial of λ=0.01 was planned",
    baseline_without_trials: "no trial of no adaptor was planned",
    no_trials: "INCOMPLETE: no trial was planned",
    lambda: whole(seeds=1): "Every arm is trained once",
    one_seed_on_folds: "share training clips",
    lambda: whole(seeds=3): "over n seeds",
    duplicate_trials: "planned more than once",
    no_epochs: "no finite val/top1 at its last epoch",
    bare_records: "no finite val/top1 at its last epoch",
    best_of_nothing: "no finite val/top1 at its best epoch",
    lambda: (make_plan(seeds=2), {}): "INCOMPLETE: 0 of 8 planned trials count (8 missing)",
}


@pytest.mark.parametrize(("make", "words"), CASES.items())
def test_odd_records_give_a_report_with_words(make, words):
    plan, records = make()
    summary = summarize(plan, records)
    text = " ".join(render_text(summary, 80).split())
    assert words in text
    assert "nan" not in text.lower().replace("λ", "")
    for form, renderer in RENDERERS.items():
        made = renderer(summary)
        assert made.strip() and "nan" not in made.lower(), form
    assert "<table" in render_page(summary, records)
    assert [draft.build().name for draft in drafts(plan, records, store="s", final=True)]


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("make", CASES)
def test_text_of_odd_records_fits_the_terminal(make, width):
    plan, records = make()
    assert max(map(len, render_text(summarize(plan, records), width).splitlines())) <= width


def test_plan_without_trials_claims_nothing_of_them():
    text = " ".join(render_text(summarize(*no_trials()), 80).split())
    assert "trained once" not in text and "Chance: 12.5 %, 1 of 8 classes" in text


def test_trial_that_is_planned_twice_counts_once():
    plan, records = whole(seeds=3)
    twice = dataclasses.replace(plan, trials=(*plan.trials, *plan.trials))
    one, other = (summarize(p, records) for p in (plan, twice))
    assert [arm.measures["val/top1"].interval for arm in one.arms] == [
        arm.measures["val/top1"].interval for arm in other.arms
    ]
    assert [arm.counted("val/top1") for arm in other.arms] == [(3, 3)] * 4
