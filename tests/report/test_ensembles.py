"""Ensembles of seeds: their probabilities, their number beside that of single models, the table."""

import dataclasses
import io

import numpy as np
import pytest
from report_examples import CLASSES, make_plan, make_predictions, make_records, write_scored
from scipy import stats
from scipy.special import expit, softmax

from orchestrator.analysis.ensembles import ensembles, mean_of
from orchestrator.analysis.summary import summarize
from orchestrator.errors import ConfigError
from orchestrator.metrics import Event, Targets, lookup
from orchestrator.metrics.postprocessing import Validation
from orchestrator.metrics.predictions import Frames, Predictions
from orchestrator.report.__main__ import main
from orchestrator.report.tables.ensembles import ensemble_table
from orchestrator.store import Store


def made(seed, labels, **more):
    rng = np.random.default_rng(seed)
    targets = Targets.of(labels, num_classes=3, **more)
    logits = (4 * rng.normal(size=(len(labels), 3))).astype(np.float32)
    names = tuple(f"clip-{i}" for i in range(len(labels)))
    return Predictions(epoch=seed + 1, clip_ids=names, targets=targets, logits=logits)


@pytest.mark.parametrize(
    ("labels", "more", "probability"),
    [
        ((0, 2, 1, 2), {}, lambda logits: softmax(logits, axis=1)),
        (((0,), (0, 1), (), (2,)), {}, expit),
        (
            ((0, 1), (0, 2), (0, 2), (0, 1)),
            {"heads": {"verb": 1, "noun": 2}},
            lambda logits: np.concatenate(
                [np.ones((len(logits), 1)), softmax(logits[:, 1:], axis=1)], axis=1
            ),
        ),
    ],
    ids=["one class", "many", "heads"],
)
def test_ensembles_probabilities_are_the_mean_of_its_models(labels, more, probability):
    models = [made(seed, labels, **more) for seed in range(3)]
    expected = np.mean([probability(one.logits.astype(float)) for one in models], axis=0)
    np.testing.assert_allclose(mean_of(models).probabilities(), expected, rtol=1e-12, atol=1e-300)


def test_ensemble_over_time_averages_rows_and_chooses_thresholds_on_shared_validation_clips():
    def over_time(seed, clips="clip"):
        one = made(seed, ((Event(0, 0.0, 0.5),), (Event(1, 0.5, 1.0),), (Event(2, 0.0, 1.0),)))
        frames = np.random.default_rng(seed).normal(size=(3, 4, 3)).astype(np.float16)
        names = tuple(f"{clips}-{i}" for i in range(3))
        return dataclasses.replace(
            one, clip_ids=names, frames=Frames(logits=frames, row_s=0.25, clip_s=np.ones(3))
        )

    held = [over_time(10 + seed, "held") for seed in range(2)]
    models = [
        dataclasses.replace(over_time(seed), validation=Validation(lambda of=held[seed]: of))
        for seed in range(2)
    ]
    mean = mean_of(models)
    expected = np.mean([expit(one.frames.logits.astype(float)) for one in models], axis=0)
    np.testing.assert_allclose(expit(mean.frames.logits.astype(float)), expected, atol=1e-3)
    assert mean.validation.load().clip_ids == held[0].clip_ids
    lookup("val/event_f1(threshold=validation)").compute(mean)
    # Seeds that draw validation clips of their own share none.
    apart = [
        models[0],
        dataclasses.replace(models[1], validation=Validation(lambda: over_time(3, "other"))),
    ]
    with pytest.raises(ConfigError, match="none in common to choose thresholds on; give"):
        lookup("val/event_f1(threshold=validation)").compute(mean_of(apart))


PLAN = make_plan(("no adaptor", "λ=0.1"), seeds=3, sweep="ensembles")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("store")
    store = Store.open(path)
    store.write_plan(PLAN)
    for record in make_records(PLAN, (0.05,)).values():
        write_scored(store, record, clips=40)
    return path


def test_ensemble_has_one_number_with_an_interval_over_clips():
    summary = summarize(PLAN, make_records(PLAN, (0.05,)))
    found = ensembles(summary, make_predictions, {})
    assert [one.arm for one in found] == ["no adaptor", "λ=0.1"]
    ids = [trial.id for trial in PLAN.trials if trial.arm == "λ=0.1"]
    models = [make_predictions(trial) for trial in ids]
    mean = np.mean([softmax(one.logits.astype(float), axis=1) for one in models], axis=0)
    right = 100.0 * (mean.argmax(axis=1) == models[0].labels)
    assert found[1].num_models == 3 and found[1].value == pytest.approx(right.mean())
    single = [100 * (one.logits.argmax(axis=1) == one.labels).mean() for one in models]
    assert found[1].of_models == pytest.approx(np.mean(single))
    low, high = stats.t.interval(0.95, len(right) - 1, right.mean(), stats.sem(right))
    assert (found[1].interval.low, found[1].interval.high) == pytest.approx((low, high))
    # Clips of one recording are no two samples.
    recordings = {f"clip-{i}": f"recording-{i // 8}" for i in range(80)}
    wider = ensembles(summary, make_predictions, recordings)[1].interval
    assert wider.n == 10 < found[1].interval.n == 80


def test_arm_without_two_seeds_on_the_same_clips_has_no_ensemble():
    records = make_records(PLAN, (0.05,))
    only = {t.id: records[t.id] for t in PLAN.trials if t.arm == "no adaptor" or t.seed == 0}
    summary = summarize(PLAN, only)
    found = ensembles(summary, make_predictions, {})
    assert [one.arm for one in found] == ["no adaptor"]
    table = ensemble_table(summary, found, over="clips")
    assert table.rows[1][1:] == ("—", *(cell for cell in table.rows[1][2:]))
    assert any("No ensemble of λ=0.1" in note for note in table.notes)
    with pytest.raises(ConfigError, match="no arm of ensembles has two seeds with predictions"):
        ensemble_table(summary, ensembles(summary, lambda trial: None, {}), over="clips")


def test_interval_without_width_is_not_shown():
    summary = summarize(PLAN, make_records(PLAN, (0.05,)))
    sure = [
        dataclasses.replace(
            one, value=100.0, interval=dataclasses.replace(one.interval, low=100.0, high=100.0)
        )
        for one in ensembles(summary, make_predictions, {})
    ]
    table = ensemble_table(summary, sure, over="clips")
    column = [c.key for c in table.columns].index("interval")
    assert [row[column] for row in table.rows] == ["—", "—"]
    assert any("equal values over clips have no spread" in note for note in table.notes)


def run(folder, *more):
    out = io.StringIO()
    code = main(["ensembles", "--store", str(folder), "--ensemble", *more], out=out)
    return code, out.getvalue()


def test_command_prints_ensembles_apart_from_the_means_over_seeds(folder, capsys):
    code, text = run(folder)
    said = " ".join(text.split())
    assert code == 0 and "top-1 of the ensemble" in said and "mean of its models" in said
    assert "one number, which has no spread over seeds" in said and "Δ" not in said
    code, text = run(folder, "--metric", "val/map", "--format", "markdown")
    assert code == 0 and "| mAP of the ensemble" in text and len(CLASSES) == 8
    code, text = run(folder, "--format", "csv")
    assert code == 0 and text.count("\n") == 3
    code, text = run(folder, "--format", "latex")
    assert code == 0 and "tab:ensembles" in text
    assert run(folder, "--format", "html")[0] == 2
    assert "unknown format of --ensemble 'html'" in capsys.readouterr().err
    assert run(folder, "--label-tracks", "x")[0] == 2
    assert "--ensemble is a table of its own" in capsys.readouterr().err
