"""`--aggregate`: several sweeps as one, against closed forms, and what does not fit together."""

import csv
import dataclasses
import io
import json

import numpy as np
import pytest
from report_examples import CLASSES, make_plan, make_record
from scipy import stats as scipy_stats

from orchestrator.analysis.aggregate import aggregate
from orchestrator.analysis.datasets import ESC10_CLASSES, ESC50_CLASSES
from orchestrator.errors import ConfigError
from orchestrator.records import ArmRecord
from orchestrator.report.__main__ import main
from orchestrator.report.files import render_aggregate
from orchestrator.report.tables.aggregate import aggregate_notes
from orchestrator.store import Store

ARMS = ("plain", "adaptor", "noise")
GAINS = {"plain": 0.0, "adaptor": 0.03, "noise": 0.0}


def study(dataset, *, level=0.5, arms=ARMS, seeds=6, folds=(1,), **overrides):
    plan = make_plan(
        tuple(ArmRecord(name=name) for name in arms),
        seeds=seeds,
        folds=folds,
        **{
            "sweep": f"sweep_{dataset}",
            "dataset": {"name": dataset, "fingerprint": dataset, "class_names": CLASSES},
            "dose": "",
            **overrides,
        },
    )
    rng = np.random.default_rng(len(dataset))
    records = {}
    for key in plan.trials:
        top1 = level + GAINS.get(key.arm, 0.0) + rng.normal(0, 0.01)
        id_ = key.id
        records[id_] = make_record(id_, top1=top1)
        records[id_].data["fingerprint"] = dataset
    return plan, records


def values(one, arm):
    plan, records = one
    return [100 * records[t.id].metrics_at("last")["val/top1"] for t in plan.trials if t.arm == arm]


def test_aggregate_scores_between_chance_and_best_and_counts_data_sets_alike():
    hard, easy = study("esc50", level=0.2, seeds=4), study("speech", level=0.8, seeds=9)
    found = aggregate([hard, easy])
    assert [own.arm for own in found.arms] == list(ARMS)
    baseline, adaptor, noise = found.arms
    scores = {
        arm: [
            (np.mean(values(one, arm)) - 12.5) / (np.mean(values(one, "adaptor")) - 12.5)
            for one in (hard, easy)
        ]
        for arm in ARMS
    }
    assert adaptor.mean.value == adaptor.mean.low == adaptor.mean.high == pytest.approx(1)
    assert baseline.mean.value == pytest.approx(np.mean(scores["plain"]))
    assert baseline.mean.num_runs == 13 and baseline.mean.num_datasets == 2
    assert adaptor.difference.value == pytest.approx(1 - np.mean(scores["plain"]))
    wins = [
        scipy_stats.mannwhitneyu(values(one, "adaptor"), values(one, "plain")).statistic / n**2
        for one, n in ((hard, 4), (easy, 9))
    ]
    assert adaptor.improvement.value == pytest.approx(np.mean(wins))
    assert adaptor.difference.low > 0 and adaptor.improvement.low > 0.5
    assert noise.difference.low < 0 < noise.difference.high
    assert baseline.difference is None and baseline.improvement is None
    scale = found.scales["esc50"]
    assert (scale.best, scale.num_seeds) == ("adaptor", 4)
    said = " ".join(render_aggregate(found).split())
    assert f"esc50: 0 is 12.5 %, 1 of 8 classes, 1 is {scale.mean:.1f} % (adaptor), 4 seeds" in said


def test_folds_of_a_seed_count_as_one_run_and_a_seed_that_an_arm_lacks_does_not():
    folded = study("esc50", folds=(1, 2, 3))
    found = aggregate([folded, study("speech")])
    assert found.arms[0].mean.num_runs == 12
    assert any("a seed's mean over all of them" in note for note in aggregate_notes(found))
    plan, records = folded
    lost = next(t.id for t in plan.trials if t.arm == "noise" and t.seed == 2)
    del records[lost]
    again = aggregate([folded, study("speech")])
    assert {own.mean.num_runs for own in again.arms} == {11}
    assert any(
        "Seeds left out, since an arm lacks them: esc50 1" in note
        for note in aggregate_notes(again)
    )


def test_data_set_on_which_no_arm_beats_chance_or_classes_are_unknown_is_refused():
    with pytest.raises(
        ConfigError, match=r"no arm beats chance on speech \(12.5 %, 1 of 8 classes"
    ):
        aggregate([study("esc50"), study("speech", level=0.05)])
    plan, records = study("speech")
    nameless = dataclasses.replace(plan, dataset={"name": "speech", "fingerprint": "s"}), records
    with pytest.raises(ConfigError, match="chance is not known on speech"):
        aggregate([study("esc50"), nameless])


def test_arms_need_three_seeds_in_common():
    one, (plan, records) = study("esc50", seeds=4), study("speech", seeds=4)
    for arm, seed in (("noise", 0), ("adaptor", 3)):
        del records[next(t.id for t in plan.trials if (t.arm, t.seed) == (arm, seed))]
    with pytest.raises(ConfigError, match="2 seeds in common on speech; an interval needs 3"):
        aggregate([one, (plan, records)])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (study("esc50", sweep="again"), "of one data set, esc50: its runs would count twice"),
        (study("speech", arms=("plain", "other", "noise")), "differ in their arms: adaptor, other"),
        (study("speech", metric="val/map"), "differ in their metric: val/top1 and val/map"),
        (study("speech", baseline="noise"), "differ in their baseline: plain and noise"),
        (study("speech", selection="best"), "differ in their selection: last and best"),
        (
            study("speech", seeds=2),
            "arm 'plain' has 2 complete seeds on speech; an interval needs 3",
        ),
    ],
)
def test_sweeps_that_do_not_fit_together_are_refused(other, message):
    with pytest.raises(ConfigError) as caught:
        aggregate([study("esc50"), other])
    assert message in str(caught.value)


def test_metric_without_a_shared_scale_is_refused():
    with pytest.raises(ConfigError, match="val/loss has no scale that data sets share"):
        aggregate([study(name, metric="val/loss") for name in ("esc50", "speech")])


def esc(classes, fingerprint):
    names = sorted(classes)
    pack = {"name": "esc", "fingerprint": fingerprint, "class_names": names}
    plan, records = study(fingerprint)
    return dataclasses.replace(plan, dataset={**pack, "num_clips": 40 * len(names)}), records


def test_esc10_and_esc50_are_two_data_sets():
    found = aggregate([esc(ESC10_CLASSES, "a"), esc(ESC50_CLASSES, "b")])
    assert dict(found.sweeps) == {"esc10": "sweep_a", "esc50": "sweep_b"}
    assert found.arms[0].mean.num_runs == 12


def test_other_pack_of_the_same_clips_is_the_same_data_set():
    with pytest.raises(ConfigError, match="sweep_a, sweep_b are of one data set, esc50"):
        aggregate([esc(ESC50_CLASSES, "a"), esc(ESC50_CLASSES, "b")])


def test_data_sets_that_share_a_name_are_told_apart_by_their_sweeps():
    mine, yours = ({f"{who} {i}" for i in range(50)} for who in ("mine", "yours"))
    found = aggregate([esc(mine, "a"), esc(yours, "b")])
    assert list(found.sweeps) == [f"esc layout with 50 classes of sweep_{s}" for s in "ab"]


def test_map_is_scored_between_its_own_chance_and_best():
    studies = [study(name, metric="val/map") for name in ("esc50", "speech")]
    for _, records in studies:
        for record in records.values():
            last = record.epochs[-1].metrics
            last["val/map"] = last["val/top1"]
    found = aggregate(studies)
    scale = found.scales["esc50"]
    assert scale.mean == pytest.approx(0.53, abs=0.02) and scale.chance.value == 1 / 8
    assert "mAP score" in render_aggregate(found) and "()" not in render_aggregate(found)


def test_one_sweep_is_no_aggregate():
    with pytest.raises(ConfigError, match="two data sets or more"):
        aggregate([study("esc50")])


def test_trials_of_two_versions_of_the_code_need_mixed():
    one, other = study("esc50"), study("speech")
    for record in other[1].values():
        record.provenance["code"] = "newer"
    with pytest.raises(ConfigError, match="2 versions of the code"):
        aggregate([one, other])
    assert aggregate([one, other], mixed=True).arms


def test_arms_of_other_epochs_or_packs_within_a_sweep_need_mixed():
    one, (plan, records) = study("esc50"), study("speech")
    short = next(t.id for t in plan.trials if t.arm == "noise")
    records[short] = make_record(short, epochs=3)
    with pytest.raises(ConfigError, match=r"2 packs of the data .* 2 numbers of epochs \(3, 20\)"):
        aggregate([one, (plan, records)])
    assert aggregate([one, (plan, records)], mixed=True).arms


def test_every_form_has_the_same_numbers():
    found = aggregate([study("esc50"), study("speech")])
    adaptor = found.arms[1]
    rows = list(csv.DictReader(io.StringIO(render_aggregate(found, "csv"))))
    assert float(rows[1]["improvement_low"]) == adaptor.improvement.low
    assert rows[0]["difference"] == ""
    data = json.loads(render_aggregate(found, "json"))
    assert data["arms"][1]["mean"]["value"] == adaptor.mean.value
    for form in ("text", "markdown"):
        said = " ".join(render_aggregate(found, form).split())
        assert f"{100 * adaptor.improvement.value:.0f}" in said and "not of other data" in said


def test_command_aggregates_stored_sweeps(tmp_path, capsys):
    store = Store.open(tmp_path)
    for dataset in ("esc50", "speech"):
        plan, records = study(dataset)
        renamed = {old: f"{dataset}-{old}" for old in records}
        trials = tuple(
            type(t)(id=renamed[t.id], arm=t.arm, seed=t.seed, fold=t.fold) for t in plan.trials
        )
        store.write_plan(type(plan)(**{**vars(plan), "trials": trials}))
        for record in records.values():
            store.write_record(type(record)(**{**vars(record), "id": renamed[record.id]}))
    out = io.StringIO()
    both = ["sweep_esc50", "sweep_speech", "--store", str(tmp_path)]
    assert main([*both, "--aggregate", "--width", "80"], out=out) == 0
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert "2 data sets: esc50 (sweep_esc50), speech (sweep_speech)" in out.getvalue()
    assert main(both, out=out) == 2
    assert "--aggregate makes one table" in capsys.readouterr().err
    assert main([*both, "--aggregate", "--format", "latex"], out=out) == 2
    assert "unknown format of --aggregate 'latex'" in capsys.readouterr().err
