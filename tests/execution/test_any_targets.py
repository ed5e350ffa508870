"""Studies on clips with several classes or with events, from preflight to the report."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from orchestrator import Arm, Component, Contrast, Plan
from orchestrator.data import peek, pinned
from orchestrator.errors import ConfigError, PlanError
from orchestrator.execution.options import parse
from orchestrator.execution.preflight.arms import check_arms
from orchestrator.execution.prepare import prepare
from orchestrator.execution.trial import TrialRun
from orchestrator.experiment.overrides import override
from orchestrator.metrics import TargetKind, lookup
from orchestrator.metrics.catalog import selection_key
from orchestrator.predict.figures.make import make_pictures
from orchestrator.report.__main__ import main
from orchestrator.store.verification import loader, verify_stored
from tests import tiny
from tests.commands import run_command

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[2]
SIZES = {"num_classes": 3, "num_clips": 40, "num_folds": 2, "seconds": 0.5}
BCE = Component("binary_cross_entropy")
FRAME_BCE = Component("frame_binary_cross_entropy", clip_weight=0.5)
HTSAT = Component("htsat_laptop")


def plan_of(*, times, metric="val/map", **changes):
    base = tiny.experiment(epochs=2, selection="best")
    dataset = pinned(Component("synthetic_events", **SIZES, times=times))
    return Plan(
        name="scenes",
        question="Which hears more?",
        base=dataclasses.replace(base, dataset=dataset, **changes),
        arms=(Arm(name="base"), Arm(name="slow", changes={"optimizer.learning_rate": 1e-7})),
        contrasts=(Contrast("slow", "base"),),
        seeds=(0, 1),
        metric=metric,
    )


CASES = {
    "multi-label": {"times": False, "loss": BCE},
    "events": {"times": True, "loss": FRAME_BCE, "model": HTSAT},
}


@pytest.fixture(scope="module", params=CASES)
def study(request, tmp_path_factory):
    plan = plan_of(**CASES[request.param])
    store = tiny.store_with_pack(tmp_path_factory.mktemp("store"), plan.experiment(plan.arms[0]))
    for trial in plan.trials():
        TrialRun(store=store, trial_id=trial.id, experiment=trial.experiment).run()
    kind = "events" if CASES[request.param]["times"] else "multi_label"
    classes = peek("synthetic_events", SIZES, root=None, packs=store.packs_uri).class_names
    record = plan.record(class_names=list(classes), name="synthetic_events", targets=kind)
    store.write_plan(record)
    return record, store, TargetKind(kind)


def report(store, *more):
    out = io.StringIO()
    return main(["scenes", "--store", store.uri, *more], out=out), out.getvalue()


def test_trials_finish_with_the_metrics_of_their_kind_and_are_verified(study):
    plan, store, kind = study
    records = store.read_records(trial.id for trial in plan.trials)
    verify_stored(store, plan, records, remember=False)
    for record in records.values():
        assert record.status == "finished", record.error
        assert record.data["targets"] == kind and record.chosen_by == "val/map"
        values = [epoch.metrics[selection_key("val/map")] for epoch in record.epochs]
        assert record.best_epoch == values.index(max(values)) + 1
        assert "val/top1" not in record.epochs[0].metrics
        made = store.read_predictions(record.id, "best")
        assert made.kind is kind and made.targets.counts().tolist() == record.data["val_counts"]
        assert (made.frames is not None) == (kind is TargetKind.EVENTS)


def test_predictions_over_time_cover_the_clip_and_follow_the_clip_logits(study):
    plan, store, kind = study
    if kind is not TargetKind.EVENTS:
        return  # the first test sees that there are none
    made = store.read_predictions(plan.trials[0].id, "best")
    assert made.frames.logits.shape[::2] == (len(made), 3)
    # 32 frames of 15 ms.
    assert made.frames.row_s * made.frames.logits.shape[1] == pytest.approx(0.48)
    assert made.frames.clip_s.tolist() == [0.5] * len(made)
    mean = made.frames.logits.astype(np.float32).mean(axis=1)
    np.testing.assert_allclose(mean, made.logits, atol=0.02)


def test_thresholds_of_validation_clips_score_stored_predictions_without_training(study):
    plan, store, kind = study
    key = "val/macro_f1(threshold=validation)"
    records = store.read_records(trial.id for trial in plan.trials)
    load = loader(store, plan, records)
    for trial in plan.trials:
        # What is kept of the validation clips is what chose the epoch.
        made, record = load(trial.id).validation.load(), records[trial.id]
        chose = record.epochs[record.best_epoch - 1].metrics[selection_key("val/map")]
        assert lookup("val/map").compute(made) == pytest.approx(chose, abs=1e-12)
        assert not set(made.clip_ids) & set(load(trial.id).clip_ids)
    code, text = report(store, "--metric", key)
    text = " ".join(text.split())
    assert code == 0 and "macro F1, thresholds from validation clips: at the epoch" in text
    assert "Thresholds: for each trial and class the one with the best F1 on the" in text
    code, text = report(store, "--metric", "val/macro_f1(threshold=0.2/0.3/0.4)")
    assert code == 0 and "Thresholds as declared: " in text and "0.3, " in text
    if kind is TargetKind.EVENTS:
        code, text = report(store, "--metric", "val/segment_f1(threshold=validation,median_s=0.1)")
        assert code == 0 and "median filter of 0.1 s" in " ".join(text.split())


def test_plan_whose_arms_keep_no_validation_clips_cannot_choose_thresholds_on_them():
    plan = plan_of(times=False, loss=BCE, metric="val/macro_f1(threshold=validation)")
    kept = dataclasses.replace(plan.base, selection_metric="val/map")
    dataclasses.replace(plan, base=kept).check()
    of_last = dataclasses.replace(plan, base=dataclasses.replace(kept, selection="last"))
    with pytest.raises(PlanError, match=r"'base', 'slow' keep none from training; set selection"):
        of_last.check()


def test_report_says_map_with_chance_and_leaves_out_what_needs_one_class(study):
    _, store, _ = study
    code, text = report(store)
    assert code == 0
    text = " ".join(text.split())
    assert "mAP" in text and "Chance: 0." in text and "clips in random order" in text
    for form in ("html", "latex", "csv", "markdown"):
        code, page = report(store, "--format", form)
        assert code == 0 and "Which class is taken for which" not in page, form
        assert "Clips that changed sides" not in page
    _, form = report(store, "--format", "json")
    assert json.loads(form)["metric"]["key"] == "val/map"


def test_event_maps_and_label_tracks_are_of_clips_with_events(study, tmp_path, capsys):
    plan, store, kind = study
    folder = tmp_path / "tracks"
    arguments = ["scenes", "--store", store.uri, "--label-tracks", str(folder)]
    out = io.StringIO()
    code = main(arguments, out=out)
    page = report(store, "--format", "html")[1]
    if kind is not TargetKind.EVENTS:
        said = capsys.readouterr().err
        assert code == 2 and "label tracks need a model with a frame head" in said
        assert "Event maps" not in page
        return
    assert code == 0 and {path.name for path in folder.iterdir()} == {"listed", "base", "slow"}
    for arm in ("base", "slow"):
        silent = not any(path.read_text() for path in (folder / arm).iterdir())
        assert (f"{arm} detects no event in any of its 20 held-out" in out.getvalue()) == silent
    made = store.read_predictions(plan.trials[0].id, "best")
    lines = [
        line.split("\t")
        for clip in made.clip_ids
        for line in (folder / "listed" / f"{clip}.txt").read_text().splitlines()
    ]
    assert len(lines) == len(made.targets.classes)
    assert {name for _, _, name in lines} == set(plan.dataset["class_names"])
    assert all(0 <= float(onset) < float(offset) <= 0.5 for onset, offset, _ in lines)
    section = page[page.index("Event maps") :]
    assert "one for each number of them" in section and section.count("Events of clip scene-") == 4
    assert ", listed: 0." in section


def test_two_trials_are_compared_over_their_clips_by_map(study):
    plan, store, _ = study
    one, other = (trial.id for trial in plan.trials if trial.seed == 0)
    code, text = report(store, "--clips", one, other)
    text = " ".join(text.split())
    assert code == 0 and "of any number of classes each" in text and "interval over clips" in text


def test_pictures_are_drawn_of_clips_without_one_class(study, tmp_path):
    plan, store, kind = study
    records = store.read_records(trial.id for trial in plan.trials)
    made = make_pictures(plan, records, store, tmp_path)
    assert ("events" in {picture.kind for picture in made}) == (kind is TargetKind.EVENTS)


def check(plan, kind):
    return check_arms(plan, num_classes=3, num_samples=8000, sample_rate=16000, kind=kind)


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({}, "multi_label", "single_label, and .* take binary_cross_entropy, which takes every"),
        ({}, "events", "loss 'cross_entropy' is for targets of kind single_label"),
        ({"loss": FRAME_BCE}, "multi_label", "is for targets of kind events"),
        ({"loss": FRAME_BCE}, "events", "the model has no frame head; take a model with one"),
    ],
)
def test_loss_that_does_not_fit_is_refused_once_before_launch(changes, kind, text):
    plan = plan_of(times=kind == "events", **changes)
    with pytest.raises(PlanError, match=text) as refused:
        check(plan, TargetKind(kind))
    assert len(refused.value.mistakes) == 1


@pytest.mark.parametrize("case", CASES)
def test_arms_are_checked_on_made_up_targets_of_the_kind(case):
    kind = TargetKind.EVENTS if CASES[case]["times"] else TargetKind.MULTI_LABEL
    _, slow = check(plan_of(**CASES[case]), kind)
    assert slow.differs and not slow.problem


def launch(plan, tmp_path):
    dataset = "synthetic_events:" + ",".join(
        f"{k}={v}" for k, v in (SIZES | {"times": False}).items()
    )
    options = parse(["--store", str(tmp_path), "--dataset", dataset], description="")
    return prepare(plan, options).plan


def test_plan_that_names_no_metric_is_compared_by_the_usual_one(tmp_path):
    plan = dataclasses.replace(plan_of(times=False, loss=BCE), metric=Plan.metric)
    assert launch(plan, tmp_path).metric == "val/map"


def test_metric_that_is_not_defined_is_refused_with_the_valid_ones(tmp_path):
    plan = dataclasses.replace(plan_of(times=False, loss=BCE), metric="val/top5")
    with pytest.raises(
        ConfigError, match=r"val/top5 is not defined .*multi_label; give one of .*val/map"
    ):
        launch(plan, tmp_path)


def checked(plan):
    return check_arms(
        plan, num_classes=3, num_samples=8000, sample_rate=16000, kind=TargetKind.EVENTS
    )


def test_metric_of_events_is_refused_on_a_model_without_a_frame_head_before_launch():
    changes = {"times": True, "loss": BCE, "selection": "last", "metric": "val/event_f1"}
    with pytest.raises(PlanError, match=r"'datar_laptop', which has no frame head.*val/event_f1"):
        checked(plan_of(**changes))
    assert len(checked(plan_of(**changes, model=HTSAT))) == 2


def test_events_in_clips_that_a_model_crops_are_refused_with_the_way_out():
    plan = plan_of(times=True, loss=FRAME_BCE, model=HTSAT)
    longer = {"frontend.num_frames": 600, "frontend.frame_shift_ms": 0.5}
    with pytest.raises(PlanError, match=r"600 frames, and \w+ crops .*frontend\.num_frames=\d+"):
        checked(dataclasses.replace(plan, base=override(plan.base, longer)))


SWEEP = """
import dataclasses

from orchestrator import Arm, Component, Contrast, Plan, cli
from tests import tiny
from tests.commands import run_command

PLAN = Plan(
    name="scenes",
    question="Does a frame loss help?",
    base=dataclasses.replace(
        tiny.experiment(epochs=1),
        dataset=Component(
            "synthetic_events", num_classes=3, num_clips=30, num_folds=2, seconds=0.5
        ),
        model=Component("htsat_laptop"),
        loss=Component("binary_cross_entropy"),
    ),
    arms=(
        Arm(name="clips"),
        Arm(name="frames", changes={"loss": Component("frame_binary_cross_entropy")}),
        Arm(name="datar", changes={"model": Component("datar_laptop", depths=(1, 1, 1, 1))}),
    ),
    contrasts=(Contrast("frames", "clips"), Contrast("datar", "clips")),
    seeds=(0, 1),
)

if __name__ == "__main__":
    cli.main(PLAN)
"""


@pytest.mark.slow
def test_sweep_on_events_ends_in_a_table_of_map(tmp_path):
    path = tmp_path / "scenes.py"
    path.write_text(SWEEP)
    wanted = [str(path), "--dataset", "synthetic_events", "--store", str(tmp_path / "store")]
    done = run_command(wanted, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)})
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "Traceback" not in said, said[-3000:]
    assert "Complete: all 6 planned trials finished." in said and "mAP" in said
    assert "top-1" not in said
