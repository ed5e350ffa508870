"""Thresholds and median filters that a metric's key declares."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import f1_score

from orchestrator.errors import ConfigError
from orchestrator.metrics import Event, Targets, lookup, post_processed
from orchestrator.metrics.catalog import METRICS, mistake_of
from orchestrator.metrics.events import (
    SCENARIO_1,
    collar_counts,
    detect,
    median_filtered,
    psds,
    thresholds,
    without_overlaps,
)
from orchestrator.metrics.postprocessing import PostProcessing, Validation, parse
from orchestrator.metrics.predictions import Frames, Predictions

ROW_S = 0.1
ROWS = 40


@pytest.fixture(autouse=True)
def named():
    """No metric of one test's is known to the next."""
    before = dict(METRICS)
    yield
    METRICS.clear()
    METRICS.update(before)


def made(seed: int, num_clips: int = 12, noise: float = 1.2) -> Predictions:
    """Clips of 4 s with up to three events of three classes, heard through noise."""
    rng = np.random.default_rng(seed)
    labels, logits = [], rng.normal(-1.5, noise, (num_clips, ROWS, 3))
    for clip in range(num_clips):
        events = []
        for label in range(3):
            if rng.random() < 0.7:
                first = int(rng.integers(0, ROWS - 12))
                length = int(rng.integers(4, 12))
                events.append(Event(label, first * ROW_S, (first + length) * ROW_S))
                logits[clip, first : first + length, label] += 2.0 - 0.8 * label
        labels.append(tuple(events))
    frames = logits.astype(np.float16)
    return Predictions(
        epoch=1,
        clip_ids=tuple(f"{seed}-{clip}" for clip in range(num_clips)),
        targets=Targets.of(labels, num_classes=3),
        logits=logits.mean(axis=1).astype(np.float32),
        frames=Frames(logits=frames, row_s=ROW_S, clip_s=np.full(num_clips, ROWS * ROW_S)),
    )


TEST, HELD = made(1), made(2)
WITH = dataclasses.replace(TEST, validation=Validation(lambda: HELD))


def score(key: str, predictions: Predictions = WITH) -> float:
    compute = lookup(key).compute
    assert compute is not None
    return compute(predictions)


def by_hand(predictions: Predictions, threshold, median_rows) -> np.ndarray:
    """(classes,) event F1 by class, filtered as decisions, class by class."""
    size = predictions.targets.num_classes
    reference = without_overlaps(predictions.targets.events())
    found = []
    for label in range(size):
        scores = np.full_like(predictions.frames.logits, -9.0, dtype=np.float64)
        own = predictions.frames.logits[..., label].astype(np.float64)
        scores[..., label] = 1 / (1 + np.exp(-own))
        found.append(
            detect(
                scores,
                row_s=ROW_S,
                threshold=threshold[label],
                median_rows=median_rows[label],
                clip_s=predictions.frames.clip_s,
            )
        )
    return collar_counts(reference, np.concatenate(found), num_classes=size).f1()


def test_key_says_what_is_done_and_is_read_back():
    key = post_processed("val/event_f1", threshold=[0.3, 0.25, 0.9], median_s=0.45)
    assert key == "val/event_f1(threshold=0.3/0.25/0.9,median_s=0.45)"
    assert parse(key) == (
        "val/event_f1",
        PostProcessing(threshold=(0.3, 0.25, 0.9), median_s=0.45),
    )
    assert parse("val/event_f1") is None
    titles = {
        key: "thresholds by class, median filter of 0.45 s",
        "val/event_f1(threshold=validation)": "thresholds from validation clips",
        "val/event_f1(median_s=0.2/0/1.5)": "median filters of 0 to 1.5 s by class",
        "val/event_f1(threshold=0.3)": "threshold 0.3",
    }
    for one, words in titles.items():
        assert lookup(one).title == f"event F1 (200 ms, 20 %), {words}"
        assert lookup(one).at_report and not lookup(one).is_own


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("val/top1(threshold=0.3)", "unknown metric with post-processing 'val/top1'"),
        ("val/event_f1(gap=0.3)", "'gap=0.3' is no post-processing; give threshold=..., median_s"),
        ("val/event_f1(threshold=0.3,threshold=0.4)", "once each"),
        ("val/event_f1(threshold=1.5)", "threshold is '1.5'; give a number between 0 and 1, or"),
        ("val/event_f1(median_s=validation)", "give a number in seconds, from 0 on, or one per"),
        ("val/psds1(threshold=0.3)", "metric val/psds1 takes median_s, not threshold"),
        ("val/macro_f1(median_s=0.3)", "metric val/macro_f1 takes threshold, not median_s"),
        ("val/event_f1(threshold=0.3", "is written metric(threshold=...,median_s=...)"),
    ],
)
def test_wrong_post_processing_is_refused_with_the_way_out(key, said):
    assert said in mistake_of(key)


def test_values_that_do_not_fit_the_classes_are_refused():
    for setting in ("threshold=0.2/0.3", "median_s=0.1/0.2"):
        with pytest.raises(ConfigError, match="has 2 values, and the data set 3 classes"):
            score(f"val/event_f1({setting})")


@pytest.mark.parametrize("lengths", [(1, 1, 1), (7, 3, 1), (5, 5, 5), (41, 99, 201)])
def test_filtered_scores_at_any_threshold_are_the_filtered_decisions(lengths):
    logits = TEST.frames.logits.copy()
    logits[0, :5, 0] = np.nan
    filtered = median_filtered(logits, lengths)
    for label, length in enumerate(lengths):
        for limit in (-2.0, -0.5, 0.0, 1.0):
            one, other = (
                detect(scores[..., [label]].astype(float), row_s=ROW_S, threshold=limit, **more)
                for scores, more in ((filtered, {}), (logits, {"median_rows": length}))
            )
            np.testing.assert_array_equal(one, other)


def test_declared_thresholds_and_filters_are_those_of_each_class():
    # 0.45 s is nearest to 5 rows, 0.25 s to 3 and 0.1 s is one row, which filters nothing.
    key = "val/event_f1(threshold=0.3/0.25/0.4,median_s=0.45/0.25/0.1)"
    expected = by_hand(TEST, (0.3, 0.25, 0.4), (5, 3, 1))
    assert score(key) == pytest.approx(expected.mean(), abs=1e-12)
    assert score("val/event_f1(threshold=0.5,median_s=0)") == score("val/event_f1")


def test_thresholds_are_the_best_of_the_validation_clips_and_see_no_reported_one():
    tried = [0.5, *thresholds()]
    grid = np.array([by_hand(HELD, [limit] * 3, [3] * 3) for limit in tried])
    best = grid.max(axis=0)
    key = "val/event_f1(threshold=validation,median_s=0.3)"
    holder = Validation(lambda: HELD)
    value = score(key, dataclasses.replace(TEST, validation=holder))
    (chosen,) = holder.chosen.values()
    for label in range(3):
        near = [t for t, f1 in zip(tried, grid[:, label], strict=True) if f1 == best[label]]
        assert abs(chosen[label] - 0.5) == pytest.approx(min(abs(t - 0.5) for t in near))
        assert any(chosen[label] == pytest.approx(t) for t in near)
    assert value == pytest.approx(by_hand(TEST, chosen, (3, 3, 3)).mean(), abs=1e-12)
    # Other reported clips get the same thresholds.
    other = Validation(lambda: HELD)
    score(key, dataclasses.replace(made(5), validation=other))
    np.testing.assert_array_equal(next(iter(other.chosen.values())), chosen)
    with pytest.raises(ConfigError, match="no predictions of them are at hand"):
        score(key, TEST)


def test_class_that_validation_clips_lack_keeps_one_half():
    none = HELD.take(~HELD.targets.multi_hot()[:, 2])
    holder = Validation(lambda: none)
    score("val/macro_f1(threshold=validation)", dataclasses.replace(TEST, validation=holder))
    (chosen,) = holder.chosen.values()
    assert chosen[2] == 0.5 and (chosen[:2] != 0.5).any()


@pytest.mark.parametrize(("name", "average"), [("macro_f1", "macro"), ("micro_f1", "micro")])
def test_thresholds_of_whole_clips_equal_those_of_scikit_learn(name, average):
    limits = (0.3, 0.15, 0.2)
    truth = TEST.targets.multi_hot()
    expected = f1_score(truth, TEST.probabilities() > limits, average=average, zero_division=0)
    key = post_processed(f"val/{name}", threshold=limits)
    assert score(key) == pytest.approx(expected, abs=1e-12)


def test_psds_filters_once_and_scores_every_threshold():
    clean = made(4, num_clips=60, noise=0.7)
    scores = median_filtered(clean.frames.logits, [5, 5, 5])
    expected = psds(
        without_overlaps(clean.targets.events()),
        (
            detect(
                scores,
                row_s=ROW_S,
                threshold=float(np.log(limit / (1 - limit))),
                clip_s=clean.frames.clip_s,
            )
            for limit in thresholds()
        ),
        num_classes=3,
        total_s=clean.frames.clip_s.sum(),
        settings=SCENARIO_1,
    )
    assert score("val/psds1(median_s=0.5)", clean) == pytest.approx(expected, abs=1e-12)
    assert score("val/psds1(median_s=0.5)", clean) != score("val/psds1", clean)
