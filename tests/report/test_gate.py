"""`python -m orchestrator.gate`: its verdicts, their error rates, and what it refuses."""

import dataclasses
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_examples import make_plan, make_predictions, make_record

from orchestrator.analysis.gate import GateVerdict, gate
from orchestrator.metrics import lookup
from orchestrator.records import EpochRecord, Status
from orchestrator.report.gate import main
from orchestrator.stats import ALPHA
from orchestrator.store import Store

TOP1, LOSS = lookup("val/top1"), lookup("val/loss")
CLIPS = 400


def fold_1(values):
    return {(seed, 1): value for seed, value in enumerate(values)}


@pytest.mark.parametrize(
    ("differences", "metric", "verdict"),
    [
        ([0.1, -0.1, 0.0, 0.2, -0.2, 0.1], TOP1, GateVerdict.NOT_WORSE),
        # A loss that is sure, and surely below the margin, passes.
        ([-0.2, -0.1, -0.2, -0.1, -0.2, -0.1], TOP1, GateVerdict.NOT_WORSE),
        ([-2.0, -1.0, -1.5, -2.5, -1.2, -0.9], TOP1, GateVerdict.WORSE),
        ([2.0, -1.0, 1.5, -2.5, 1.2, -0.9], TOP1, GateVerdict.CANNOT_TELL),
        ([0.1, -0.1, 0.0, 0.2], TOP1, GateVerdict.CANNOT_TELL),  # 1 / 2^4 is above 5 %
        ([2.0, 1.0, 1.5, 2.5, 1.2, 0.9], LOSS, GateVerdict.WORSE),
        ([-2.0, -1.0, -1.5, -2.5, -1.2, -0.9], LOSS, GateVerdict.NOT_WORSE),
        ([3.0], TOP1, GateVerdict.CANNOT_TELL),
    ],
)
def test_verdict_is_of_the_margin_and_of_the_metric_s_direction(differences, metric, verdict):
    base = fold_1(np.linspace(60, 70, len(differences)))
    head = {block: base[block] + d for block, d in zip(base, differences, strict=True)}
    assert gate(head, base, metric=metric, margin=0.5).verdict is verdict


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-30, 30), min_size=5, max_size=9))
def test_verdict_and_the_interval_s_ends_agree(tenths):
    head = fold_1([tenth / 10 for tenth in tenths])
    found = gate(head, dict.fromkeys(head, 0.0), metric=TOP1, margin=0.55)
    difference = found.difference
    assert (difference.low > -found.margin) == (found.p_not_worse <= ALPHA)
    if found.verdict is GateVerdict.WORSE:
        assert difference.high <= 0


def test_loss_of_the_margin_passes_and_no_loss_is_called_worse_in_five_percent_at_most():
    rng = np.random.default_rng(0)
    for truth, wrong in ((-0.5, GateVerdict.NOT_WORSE), (0.0, GateVerdict.WORSE)):
        drawn = rng.normal(truth, 0.7, (400, 8))
        verdicts = [
            gate(fold_1(row), dict.fromkeys(fold_1(row), 0.0), metric=TOP1, margin=0.5).verdict
            for row in drawn
        ]
        assert verdicts.count(wrong) / len(verdicts) < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_diverged_head_is_never_proven_no_worse():
    base, head = fold_1([60.0] * 7), fold_1([60.1] * 6)
    assert gate(head, base, metric=TOP1, margin=0.5).verdict is GateVerdict.NOT_WORSE
    found = gate(head, base, metric=TOP1, margin=0.5, diverged=[(6, 1)])
    assert found.verdict is GateVerdict.CANNOT_TELL


def test_number_of_seeds_is_the_one_that_tells():
    rng = np.random.default_rng(3)
    pilot = fold_1(rng.normal(0, 0.3, 6))
    planned = gate(pilot, dict.fromkeys(pilot, 0.0), metric=TOP1, margin=0.5).seeds_if_equal
    told = 0
    for _ in range(50):
        head = fold_1(rng.normal(0, 0.3, planned))
        found = gate(head, dict.fromkeys(head, 0.0), metric=TOP1, margin=0.5)
        told += found.verdict is GateVerdict.NOT_WORSE
    assert told >= 36  # 80 % with its error; the spread is an upper limit
    alike = gate(fold_1([0.0] * 3), fold_1([0.0] * 3), metric=TOP1, margin=0.5)
    assert alike.seeds is None and alike.fewest == 5


def scored(store, trial_id, right, *, clips=CLIPS, fingerprint="sha256:12ab", code=""):
    """Store a trial of which so many clips are right."""
    made = make_predictions(trial_id, clips=clips)
    labels = made.targets.labels
    named = np.where(np.arange(clips) < right, labels, (labels + 1) % made.logits.shape[1])
    made = dataclasses.replace(made, logits=np.eye(8, dtype=np.float32)[named])
    record = make_record(trial_id)
    *before, last = record.epochs
    last = EpochRecord(epoch=20, metrics={**last.metrics, **made.scores()})
    record = dataclasses.replace(
        record,
        epochs=(*before, last),
        data={**record.data, "fingerprint": fingerprint},
        provenance={**record.provenance, **({"code": code} if code else {})},
        predictions={"last": store.write_predictions(trial_id, "last", made)},
    )
    store.write_record(record)
    return record


ARMS = ("base", "same", "worse", "noisy", "clips", "data", "gone")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = Store.open(tmp_path_factory.mktemp("store"))
    plan = make_plan(ARMS, seeds=6, sweep="s", dose="", contrasts=())
    made.write_plan(plan)
    shifts = {"base": [0] * 6, "same": [1, -1, 0, 1, 0, 0], "worse": [-9, -8, -9, -12, -10, -9]}
    shifts |= {"noisy": [9, -8, 9, -12, 10, -9], "clips": [0] * 6, "data": [0] * 6}
    for trial in plan.trials:
        if trial.arm in shifts:
            right = 280 + 3 * trial.seed + shifts[trial.arm][trial.seed]
            clips = 390 if trial.arm == "clips" else CLIPS
            pack = "sha256:77cd" if trial.arm == "data" else "sha256:12ab"
            scored(made, trial.id, right, clips=clips, fingerprint=pack)
        elif trial.seed < 5:
            scored(made, trial.id, 280 + 3 * trial.seed)
        else:
            made.write_record(make_record(trial.id, status=Status.DIVERGED, error="NaN"))
    return made


def run(store, *words):
    out = io.StringIO()
    return main([*words, "--store", store.uri], out=out), out.getvalue()


@pytest.mark.parametrize(
    ("head", "code", "text"),
    [
        ("s/same", 0, "NOT WORSE: s/same loses less than 1 point of top-1 against s/base"),
        ("s/worse", 1, "WORSE: s/worse loses top-1 against s/base"),
        ("s/noisy", 2, "To tell with 80 % power takes"),
        ("s/gone", 2, "HEAD diverged where BASE finished (seed 5 fold 1)"),
        ("0001-0", 2, "To tell, train 5 seeds or more"),
        ("s/clips", 64, "scored on other clips of seed 0, fold 1: 400 and 390, 390 in common"),
        ("s/data", 64, "scored on 2 packs of data"),
        ("s/base", 64, "BASE and HEAD are the same trial in 6 of 6 pairs"),
        ("s/bass", 64, "unknown arm of s for HEAD 'bass'; did you mean 'base'?"),
        ("t/base", 64, "did you mean 's/base'?"),
    ],
)
def test_exit_code_says_the_verdict_and_mistakes_have_their_own(store, capsys, head, code, text):
    found, printed = run(store, "s/base", head, "--margin", "1")
    assert found == code
    assert text in printed + capsys.readouterr().err


def test_json_has_the_numbers_and_a_metric_may_be_named(store):
    code, printed = run(
        store, "s/base", "s/worse", "--margin", "0.9", "--metric", "val/loss", "--format", "json"
    )
    found = json.loads(printed)
    assert found["exit_code"] == code and found["metric"] == "val/loss"
    assert found["difference"] > 0 and found["n"] == 6
    assert found["code_versions"] == {"base": ["0.1.0+ef9af3d"], "head": ["0.1.0+ef9af3d"]}


def test_several_versions_of_the_code_are_named(tmp_path):
    made = Store.open(tmp_path / "store")
    plan = make_plan(("base", "head"), seeds=2, sweep="s", dose="", contrasts=())
    made.write_plan(plan)
    for trial in plan.trials:
        scored(made, trial.id, 280, code="aaa" if (trial.arm, trial.seed) != ("head", 1) else "bbb")
    line = "BASE and HEAD come from several versions of the code (BASE aaa; HEAD aaa, bbb)"
    assert line in run(made, "s/base", "s/head", "--margin", "1")[1]
    assert "versions" not in run(made, "s/base", plan.trials[1].id, "--margin", "1")[1]
    _, printed = run(made, "s/base", "s/head", "--margin", "1", "--format", "json")
    assert json.loads(printed)["code_versions"] == {"base": ["aaa"], "head": ["aaa", "bbb"]}


def test_usage_and_faults_never_look_like_a_verdict(store, capsys, monkeypatch):
    with pytest.raises(SystemExit) as stopped:
        run(store, "s/base", "s/same")
    assert stopped.value.code == 64 and "--margin" in capsys.readouterr().err
    assert run(store, "s/base", "s/same", "--margin", "0")[0] == 64
    monkeypatch.setattr("orchestrator.report.gate.gate", lambda *a, **k: 1 / 0)
    assert run(store, "s/base", "s/same", "--margin", "1")[0] == 70
    assert "ZeroDivisionError" in capsys.readouterr().err
