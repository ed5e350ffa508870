"""Targets of clips: classes, several classes, and events with times."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from orchestrator.errors import DataError
from orchestrator.metrics import METRICS, USUAL, lookup
from orchestrator.metrics.chance import HeldOut
from orchestrator.metrics.labels import Event, TargetKind, kind_of
from orchestrator.metrics.predictions import Frames, Predictions
from orchestrator.metrics.targets import Targets

TAGS = [(0, 2), (), (1,), (2, 1, 1)]
EVENTS = [
    (Event(1, 0.25, 0.5), Event(0, 0.0, 1.0)),
    (),
    (Event(2, 0.9, 1.3),),
    (Event(0, math.nan, math.nan), 1),
]


def predictions(labels, *, num_classes=3, seed=0, frames=False):
    rng = np.random.default_rng(seed)
    targets = Targets.of(labels, num_classes=num_classes)
    clips = len(targets)
    over_time = Frames(
        logits=rng.normal(size=(clips, 4, num_classes)).astype(np.float16),
        row_s=0.25,
        clip_s=np.ones(clips),
    )
    return Predictions(
        epoch=1,
        clip_ids=tuple(map(str, range(clips))),
        targets=targets,
        logits=rng.normal(size=(clips, num_classes)).astype(np.float32),
        frames=over_time if frames else None,
    )


@pytest.mark.parametrize(
    ("labels", "kind"),
    [([1, 0], "single_label"), (TAGS, "multi_label"), (EVENTS, "events"), ([()], "multi_label")],
)
def test_kind_of_targets_follows_from_what_is_listed(labels, kind):
    assert kind_of(labels) == kind == Targets.of(labels, num_classes=3).kind


def test_multi_hot_and_counts_of_a_class_listed_twice_are_those_of_once():
    targets = Targets.of(TAGS, num_classes=4)
    expected = [[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0]]
    assert targets.multi_hot().astype(int).tolist() == expected
    assert targets.counts().tolist() == [1, 2, 2, 0]
    assert [targets.form(clip) for clip in range(4)] == [[0, 2], [], [1], [1, 2]]


def test_targets_of_events_have_classes_times_and_a_form_that_ignores_the_order_of_the_list():
    targets = Targets.of(EVENTS, num_classes=3)
    assert targets.counts().tolist() == [2, 2, 1]
    assert targets.have_times.tolist() == [True, True, True, False]
    assert targets.form(0) == [[0, 0.0, 1.0], [1, 0.25, 0.5]]
    assert targets.form(3) == [[0, None, None], [1, None, None]]
    turned = Targets.of([label[::-1] for label in EVENTS], num_classes=3)
    assert turned == targets and turned != targets.take([0, 1, 2, 2])


def test_one_label_of_many_is_refused():
    assert Targets.of([2, 0], num_classes=3).labels.tolist() == [2, 0]
    for labels in (TAGS, EVENTS):
        with pytest.raises(DataError, match="one class per clip was asked for"):
            _ = Targets.of(labels, num_classes=3).labels
    with pytest.raises(DataError, match="no onset and offset"):
        Targets.of(TAGS, num_classes=3).frames(4, seconds=1.0)


@pytest.mark.parametrize("labels", [[3], [-1], [(0, 3)], [(Event(9, 0.0, 1.0),)]])
def test_class_beyond_the_names_is_refused(labels):
    with pytest.raises(ValueError, match="none of its 3 classes"):
        Targets.of(labels, num_classes=3)


def test_frames_are_all_rows_that_an_event_overlaps():
    active = Targets.of(EVENTS, num_classes=3).frames(4, seconds=1.0)
    assert active.shape == (4, 4, 3)
    assert active[0].T.astype(int).tolist() == [[1, 1, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert active[2].T.astype(int).tolist() == [[0] * 4, [0] * 4, [0, 0, 0, 1]]
    assert not active[1].any() and not active[3].any()


def test_frames_of_onsets_on_the_edge_of_a_row_start_there():
    events = [(Event(0, n / 10, (n + 1) / 10),) for n in range(100)]
    active = Targets.of(events, num_classes=1).frames(100, seconds=10.0)
    assert np.array_equal(active[:, :, 0], np.eye(100, dtype=bool))


@given(
    times=st.lists(
        st.tuples(st.integers(0, 1000), st.integers(1, 500), st.integers(0, 2)), max_size=6
    ),
    rows=st.integers(1, 64),
)
def test_frames_agree_with_every_row_asked_on_its_own(times, rows):
    # Odd thousandths of 1.6 s, so that no time lies within rounding of an edge.
    events = tuple(Event(c, on / 999.7, (on + length) / 999.7) for on, length, c in times)
    active = Targets.of([events], num_classes=3, kind=TargetKind.EVENTS).frames(rows, seconds=1.6)
    edges = np.linspace(0, 1.6, rows + 1)
    for row in range(rows):
        for c in range(3):
            expected = any(
                e.label == c
                and e.onset_s < edges[row + 1] - 2e-6 * 1.6 / rows
                and e.offset_s > edges[row] + 2e-6 * 1.6 / rows
                for e in events
            )
            # An onset of 0 lies on an edge.
            assert active[0, row, c] == expected


@pytest.mark.parametrize("labels", [[0, 2, 1, 1], TAGS, EVENTS])
def test_taking_clips_is_taking_from_the_list(labels):
    targets = Targets.of(labels, num_classes=3)
    for indices in ([3, 0, 0, 1], [], [2]):
        taken = Targets.of([labels[i] for i in indices], num_classes=3, kind=targets.kind)
        assert targets.take(np.array(indices, int)) == taken
    assert targets.take(np.array([True, False, True, False])) == targets.take([0, 2])


@given(seed=st.integers(0, 10_000), clips=st.integers(2, 40), steps=st.integers(1, 9))
def test_map_and_loss_of_many_labels_equal_scikit_learns(seed, clips, steps):
    rng = np.random.default_rng(seed)
    truth = rng.random((clips, 5)) < 0.3
    truth[0, 0] = True
    # Coarse logits tie often.
    logits = (rng.integers(-steps, steps + 1, (clips, 5)) / 2).astype(np.float32)
    made = Predictions(
        epoch=1,
        clip_ids=tuple(map(str, range(clips))),
        targets=Targets.of([tuple(np.flatnonzero(row).tolist()) for row in truth], num_classes=5),
        logits=logits,
    )
    scores, there = 1 / (1 + np.exp(-logits.astype(float))), truth.any(axis=0)
    found = made.scores()
    assert found.keys() == {"val/map", "val/mauc", "val/macro_f1", "val/micro_f1", "val/loss"}
    expected = average_precision_score(truth[:, there], scores[:, there], average="macro")
    assert np.isclose(found["val/map"], expected, rtol=1e-12, atol=0)
    told = there & ~truth.all(axis=0)
    if told.any():
        expected = roc_auc_score(truth[:, told], scores[:, told], average="macro")
        assert np.isclose(found["val/mauc"], expected, rtol=1e-12, atol=0)
    entropies = [log_loss(truth[:, c], scores[:, c], labels=[0, 1]) for c in range(5)]
    assert np.isclose(found["val/loss"], np.mean(entropies), rtol=1e-12, atol=0)
    np.testing.assert_allclose(made.probabilities(), scores, rtol=1e-12)


def test_metrics_of_events_are_those_of_their_classes():
    of_events, of_classes = predictions(EVENTS), predictions([(0, 1), (), (2,), (0, 1)])
    assert of_events.scores() == of_classes.scores()


def test_metric_by_frame_is_defined_for_predictions_over_time_alone(monkeypatch):
    own = lookup("val/map").__class__(
        "val/frames",
        "frames",
        lookup("val/map").direction,
        compute=lambda made: float(made.frames.logits.shape[1]),
        kinds=(TargetKind.EVENTS,),
        by_frame=True,
    )
    monkeypatch.setitem(METRICS, own.key, own)
    assert predictions(EVENTS, frames=True).scores()[own.key] == 4.0
    assert own.key not in predictions(EVENTS).scores()
    assert own.key not in predictions(TAGS).scores()


def test_usual_metric_of_every_kind_is_defined_for_it():
    for kind in TargetKind:
        assert lookup(USUAL[kind]).is_defined_for(kind)


@pytest.mark.parametrize("labels", [[0, 2, 1, 1], TAGS, EVENTS])
def test_predictions_of_some_clips_score_as_these_alone(labels):
    made = predictions(labels, frames=True)
    kept = made.take(np.array([True, False, True, True]))
    assert kept.clip_ids == ("0", "2", "3") and kept.frames.logits.shape[0] == len(kept) == 3
    assert kept.targets == made.targets.take([0, 2, 3])


def test_chance_of_many_labels_is_the_prevalence():
    counts = (50, 5, 0)
    held_out = HeldOut(num_classes=3, num_clips=1000, counts=counts, kind=TargetKind.MULTI_LABEL)
    drawn = []
    rng = np.random.default_rng(0)
    truths = [np.arange(1000) < count for count in counts if count]
    for _ in range(200):
        drawn.append(np.mean([average_precision_score(t, rng.random(1000)) for t in truths]))
    error = np.std(drawn, ddof=1) / np.sqrt(len(drawn))
    found = lookup("val/map").chance(held_out)
    assert found.value == pytest.approx(np.mean(drawn), abs=4 * error)
    assert found.value == pytest.approx(np.mean([0.05, 0.005]), abs=0.01)
    rates = np.array(counts) / 1000
    logits = np.log(np.maximum(rates, 1e-30) / (1 - rates))
    made = Predictions(
        epoch=1,
        clip_ids=tuple(map(str, range(1000))),
        targets=Targets.of(
            [tuple(c for c in range(3) if i < counts[c]) for i in range(1000)], num_classes=3
        ),
        logits=np.tile(logits, (1000, 1)).astype(np.float32),
    )
    assert lookup("val/loss").chance(held_out).value == pytest.approx(
        made.scores()["val/loss"], rel=1e-6
    )
    unknown = HeldOut(num_classes=3, kind=TargetKind.MULTI_LABEL)
    assert lookup("val/map").chance(unknown) is None
