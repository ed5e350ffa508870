"""Scores of events against sed_eval and psds_eval, and against what a hand counts."""

import json
from pathlib import Path

import numpy as np
import pytest

from orchestrator.metrics import Event, TargetKind, Targets, lookup
from orchestrator.metrics.events import (
    SCENARIO_1,
    SCENARIO_2,
    collar_counts,
    detect,
    intersection_counts,
    psds,
    segment_counts,
    thresholds,
    without_overlaps,
)
from orchestrator.metrics.predictions import Frames, Predictions

CASES = json.loads((Path(__file__).parents[1] / "fixtures" / "event_scores.json").read_text())
NUM_CLASSES = 4  # of event_oracles.py, as the 10 s of a clip
EXACT = {"abs": 1e-9, "nan_ok": True}


def events(rows) -> np.ndarray:
    return np.array(rows, float).reshape(-1, 4)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_event_scores_equal_those_of_sed_eval_and_psds_eval(case):
    reference, points = events(case["reference"]), [events(p) for p in case["points"]]
    for found, overlap, collar, segment in zip(
        points, case["intersection"], case["collar"], case["segment"], strict=True
    ):
        counts = intersection_counts(reference, found, num_classes=NUM_CLASSES)
        assert counts.macro_f1(leave_out="unmatched") == pytest.approx(overlap, **EXACT)
        for score, (mean, overall) in ((collar_counts, collar), (segment_counts, segment)):
            counts = score(reference, found, num_classes=NUM_CLASSES)
            assert counts.macro_f1(leave_out="undetected") == pytest.approx(mean, **EXACT)
            # Without any detection, sed_eval's overall F1 is NaN and ours is 0.
            expected = overall if len(found) else 0.0
            assert counts.micro_f1() == pytest.approx(expected, **EXACT)
    for settings, expected in ((SCENARIO_1, case["psds1"]), (SCENARIO_2, case["psds2"])):
        total_s = 10.0 * case["clips"]
        score = psds(reference, points, num_classes=NUM_CLASSES, total_s=total_s, settings=settings)
        assert score == pytest.approx(expected, **EXACT)


def test_missed_class_counts_as_zero_unless_a_quirk_leaves_it_out():
    reference = events([[0, 0, 1, 2], [0, 1, 1, 2], [0, 2, 1, 2]])
    found = events([[0, 0, 1, 2], [0, 1, 7, 8]])
    counts = collar_counts(reference, found, num_classes=4)
    assert counts.macro_f1() == pytest.approx(1 / 3)
    assert counts.macro_f1(leave_out="undetected") == pytest.approx(1 / 2)
    assert counts.macro_f1(leave_out="unmatched") == 1
    assert np.isnan(counts.f1()[3])


def test_scores_without_reference_events_are_undefined():
    none, found = events([]), events([[0, 0, 1, 2]])
    for score in (collar_counts, intersection_counts, segment_counts):
        counts = score(none, found, num_classes=2)
        assert np.isnan([counts.macro_f1(), counts.micro_f1()]).all()
    assert np.isnan(psds(none, [found], num_classes=2, total_s=10, settings=SCENARIO_1))


def test_perfect_detections_of_one_class_score_one():
    reference = events([[0, 0, 1, 2], [1, 0, 3, 5]])
    for score in (collar_counts, intersection_counts, segment_counts):
        assert score(reference, reference, num_classes=2).macro_f1() == 1
    for settings in (SCENARIO_1, SCENARIO_2):
        assert psds(reference, [reference], num_classes=2, total_s=20, settings=settings) == 1


def test_overlapping_events_of_a_class_are_refused_by_intersection():
    twice = events([[3, 1, 1, 2], [3, 1, 1.5, 4]])
    with pytest.raises(ValueError, match=r"two events of class 1 in clip 3 overlap at 1\.5 s"):
        intersection_counts(twice, events([]), num_classes=2)


def test_runs_of_rows_above_the_threshold_are_events():
    scores = np.zeros((2, 6, 2))
    scores[0, [0, 1, 4], 0] = 0.9
    scores[1, [3, 4, 5], 1] = 0.9
    scores[1, 0, 1], scores[1, 1, 1] = 0.5, np.nan  # neither is above 0.5
    expected = [[0, 0, 0, 1], [0, 0, 2, 2.5], [1, 1, 1.5, 3]]
    np.testing.assert_array_equal(detect(scores, row_s=0.5), expected)
    np.testing.assert_array_equal(detect(scores, row_s=0.5, threshold=(0.95, 0.5)), expected[2:])
    merged = detect(scores, row_s=0.5, gap_s=1.0)
    np.testing.assert_array_equal(merged, [[0, 0, 0, 2.5], [1, 1, 1.5, 3]])
    np.testing.assert_array_equal(detect(scores, row_s=0.5, gap_s=0.99), expected)
    cut = detect(scores, row_s=0.5, clip_s=np.array([2.0, 1.75]))
    np.testing.assert_array_equal(cut, [[0, 0, 0, 1], [1, 1, 1.5, 1.75]])
    assert detect(scores * 0, row_s=0.5).shape == (0, 4)


def test_median_filter_removes_short_runs_and_closes_short_gaps():
    scores = np.zeros((1, 12, 1))
    scores[0, [1, 4, 5, 7, 8, 9], 0] = 1
    np.testing.assert_array_equal(detect(scores, row_s=1, median_rows=3), [[0, 0, 4, 10]])
    with pytest.raises(ValueError, match="a median filter of 2 rows has no middle"):
        detect(scores, row_s=1, median_rows=2)
    with pytest.raises(ValueError, match="3 thresholds do not fit 1 classes"):
        detect(scores, row_s=1, threshold=(0.1, 0.2, 0.3))


def test_thresholds_are_those_of_dcase():
    np.testing.assert_allclose(thresholds(), np.arange(1 / 100, 1, 1 / 50))


@pytest.fixture(scope="module")
def made() -> Predictions:
    """Ten clips of 10 s and two classes whose frames fit the events, with noise."""
    rng = np.random.default_rng(0)
    listed = [(Event(clip % 2, 1.0 + clip / 4, 4.0 + clip / 8),) for clip in range(9)] + [(1,)]
    targets = Targets.of(listed, num_classes=2)
    truth = targets.frames(100, seconds=10.0)
    logits = 4.0 * truth - 2 + rng.normal(size=truth.shape)
    frames = Frames(logits=logits.astype(np.float16), row_s=0.1, clip_s=np.full(10, 10.0))
    return Predictions(
        epoch=1,
        clip_ids=tuple(map(str, range(10))),
        targets=targets,
        logits=logits.max(axis=1).astype(np.float32),
        frames=frames,
    )


KEYS = ("event_f1", "intersection_f1", "segment_f1", "psds1", "psds2")


def test_event_metrics_score_predictions_over_time_of_clips_with_times(made):
    timed = made.take(np.arange(9))
    scores = 1 / (1 + np.exp(-timed.frames.logits.astype(float)))
    reference, found = timed.targets.events(), detect(scores, row_s=0.1)
    expected = [
        score(reference, found, num_classes=2).macro_f1()
        for score in (collar_counts, intersection_counts, segment_counts)
    ]
    points = [detect(scores, row_s=0.1, threshold=limit) for limit in thresholds()]
    expected += [
        psds(reference, points, num_classes=2, total_s=90.0, settings=settings)
        for settings in (SCENARIO_1, SCENARIO_2)
    ]
    metrics = [lookup(f"val/{key}") for key in KEYS]
    assert [metric.compute(made) for metric in metrics] == pytest.approx(expected, abs=1e-12)
    assert 0 < min(expected) and len(set(expected)) == len(expected)


def test_event_metrics_are_of_frames_and_events_alone_and_in_no_epoch(made):
    metrics = [lookup(f"val/{key}") for key in KEYS]
    assert not made.scores().keys() & {metric.key for metric in metrics}
    assert {"val/map", "val/macro_f1", "val/micro_f1"} <= made.scores().keys()
    for metric in metrics:
        assert metric.is_defined_for(TargetKind.EVENTS)
        assert not metric.is_defined_for(TargetKind.EVENTS, by_frame=False)
        assert not metric.is_defined_for(TargetKind.MULTI_LABEL)


def test_overlapping_reference_events_of_a_class_are_merged():
    found = without_overlaps(events([[0, 1, 3, 4], [0, 1, 1, 2], [0, 1, 1.5, 2.5], [0, 0, 1, 9]]))
    np.testing.assert_array_equal(found, [[0, 0, 1, 9], [0, 1, 1, 2.5], [0, 1, 3, 4]])
    assert without_overlaps(events([])).shape == (0, 4)
