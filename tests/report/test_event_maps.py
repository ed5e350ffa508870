"""Event maps and label tracks, of events whose places are known."""

import dataclasses

import numpy as np
import pytest
from report_examples import data_of, make_plan, make_records

from orchestrator.analysis.outcomes import Outcomes
from orchestrator.analysis.summary import summarize
from orchestrator.analysis.tracks import tracks
from orchestrator.metrics import Event
from orchestrator.metrics.predictions import Frames, Predictions
from orchestrator.metrics.targets import Targets
from orchestrator.report.label_tracks import write_label_tracks
from orchestrator.report.plots.events import plots

LABELS = ((Event(0, 0.0, 1.0), Event(2, 0.5, 2.0)), (Event(1, 1.0, 3.0),), (), (1,))
CLIPS = ("a/b.wav", "second", "nothing", "weak")


def predictions(trial_id):
    """The first arm detects class 1 of the second clip for 2 s, the other nothing."""
    logits = np.full((4, 8, 3), -5.0, np.float16)
    if trial_id.startswith("0000"):
        logits[1, 2:6, 1] = 5  # rows of half a second
        logits[3, :, 0] = 5
    return Predictions(
        epoch=20,
        clip_ids=CLIPS,
        targets=Targets.of(LABELS, num_classes=3),
        logits=logits.max(axis=1).astype(np.float32),
        frames=Frames(logits=logits, row_s=0.5, clip_s=np.array([4.0, 2.5, 4.0, 4.0])),
    )


@pytest.fixture
def study():
    plan = make_plan(("first", "other"), seeds=2)
    records = make_records(plan)
    return summarize(plan, records), records


def test_tracks_are_of_the_first_trial_of_each_arm_and_of_clips_with_times(study):
    summary, records = study
    found = tracks(summary, records, predictions)
    assert list(found) == ["first", "other"] and found["first"].trial.seed == 0
    assert found["first"].clip_ids == CLIPS[:3]
    assert found["first"].detected.tolist() == [[1, 1, 1.0, 2.5]]  # the end of the clip ends it
    assert found["other"].detected.tolist() == [] and len(found["other"].listed) == 3
    without = dataclasses.replace(predictions("0000"), frames=None)
    assert tracks(summary, records, lambda trial: without) == {}


def test_label_tracks_have_a_line_per_event_by_onset(study, tmp_path):
    summary, records = study
    folders = write_label_tracks(summary, tracks(summary, records, predictions), tmp_path)
    assert folders == [tmp_path / "listed", tmp_path / "first", tmp_path / "other"]
    listed = (tmp_path / "listed" / "a%2Fb.wav.txt").read_text()
    assert listed == "0.000000\t1.000000\tdog\n0.500000\t2.000000\train\n"
    assert (tmp_path / "first" / "second.txt").read_text() == "1.000000\t2.500000\trooster\n"
    assert (tmp_path / "other" / "nothing.txt").read_text() == ""
    assert not (tmp_path / "first" / "weak.txt").exists()


def test_event_map_has_a_lane_for_what_is_listed_and_for_each_arm(study):
    summary, records = study
    (plot,) = plots(data_of(summary, Outcomes(summary, predictions), records))
    assert plot.title == "Event maps" and list(plot.legend) == ["listed", "first", "other"]
    most, one, none = plot.drawings
    assert "dog, listed: 0.00 to 1.00 s" in most and "rain, listed: 0.50 to 2.00 s" in most
    assert "rooster, listed: 1.00 to 3.00 s" in one and "rooster, first: 1.00 to 2.50 s" in one
    assert "other:" not in one and "listed:" not in none
    assert "other detects no event in any of its 3 held-out clips" in plot.caption
    assert "first detects no event" not in plot.caption
    assert list(plots(data_of(summary))) == []
