"""`orchestrator.load_study`: the frames and figures hold the numbers of the report."""

import contextlib
import dataclasses
import io
import json
import sys
from html import escape as html_text
from pathlib import Path

import numpy as np
import pytest
from report_examples import make_plan, make_records, write_scored

import orchestrator
from orchestrator.errors import ConfigError
from orchestrator.metrics.predictions import Predictions
from orchestrator.metrics.targets import Targets
from orchestrator.report.figures import StudyFigure
from orchestrator.report.tables.arms import main_table
from orchestrator.report.wording.notes import answers
from orchestrator.report.wording.numbers import tie
from orchestrator.store import Store

ROOT = Path(__file__).resolve().parents[2]
SWEEP = "adaptor_lambda-demo-esc10"
"""The sweep that the example notebook reads."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    store = Store.open(folder / "store")
    plan = make_plan(("no adaptor", "λ=0.005", "λ=0.1"), seeds=6, sweep=SWEEP)
    store.write_plan(plan)
    for record in make_records(plan, (0.05, -0.05)).values():
        write_scored(store, record, clips=16)
    return folder


@pytest.fixture(scope="module")
def study(place):
    return orchestrator.load_study(SWEEP, place / "store")


def test_frames_hold_the_numbers_of_the_report(study):
    of_arm = {row["arm"]: row for row in main_table(study.summary).records}
    arms = study.arms[study.arms["metric"] == "val/top1"].set_index("arm")
    assert list(arms.index) == list(of_arm)
    for name, row in of_arm.items():
        for key in ("mean", "low", "high", "n", "unit"):
            assert arms.loc[name, key] == row[key]
    assert list(study.contrasts["arm"]) == ["λ=0.005", "λ=0.1"] and study.effects.empty
    for row in study.contrasts.to_dict("records"):
        told = of_arm[row["arm"]]
        for key in ("p", "adjusted_p", "verdict", "difference"):
            assert row[key] == told[key]
        assert (row["low"], row["high"]) == (told["difference_low"], told["difference_high"])
        assert row["unit"] == "points" and row["reference"] == "no adaptor"


def test_study_has_the_one_that_goes_on_with_its_arms_as_its_report_has(place):
    search = make_plan(("no adaptor", "λ=0.005"), seeds=6, sweep="searched", followed_by=SWEEP)
    Store.open(place / "store").write_plan(search)
    following = orchestrator.load_study("searched", place / "store").summary.following
    assert following is not None and following.plan.sweep == SWEEP and following.contrasts


def test_trials_epochs_and_predictions_agree(study):
    trials = study.trials.set_index("trial")
    assert len(trials) == 18 and set(trials["status"]) == {"finished"}
    assert trials["dose"].isna().sum() == 6 and set(trials["dose"].dropna()) == {0.005, 0.1}
    assert trials.groupby("arm")["val/top1"].mean().to_dict() == pytest.approx(
        {arm.name: arm.measures["val/top1"].interval.mean for arm in study.summary.arms}
    )
    last = study.epochs.groupby("trial").last()
    assert last["epoch"].eq(20).all()
    assert last["val/top1"].to_dict() == trials["val/top1"].to_dict()
    clips = study.predictions
    assert len(clips) == 18 * 16 and clips["clip"].nunique() == 16
    correct = 100 * clips.groupby("trial")["correct"].mean()
    assert correct.to_dict() == pytest.approx(trials["val/top1"].to_dict())
    assert (clips["target"] == clips["predicted"]).equals(clips["correct"])
    made = study.predictions_of(clips["trial"][0])
    assert made.probabilities().max(axis=1).tolist() == clips["score"][:16].tolist()


@pytest.mark.parametrize(
    ("targets", "target", "predicted"),
    [
        (
            Targets.of([(0,), (0, 2), ()], num_classes=3),
            [("dog",), ("dog", "rain"), ()],
            [("dog",), ("dog",), ()],
        ),
        (
            Targets.of([(0, 1), (0, 2), (0, 1)], num_classes=3, heads={"a": 1, "b": 2}),
            [("dog", "rooster"), ("dog", "rain"), ("dog", "rooster")],
            [("dog", "rooster"), ("dog", "rooster"), ("dog", "rooster")],
        ),
    ],
)
def test_clips_with_several_classes_have_tuples_of_names(study, targets, target, predicted):
    made = Predictions(
        epoch=1,
        clip_ids=("a", "b", "c"),
        targets=targets,
        logits=np.array([[3, -2, -3], [3, -1, -2], [-3, -4, -5]], np.float32),
    )
    clips = dataclasses.replace(study, load=lambda trial: made).predictions[:3]
    assert list(clips["target"]) == target and list(clips["predicted"]) == predicted
    assert list(clips["correct"]) == [
        one == other for one, other in zip(target, predicted, strict=True)
    ]


def test_figures_draw_the_numbers_of_the_frames(study):
    (axes,) = study.forest().axes
    drawn = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert drawn == list(study.contrasts["difference"])
    (axes,) = study.curves("val/loss").axes
    assert len(axes.lines) == 3 and axes.get_ylabel() == "validation loss (nats)"
    mean = study.epochs.groupby(["arm", "epoch"])["val/loss"].mean()
    assert list(axes.lines[1].get_ydata()) == pytest.approx(mean["λ=0.005"].tolist())
    (axes,) = study.dose().axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["none", "0.005", "0.1"]
    with pytest.raises(ConfigError, match="did you mean 'val/loss'"):
        study.curves("val/los")


def test_notebook_shows_the_table_with_its_verdict(study):
    html = study._repr_html_()
    said = [html_text(tie(answer.text)) for answer in answers(study.summary)]
    for text in ("<th>adjusted p</th>", "<td>no adaptor</td>", *said):
        assert text in html
    assert repr(study) == f"LoadedStudy({SWEEP!r})"
    assert study.curves()._repr_png_().startswith(b"\x89PNG")


def test_unknown_sweep_is_one_error(place):
    with pytest.raises(ConfigError, match=f"did you mean {SWEEP!r}"):
        orchestrator.load_study("adaptor_lamda-demo-esc10", str(place / "store"))


def test_cells_of_the_example_notebook_run(place, monkeypatch):
    monkeypatch.chdir(place)
    notebook = json.loads((ROOT / "docs" / "load_study.ipynb").read_text("utf-8"))
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    names: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in cells:
            exec(compile(cell, "<cell>", "exec"), names)
    assert isinstance(names["figure"], StudyFigure) and "matplotlib.pyplot" not in sys.modules
    assert (place / "forest.pdf").stat().st_size > 1000
