"""Pictures from the checkpoints of trained trials."""

import base64
import re

import pytest
from matplotlib.image import imread

from orchestrator.ablation import Arm
from orchestrator.config import Component, complete
from orchestrator.pictures.make import make_pictures
from orchestrator.pictures.shelf import read_pictures
from orchestrator.plan import Plan
from orchestrator.report.page import render_page
from orchestrator.report.summary import summarise
from orchestrator.trial import TrialRun
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
        TrialRun(store=store, trial_id=trial.id, experiment=complete(trial.experiment)).run()
    plan = PLAN.record()
    return plan, store.read_records(trial.id for trial in plan.trials), store


def test_pictures_of_a_block_show_what_each_arm_has(swept, tmp_path):
    plan, records, store = swept
    made = make_pictures(plan, records, store, tmp_path)
    assert [(picture.kind, picture.arm) for picture in made] == [
        ("keys", "plain"),
        ("input", "with λ=0.2"),
        ("keys", "with λ=0.2"),
        ("events", "events"),
    ]
    assert {picture.clips for picture in made} == {made[0].clips} and len(made[0].clips) == 3
    for picture in made:
        image = imread(tmp_path / picture.file)
        assert min(image.shape[:2]) > 200 and image.std() > 0.05
    assert read_pictures(tmp_path) == made


def test_pictures_are_made_once(swept, tmp_path):
    plan, records, store = swept
    made = make_pictures(plan, records, store, tmp_path)
    (tmp_path / made[0].file).write_bytes(b"kept")
    assert make_pictures(plan, records, store, tmp_path) == made
    assert (tmp_path / made[0].file).read_bytes() == b"kept"
    (tmp_path / made[1].file).unlink()
    assert make_pictures(plan, records, store, tmp_path) == made
    assert (tmp_path / made[1].file).stat().st_size > 1000


def test_pictures_of_an_unfinished_block_are_not_made(swept, tmp_path):
    plan, records, store = swept
    some = {trial.id: records[trial.id] for trial in plan.trials[:2]}
    assert make_pictures(plan, some, store, tmp_path / "none") == ()
    assert not (tmp_path / "none").exists()


def test_page_carries_the_pictures_in_itself(swept, tmp_path):
    plan, records, store = swept
    made = make_pictures(plan, records, store, tmp_path)
    page = render_page(summarise(plan, records), records, pictures=tmp_path)
    found = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)"', page)
    assert [base64.b64decode(data) for data, _ in found] == [
        (tmp_path / picture.file).read_bytes() for picture in made
    ]
    assert "mechanism" not in render_page(summarise(plan, records), records)
