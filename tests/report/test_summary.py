"""The join: nothing planned is lost, nothing unplanned gets in."""

import dataclasses

import numpy as np
import pytest
from report_examples import make_plan, make_record, make_records

from orchestrator.analysis.datasets import ESC10_CLASSES, ESC50_CLASSES
from orchestrator.analysis.overview import verdicts
from orchestrator.analysis.summary import summarize
from orchestrator.errors import ConfigError
from orchestrator.records import ArmRecord, ContrastRecord, Status
from orchestrator.report.render.formats import to_json
from orchestrator.report.render.text import render_text
from orchestrator.report.tables.arms import main_table
from orchestrator.report.wording.findings import finding_sentence
from orchestrator.report.wording.footnotes import published_footnotes
from orchestrator.report.wording.notes import answers, cautions, headline, next_study_sentence
from orchestrator.stats import MAX_PAIRS, Verdict, pairs_at_effect
from orchestrator.stats.family import flip, step_down


def test_complete_study_counts_every_trial():
    plan = make_plan()
    summary = summarize(plan, make_records(plan, (0.0, 0.03, 0.0)))
    assert summary.complete and headline(summary) == "Complete: all 32 planned trials finished."
    assert [arm.name for arm in summary.arms] == [arm.name for arm in plan.arms]
    assert summary.gaps == ()


def test_values_are_in_the_metrics_unit_and_paired_by_block():
    plan = make_plan(seeds=6)
    records = make_records(plan, (0.02, 0.0, 0.0))
    summary = summarize(plan, records)
    by_cell = {(k.arm, k.seed): records[k.id].epochs[-1].metrics["val/top1"] for k in plan.trials}
    gains = [100 * (by_cell["λ=0.001", s] - by_cell["no adaptor", s]) for s in range(6)]
    found = summary.contrasts[0].difference
    assert found.mean == pytest.approx(np.mean(gains))
    assert list(found.differences.values()) == pytest.approx(gains)
    assert summary.arms[0].measures["val/top5"].metric.unit == "%"
    assert summary.arms[0].measures["val/loss"].interval.n == 6


def test_failed_running_missing_and_numberless_trials_are_named():
    plan = make_plan(seeds=6)
    records = make_records(plan)
    keys = [key for key in plan.trials if key.arm == "λ=0.01"]
    error = "Traceback ...\norchestrator.errors.TrainingError: loss is nan at epoch 3"
    records[keys[0].id] = make_record(keys[0].id, status=Status.FAILED, error=error)
    records[keys[1].id] = make_record(keys[1].id, status=Status.RUNNING, epochs=4)
    del records[keys[2].id]
    records[keys[3].id] = make_record(keys[3].id, top1=float("nan"))
    summary = summarize(plan, records)
    assert not summary.complete
    assert headline(summary).startswith("INCOMPLETE: 20 of 24 planned trials count")
    for part in ("1 failed", "1 running", "1 missing", "1 finished without a number"):
        assert part in headline(summary)
    assert [cell.reason for cell in summary.gaps] == [
        "TrainingError: loss is nan at epoch 3",
        "running, 4 epochs done",
        "no record yet",
        "no finite val/top1 at its last epoch",
    ]
    arm = summary.arms[2]
    assert arm.measures["val/top1"].interval.n == 2
    assert "n 2 of 6" in finding_sentence(summary.contrasts[1])


def test_nothing_has_run_yet():
    plan = make_plan()
    summary = summarize(plan, {})
    assert headline(summary).startswith("INCOMPLETE: 0 of 32")
    assert all(c.verdict is Verdict.NOT_TESTED for c in summary.contrasts)
    assert all(arm.measures == {} and arm.cost is None for arm in summary.arms)


def test_records_of_other_trials_change_nothing():
    plan = make_plan()
    records = make_records(plan)
    assert summarize(plan, {**records, "other": make_record("other")}) == summarize(plan, records)


def test_correction_runs_over_the_declared_contrasts_alone():
    plan = make_plan()
    records = make_records(plan, (0.05, 0.05, 0.05))
    three = summarize(plan, records)
    one = summarize(dataclasses.replace(plan, contrasts=plan.contrasts[:1]), records)
    declared = [contrast.difference.differences for contrast in three.contrasts]
    assert three.contrasts[0].adjusted_p == step_down(flip(declared))[0]
    assert one.contrasts[0].adjusted_p == one.contrasts[0].difference.p_value
    # A declared arm shows the interval of its family, an undeclared one its own.
    assert one.arms[1].to_baseline.interval_method == "sign-flip interval"
    assert three.arms[1].to_baseline is three.contrasts[0].difference
    assert three.arms[1].to_baseline.low < one.arms[1].to_baseline.low
    assert one.arms[2].to_baseline is not None and one.against_baseline("λ=0.01") is None


def test_arms_without_a_declared_contrast_say_so_in_the_answer_and_in_the_list():
    plan = make_plan(contrasts=())
    summary = summarize(plan, make_records(plan))
    (answer,) = answers(summary)
    assert answer.verdict is Verdict.NOT_TESTED
    assert answer.text.startswith("No declared contrast or effect is among these arms, so no diff")
    assert answer.text in " ".join(render_text(summary).split())
    assert verdicts(summary) == "nothing declared"
    alone = make_plan(("no adaptor",))
    alone = summarize(alone, make_records(alone))
    assert answers(alone) == () and verdicts(alone) == ""


def test_contrast_between_two_arms_uses_its_own_reference():
    plan = make_plan(contrasts=(ContrastRecord(arm="λ=0.1", reference="λ=0.001"),))
    summary = summarize(plan, make_records(plan, (0.05, 0.0, 0.10)))
    assert "λ=0.1 helps by" in finding_sentence(summary.contrasts[0])
    assert "against λ=0.001" in finding_sentence(summary.contrasts[0])
    assert summary.against_baseline("λ=0.1") is None


def test_one_seed_per_fold_is_tested_by_the_corrected_t_and_says_so():
    plan = make_plan(seeds=1, folds=(1, 2, 3, 4, 5))
    summary = summarize(plan, make_records(plan))
    contrast = summary.contrasts[0]
    assert (contrast.difference.n, contrast.difference.replicate) == (5, "fold")
    assert contrast.difference.test_method == "corrected resampled t test"
    assert "corrected resampled t interval" in finding_sentence(contrast)
    assert "n 5 folds)" in finding_sentence(contrast)
    assert "smallest attainable" not in finding_sentence(contrast)
    assert any("share training clips" in caution for caution in cautions(summary))
    assert any("Nadeau and Bengio" in caution for caution in cautions(summary))
    text = " ".join(render_text(summary, 120).split())
    assert (
        "Δ is paired over fold means, with its 95 % simultaneous corrected resampled t interval"
        in text
    )
    assert "p: two-sided paired corrected resampled t test" in text


def test_p_values_are_called_sampled_only_where_they_are():
    for seeds, folds, sampled in ((8, (1, 2, 3), False), (21, (1,), True)):
        plan = make_plan(seeds=seeds, folds=folds)
        found = cautions(summarize(plan, make_records(plan)))
        assert any("p values are sampled" in caution for caution in found) == sampled


def test_many_seeds_on_several_folds_are_averaged_over_the_folds():
    plan = make_plan(seeds=8, folds=(1, 2, 3))
    contrast = summarize(plan, make_records(plan)).contrasts[0]
    assert (contrast.difference.n, contrast.difference.replicate) == (8, "seed")
    assert "n 8 seeds" in finding_sentence(contrast)


def test_a_study_on_one_fold_carries_no_caution():
    single = make_plan(seeds=6)
    assert cautions(summarize(single, make_records(single))) == ()


def test_a_study_that_calls_too_little_says_what_each_metric_would_have_needed():
    plan = make_plan(("base", "new"), seeds=8, dose="")
    rng = np.random.default_rng(0)
    records = {}
    for key in plan.trials:
        gain, made = 0.002 * (key.arm == "new"), make_record(key.id)
        *before, last = made.epochs
        scores = {"val/top1": 0.6 + gain, "val/loss": 1.0 - 20 * gain}
        noisy = {name: value + rng.normal(0, 0.02) for name, value in scores.items()}
        last = dataclasses.replace(last, metrics={**last.metrics, **noisy})
        records[key.id] = dataclasses.replace(made, epochs=(*before, last))
    summary = summarize(plan, records)
    said = next_study_sentence(summary)
    values = {
        key: [
            float(new - base)
            for new, base in zip(
                *(summary.arms[i].measures[key].values.values() for i in (1, 0)), strict=True
            )
        ]
        for key in ("val/top1", "val/loss")
    }
    assert said.startswith("Seeds that would find new − base at the effect seen, by metric")
    for key, title in (("val/top1", "top-1"), ("val/loss", "validation loss")):
        needed = pairs_at_effect(values[key])
        pairs, most = (
            f"over {MAX_PAIRS:,}" if n is None else n for n in (needed.pairs, needed.most)
        )
        assert f"{title} {pairs} ({needed.fewest} to {most})" in said
    assert said in to_json(summary) and not summary.contrasts[0].called
    called = summarize(plan, make_records(plan, (0.1,)))
    assert called.contrasts[0].called and not next_study_sentence(called)


def test_missing_trials_on_several_folds_are_counted_in_replicates():
    plan = make_plan(seeds=8, folds=(1, 2, 3))
    records = make_records(plan)
    arm = plan.contrasts[0].arm
    lost = next(trial for trial in plan.trials if trial.arm == arm)
    del records[lost.id]
    contrast = summarize(plan, records).contrasts[0]
    assert contrast.difference.n == 7
    assert "n 7 of 8 seeds" in finding_sentence(contrast)


def test_best_of_single_runs_is_called_optimistic():
    arms = tuple(ArmRecord(name=f"suggestion {i}") for i in range(20))
    plan = make_plan(arms, seeds=1, contrasts=())
    summary = summarize(plan, make_records(plan, np.linspace(0, 0.1, 19)))
    (answer,) = answers(summary)
    assert "best of 20" in answer.text and "optimistic" in answer.text
    assert "none has finished yet" in answers(summarize(plan, {}))[0].text
    assert summary.arms[0].measures["val/top1"].interval.low is None
    records = make_records(plan)
    first = next(iter(records.values()))
    equal = {key: dataclasses.replace(one, epochs=first.epochs) for key, one in records.items()}
    assert "All 20 arms have the same top-1" in answers(summarize(plan, equal))[-1].text


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        ("best_on_validation", "was chosen on 40 validation clips, which neither train nor"),
        ("best_on_test", "(best_on_test, a protocol of some papers), so the level of top-1 is opt"),
    ],
)
def test_best_epoch_selection_reads_the_best_epoch_and_says_which_clips_chose(selection, said):
    plan = make_plan(seeds=2, selection=selection)
    records = {
        key.id: dataclasses.replace(make_record(key.id), best_epoch=3) for key in plan.trials
    }
    for record in records.values() if selection == "best_on_validation" else ():
        record.data.update(num_validation=40, chosen_on="fold 2", validation_rule="fold 2")
    summary = summarize(plan, records)
    expected = 100 * records[plan.trials[0].id].epochs[2].metrics["val/top1"]
    assert summary.arms[0].measures["val/top1"].interval.mean == pytest.approx(expected)
    assert any(said in caution for caution in cautions(summary))
    clips = "validation" if selection == "best_on_validation" else "the test"
    assert any(f"epoch that is best on {clips} clips" in n for n in main_table(summary).notes)
    without = {k: dataclasses.replace(r, best_epoch=0) for k, r in records.items()}
    assert "no finite val/top1 at its best epoch" in summarize(plan, without).gaps[0].reason


@pytest.mark.parametrize(
    ("chosen", "metric", "epoch", "said"),
    [
        (["val/top1"], "", "at the epoch that is best on validation clips, larger", ""),
        (["val/map"], "val/map", "at the epoch that is best on validation clips, larger", ""),
        (["val/top1"], "val/map", "best by top-1 on validation clips", "by top-1, not by mAP"),
        (["val/loss"], "", "best by validation loss on validation clips", "loss, not by top-1"),
    ],
)
def test_metric_that_chose_the_best_epoch_is_named_where_it_is_another(chosen, metric, epoch, said):
    plan = make_plan(seeds=3, selection="best_on_validation")
    records = make_records(plan)
    for i, (key, record) in enumerate(records.items()):
        for one in record.epochs:
            one.metrics["val/map"] = one.metrics["val/top1"]
        by = {"selection_metric": chosen[i % len(chosen)]}
        records[key] = dataclasses.replace(record, experiment=by)
    summary = summarize(plan, records, metric=metric)
    assert any(epoch in note for note in main_table(summary).notes)
    text = " ".join(cautions(summary))
    assert said in text and ("chosen by" in text) == bool(said)


def test_trials_whose_best_epochs_different_metrics_chose_are_not_compared():
    plan = make_plan(seeds=3, selection="best_on_validation")
    records = make_records(plan)
    for key in plan.trials:
        if key.arm == "λ=0.1":
            by = {"selection_metric": "val/loss"}
            records[key.id] = dataclasses.replace(records[key.id], experiment=by)
    contrasts = summarize(plan, records).contrasts
    assert contrasts[0].difference is not None and contrasts[2].difference is None
    refused = finding_sentence(contrasts[2])
    assert "2 metrics that chose the best epoch (val/loss, val/top1)" in refused


def test_numbers_whose_epochs_an_earlier_version_chose_on_their_own_clips_are_refused():
    plan = make_plan(seeds=3, selection="best")
    summary = summarize(plan, make_records(plan))
    assert len(summary.gaps) == len(plan.trials) and not summary.arms[0].measures
    assert "chosen on the clips that it is scored on" in summary.gaps[0].reason
    assert "selection='best_on_test'" in summary.gaps[0].reason
    assert "0 of 12 planned trials count (12 finished without a number)" in headline(summary)


def test_arm_that_chooses_its_epoch_otherwise_is_read_there_and_named():
    arms = (
        ArmRecord(name="last"),
        ArmRecord(name="on test", changes={"selection": "best_on_test"}),
    )
    plan = make_plan(arms, seeds=3)
    records = {
        key.id: dataclasses.replace(make_record(key.id), best_epoch=3) for key in plan.trials
    }
    summary = summarize(plan, records)
    epochs = records[plan.trials[0].id].epochs
    for arm, epoch in zip(summary.arms, (epochs[-1], epochs[2]), strict=True):
        assert arm.measures["val/top1"].interval.mean == 100 * epoch.metrics["val/top1"]
    assert any("the epoch that each arm declares" in note for note in main_table(summary).notes)
    text = " ".join(cautions(summary))
    assert "last: the last epoch; on test: the epoch that is best on the test clips" in text
    assert "The epoch of each trial of on test was chosen on the clips that it is scored on" in text
    assert "is optimistic; so are its differences from arms whose epochs were not." in text


def test_another_metric_is_marked_as_not_declared():
    plan = make_plan()
    summary = summarize(plan, make_records(plan), metric="val/loss")
    assert summary.metric.key == "val/loss"
    assert any("not the metric that was declared" in caution for caution in cautions(summary))
    with pytest.raises(ConfigError, match="did you mean 'val/loss'"):
        summarize(plan, {}, metric="val/los")


def test_mixed_devices_and_data_are_pointed_out():
    plan = make_plan(seeds=2)
    records = make_records(plan)
    first, second = plan.trials[0].id, plan.trials[1].id
    records[first] = dataclasses.replace(
        records[first], data={**records[first].data, "fingerprint": "sha256:other"}
    )
    records[second] = make_record(second, device="cuda NVIDIA H200")
    said = " ".join(cautions(summarize(plan, records)))
    assert "2 devices: cpu, cuda NVIDIA H200" in said and "2 data fingerprints" in said


@pytest.mark.parametrize(
    ("name", "classes", "conditions", "expected"),
    [
        ("esc50", 0, "", "conditions of the published numbers were not stated"),
        ("esc50", 8, "AudioSet, 2 M clips", "Not comparable: other data (esc50, 8 classes, here)"),
        ("esc50", 0, "ESC-50, 5 folds", "same by name; other conditions were not checked"),
        ("esc", ESC50_CLASSES, "5 folds of ESC-50", "same by name"),
        ("esc", ESC10_CLASSES, "5 folds of ESC-50", "Not comparable: other data (esc10 here)"),
        ("esc", 50, "ESC-50", "Not comparable: other data (esc layout with 50 classes here)"),
        ("esc", ESC50_CLASSES, "as described", "Not comparable"),
        ("synthetic", 10, "ESC-50", "Not comparable"),
        ("vggsound", 309, "VGGSound test split", "same by name"),
    ],
)
def test_published_numbers_carry_a_verdict(name, classes, conditions, expected):
    arms = (ArmRecord(name="full", published={"val/top1": 95.7}), ArmRecord(name="less"))
    names = ["x"] * classes if isinstance(classes, int) else sorted(classes)
    dataset = {"name": name, "class_names": names}
    plan = make_plan(arms, source="table 4", conditions=conditions, dataset=dataset)
    found = summarize(plan, make_records(plan)).comparability
    footnote = published_footnotes(plan, found).texts["†"]
    assert expected in footnote and "table 4" in footnote


def test_ten_thousand_records_are_summarized_in_seconds():
    plan = make_plan(tuple(ArmRecord(name=f"arm {i}") for i in range(1000)), seeds=10)
    record = make_record("x", epochs=1)
    summary = summarize(plan, {key.id: record for key in plan.trials})
    assert len(summary.cells) == 10_000 and summary.complete
