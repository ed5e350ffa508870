"""Several folds are no independent replicates, in any row of a report."""

import csv
import dataclasses
import io
import itertools
import json
import math

import numpy as np
import pytest
from report_examples import make_plan, make_predictions, make_record, make_records
from scipy import stats as scipy_stats

from orchestrator.analysis.confusion import class_changes, confusion_change
from orchestrator.analysis.curves import curves
from orchestrator.analysis.forest import forest_lines
from orchestrator.analysis.outcomes import Outcomes
from orchestrator.analysis.paper_cells import class_scores, runs
from orchestrator.analysis.summary import summarize
from orchestrator.metrics import lookup
from orchestrator.records import ArmRecord
from orchestrator.report.plots.curves import curve_table
from orchestrator.report.render.formats import to_csv, to_json, to_markdown
from orchestrator.report.render.latex_numbers import to_numbers
from orchestrator.report.render.page import render_page
from orchestrator.report.render.text import render_text
from orchestrator.report.wording.contrasts import half_width
from orchestrator.report.wording.findings import finding_sentence
from orchestrator.report.wording.notes import cautions, interaction_sentence, trend_sentence
from orchestrator.report.wording.numbers import decimals, number, p_text
from orchestrator.stats import (
    corrected_resampled_t,
    dose_trend,
    mean_interval,
    replicate_interval,
    replicates_of,
)
from orchestrator.tracking.sweep_views import arm_numbers

FOLDS = (1, 2, 3, 4, 5)


def crossed(seeds, **overrides):
    plan = make_plan(seeds=seeds, folds=FOLDS, **overrides)
    return plan, make_records(plan)


@pytest.mark.parametrize("seeds", [1, 8])
def test_arm_mean_counts_seeds_or_folds_and_never_trials(seeds):
    plan, records = crossed(seeds)
    summary = summarize(plan, records)
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
    assert any("a trial is no replicate" in caution for caution in cautions(summary))


@pytest.mark.parametrize(("seeds", "n"), [(1, 5), (4, 5), (8, 8)])
def test_every_form_counts_what_the_interval_counts(seeds, n):
    plan, records = crossed(seeds)
    summary = summarize(plan, records)
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
    rows = render_text(summarize(plan, records), 120).splitlines()
    assert any(line.split()[:2] == ["λ=0.1", "7/8"] for line in rows)


def test_curves_take_the_same_replicates():
    plan, records = crossed(8)
    summary = summarize(plan, records)
    curve = curves(summary, records, lookup("val/top1"))[1]
    measure = summary.arms[1].measures["val/top1"]
    assert curve.epochs[20].half_width == pytest.approx(measure.interval.half_width)


@pytest.mark.parametrize(("seeds", "n"), [(1, 5), (8, 8)])
def test_classes_and_confusions_take_the_same_replicates(seeds, n):
    plan, records = crossed(seeds)
    summary = summarize(plan, records)
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
    summary = summarize(plan, records)
    found = class_changes(summary, summary.contrasts[0], Outcomes(summary, make_predictions))
    line = found.lines[0]
    plain = mean_interval(line.replicates)
    assert line.high - line.low == pytest.approx(2 * plain.half_width * np.sqrt(1 + 5 / 4))


def test_page_says_what_its_intervals_count():
    plan, records = crossed(8)
    page = render_page(summarize(plan, records), records, predictions=make_predictions)
    assert (
        "t interval over n seed means" in page and "t interval over n seeds and folds" not in page
    )


def test_margin_over_folds_is_held_by_the_corrected_t():
    plan, records = crossed(1, margin=30.0)
    said = finding_sentence(summarize(plan, records).contrasts[0])
    assert "corrected resampled t test" in said and "sign-flip" not in said


def test_trend_over_folds_takes_seed_means():
    plan, records = crossed(4)
    summary = summarize(plan, records)
    values = [arm.measures["val/top1"].values for arm in summary.arms]
    means = [{s: np.mean([own[s, f] for f in FOLDS]) for s in range(4)} for own in values]
    said = trend_sentence(summary)
    assert "n 4 seed means" in said
    assert f"p {p_text(dose_trend(means).p_value)} uncorrected" in said


def test_tracking_server_shows_the_interval_of_the_report():
    plan, records = crossed(8)
    arm = [t for t in plan.trials if t.arm == "λ=0.1"]
    numbers = arm_numbers(summarize(plan, records), "λ=0.1", "no adaptor", records)
    values = {(t.seed, t.fold): records[t.id].metrics_at("last")["val/top1"] for t in arm}
    expected = replicate_interval(replicates_of(values))
    assert numbers["val/top1/low"] == pytest.approx(expected.low)
    assert numbers["val/top1/n"] == 8


FACTORS = tuple(
    ArmRecord(name=f"{one}, {two}", levels={"input": one, "attention": two})
    for one in ("plain", "adaptor")
    for two in ("dense", "deformable")
)


@pytest.mark.parametrize(
    ("seeds", "folds", "split_into"), [(1, 3, 5), (3, 3, 5), (1, 4, 10), (8, 2, 5), (6, 1, 5)]
)
def test_every_part_of_a_report_has_one_mean_interval_and_n(seeds, folds, split_into):
    """Of the folds that the clips were split into, a plan may run some; scipy says what then."""
    plan = make_plan(FACTORS, seeds=seeds, folds=tuple(range(1, folds + 1)), dose="")
    plan = dataclasses.replace(
        plan,
        dataset={**plan.dataset, "folds": list(range(1, split_into + 1))},
        contrasts=plan.contrasts[:1],
    )
    records = make_records(plan, (0.01, 0.02, 0.05), spread=0.03)
    summary = summarize(plan, records)
    arm, name = summary.arms[1], FACTORS[1].name

    def expected(values):
        table = np.array([[values[s, f] for f in range(1, folds + 1)] for s in range(seeds)])
        if folds == 1 or seeds >= 6:
            data, widened = table.mean(axis=1), 0.0
        else:
            data, widened = table.mean(axis=0), 1 / (split_into - 1)
        error = data.std(ddof=1) * np.sqrt(1 / data.size + widened)
        half = scipy_stats.t.ppf(0.975, data.size - 1) * error
        return pytest.approx((data.mean(), data.mean() - half, data.mean() + half)), data.size

    def numbers(found):
        return found.mean, found.low, found.high

    of = {
        other.name: {
            (t.seed, t.fold): 100 * records[t.id].metrics_at("last")["val/top1"]
            for t in plan.trials
            if t.arm == other.name
        }
        for other in FACTORS
    }
    level, n = expected(of[name])

    def expected_difference(values):
        """Over folds the corrected t, over seeds the ends of the subset means."""
        (of_t, size) = expected(values)
        if folds > 1 and seeds < 6:
            return of_t
        data = [np.mean([values[s, f] for f in range(1, folds + 1)]) for s in range(seeds)]
        subsets = (c for k in range(1, size + 1) for c in itertools.combinations(data, k))
        means = sorted(map(np.mean, subsets))
        rank = math.floor(0.05 * 2 ** (size - 1))
        return pytest.approx((np.mean(data), means[rank - 1], means[-rank]))

    differences = expected_difference(
        {at: v - of[FACTORS[0].name][at] for at, v in of[name].items()}
    )
    crossed_over = expected_difference(
        {
            at: of[FACTORS[3].name][at] - of[FACTORS[2].name][at] - (v - of[FACTORS[0].name][at])
            for at, v in of[name].items()
        }
    )

    assert (numbers(arm.measures["val/top1"].interval), arm.counted("val/top1")) == (level, (n, n))
    curve = curves(summary, records, lookup("val/top1"))[1].epochs[20]
    assert (numbers(curve), curve.n) == (level, n)
    line = forest_lines(summary)[0]
    assert (line.label, (line.mean, line.low, line.high)) == (name, differences)
    assert len(line.replicates) == n

    shown = arm_numbers(summary, name, FACTORS[0].name, records)
    own = [100 * shown[f"val/top1/{end}"] for end in ("mean", "low", "high")]
    assert (tuple(own), shown["val/top1/n"]) == (level, n)
    ends = ("difference", "difference_low", "difference_high")
    assert tuple(100 * shown[f"val/top1/{end}"] for end in ends) == differences

    row = list(csv.DictReader(io.StringIO(to_csv(summary))))[1]
    assert (tuple(float(row[end]) for end in ("mean", "low", "high")), int(row["n"])) == (level, n)
    assert tuple(float(row[end]) for end in ends) == differences
    data = json.loads(to_json(summary))["arms"][1]["measures"]["val/top1"]["interval"]
    assert (tuple(data[end] for end in ("mean", "low", "high")), data["n"]) == (level, n)

    half = half_width(arm.measures["val/top1"].interval)
    cell = f"{number(arm.measures['val/top1'].interval.mean, decimals(half))} ±"
    cell += number(half, decimals(half))
    found = runs(arm, "val/top1")
    assert found.mean == pytest.approx(arm.measures["val/top1"].interval.mean)
    learned = curve_table(curves(summary, records, summary.metric), summary.metric)
    for text in (render_text(summary, 120), to_markdown(summary), learned.rows[-1][2]):
        assert cell in " ".join(text.split())

    places = decimals(arm.measures["val/top1"].interval.half_width)
    low = number(level.expected[1], places)
    assert rf"TopOneLow}}{{{low}}}" in to_numbers(summary).replace("\\ensuremath{-}", "−")

    sentence = interaction_sentence(summary)
    middle, low, high = crossed_over.expected
    places = decimals((high - low) / 2)
    assert f"{number(middle, places, signed=True)} points more under" in sentence
    assert f"interval {number(low, places)} to {number(high, places)}, p" in sentence


@pytest.mark.parametrize("seeds", [1, 3])
def test_rows_of_classes_widen_by_the_folds_of_the_pack(seeds):
    plan = make_plan(seeds=seeds, folds=(1, 2, 3))
    plan = dataclasses.replace(plan, dataset={**plan.dataset, "folds": [1, 2, 3, 4, 5]})
    records = make_records(plan)
    summary = summarize(plan, records)
    outcomes = Outcomes(summary, make_predictions)
    contrast = summary.contrasts[1]
    lines = [
        *class_changes(summary, contrast, outcomes).lines,
        *confusion_change(summary, contrast, outcomes).lines,
    ]
    wider = np.sqrt(1 + 3 / 4)
    for line in lines:
        half = wider * mean_interval(line.replicates).half_width
        assert (line.high - line.low) / 2 == pytest.approx(half)
    scores = class_scores(summary.arms[0], outcomes, plan=plan).average
    assert scores.n == 3 and scores.interval_method == "corrected resampled t interval"
    again = class_scores(
        summary.arms[0], outcomes, plan=dataclasses.replace(plan, dataset={"folds": [1, 2, 3]})
    ).average
    assert again.half_width / scores.half_width == pytest.approx(np.sqrt(1 + 3 / 2) / wider)


def test_paper_table_has_the_mean_of_the_table_where_a_trial_is_missing():
    plan, records = crossed(3)
    del records[next(t.id for t in plan.trials if (t.seed, t.fold) == (2, 4))]
    summary = summarize(plan, records)
    arm = summary.arms[0]
    found = runs(arm, "val/top1")
    assert (found.mean, found.n) == (arm.measures["val/top1"].interval.mean, 2)


def test_tracking_server_shows_no_difference_that_the_report_refuses():
    plan, records = crossed(1)
    numbers = arm_numbers(summarize(plan, records), "λ=0.1", "no adaptor", records)
    assert "val/top1/difference" in numbers
    other = next(t.id for t in plan.trials if t.arm == "λ=0.1")
    records[other].provenance["code"] = "another version"
    assert "val/top1/difference" not in arm_numbers(
        summarize(plan, records), "λ=0.1", "no adaptor", records
    )


def test_incomplete_seed_is_left_out_of_an_arm_mean():
    plan, records = crossed(8)
    lost = next(t for t in plan.trials if t.arm == "λ=0.1" and (t.seed, t.fold) == (3, 2))
    records[lost.id] = make_record(lost.id, top1=float("nan"))
    measure = summarize(plan, records).arms[3].measures["val/top1"]
    kept = [v for (seed, _), v in measure.values.items() if seed != 3]
    assert measure.interval.n == 7
    assert measure.interval.mean == pytest.approx(np.mean(kept))
