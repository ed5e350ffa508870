"""Every declared comparison for other seeds, and for other recordings too."""

import csv
import dataclasses
import io
import re

import numpy as np
import pytest
from report_examples import CLASSES, make_plan, make_record
from scipy import stats as scipy_stats
from sklearn.metrics import average_precision_score

from orchestrator.analysis.summary import summarize
from orchestrator.metrics import lookup
from orchestrator.metrics.labels import Event
from orchestrator.metrics.predictions import Frames, Predictions
from orchestrator.metrics.targets import Targets
from orchestrator.records import EpochRecord
from orchestrator.report.render.formats import to_csv, to_json
from orchestrator.report.render.latex_numbers import to_numbers
from orchestrator.report.render.text import render_text
from orchestrator.report.tables.scopes import tables
from orchestrator.report.wording.findings import finding_sentence
from orchestrator.stats import over_recordings

CLIPS = 120
RECORDINGS = {f"clip-{i}": f"recording-{i // 3}" for i in range(CLIPS)}


def predictions_of(key, *, gain=0.0, of_recordings=1.5):
    """Clips of a recording are alike; arms differ by recording, the same way in every seed."""
    rng = np.random.default_rng([key.seed, key.fold, sum(map(ord, key.arm))])
    own = np.random.default_rng([key.fold, sum(map(ord, key.arm))])
    labels = (np.arange(CLIPS) // 3) % len(CLASSES)
    logits = rng.normal(size=(CLIPS, len(CLASSES)))
    easy = np.repeat(own.normal(1.0 + gain, of_recordings, CLIPS // 3), 3)
    logits[np.arange(CLIPS), labels] += easy + rng.normal(0, 0.3)
    names = tuple(f"clip-{i}" for i in range(CLIPS))
    targets = Targets.of_labels(labels, num_classes=len(CLASSES))
    return Predictions(epoch=20, clip_ids=names, targets=targets, logits=logits.astype(np.float32))


def study(*, metric="val/top1", seeds=8, folds=(1,), recordings=RECORDINGS, gain=0.0, **options):
    plan = make_plan(("base", "new"), seeds=seeds, folds=folds, dose="", metric=metric)
    made, records = {}, {}
    for key in plan.trials:
        made[key.id] = predictions_of(key, gain=gain * (key.arm == "new"), **options)
        record = make_record(key.id)
        *before, last = record.epochs
        last = EpochRecord(epoch=20, metrics={**last.metrics, **made[key.id].scores()})
        records[key.id] = dataclasses.replace(record, epochs=(*before, last))
    return summarize(plan, records, predictions=made.get, recordings=recordings), made


def test_interval_over_recordings_is_that_of_the_table_of_right_and_wrong():
    summary, made = study()
    (contrast,) = summary.contrasts
    by_trial = {(t.arm, t.seed): made[t.id] for t in summary.plan.trials}

    def right(arm, seed):
        of = by_trial[arm, seed]
        return 100.0 * (of.logits.argmax(axis=1) == of.labels).reshape(-1, 3).mean(axis=1)

    table = np.array([right("new", s) - right("base", s) for s in range(8)])
    expected, found = over_recordings(table), contrast.over_recordings
    assert (found.mean, found.num_recordings) == (pytest.approx(contrast.difference.mean), 40)
    assert found.low == pytest.approx(min(expected.low, contrast.difference.low))
    assert found.high == pytest.approx(max(expected.high, contrast.difference.high))
    assert found.low < contrast.difference.low and found.narrowed_by == ("recordings",)


@pytest.mark.parametrize(
    "metric",
    [
        *("val/top1", "val/top5", "val/map", "val/loss", "val/true_probability", "val/macro_f1"),
        "val/mauc",
    ],
)
@pytest.mark.parametrize("folds", [(1,), (1, 2)])
def test_every_metric_has_it_and_it_is_the_wider_of_the_two(metric, folds):
    (contrast,) = study(metric=metric, folds=folds)[0].contrasts
    found, difference = contrast.over_recordings, contrast.difference
    assert found.mean == pytest.approx(difference.mean)
    assert found.low <= difference.low and difference.high <= found.high
    assert found.num_recordings == 40 * len(folds)


def test_sentence_and_forms_say_both_scopes_and_what_would_narrow_them():
    summary, _ = study(gain=0.6)
    (contrast,) = summary.contrasts
    said = finding_sentence(contrast)
    assert " of top-1 against base for other seeds on these clips (95 %" in said
    assert "For other seeds and other recordings the interval is −" in said
    assert said.endswith("; more recordings would narrow it most.")
    assert contrast.called and contrast.over_recordings.low <= 0
    assert ", so it is not shown there;" in said
    text = render_text(summary, 80)
    assert "and recordings" in text and "narrowed by" in text
    assert max(map(len, text.splitlines())) <= 80
    row = list(csv.DictReader(io.StringIO(to_csv(summary))))[1]
    assert float(row["difference_low_recordings"]) == contrast.over_recordings.low
    assert (row["recordings"], row["narrowed_by"]) == ("40", "recordings")
    assert '"num_recordings": 40' in to_json(summary)
    assert "DifferenceRecordingsLow}" in to_numbers(summary)


def test_intervals_of_both_scopes_have_one_precision():
    summary, _ = study(gain=0.6)
    (contrast,) = summary.contrasts
    mean = contrast.difference.mean
    narrow = dataclasses.replace(contrast.difference, low=mean - 0.5, high=mean + 0.5)
    both = (contrast, dataclasses.replace(contrast, difference=narrow))
    (table,) = tables(dataclasses.replace(summary, contrasts=both))
    ends = [end for row in table.rows for cell in row[1:3] for end in re.findall(r"[\d.]+", cell)]
    assert len(ends) == 8 and {len(end.partition(".")[2]) for end in ends} == {1}


def test_a_loss_says_the_ends_of_its_size():
    (contrast,) = study(gain=-3.0, of_recordings=0.3)[0].contrasts
    said = finding_sentence(contrast)
    assert "new hurts by" in said and "−" not in said


@pytest.mark.parametrize("recordings", [{}, {"clip-0": "one"}])
def test_unknown_recordings_leave_it_out(recordings):
    summary, _ = study(recordings=recordings)
    assert summary.contrasts[0].over_recordings is None
    assert "other recordings" not in finding_sentence(summary.contrasts[0])
    assert "and recordings" not in render_text(summary, 80)


def test_too_few_seeds_for_an_interval_have_none_over_recordings_either():
    assert study(seeds=4)[0].contrasts[0].over_recordings is None


def test_predictions_of_another_number_than_the_recorded_one_are_not_used():
    summary, made = study()
    plan, records = summary.plan, {}
    for key in plan.trials:
        records[key.id] = make_record(key.id, top1=0.5 + 0.01 * (key.arm == "new") * key.seed)
    again = summarize(plan, records, predictions=made.get, recordings=RECORDINGS)
    assert again.contrasts[0].over_recordings is None


def events_of(key, *, gain):
    """Clips of one event each, which one arm finds more surely, and its tags."""
    rng = np.random.default_rng([key.seed, key.arm == "new"])
    clips, rows = 30, 20
    onsets = np.random.default_rng(0).integers(2, 10, clips) / 10
    labels = [
        (Event(int(i) % 2, float(onset), float(onset) + 0.6),) for i, onset in enumerate(onsets)
    ]
    targets = Targets.of(labels, num_classes=2)
    truth = targets.frames(rows, seconds=2.0)
    noise = rng.normal(0, 2.0, (clips, 1, 2)) + rng.normal(0, 0.3, (clips, rows, 2))
    logits = np.where(truth, 1.0 + gain * (key.arm == "new"), -3.0) + noise
    names = tuple(f"clip-{i}" for i in range(clips))
    frames = Frames(logits=logits.astype(np.float16), row_s=0.1, clip_s=np.full(clips, 2.0))
    return Predictions(
        epoch=20,
        clip_ids=names,
        targets=targets,
        logits=logits.max(axis=1).astype(np.float32),
        frames=frames,
    )


def left_out(made, metric):
    """Pseudo-values of a metric by recording, each left out in a loop."""
    names = [RECORDINGS[clip] for clip in made.clip_ids]
    known = sorted(set(names))
    size, whole = len(known), metric(made)
    without = [metric(made.take(np.array([n != one for n in names]))) for one in known]
    pseudo = size * whole - (size - 1) * np.array(without)
    return pseudo - pseudo.mean() + whole


def sklearn_map(made):
    truth = made.targets.multi_hot()
    there = truth.any(axis=0)
    return average_precision_score(truth[:, there], made.logits[:, there])


@pytest.mark.parametrize(
    ("metric", "score"),
    [("val/map", sklearn_map), ("val/event_f1", lookup("val/event_f1").compute)],
)
def test_ranked_and_event_scores_are_tested_over_seeds_and_jackknifed_over_recordings(
    metric, score
):
    plan = make_plan(("base", "new"), seeds=7, dose="", metric=metric)
    made = {key.id: events_of(key, gain=1.5) for key in plan.trials}
    records = {}
    for key in plan.trials:
        record = make_record(key.id)
        *before, last = record.epochs
        last = EpochRecord(epoch=20, metrics=made[key.id].scores())
        records[key.id] = dataclasses.replace(record, epochs=(*before, last))
    summary = summarize(plan, records, predictions=made.get, recordings=RECORDINGS)
    (contrast,) = summary.contrasts
    by_trial = {(t.arm, t.seed): made[t.id] for t in plan.trials}
    table = summary.metric.scale * np.array(
        [
            left_out(by_trial["new", s], score) - left_out(by_trial["base", s], score)
            for s in range(7)
        ]
    )
    p_value = scipy_stats.permutation_test(
        (table.mean(axis=1),), np.mean, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert contrast.difference.p_value == pytest.approx(p_value)
    found, expected = contrast.over_recordings, over_recordings(table)
    assert found.num_recordings == 10
    assert found.low == pytest.approx(min(expected.low, contrast.difference.low))
    assert found.high == pytest.approx(max(expected.high, contrast.difference.high))
    assert contrast.called and "For other seeds and other recordings" in finding_sentence(contrast)
