"""No report shows an interval that contradicts its call, nor a sentence that contradicts either."""

import csv
import dataclasses
import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_examples import make_plan, make_record

from orchestrator.analysis.summary import summarize
from orchestrator.records import ContrastRecord
from orchestrator.report.render.formats import to_csv
from orchestrator.report.render.text import render_text
from orchestrator.report.wording.findings import finding_sentence, name_of
from orchestrator.report.wording.notes import cautions, next_study_sentence
from orchestrator.stats import ALPHA, Verdict

KINDS = {
    "normal": lambda rng, size: rng.normal(0, 0.01, size),
    "skewed": lambda rng, size: -rng.exponential(0.01, size),
    "tied": lambda rng, size: rng.integers(-1, 2, size) / 80,
}


def study(kind, *, seeds, gains, seed, missing=0.0, metric="val/top1", cap=0, tie_break=""):
    """A study of several arms against a baseline, some trials of which may be missing."""
    names = ["base", *(f"arm {i}" for i in range(len(gains)))]
    plan = make_plan(
        names,
        seeds=seeds,
        dose="",
        metric=metric,
        cap=cap,
        tie_break=tie_break,
        contrasts=tuple(ContrastRecord(arm=name, reference="base") for name in names[1:]),
    )
    rng = np.random.default_rng(seed)
    noise = KINDS[kind](rng, (len(names), seeds))
    gain = dict(zip(names, [0.0, *gains], strict=True))
    records = {}
    for key in plan.trials:
        top1 = 0.6 + gain[key.arm] + noise[names.index(key.arm), key.seed]
        if rng.random() >= missing:
            made = make_record(key.id, top1=round(float(top1) * 80) / 80)
            records[key.id] = with_loss(made, 1.5 - float(top1)) if tie_break else made
    return summarize(plan, records)


def with_loss(record, loss):
    """A record whose last validation loss is not rounded to whole clips."""
    last = record.epochs[-1]
    scored = dataclasses.replace(last, metrics={**last.metrics, "val/loss": loss})
    return dataclasses.replace(record, epochs=(*record.epochs[:-1], scored))


def assert_agreement(summary):
    """Hold numbers, CSV, table and sentences to the calls."""
    rows = {row["arm"]: row for row in csv.DictReader(io.StringIO(to_csv(summary)))}
    text = render_text(summary, 80)
    assert max(map(len, text.splitlines())) <= 80
    undecided = any(f.verdict is Verdict.UNDECIDED for f in summary.findings)
    ended = any("until every contrast was decided" in caution for caution in cautions(summary))
    assert ended == (summary.plan.cap > 0 and not undecided)
    missed = [
        f
        for f in summary.findings
        if f.difference and not f.called and any(f.difference.differences.values())
    ]
    needed = next_study_sentence(summary)
    assert not needed or name_of(missed[0]) in needed
    for contrast in summary.contrasts:
        difference, said = contrast.difference, finding_sentence(contrast)
        helps, hurts = " helps by " in said, " hurts by " in said
        turned = "which stays" in said
        by_loss = " by validation loss alone: equal in " in said
        assert turned or (helps or hurts or by_loss) == contrast.called
        assert ("decides this: " in said) == contrast.tie_break_decides
        if difference is None:
            continue
        assert (" on these clips" in said) == (difference.n > 1)
        could_not = said.find("could not have been called")
        assert could_not < len(f"{contrast.arm} against {contrast.reference} ") + 1
        row = rows[contrast.arm]
        if contrast.adjusted_p is not None and not contrast.decided:
            assert contrast.called == (contrast.adjusted_p <= ALPHA)
            assert contrast.adjusted_p >= difference.p_value - 0.002
            assert contrast.smallest_adjusted_p <= contrast.adjusted_p + 0.002
        better = difference.mean * summary.metric.sign > 0
        assert not by_loss or difference.mean == 0
        assert turned or not helps or better
        assert turned or not hurts or not better
        assert ("could not have been called" in said) <= (contrast.smallest_adjusted_p > ALPHA)
        if difference.low is None:
            assert (row["difference_low"], row["difference_high"]) == ("", "")
            continue
        low, high = float(row["difference_low"]), float(row["difference_high"])
        assert (low, high) == (difference.low, difference.high)
        if contrast.called:  # an end of exactly 0 is no part of the interval
            assert low >= 0 or high <= 0
        else:
            assert low <= 0 <= high
        if low == high == 0:
            continue
        if found := re.search(r"interval (above |)(−?[\d.]+) to (below |)(−?[\d.]+), ", said):
            ends = [float(found[i].replace("−", "-")) for i in (2, 4)]
            open_ = bool(found[1] or found[3])
            assert (ends[0] <= 0 <= ends[1] and not open_) == (not contrast.called)
        if bounds := re.search(r"above ([+−]?[\d.]+) and below ([+−]?[\d.]+)", said):
            assert not contrast.called
            above, below = (float(b.replace("−", "-")) for b in bounds.groups())
            assert below <= 0 <= above


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.integers(2, 11),
    st.sampled_from([0.0, 0.008, -0.015, 0.03]),
    st.integers(0, 10_000),
    st.sampled_from(["val/top1", "val/loss"]),
    st.sampled_from(["", "val/loss"]),
)
def test_one_contrast_never_disagrees(kind, seeds, gain, seed, metric, tie_break):
    made = study(kind, seeds=seeds, gains=[gain], seed=seed, metric=metric, tie_break=tie_break)
    assert_agreement(made)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.integers(2, 10),
    st.lists(st.sampled_from([0.0, 0.01, -0.01, 0.03]), min_size=2, max_size=6),
    st.integers(0, 10_000),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from(["", "val/loss"]),
)
def test_several_contrasts_never_disagree(kind, seeds, gains, seed, missing, tie_break):
    made = study(kind, seeds=seeds, gains=gains, seed=seed, missing=missing, tie_break=tie_break)
    assert_agreement(made)


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.integers(3, 10),
    st.integers(0, 10_000),
    st.sampled_from(["", "val/loss"]),
)
def test_a_study_until_decided_never_disagrees(kind, seeds, seed, tie_break):
    made = study(kind, seeds=seeds, gains=[0.03, 0.0], seed=seed, cap=10, tie_break=tie_break)
    assert_agreement(made)


@pytest.mark.slow
def test_a_thousand_studies_of_one_contrast_never_disagree():
    called = 0
    for seed in range(1_000):
        kind = sorted(KINDS)[seed % 3]
        gain = (0.0, 0.01, 0.025)[seed // 3 % 3]
        tie_break = ("", "val/loss")[seed % 2]
        seeds = 5 + seed % 6
        summary = study(kind, seeds=seeds, gains=[gain], seed=seed, tie_break=tie_break)
        assert_agreement(summary)
        called += summary.contrasts[0].called
    assert 100 < called < 700
