"""Arms that do not beat chance are called so first, in every form."""

import csv
import dataclasses
import io
import json
import math

import numpy as np
import pytest
from report_examples import make_plan, make_record, make_records
from scipy import stats as scipy_stats

from orchestrator.analysis.chance import study_chance
from orchestrator.analysis.summary import summarize
from orchestrator.metrics import lookup
from orchestrator.metrics.predictions import Predictions
from orchestrator.metrics.targets import Targets
from orchestrator.records import ArmRecord, EffectRecord
from orchestrator.report.render.formats import to_csv, to_json, to_markdown
from orchestrator.report.render.latex import to_latex
from orchestrator.report.render.page import render_page
from orchestrator.report.render.text import render_text
from orchestrator.report.wording.findings import finding_sentence
from orchestrator.report.wording.notes import answers, chance_sentence
from orchestrator.tracking.sweep_views import drafts

CLASSES = tuple(f"class {i}" for i in range(50))
ARMS = ("no adaptor", "λ=0.001", "λ=0.01")


def study(levels, *, seeds=6, classes=CLASSES, data=None, margin=0.0, metric="val/top1"):
    """Arms with these mean accuracies, spread by a point over seeds."""
    arms = ARMS[: len(levels)]
    plan = make_plan(arms, seeds=seeds, dose="", margin=margin, metric=metric)
    plan = dataclasses.replace(plan, dataset={**plan.dataset, "class_names": classes})
    records = {}
    for key in plan.trials:
        # A shift of its own for each arm keeps their differences from being equal.
        spread = ((key.seed + arms.index(key.arm)) % 6 - 2.5) / 250 if seeds > 1 else 0.0
        record = make_record(key.id, top1=levels[arms.index(key.arm)] + spread)
        record.data.update(data or {})
        records[key.id] = record
    return plan, records


NONE_BEATS = "No arm beats chance (2 %, 1 of 50 classes) in top-1"
SOME = "2 of 3 arms do not beat chance (2 %, 1 of 50 classes) in top-1: no adaptor, λ=0.01."


@pytest.mark.parametrize(
    ("levels", "first"),
    [
        ((0.021, 0.022, 0.021), NONE_BEATS),
        ((0.021, 0.3, 0.022), SOME),
        ((0.021, 0.3, 0.35), "1 of 3 arms does not beat chance (2 %, 1 of 50 classes) in top-1: "),
        ((0.3, 0.35, 0.32), ""),
    ],
)
def test_arms_at_chance_are_said_first_in_every_form(levels, first):
    plan, records = study(levels)
    summary = summarize(plan, records)
    opening = answers(summary)[0].text
    assert opening.startswith(first) if first else "chance" not in opening
    said = chance_sentence(summary)
    forms = {
        "text": " ".join(render_text(summary, 80).split()),
        "markdown": to_markdown(summary),
        "html": render_page(summary, records).replace("\u00a0", " "),
        "latex": to_latex(summary).replace("\\%", "%").replace("$\\lambda$", "λ"),
        "mlflow": next(drafts(plan, records, store="s", final=True))
        .build()
        .tags["mlflow.note.content"],
    }
    for form, text in forms.items():
        assert ("not beat chance" in text or "No arm beats" in text) == bool(first), form
        if first:
            assert said[:60] in text, form
    data = json.loads(to_json(summary))
    assert data["chance_sentence"] == said and data["chance"]["value"] == pytest.approx(2)
    assert (data["answers"][0]["text"] == said) == bool(first)
    rows = list(csv.DictReader(io.StringIO(to_csv(summary))))
    assert [row["beats_chance"] for row in rows] == [str(level > 0.1) for level in levels]
    assert {float(row["chance"]) for row in rows} == {2.0}


def test_difference_of_two_arms_at_chance_rules_nothing_out():
    plan, records = study((0.021, 0.022, 0.3), margin=5.0)
    below, above = (finding_sentence(c) for c in summarize(plan, records).contrasts)
    assert "None of these arms beats chance" in below
    assert "rule out" not in below and "quivalent" not in below and "no worse" not in below
    assert "None of these arms" not in above


def test_effects_of_arms_at_chance_rule_nothing_out():
    levels = [{"a": a, "b": b} for a in "01" for b in "01"]
    arms = tuple(ArmRecord(name=f"{at['a']}{at['b']}", levels=at) for at in levels)
    pairs = {"a": ("0", "1"), "b": ("0", "1")}
    effects = (
        EffectRecord(
            factors=("a",),
            levels={"a": pairs["a"]},
            weights={"00": -0.5, "01": -0.5, "10": 0.5, "11": 0.5},
        ),
        EffectRecord(
            factors=("a", "b"), levels=pairs, weights={"00": 1, "01": -1, "10": -1, "11": 1}
        ),
    )
    plan = make_plan(arms, seeds=8, dose="", contrasts=(), effects=effects)
    for level, at_chance in ((0.125, True), (0.6, False)):
        for effect in summarize(plan, make_records(plan, level=level)).effects:
            assert ("None of these arms beats chance" in finding_sentence(effect)) == at_chance
            assert ("rule out" in finding_sentence(effect)) != at_chance


@pytest.mark.parametrize(
    ("data", "value", "rule"),
    [
        ({}, 2.0, "1 of 50 classes"),
        ({"num_classes": 10}, 10.0, "1 of 10 classes"),
        ({"num_classes": 4, "val_counts": [70, 10, 10, 10]}, 70.0, "always naming the commonest"),
        ({"num_classes": 4, "val_counts": [5, 5, 5, 5]}, 25.0, "1 of 4 classes"),
    ],
)
def test_chance_is_of_what_the_trials_recorded(data, value, rule):
    plan, records = study((0.3, 0.4), data=data)
    found = study_chance(plan, records, lookup("val/top1"))
    assert found.value == pytest.approx(value) and found.rule.startswith(rule)


def test_chance_over_folds_is_the_mean_of_theirs():
    plan = make_plan(seeds=1, folds=(1, 2))
    records = make_records(plan)
    for key in plan.trials:
        records[key.id].data["val_counts"] = [60, 40, 0, 0] if key.fold == 1 else [80, 20, 0, 0]
    found = study_chance(plan, records, lookup("val/top1"))
    assert found.value == pytest.approx(70)


@pytest.mark.parametrize(
    ("hits", "beats"), [(2, False), (8, False), (12, False), (20, True), (200, True)]
)
def test_arm_trained_once_is_held_against_chance_by_its_clips(hits, beats):
    """Of 400 clips of 50 classes; scipy's exact binomial interval is the oracle."""
    plan, records = study((hits / 400, 0.9), seeds=1, data={"num_val": 400})
    low = scipy_stats.binomtest(hits, 400).proportion_ci(0.95, method="exact").low
    assert (low > 1 / 50) == beats
    assert ("no adaptor" not in summarize(plan, records).at_chance) == beats


@pytest.mark.parametrize(
    ("shares", "beats"),
    [
        ((0.43, 0.43), True),  # two equal seeds
        ((0.30, 0.56), True),  # two whose t interval would reach from -122 to 208 %
        ((0.0325, 0.0325), False),  # equal, above 2 %, but by 13 of 400 clips
        ((0.0325, 0.0325, 0.0325, 0.0325), False),
        ((0.43, 0.43, 0.43, 0.43), True),
        ((0.0325, 0.0325, 0.0325 + 1e-12), False),  # equal but for rounding
    ],
)
def test_few_or_equal_seeds_are_held_against_chance_by_clips(shares, beats):
    plan, records = study((0.5, 0.9), seeds=len(shares), data={"num_val": 400})
    for key in plan.trials:
        if key.arm == ARMS[0]:
            records[key.id].epochs[-1].metrics["val/top1"] = shares[key.seed]
    summary = summarize(plan, records)
    hits = round(400 * sum(shares) / len(shares))
    low = scipy_stats.binomtest(hits, 400).proportion_ci(0.95, method="exact").low
    assert (low > 1 / 50) == beats == (ARMS[0] not in summary.at_chance)
    note = " Fewer than 3 seeds, or equal ones, beat it where the exact binomial interval over 400 "
    assert f"classes.{note}clips does." in " ".join(render_text(summary, 80).split())
    assert (" in top-1 over 400 clips: no adaptor." in chance_sentence(summary)) != beats


def test_few_seeds_of_a_metric_that_is_no_share_are_held_against_chance_by_recordings():
    """scipy's t interval of a jackknife over recordings is the oracle."""
    plan = make_plan(("base", "new"), seeds=1, dose="", metric="val/map")
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 8
    clips = tuple(f"clip-{i}" for i in range(40))
    for gain, beats in ((0.0, False), (2.0, True)):
        logits = rng.normal(size=(40, 8)) + gain * np.eye(8)[labels]
        made = Predictions(
            epoch=20,
            clip_ids=clips,
            targets=Targets.of_labels(labels, num_classes=8),
            logits=logits.astype(np.float32),
        )
        records = {}
        for key in plan.trials:
            *before, last = (record := make_record(key.id)).epochs
            last = dataclasses.replace(last, metrics={**last.metrics, **made.scores()})
            record.data.update(num_val=40, num_classes=8, val_counts=[5] * 8)
            records[key.id] = dataclasses.replace(record, epochs=(*before, last))
        summary = summarize(
            plan,
            records,
            predictions=lambda trial, made=made: made,
            recordings={clip: f"recording {i // 2}" for i, clip in enumerate(clips)},
        )
        kept = [np.delete(np.arange(40), [2 * i, 2 * i + 1]) for i in range(20)]
        whole, *without = (made.take(part).scores()["val/map"] for part in [np.arange(40), *kept])
        pseudo = 20 * whole - 19 * np.array(without)
        half = scipy_stats.t.ppf(0.975, 19) * pseudo.std(ddof=1) / np.sqrt(20)
        assert (whole - half > summary.chance.value) == beats == (not summary.at_chance)
        assert summary.against_chance.by_recordings == {"base": 20, "new": 20}
        alone = summarize(plan, records)  # as the tracker, without predictions
        assert alone.against_chance.by_values == ("base", "new")
        assert "beat it where every value does" in render_text(alone, 200)


def test_arms_at_chance_stay_so_under_a_metric_without_a_chance_level():
    plan, records = study((0.021, 0.022, 0.021))
    for record in records.values():
        record.epochs[-1].metrics["val/segment_f1"] = 0.3
    summary = summarize(plan, records, metric="val/segment_f1")
    assert summary.chance is None and summary.at_chance == ARMS
    assert answers(summary)[0].text.startswith(NONE_BEATS)
    assert "Chance in top-1: 2 %, 1 of 50 classes." in render_text(summary, 200)
    rows = list(csv.DictReader(io.StringIO(to_csv(summary))))
    assert {(row["chance"], row["beats_chance"]) for row in rows} == {("", "False")}


def test_loss_of_several_heads_has_no_chance_level():
    plan, records = study((0.3, 0.4), metric="val/loss", data={"targets": "heads"})
    assert summarize(plan, records).chance is None


def test_loss_beats_chance_below_the_logarithm_of_the_classes():
    plan, records = study((0.3, 0.4), metric="val/loss")
    assert summarize(plan, records).at_chance == ()
    assert summarize(plan, records).chance.value == pytest.approx(math.log(50))
    for record in records.values():
        record.epochs[-1].metrics["val/loss"] += 3.5
    summary = summarize(plan, records)
    assert summary.at_chance == ARMS[:2]
    assert "(3.912 nats, equal shares of 50 classes)" in chance_sentence(summary)


def test_unknown_classes_are_said_below_the_table():
    plan, records = study((0.021, 0.022), classes=())
    summary = summarize(plan, records)
    assert summary.chance is None and summary.at_chance == ()
    assert "Chance is not known" in " ".join(render_text(summary, 80).split())
