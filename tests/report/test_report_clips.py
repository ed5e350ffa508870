"""`--clips` and the section of a one-seed study, on a real store, against independent oracles."""

import dataclasses
import io
import json

import numpy as np
import pytest
from report_examples import (
    CLASSES,
    make_plan,
    make_predictions,
    make_record,
    make_records,
    write_scored,
)
from scipy import stats as scipy_stats
from sklearn.metrics import average_precision_score

from orchestrator.analysis.clip_tests import compare_clips, find_trial
from orchestrator.analysis.summary import summarize
from orchestrator.errors import ConfigError
from orchestrator.records import Status
from orchestrator.report.__main__ import main
from orchestrator.report.render.page import render_page
from orchestrator.report.wording.clips import clip_sentences, single_pair_sentences
from orchestrator.stats import CAVEAT
from orchestrator.store import Store

PLAN = make_plan(("no adaptor", "λ=0.1"), seeds=2, sweep="two")
ONE, OTHER = PLAN.trials[1], PLAN.trials[0]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    made = Store.open(folder)
    made.write_plan(PLAN)
    made.write_plan(make_plan(("no adaptor", "λ=0.1"), seeds=1, sweep="one"))
    for record in make_records(PLAN, (0.05,)).values():
        write_scored(made, record)
    return folder


def run(*arguments):
    out = io.StringIO()
    return main([str(a) for a in arguments], out=out), out.getvalue()


def test_clip_tests_agree_with_scipy_and_scikit_learn():
    found = compare_clips(ONE, OTHER, make_predictions)
    ours, theirs = make_predictions(ONE.id), make_predictions(OTHER.id)
    right = [p.logits.argmax(1) == p.labels for p in (ours, theirs)]
    gained, lost = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    assert (found.mcnemar.only_run, found.mcnemar.only_reference) == (gained, lost)
    expected = scipy_stats.binomtest(gained, gained + lost).pvalue
    assert found.mcnemar.p_value == pytest.approx(expected)
    assert found.tests["val/top1"].difference == pytest.approx(right[0].mean() - right[1].mean())
    targets = np.eye(len(CLASSES))[ours.labels]
    scores = [_softmax(p.logits) for p in (ours, theirs)]
    maps = [average_precision_score(targets, s, average="macro") for s in scores]
    assert found.tests["val/map"].difference == pytest.approx(maps[0] - maps[1])
    assert found.tests["val/map"].difference == pytest.approx(
        ours.scores()["val/map"] - theirs.scores()["val/map"]
    )


def _softmax(logits):
    scores = np.exp(logits.astype(float) - logits.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


def test_clips_in_another_order_are_the_same_clips():
    def turned(trial_id):
        made = make_predictions(trial_id)
        if trial_id != OTHER.id:
            return made
        return dataclasses.replace(
            made,
            clip_ids=made.clip_ids[::-1],
            targets=made.targets.take(np.arange(len(made))[::-1]),
            logits=made.logits[::-1].copy(),
        )

    plain = compare_clips(ONE, OTHER, make_predictions)
    assert compare_clips(ONE, OTHER, turned) == plain


def test_clips_of_one_recording_are_drawn_together():
    pairs = {f"clip-{i}": f"recording-{i // 2}" for i in range(80)}
    found = compare_clips(ONE, OTHER, make_predictions, recordings=lambda: pairs)
    assert "over 40 sources" in found.tests["val/top1"].method
    own = {f"clip-{i}": f"recording-{i}" for i in range(80)}
    found = compare_clips(ONE, OTHER, make_predictions, recordings=lambda: own)
    assert "over clips" in found.tests["val/top1"].method


def test_clips_of_one_recording_alone_are_refused():
    one = {f"clip-{i}": "recording" for i in range(80)}
    with pytest.raises(ConfigError, match="80 held-out clips are of 1 recording"):
        compare_clips(ONE, OTHER, make_predictions, recordings=lambda: one)


def test_every_answer_ends_with_the_caveat_about_seeds():
    said = clip_sentences(compare_clips(ONE, OTHER, make_predictions))
    assert said[-1] == CAVEAT
    crossed = clip_sentences(compare_clips(PLAN.trials[3], OTHER, make_predictions))
    assert "The two differ in their seed besides." in crossed


def test_command_compares_two_trials_by_id_or_its_beginning(store):
    code, said = run("two", "--store", store, "--clips", ONE.id, OTHER.id)
    assert code == 0 and "exact McNemar test" in said and CAVEAT in said
    assert f"λ=0.1 (seed 0, fold 1, {ONE.id})" in said
    code, data = run("two", "--store", store, "--clips", ONE.id, OTHER.id, "--format", "json")
    assert json.loads(data)["tests"]["val/map"]["num_clips"] == 80


def test_command_takes_arms_that_were_trained_once(store):
    code, said = run("one", "--store", store, "--clips", "λ=0.1", "no adaptor")
    assert code == 0 and "80 held-out clips" in said


@pytest.mark.parametrize(
    ("pair", "parts"),
    [
        (("λ=0.2", "no adaptor"), ["unknown arm or trial 'λ=0.2'", "did you mean 'λ=0.1'"]),
        (("λ=0.1", OTHER.id), ["'λ=0.1' means 2 trials", ONE.id, "seed 1"]),
        ((ONE.id, ONE.id), ["compared with itself"]),
    ],
)
def test_command_names_a_mistake_and_the_way_out(store, capsys, pair, parts):
    assert run("two", "--store", store, "--clips", *pair)[0] == 2
    said = capsys.readouterr().err
    assert all(part in said for part in parts), said


def test_other_formats_are_refused(store, capsys):
    code, _ = run("two", "--store", store, "--clips", ONE.id, OTHER.id, "--format", "html")
    assert code == 2 and "text or json" in capsys.readouterr().err


def test_missing_predictions_and_other_clips_are_refused():
    with pytest.raises(ConfigError, match=r"no per-clip predictions of .* the store holds none"):
        compare_clips(ONE, OTHER, lambda trial_id: None)
    with pytest.raises(ConfigError, match="tracking server holds none; use --store"):
        compare_clips(ONE, OTHER, None)

    def load(trial_id):
        made = make_predictions(trial_id)
        names = tuple(f"other-{name}" for name in made.clip_ids[:-5])
        other = dataclasses.replace(made, clip_ids=(*names, *made.clip_ids[-5:]))
        return other if trial_id == OTHER.id else made

    with pytest.raises(ConfigError, match="scored on other clips: 80 and 80, 5 in common"):
        compare_clips(ONE, OTHER, load)


def test_trial_that_has_not_finished_is_refused():
    records = {ONE.id: make_record(ONE.id, status=Status.FAILED)}
    with pytest.raises(ConfigError, match="is failed; choose a finished one"):
        find_trial(ONE.id, PLAN, records)
    with pytest.raises(ConfigError, match="is missing"):
        find_trial(OTHER.id, PLAN, records)


def test_trials_of_two_versions_of_the_code_need_mixed(tmp_path, capsys):
    made = Store.open(tmp_path)
    made.write_plan(PLAN)
    for i, trial in enumerate((ONE, OTHER)):
        record = make_record(trial.id)
        record.provenance["code"] = f"version {i}"
        write_scored(made, record)
    arguments = ("two", "--store", tmp_path, "--clips", ONE.id, OTHER.id)
    assert run(*arguments)[0] == 2
    assert "2 versions of the code" in capsys.readouterr().err
    assert run(*arguments, "--allow-mixed")[0] == 0


def test_study_of_one_seed_gets_the_section_and_others_do_not():
    plan = make_plan(("no adaptor", "λ=0.1"), seeds=1)
    records = make_records(plan)
    summary = summarize(plan, records)
    said = single_pair_sentences(summary, make_predictions)
    assert "exact McNemar test" in said[0] and said[-1] == CAVEAT
    assert "Over clips" in render_page(summary, records, predictions=make_predictions)
    assert "Over clips" not in render_page(summary, records)
    several = make_plan(("no adaptor", "λ=0.1"), seeds=2)
    assert single_pair_sentences(summarize(several, make_records(several)), make_predictions) == []


def test_equal_predictions_show_nothing():
    def same(trial_id):
        return make_predictions("0001")

    found = compare_clips(ONE, OTHER, same)
    assert found.mcnemar.p_value == 1 and found.tests["val/map"].p_value == 1
