"""Confusion changes, matrices and flipped clips, each against a count done by hand."""

import dataclasses
import itertools

import numpy as np
import pytest
from report_examples import CLASSES, data_of, make_plan, make_predictions, make_records
from sklearn.metrics import confusion_matrix

from orchestrator.analysis.confusion import (
    confusion,
    confusion_change,
    shares,
)
from orchestrator.analysis.outcomes import Outcomes
from orchestrator.analysis.summary import summarize
from orchestrator.metrics.predictions import Predictions
from orchestrator.metrics.targets import Targets
from orchestrator.records import Status
from orchestrator.report.plots import confusion as confusion_plots
from orchestrator.report.plots.confusion import confusion_panel
from orchestrator.report.render.page import render_page
from orchestrator.report.tables.clips import flipped_clips
from orchestrator.report.wording.clips import clips_to_show


def study(load=make_predictions, *, seeds=8, **options):
    plan = make_plan(("no adaptor", "λ=0.1"), seeds=seeds, **options)
    records = make_records(plan)
    summary = summarize(plan, records)
    return summary, Outcomes(summary, load), records


def said(labels, guesses, *, names=None, classes=3):
    """Predictions that name the given classes."""
    logits = np.eye(classes, dtype=np.float32)[list(guesses)]
    ids = names or tuple(f"clip-{i}" for i in range(len(labels)))
    targets = Targets.of_labels(labels, num_classes=classes)
    return Predictions(epoch=1, clip_ids=ids, targets=targets, logits=logits)


def by_arm(baseline, adaptor):
    """Load one answer for all trials of an arm; ids of the baseline begin with 0000."""
    return lambda trial: baseline if trial.startswith("0000") else adaptor


def test_confusion_counts_as_scikit_learn_does():
    _, outcomes, _ = study()
    for outcome in outcomes.of_arm("λ=0.1").values():
        expected = confusion_matrix(outcome.labels, outcome.guesses, labels=range(8))
        assert (confusion(outcome, 8) == expected).all()
        rows = confusion_matrix(outcome.labels, outcome.guesses, labels=range(8), normalize="true")
        assert shares(confusion(outcome, 8)) == pytest.approx(100 * rows)


def test_largest_confusion_changes_are_paired_means():
    summary, outcomes, _ = study()
    found = confusion_change(summary, summary.contrasts[0], outcomes)
    assert found is not None
    sizes = [abs(line.mean) for line in found.lines]
    assert sizes == sorted(sizes, reverse=True) and len(sizes) == 8
    changes = [
        confusion_matrix(one.labels, one.guesses, normalize="true")
        - confusion_matrix(other.labels, other.guesses, normalize="true")
        for _, one, other in outcomes.pairs("λ=0.1", "no adaptor")
    ]
    mean = 100 * np.mean(changes, axis=0)
    expected = {
        f"{CLASSES[i]} → {CLASSES[j]}": mean[i, j] for i, j in itertools.permutations(range(8), 2)
    }
    assert {line.label: line.mean for line in found.lines} == pytest.approx(
        {line.label: expected[line.label] for line in found.lines}
    )
    rest = [abs(v) for k, v in expected.items() if k not in {line.label for line in found.lines}]
    assert sizes[-1] >= max(rest) - 1e-9
    assert all(line.low < line.mean < line.high for line in found.lines)
    assert all(len(line.replicates) == 8 for line in found.lines)


def test_equal_confusions_are_no_change():
    same = said([0, 1, 2, 2], [0, 2, 2, 1])
    summary, outcomes, _ = study(by_arm(same, same))
    assert confusion_change(summary, summary.contrasts[0], outcomes) is None
    assert flipped_clips(summary, summary.contrasts[0], outcomes) is None


def test_class_that_a_fold_lacks_counts_only_where_it_is():
    def load(trial):
        arm, _, fold = trial.split("-")
        labels = [0, 0] if fold == "1" else [1, 1]
        return said(labels, [1, 0] if arm == "0001" and fold == "1" else labels)

    summary, outcomes, _ = study(load, seeds=2, folds=(1, 2))
    found = confusion_change(summary, summary.contrasts[0], outcomes)
    assert [(line.label, line.mean) for line in found.lines] == [("dog → rooster", 50.0)]
    assert len(found.lines[0].replicates) == 2 and found.num_cells == 1


def test_clips_that_flip_one_way_come_first_with_their_counts():
    def load(trial):
        arm, seed, _ = trial.split("-")
        seed = int(seed)
        if arm == "0000":
            return said([0, 1, 2], [1, 1 if seed % 2 else 0, 2], names=("a", "b", "c"))
        return said(
            [0, 1, 2], [0, 0 if seed % 2 else 1, 1 if seed < 3 else 2], names=("a", "b", "c")
        )

    summary, outcomes, _ = study(load, seeds=8)
    table = flipped_clips(summary, summary.contrasts[0], outcomes)
    assert table.rows == (
        ("a", "dog", "8", "8", "0"),
        ("c", "rain", "8", "0", "3"),
        ("b", "rooster", "8", "4", "4"),
    )
    assert "3 of 3 held-out clips" in table.notes[0]


def test_only_finished_pairs_count():
    summary, _, records = study(by_arm(said([0], [1]), said([0], [0])))
    first = summary.plan.trials[0].id
    records[first] = dataclasses.replace(records[first], status=Status.FAILED, error="x")
    summary = summarize(summary.plan, records)
    outcomes = Outcomes(summary, by_arm(said([0], [1]), said([0], [0])))
    table = flipped_clips(summary, summary.contrasts[0], outcomes)
    assert table.rows == (("clip-0", "dog", "7", "7", "0"),)


def test_predictions_are_read_once_per_trial():
    reads = []

    def load(trial):
        reads.append(trial)
        return make_predictions(trial)

    summary, _, records = study()
    render_page(summary, records, predictions=load)
    assert sorted(reads) == sorted(key.id for key in summary.plan.trials)


def test_matrix_shows_the_change_from_one_arm_to_the_other():
    summary, outcomes, _ = study(by_arm(said([0, 1], [0, 0]), said([0, 1], [0, 1])))
    change = confusion_change(summary, summary.contrasts[0], outcomes)
    assert change.difference.tolist() == [[0, 0, 0], [-100, 100, 0], [0, 0, 0]]
    plot = str(confusion_panel(data_of(summary, outcomes), change))
    assert "rooster taken for dog: −100.0 points" in plot
    assert "rooster taken for rooster: +100.0 points" in plot
    assert "on the diagonal +33.3 points on average" in plot


def test_page_shows_confusions_and_clips_and_one_matrix():
    summary, _, records = study()
    page = render_page(summary, records, predictions=make_predictions)
    assert "Which class is taken for which" in page and "Clips that changed sides" in page
    assert page.count('aria-label="Change of the confusion matrix') == 1
    without = render_page(summary, records)
    assert "Confusion" not in without and "Clips that changed" not in without


def test_matrix_of_too_many_classes_is_left_out(monkeypatch):
    summary, outcomes, _ = study()
    data = data_of(summary, outcomes)
    assert len(list(confusion_plots.plots(data))) == 1
    monkeypatch.setattr(confusion_plots, "MAX_CLASSES", 7)
    assert list(confusion_plots.plots(data)) == []


def test_clips_to_show_say_how_often_they_flipped_and_what_they_were_taken_for():
    def load(trial):
        arm, seed, _ = trial.split("-")
        if arm == "0000":
            return said([0, 1, 2], [1, 1, 2], names=("a", "b", "c"))
        return said([0, 1, 2], [0, 1, 0 if seed == "3" else 2], names=("a", "b", "c"))

    summary, outcomes, _ = study(load)
    assert clips_to_show(summary, outcomes) == {
        "a": "dog: wrong → right in 8 of 8 pairs, from no adaptor to λ=0.1; most often mistaken "
        "for rooster.",
        "c": "rain: right → wrong in 1 of 8 pairs, from no adaptor to λ=0.1; most often mistaken "
        "for dog.",
    }
