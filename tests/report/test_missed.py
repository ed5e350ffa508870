"""Clips that every good trial misses alike: found, shown, and left out of the contrasts."""

import dataclasses
import io
import json

import numpy as np
import pytest
from report_examples import CLASSES, make_plan, make_records

from orchestrator.analysis.missed import missed_alike
from orchestrator.analysis.summary import summarize
from orchestrator.metrics.predictions import Predictions
from orchestrator.metrics.targets import Targets
from orchestrator.predict.figures.shelf import Picture, write_index
from orchestrator.report.__main__ import main
from orchestrator.report.render.page import render_page
from orchestrator.report.tables.missed import missed_tables
from orchestrator.report.wording.clips import missed_to_show
from orchestrator.store import Store

ARMS = ("no adaptor", "λ=0.1", "λ=9")  # the last one is bad
NUM_CLIPS = 40


def single_label(trial_id):
    """Right but for: clip 5, the same wrong class always; clip 6, one that changes by trial."""
    arm, seed = (int(part) for part in trial_id.split("-")[:2])
    rng = np.random.default_rng([arm, seed])
    labels = np.arange(NUM_CLIPS) % len(CLASSES)
    guesses = labels.copy()
    guesses[5], guesses[6] = 7, (0, 1, 2, 3)[seed % 4]
    guesses[10 + 2 * seed + 5 * arm] = (guesses[10 + 2 * seed + 5 * arm] + 1) % len(CLASSES)
    if arm == 2:
        guesses = rng.permutation(guesses)
    logits = rng.normal(size=(NUM_CLIPS, len(CLASSES)), scale=0.1).astype(np.float32)
    logits[np.arange(NUM_CLIPS), guesses] += 4
    return made(Targets.of_labels(labels, num_classes=len(CLASSES)), logits)


def multi_label(trial_id):
    """Class 1 of clip 5 is never heard, class 2 of clip 6 always is and is not listed."""
    arm, seed = (int(part) for part in trial_id.split("-")[:2])
    rng = np.random.default_rng([arm, seed])
    labels = [((c % 3),) if c % 4 else () for c in range(NUM_CLIPS)]
    labels[5], labels[6] = (1,), (0,)
    targets = Targets.of(labels, num_classes=3)
    truth = targets.multi_hot()
    logits = rng.normal(size=truth.shape) + 3 * truth * (arm < 2)
    logits[5, 1], logits[6, 2] = -9 - seed, 9 + seed
    return made(targets, logits.astype(np.float32))


def made(targets, logits):
    names = tuple(f"clip-{i}" for i in range(NUM_CLIPS))
    return Predictions(epoch=20, clip_ids=names, targets=targets, logits=logits)


def study(load, *, seeds=6, metric="val/top1"):
    plan = make_plan(ARMS, seeds=seeds, metric=metric)
    records = make_records(plan)
    for trial_id, record in records.items():
        *before, last = record.epochs
        scores = {**last.metrics, **load(trial_id).scores()}
        last = dataclasses.replace(last, metrics=scores)
        records[trial_id] = dataclasses.replace(record, epochs=(*before, last))
    return summarize(plan, records), records


def test_clip_with_one_class_is_missed_alike_where_all_name_the_same_other_one():
    summary, records = study(single_label)
    found = missed_alike(summary, records, single_label)
    assert found.arms == ARMS[:2] and found.num_clips == NUM_CLIPS
    (missed,) = found.clips
    assert (missed.clip, missed.listed, missed.unheard, missed.heard) == (
        "clip-5",
        (5,),
        (5,),
        (7,),
    )
    assert missed.num_trials == 12 and 0.8 < missed.strength < 1


def test_clip_of_many_classes_is_missed_by_rank_without_a_threshold():
    summary, records = study(multi_label, metric="val/map")
    found = missed_alike(summary, records, multi_label)
    by_clip = {missed.clip: missed for missed in found.clips}
    assert by_clip.keys() == {"clip-5", "clip-6"}
    assert by_clip["clip-5"].unheard == (1,) and by_clip["clip-5"].heard == ()
    assert by_clip["clip-6"].heard == (2,) and by_clip["clip-6"].unheard == ()
    table = missed_tables(summary, records, multi_label)[0]
    assert "not heard" in [column.title for column in table.columns]

    def shifted_by_30(trial_id):
        made = multi_label(trial_id)
        return dataclasses.replace(made, logits=made.logits - 30)

    shifted = missed_alike(summary, records, shifted_by_30)
    assert shifted.clips == found.clips


def test_contrasts_are_made_again_without_them():
    summary, records = study(single_label)
    found = missed_alike(summary, records, single_label)
    assert found.without is not None
    for arm in found.without.arms:
        for cell in arm.cells:
            rest = single_label(cell.id).take([i for i in range(NUM_CLIPS) if i != 5])
            assert cell.value == pytest.approx(100 * rest.scores()["val/top1"])
    # Both arms missed the clip in every trial, so their difference grows by 40 / 39.
    before, after = (which.contrasts[0].difference for which in (summary, found.without))
    assert after.mean == pytest.approx(before.mean * 40 / 39)


def test_too_few_trials_or_none_that_agree_find_nothing():
    summary, records = study(single_label, seeds=1)
    assert missed_alike(summary, records, single_label).clips == ()
    assert missed_tables(summary, records, single_label) == []
    summary, records = study(single_label)
    assert missed_alike(summary, records, lambda trial: None).num_clips == 0


def test_equal_arms_are_good_by_no_metric_without_a_chance_level():
    summary, records = study(lambda trial: single_label("0-0"))
    blind = dataclasses.replace(summary, chance=None, against_chance=None)
    found = missed_alike(blind, records, lambda trial: single_label("0-0"))
    assert found.arms == () and found.clips == ()


def test_section_shows_clips_contrasts_and_what_it_is_not(tmp_path):
    summary, records = study(single_label)
    clips, contrasts = missed_tables(summary, records, single_label)
    assert clips.rows == (("clip-5", "siren", "cat", "12"),)
    assert "1 of 40 clips" in clips.notes[0] and "no proof of a wrong label" in clips.notes[0]
    assert [row[0] for row in contrasts.rows] == ["λ=0.1 − no adaptor", "λ=9 − no adaptor"]
    shown = missed_to_show(summary, missed_alike(summary, records, single_label))
    assert shown == {"clip-5": "Listed as siren; cat heard, by all of 12 trials."}
    (tmp_path / "clip-0.png").write_bytes(b"png")
    picture = Picture(
        kind="clip", arm=ARMS[0], trial="0", clips=("clip-5",), caption="seen", file="clip-0.png"
    )
    write_index(tmp_path, ("0",), {}, [picture])
    page = render_page(summary, records, predictions=single_label, pictures=tmp_path)
    section = page[page.index('id="labels"') :]
    section = section[: section.index("</section>")]
    for text in ("What may be wrong with the labels", "no proof", "data:image/png", "without them"):
        assert text in section, text
    assert "data:image/png" not in page[page.index('id="classes"') : page.index('id="labels"')]
    assert 'id="labels"' not in render_page(summary, records)


def test_report_says_it_in_text_too(tmp_path):
    store = Store.open(tmp_path)
    summary, records = study(single_label)
    store.write_plan(summary.plan)
    for trial_id, record in records.items():
        digest = store.write_predictions(trial_id, "last", single_label(trial_id))
        store.write_record(dataclasses.replace(record, predictions={"last": digest}))
    for form in ("text", "json"):
        out = io.StringIO()
        command = [summary.plan.sweep, "--store", store.uri, "--format", form]
        assert main(command, out=out) == 0
        if form == "text":
            assert "Clips that every good trial misses alike" in out.getvalue()
        else:
            json.loads(out.getvalue())
