"""What is compared and what is not: other code, other data, a margin, a trend."""

import dataclasses

import numpy as np
import pytest
from report_examples import make_plan, make_record, make_records

from orchestrator.analysis.summary import summarize
from orchestrator.records import ArmRecord
from orchestrator.report.files import render
from orchestrator.report.wording.findings import finding_sentence
from orchestrator.report.wording.notes import cautions, trend_sentence
from orchestrator.stats import Verdict, mean_interval

ARMS = (ArmRecord(name="full"), ArmRecord(name="less"), ArmRecord(name="other"))


def study(values, **overrides):
    """A study whose arms have these top-1 values, one per seed."""
    plan = make_plan(
        tuple(ArmRecord(name=name) for name in values),
        seeds=len(next(iter(values.values()))),
        **overrides,
    )
    return plan, {k.id: make_record(k.id, top1=values[k.arm][k.seed]) for k in plan.trials}


def with_code(records, ids, code):
    changed = dict(records)
    for id_ in ids:
        record = changed[id_]
        changed[id_] = dataclasses.replace(record, provenance={**record.provenance, "code": code})
    return changed


def test_contrast_over_two_versions_of_the_code_is_refused_unless_asked_for():
    plan = make_plan(ARMS)
    own = [k.id for k in plan.trials if k.arm == "less"]
    records = with_code(make_records(plan), [k.id for k in plan.trials], "aaa")
    records = with_code(records, own[:1], "bbb")
    less, other = summarize(plan, records).contrasts
    assert less.verdict is Verdict.NOT_TESTED and less.difference is None
    sentence = finding_sentence(less)
    assert "2 versions of the code (aaa, bbb)" in sentence and "--allow-mixed" in sentence
    assert other.difference is not None
    asked = summarize(plan, records, mixed=True)
    assert asked.contrasts[0].difference is not None
    assert any("compared all the same, as asked" in caution for caution in cautions(asked))


def test_undeclared_differences_and_the_trend_over_several_versions_say_why_they_are_withheld():
    plan = make_plan()
    plan = dataclasses.replace(plan, contrasts=plan.contrasts[:1])
    records = with_code(make_records(plan), [k.id for k in plan.trials], "aaa")
    assert trend_sentence(summarize(plan, records)).startswith("Trend over")
    own = [k.id for k in plan.trials if k.arm in ("λ=0.01", "λ=0.1")]
    records = with_code(records, own[:2], "bbb")
    summary = summarize(plan, records)
    reason = (
        "their trials come from 2 versions of the code (aaa, bbb). Train them again, or `python -m "
        "orchestrator.report adaptor_lambda-demo --allow-mixed` compares them all the same."
    )
    withheld = f"No Δ of λ=0.01, λ=0.1 from no adaptor is shown: {reason}"
    assert [text for text in cautions(summary) if "No Δ" in text] == [withheld]
    assert summary.trend is None
    assert trend_sentence(summary) == (
        f"The trend over transform.strength is not tested over these arms: {reason}"
    )
    asked = summarize(plan, records, mixed=True)
    assert trend_sentence(asked).startswith("Trend over")
    assert not any("No Δ" in text for text in cautions(asked))


def test_arm_over_two_packs_has_no_difference_in_the_table():
    plan = make_plan(ARMS)
    records = make_records(plan)
    first = next(k.id for k in plan.trials if k.arm == "less")
    records[first].data.update(fingerprint="another")
    summary = summarize(plan, records)
    assert summary.arms[1].to_baseline is None and summary.arms[2].to_baseline is not None


def with_epochs(plan, epochs):
    """Records whose trials were trained for as many epochs as a function of their key says."""
    return {
        k.id: make_record(k.id, top1=0.5 + 0.01 * k.seed, epochs=epochs(k)) for k in plan.trials
    }


def test_arms_trained_for_other_epochs_than_planned_are_not_compared_unless_asked_for():
    plan = make_plan(ARMS, dose="")
    records = with_epochs(plan, lambda key: 5 if key.arm == "less" else 20)
    less, other = summarize(plan, records).contrasts
    assert less.difference is None and "2 numbers of epochs (5, 20)" in finding_sentence(less)
    assert other.difference is not None and "epochs" not in finding_sentence(other)
    asked = summarize(plan, records, mixed=True)
    assert "They differ in epochs: less 5, full 20." in finding_sentence(asked.contrasts[0])
    assert any("2 numbers of epochs (5, 20); they were compared" in c for c in cautions(asked))


def test_arm_of_trials_of_several_epochs_is_not_compared():
    plan = make_plan(ARMS, dose="")
    summary = summarize(plan, with_epochs(plan, lambda key: 5 if key.seed == 1 else 20))
    assert all(contrast.difference is None for contrast in summary.contrasts)
    assert any("numbers of epochs (5, 20)" in caution for caution in cautions(summary))


def test_epochs_that_the_arms_declare_are_compared_and_said():
    arms = (ArmRecord(name="full"), ArmRecord(name="short", changes={"epochs": "5"}))
    plan = make_plan(arms, dose="")
    summary = summarize(plan, with_epochs(plan, lambda key: 5 if key.arm == "short" else 20))
    (contrast,) = summary.contrasts
    assert contrast.difference is not None
    assert "They differ in epochs, as declared: short 5, full 20." in finding_sentence(contrast)
    assert not any("epochs" in caution for caution in cautions(summary))


def test_trials_without_a_version_of_the_code_are_not_compared_unless_asked_for():
    plan = make_plan(ARMS, dose="")
    known = [k.id for k in plan.trials]
    own = [k.id for k in plan.trials if k.arm == "less"]
    records = with_code(with_code(make_records(plan), known, "aaa"), own[:3], "")
    less, other = summarize(plan, records).contrasts
    assert less.difference is None and other.difference is not None
    assert "code whose version 3 of 16 trials did not record" in finding_sentence(less)
    asked = summarize(plan, records, mixed=True)
    assert asked.contrasts[0].difference is not None
    assert any("2 code versions: aaa, not recorded" in caution for caution in cautions(asked))


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ([0.001, -0.001, 0.002, -0.002, 0.001, 0.0], "Equivalent within 0.5 points"),
        ([0.02, 0.03, 0.025, 0.01, 0.02, 0.03], "It is no worse by more than 0.5 points"),
        ([-0.02, 0.03, -0.025, 0.01, -0.02, 0.03], "Not shown to be no worse"),
    ],
)
def test_margin_says_equivalent_no_worse_or_neither(differences, said):
    plan, records = study({"full": [0.5] * 6, "less": [0.5 + d for d in differences]}, margin=0.5)
    (contrast,) = summarize(plan, records).contrasts
    assert said in finding_sentence(contrast)
    without = dataclasses.replace(plan, margin=0.0)
    assert said not in finding_sentence(summarize(without, records).contrasts[0])


def test_margin_of_the_plans_metric_is_not_applied_to_another():
    plan = make_plan(("full", "less"), dose="", margin=50.0)
    records = make_records(plan)
    own = summarize(plan, records)
    other = summarize(plan, records, metric="val/loss")
    assert "Equivalent within 50 points" in finding_sentence(own.contrasts[0])
    assert "within" not in finding_sentence(other.contrasts[0])
    assert "margin of ±50" in render("html", own, records)
    assert "margin of" not in render("html", other, records)


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.03, 0.02, 0.025, 0.03, 0.028, -0.002], Verdict.NOT_DISTINGUISHABLE),
        ([0.001, 0.002, 0.001, 0.002, 0.001, 0.09], Verdict.BETTER),
    ],
)
def test_interval_agrees_with_the_test_where_that_of_t_does_not(differences, verdict):
    plan, records = study({"full": [0.5] * 6, "less": [0.5 + d for d in differences]})
    summary = summarize(plan, records)
    (contrast,) = summary.contrasts
    assert contrast.verdict is verdict
    of_t = mean_interval(contrast.difference.differences.values())
    assert (of_t.low > 0) == (verdict is Verdict.NOT_DISTINGUISHABLE)
    assert (contrast.difference.low > 0) == (verdict is Verdict.BETTER)
    assert not any("disagree" in caution for caution in cautions(summary))


def test_some_of_the_folds_share_training_clips_as_all_of_them_do():
    plan = make_plan(("full", "less"), seeds=1, folds=(1, 2, 3), dose="")
    plan = dataclasses.replace(plan, dataset={**plan.dataset, "folds": [1, 2, 3, 4, 5]})
    summary = summarize(plan, make_records(plan))
    (contrast,) = summary.contrasts
    assert contrast.difference is not None and contrast.difference.test_per_train == 1 / 4


def test_trend_of_a_dose_series_is_one_test_over_all_doses():
    plan = make_plan(seeds=4)
    rise = {"no adaptor": 0.0, "λ=0.001": 0.01, "λ=0.01": 0.02, "λ=0.1": 0.03}
    jitter = np.random.default_rng(0).normal(0, 2e-4, (4, 4))
    arms = [arm.name for arm in plan.arms]
    records = {
        k.id: make_record(k.id, top1=0.5 + rise[k.arm] + jitter[arms.index(k.arm), k.seed])
        for k in plan.trials
    }
    said = trend_sentence(summarize(plan, records))
    assert said.startswith("Trend over transform.strength (none < 0.001 < 0.01 < 0.1): +0.99")
    assert "permutation trend test" in said and "n 4" in said
    assert trend_sentence(summarize(dataclasses.replace(plan, dose=""), records)) == ""
