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
from scipy import stats as scipy_stats

from orchestrator.analysis.summary import summarize
from orchestrator.records import ContrastRecord
from orchestrator.report.render.formats import to_csv
from orchestrator.report.render.text import render_text
from orchestrator.report.tables.arms import main_table
from orchestrator.report.wording.findings import finding_sentence, name_of
from orchestrator.report.wording.notes import cautions, next_study_sentence
from orchestrator.report.wording.numbers import NONE
from orchestrator.stats import ALPHA, Verdict

KINDS = {
    "normal": lambda rng, size: rng.normal(0, 0.01, size),
    "skewed": lambda rng, size: -rng.exponential(0.01, size),
    "tied": lambda rng, size: rng.integers(-1, 2, size) / 80,
    "equal": lambda rng, size: np.zeros(size),
    "two-valued": lambda rng, size: np.where(np.arange(size[1]) % 2, 0, 1 / 80)[
        rng.permuted(np.tile(np.arange(size[1]), (size[0], 1)), axis=1)
    ],
    "wide": lambda rng, size: rng.normal(0, 0.3, size),
}


LEVELS = (0.6, 0.13, 0.0, 1.0)


def study(
    kind, *, seeds, gains, seed, missing=0.0, metric="val/top1", cap=0, tie_break="", level=0.6
):
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
        top1 = level + gain[key.arm] + noise[names.index(key.arm), key.seed]
        if rng.random() >= missing:
            made = make_record(key.id, top1=round(min(1.0, max(0.0, float(top1))) * 80) / 80)
            made.data["num_val"] = 80
            records[key.id] = with_loss(made, 1.5 - float(top1)) if tie_break else made
    return summarize(plan, records)


def with_loss(record, loss):
    """A record whose last validation loss is not rounded to whole clips."""
    last = record.epochs[-1]
    scored = dataclasses.replace(last, metrics={**last.metrics, "val/loss": loss})
    return dataclasses.replace(record, epochs=(*record.epochs[:-1], scored))


def assert_levels(summary):
    """Hold what stands beside a mean, and what is said of chance, to the arm's own values."""
    key, bounds = summary.metric.key, summary.metric.shown_bounds
    column = [column.key for column in main_table(summary).columns].index("mean")
    cells = {row[0]: row[column].split(maxsplit=1) for row in main_table(summary).rows}
    held = summary.against_chance
    for arm in summary.arms:
        if key not in arm.measures:
            continue
        values = list(arm.measures[key].values.values())
        level = arm.measures[key].interval
        beside = "".join(cells[arm.name][1:])
        equal = max(values) - min(values) <= 1e-9
        if len(values) < 3:
            assert level.low is None
            assert beside.startswith("(") == (len(values) == 2 and not equal)
        else:
            half = scipy_stats.t.ppf(0.975, len(values) - 1) * scipy_stats.sem(values)
            ends = level.mean - half, level.mean + half
            cut = ends[0] < bounds[0] or ends[1] > bounds[1]
            expected = (max(ends[0], bounds[0]), min(ends[1], bounds[1]))
            assert (level.low, level.high) == pytest.approx(expected, abs=1e-9)
            assert beside.startswith("[" if cut else NONE if equal else "±")
        if held and held.metric == summary.metric and arm.name in held.by_clips:
            assert len(values) < 3 or equal
            hits = int(level.mean / 100 * 80 + 1e-6)
            low = scipy_stats.binomtest(hits, 80).proportion_ci(0.95, method="exact").low
            assert (100 * low <= held.chance.value) == (arm.name in held.at_chance)


def assert_agreement(summary):
    """Hold numbers, CSV, table and sentences to the calls."""
    assert_levels(summary)
    rows = {row["arm"]: row for row in csv.DictReader(io.StringIO(to_csv(summary)))}
    text = render_text(summary, 80)
    assert max(map(len, text.splitlines())) <= 80
    without = {
        f.called
        for f in summary.findings
        if f.difference and f.difference.n > 1 and f.difference.low is None
        if any(f.difference.differences.values())
    }
    spoken = " ".join(text.split())
    assert ("No interval of what was called" in spoken) == (True in without)
    assert ("No interval: the test of " in spoken) == (False in without)
    undecided = any(f.verdict is Verdict.UNDECIDED for f in summary.findings)
    ended = any("until every contrast was decided" in caution for caution in cautions(summary))
    assert ended == (summary.plan.cap > 0 and not undecided)
    missed = [
        f
        for f in summary.findings
        if f.difference and not (f.called or f.at_chance) and any(f.difference.differences.values())
    ]
    needed = next_study_sentence(summary)
    assert not needed or name_of(missed[0]) in needed
    for contrast in summary.contrasts:
        difference, said = contrast.difference, finding_sentence(contrast)
        helps, hurts = " helps by " in said, " hurts by " in said
        turned = "which stays" in said
        by_loss = " by validation loss alone " in said
        assert turned or (helps or hurts or by_loss) == contrast.called
        assert ("decides this: " in said) == contrast.tie_break_decides
        if difference is None:
            continue
        assert (" on these clips" in said) == (difference.n > 1)
        could_not = said.find("could not have been called")
        assert could_not < len(f"{contrast.arm} against {contrast.reference} ") + 1
        span = 100 if summary.metric.key == "val/top1" else float("inf")
        if difference.low is not None:
            assert -span <= difference.low <= difference.high <= span
            assert difference.low - 1e-9 <= difference.mean <= difference.high + 1e-9 or (
                contrast.decided
            )
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


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(KINDS)),
    st.integers(2, 11),
    st.sampled_from([0.0, 0.008, -0.015, 0.03]),
    st.integers(0, 10_000),
    st.sampled_from(["val/top1", "val/loss"]),
    st.sampled_from(["", "val/loss"]),
    st.sampled_from(LEVELS),
)
def test_one_contrast_never_disagrees(kind, seeds, gain, seed, metric, tie_break, level):
    options = {"metric": metric, "tie_break": tie_break, "level": level}
    assert_agreement(study(kind, seeds=seeds, gains=[gain], seed=seed, **options))


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(KINDS)),
    st.integers(2, 10),
    st.lists(st.sampled_from([0.0, 0.01, -0.01, 0.03]), min_size=2, max_size=6),
    st.integers(0, 10_000),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from(["", "val/loss"]),
    st.sampled_from(LEVELS),
)
def test_several_contrasts_never_disagree(kind, seeds, gains, seed, missing, tie_break, level):
    options = {"missing": missing, "tie_break": tie_break, "level": level}
    assert_agreement(study(kind, seeds=seeds, gains=gains, seed=seed, **options))


def test_call_without_an_interval_is_not_explained_by_too_few_pairs():
    """Beside differences that lie evenly about their mean, 6 pairs reject 0 but nothing far off."""
    plan = make_plan(("base", "sure", "even"), seeds=6, dose="")
    gain = {"base": [0] * 6, "sure": [4, 5, 4, 6, 5, 7], "even": [1, 1, 1, 0, 0, 0]}
    records = {
        key.id: make_record(key.id, top1=0.5 + gain[key.arm][key.seed] / 80) for key in plan.trials
    }
    summary = summarize(plan, records)
    sure, even = summary.contrasts
    assert sure.called and sure.difference.low is None and not even.called
    assert_agreement(summary)
    assert "No interval: the test" not in render_text(summary, 80)
    assert "no 95 % interval beside the other comparisons, p 0.031" in finding_sentence(sure)


@settings(max_examples=15)
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
        kind = ("normal", "skewed", "tied")[seed % 3]
        gain = (0.0, 0.01, 0.025)[seed // 3 % 3]
        tie_break = ("", "val/loss")[seed % 2]
        seeds = 5 + seed % 6
        summary = study(kind, seeds=seeds, gains=[gain], seed=seed, tie_break=tie_break)
        assert_agreement(summary)
        called += summary.contrasts[0].called
    assert 100 < called < 700
