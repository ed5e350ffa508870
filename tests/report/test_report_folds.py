"""Several folds are no independent replicates, in any row of a report."""

import csv
import io

import numpy as np
import pytest
from report_examples import make_plan, make_predictions, make_record, make_records

from orchestrator.metrics import lookup
from orchestrator.report.classes import class_changes
from orchestrator.report.confusion import confusion_change
from orchestrator.report.curves_plot import curves
from orchestrator.report.digits import p_text
from orchestrator.report.formats import to_csv
from orchestrator.report.latex_numbers import to_numbers
from orchestrator.report.outcomes import Outcomes
from orchestrator.report.page import render_page
from orchestrator.report.summary import summarise
from orchestrator.report.text import render_text
from orchestrator.report.trend import trend_sentence
from orchestrator.stats import corrected_resampled_t, crossed_interval, dose_trend, mean_interval
from orchestrator.tracking.summary import summarize

FOLDS = (1, 2, 3, 4, 5)


def crossed(seeds, **overrides):
    plan = make_plan(seeds=seeds, folds=FOLDS, **overrides)
    return plan, make_records(plan)


@pytest.mark.parametrize("seeds", [1, 8])
def test_arm_mean_counts_seeds_or_folds_and_never_trials(seeds):
    plan, records = crossed(seeds)
    summary = summarise(plan, records)
    measure = summary.arms[0].measures["val/top1"]
    values = np.array([[measure.values[s, f] for f in FOLDS] for s in range(seeds)])
    if seeds == 8:
        expected = mean_interval(values.mean(axis=1))
    else:
        expected = corrected_resampled_t(
            dict(zip(FOLDS, values.mean(axis=0), strict=True)), test_per_train=1 / 4
        )
    assert measure.interval.mean == pytest.approx(values.mean())
    assert measure.interval.half_width == pytest.approx(expected.half_width)
    assert measure.interval.half_width > mean_interval(values.ravel()).half_width
    text = " ".join(render_text(summary, 120).split())
    over = "t interval over n seed" if seeds == 8 else "corrected resampled t interval over n fold"
    assert f"± is the half width of the 95 % {over} means" in text
    assert any("a trial is no replicate" in caution for caution in summary.cautions)


@pytest.mark.parametrize(("seeds", "n"), [(1, 5), (4, 5), (8, 8)])
def test_every_form_counts_what_the_interval_counts(seeds, n):
    plan, records = crossed(seeds)
    summary = summarise(plan, records)
    rows = render_text(summary, 120).splitlines()
    assert any(line.split()[:3] == ["no", "adaptor", str(n)] for line in rows)
    macros = to_numbers(summary)
    assert rf"NoAdaptorTopOneN}}{{{n}}}" in macros
    assert (rf"NoAdaptorTopOneTrials}}{{{5 * seeds}}}" in macros) == (n != 5 * seeds)
    row = next(csv.DictReader(io.StringIO(to_csv(summary))))
    assert (row["n"], row["planned"]) == (str(n), str(n))
    assert (row["trials"], row["trials_planned"]) == (str(5 * seeds),) * 2
    note = " ".join(render_text(summary, 120).split())
    assert (f"n counts these means, of {5 * seeds} trials planned" in note) == (n != 5 * seeds)


def test_count_of_an_arm_that_lost_a_trial_is_of_planned_replicates():
    plan, records = crossed(8)
    lost = next(t for t in plan.trials if t.arm == "λ=0.1" and (t.seed, t.fold) == (3, 2))
    del records[lost.id]
    rows = render_text(summarise(plan, records), 120).splitlines()
    assert any(line.split()[:2] == ["λ=0.1", "7/8"] for line in rows)


def test_curves_take_the_same_replicates():
    plan, records = crossed(8)
    summary = summarise(plan, records)
    curve = curves(summary, records, lookup("val/top1"))[1]
    measure = summary.arms[1].measures["val/top1"]
    assert curve.epochs[20].half_width == pytest.approx(measure.interval.half_width)


@pytest.mark.parametrize(("seeds", "n"), [(1, 5), (8, 8)])
def test_classes_and_confusions_take_the_same_replicates(seeds, n):
    plan, records = crossed(seeds)
    summary = summarise(plan, records)
    outcomes = Outcomes(summary, make_predictions)
    contrast = summary.contrasts[0]
    for changes in (
        class_changes(summary, contrast, outcomes),
        confusion_change(summary, contrast, outcomes),
    ):
        assert changes is not None
        assert {len(line.replicates) for line in changes.lines} == {n}


def test_class_row_of_single_seed_folds_is_widened():
    plan, records = crossed(1)
    summary = summarise(plan, records)
    found = class_changes(summary, summary.contrasts[0], Outcomes(summary, make_predictions))
    line = found.lines[0]
    plain = mean_interval(line.replicates)
    assert line.high - line.low == pytest.approx(2 * plain.half_width * np.sqrt(1 + 5 / 4))


def test_page_says_what_its_intervals_count():
    plan, records = crossed(8)
    page = render_page(summarise(plan, records), records, predictions=make_predictions)
    assert (
        "t interval over n seed means" in page and "t interval over n seeds and folds" not in page
    )


def test_margin_over_folds_is_held_by_the_corrected_t():
    plan, records = crossed(1, margin=30.0)
    said = summarise(plan, records).contrasts[0].sentence
    assert "corrected resampled t test" in said and "sign-flip" not in said


def test_trend_over_folds_takes_seed_means():
    plan, records = crossed(4)
    summary = summarise(plan, records)
    values = [arm.measures["val/top1"].values for arm in summary.arms]
    means = [{s: np.mean([own[s, f] for f in FOLDS]) for s in range(4)} for own in values]
    said = trend_sentence(summary)
    assert "n 4 seed means" in said
    assert f"p {p_text(dose_trend(means).p_value)} uncorrected" in said


def test_tracking_server_shows_the_interval_of_the_report():
    plan, records = crossed(8)
    cells = {arm.name: [t for t in plan.trials if t.arm == arm.name] for arm in plan.arms}
    arm, reference = cells["λ=0.1"], cells["no adaptor"]
    numbers = summarize(plan, arm, reference, records)
    values = {(t.seed, t.fold): records[t.id].metrics_at("last")["val/top1"] for t in arm}
    expected = crossed_interval(values, num_contrasts=plan.num_declared)
    assert numbers["val/top1/low"] == pytest.approx(expected.low)
    assert numbers["val/top1/n"] == 40


def test_incomplete_seed_is_left_out_of_an_arm_mean():
    plan, records = crossed(8)
    lost = next(t for t in plan.trials if t.arm == "λ=0.1" and (t.seed, t.fold) == (3, 2))
    records[lost.id] = make_record(lost.id, top1=float("nan"))
    measure = summarise(plan, records).arms[3].measures["val/top1"]
    kept = [v for (seed, _), v in measure.values.items() if seed != 3]
    assert measure.interval.n == 7
    assert measure.interval.mean == pytest.approx(np.mean(kept))
