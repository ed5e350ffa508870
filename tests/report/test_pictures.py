"""Pictures from the checkpoints of trained trials."""

import base64
import dataclasses
import json
import re

import numpy as np
import pytest
from matplotlib.image import imread

from orchestrator.analysis.outcomes import Outcomes
from orchestrator.analysis.summary import summarize
from orchestrator.data import open_pack
from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.errors import CheckpointError
from orchestrator.execution.trial import TrialRun
from orchestrator.experiment.config import Component
from orchestrator.predict.figures.make import make_pictures
from orchestrator.predict.figures.shelf import INDEX, read_pictures
from orchestrator.report.render.page import render_page
from orchestrator.report.wording.clips import clips_to_show
from tests import tiny

LOG_MEL = Component("log_mel", sample_rate=16000, f_max=8000.0)
HTSAT = Component("htsat_laptop", depths=(1, 1, 1, 1))
PLAN = Plan(
    name="p",
    question="?",
    base=tiny.experiment(epochs=1),
    arms=(
        Arm(name="plain"),
        Arm(name="with λ=0.2", changes={"transform": Component("adaptor", strength=0.2)}),
        Arm(
            name="events",
            changes={"model": HTSAT, "frontend": LOG_MEL},
        ),
    ),
    seeds=(0, 1),
)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    store = tiny.store_with_pack(tmp_path_factory.mktemp("store"), PLAN.base)
    for trial in PLAN.trials()[:4]:
        TrialRun(store=store, trial_id=trial.id, experiment=trial.experiment).run()
    plan = PLAN.record()
    return plan, store.read_records(trial.id for trial in plan.trials), store


@pytest.fixture(scope="module")
def drawn(swept, tmp_path_factory):
    """The pictures of the whole plan, and their folder; to be read only."""
    folder = tmp_path_factory.mktemp("drawn")
    return make_pictures(*swept, folder), folder


@pytest.fixture
def baseline_alone(swept):
    """The baseline's pictures are one, which is enough for what is drawn when."""
    plan, records, store = swept
    return dataclasses.replace(plan, contrasts=()), records, store


def test_pictures_of_a_block_show_what_each_arm_has(drawn):
    made, folder = drawn
    assert [(picture.kind, picture.arm) for picture in made] == [
        ("keys", "plain"),
        ("input", "with λ=0.2"),
        ("keys", "with λ=0.2"),
        ("events", "events"),
    ]
    assert {picture.clips for picture in made} == {made[0].clips} and len(made[0].clips) == 3
    for picture in made:
        image = imread(folder / picture.file)
        assert min(image.shape[:2]) > 200 and image.std() > 0.05
    assert read_pictures(folder) == made


def test_pictures_are_made_once(swept, tmp_path):
    plan, records, store = swept
    plan = dataclasses.replace(plan, contrasts=plan.contrasts[:1])
    made = make_pictures(plan, records, store, tmp_path)
    (tmp_path / made[0].file).write_bytes(b"kept")
    assert make_pictures(plan, records, store, tmp_path) == made
    assert (tmp_path / made[0].file).read_bytes() == b"kept"
    (tmp_path / made[1].file).unlink()
    assert make_pictures(plan, records, store, tmp_path) == made
    assert (tmp_path / made[1].file).stat().st_size > 1000


def test_pictures_are_of_the_first_block_whose_checkpoints_are_whole(baseline_alone, tmp_path):
    plan, records, store = baseline_alone
    first, *_, second = (trial.id for trial in plan.trials[:4])
    pointer = store.local_path / "trials" / first / "checkpoints" / "last.json"
    content = pointer.read_bytes()
    pointer.write_bytes(content[:99])
    try:
        assert {one.trial for one in make_pictures(plan, records, store, tmp_path)} == {second}
        alone = {first: records[first]}
        with pytest.raises(CheckpointError, match=r"last\.json is damaged"):
            make_pictures(plan, alone, store, tmp_path / "other")
    finally:
        pointer.write_bytes(content)


def test_pictures_of_an_unfinished_block_are_not_made(swept, tmp_path):
    plan, records, store = swept
    some = {trial.id: records[trial.id] for trial in plan.trials[:2]}
    assert make_pictures(plan, some, store, tmp_path / "none") == ()
    assert not (tmp_path / "none").exists()


def test_page_carries_the_pictures_in_itself(swept, drawn):
    plan, records, _ = swept
    made, folder = drawn
    page = render_page(summarize(plan, records), records, pictures=folder)
    found = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)"', page)
    kinds = ("input", "keys", "events")  # arms of a kind stand side by side
    order = sorted(made, key=lambda picture: kinds.index(picture.kind))
    assert [base64.b64decode(data) for data, _ in found] == [
        (folder / picture.file).read_bytes() for picture in order
    ]
    assert "mechanism" not in render_page(summarize(plan, records), records)


def contrary(plan, store):
    """Predictions of the held-out clips: the baseline knows none of them, another arm all."""
    baseline = {trial.id for trial in plan.trials if trial.arm == plan.baseline}

    def load(trial):
        made = store.read_predictions(trial, "last")
        guesses = (made.labels + (trial in baseline)) % made.logits.shape[1]
        logits = np.eye(made.logits.shape[1], dtype=np.float32)[guesses]
        return dataclasses.replace(made, logits=logits)

    return load


def test_clips_that_flipped_are_drawn_and_stand_beside_the_list(swept, tmp_path):
    plan, records, store = swept
    summary = summarize(plan, records)
    clips = clips_to_show(summary, Outcomes(summary, contrary(plan, store)))
    assert len(clips) == 6
    assert all(
        "of 1 pairs, from plain to with λ=0.2; most often" in said for said in clips.values()
    )
    made = make_pictures(plan, records, store, tmp_path, clips=clips)
    drawn = [picture for picture in made if picture.kind == "clip"]
    assert {picture.clips[0]: picture.caption for picture in drawn} == clips
    assert len({(tmp_path / picture.file).read_bytes() for picture in drawn}) == len(clips)
    page = render_page(summary, records, predictions=contrary(plan, store), pictures=tmp_path)
    classes = page[page.index('id="classes"') : page.index('id="mechanism"')]
    assert classes.count('alt="Spectrogram of clip') == len(clips)
    assert all(f"<code>{clip}</code>" in classes for clip in clips)
    assert "Spectrogram of clip" not in page[page.index('id="mechanism"') :]


def test_other_clips_are_drawn_anew_and_the_same_ones_are_not(baseline_alone, tmp_path):
    plan, records, store = baseline_alone
    pack = open_pack(records[plan.trials[0].id].data["fingerprint"], packs=store.packs_uri)
    one, other = ({pack.clip_ids[i]: "loud."} for i in (0, 1))
    first = make_pictures(plan, records, store, tmp_path, clips=one)
    (tmp_path / first[-1].file).write_bytes(b"kept")
    assert make_pictures(plan, records, store, tmp_path, clips=one) == first
    assert (tmp_path / first[-1].file).read_bytes() == b"kept"
    second = make_pictures(plan, records, store, tmp_path, clips=other)
    assert [p.clips for p in second if p.kind == "clip"] == [tuple(other)]


def test_page_without_spectrograms_says_why(swept, tmp_path):
    plan, records, store = swept
    page = render_page(summarize(plan, records), records, predictions=contrary(plan, store))
    assert "Their spectrograms are missing here" in page


def test_list_of_an_older_version_is_made_anew(baseline_alone, tmp_path):
    plan, records, store = baseline_alone
    made = make_pictures(plan, records, store, tmp_path, clips={})
    index = json.loads((tmp_path / INDEX).read_text())
    del index["clips"]
    (tmp_path / INDEX).write_text(json.dumps(index))
    assert read_pictures(tmp_path) == made
    pack = open_pack(records[plan.trials[0].id].data["fingerprint"], packs=store.packs_uri)
    again = make_pictures(plan, records, store, tmp_path, clips={pack.clip_ids[0]: "a"})
    assert len(again) == len(made) + 1
