"""The metric against its cost: which arms, which axis, which legend."""

import dataclasses
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_examples import data_of, make_plan, make_records

from orchestrator.analysis.cost import against_macs, against_seconds, several_devices
from orchestrator.analysis.summary import summarize
from orchestrator.report.plots import cost
from orchestrator.report.plots.panel import log_ticks
from orchestrator.report.render.page import render_page


def study(*, seconds=(40.0, 80.0), macs=(1e9, 3e9), spread=0.05, seeds=6, **changes):
    plan = make_plan(("no adaptor", "λ=0.1"), seeds=seeds)
    records = make_records(plan)
    rng = np.random.default_rng(0)
    for key in plan.trials:
        arm = int(key.arm != "no adaptor")
        cost = dataclasses.replace(
            records[key.id].cost,
            seconds=seconds[arm] * math.exp(rng.normal(0, spread)),
            macs=int(macs[arm]),
            **changes,
        )
        records[key.id] = dataclasses.replace(records[key.id], cost=cost)
    return plan, records, summarize(plan, records)


def test_arms_are_drawn_over_macs_and_over_seconds_where_both_differ():
    plan, records, summary = study()
    assert [(item.arm, item.cost) for item in against_macs(summary)] == [
        ("no adaptor", 1e9),
        ("λ=0.1", 3e9),
    ]
    spent = against_seconds(summary, records)[1]
    logs = [math.log(records[k.id].cost.seconds) for k in plan.trials if k.arm == "λ=0.1"]
    half = 2.5705818366147395 * np.std(logs, ddof=1) / math.sqrt(6)  # t quantile, 5 df
    assert spent.cost == pytest.approx(math.exp(np.mean(logs)))
    assert spent.high == pytest.approx(math.exp(np.mean(logs) + half))
    data = data_of(summary, records=records)
    (plot,) = cost.plots(data)
    by_macs, by_seconds = plot.drawings
    for drawing in plot.drawings:
        assert drawing.count("λ=0.1") >= 2 and data.styles["λ=0.1"].color in drawing
        assert 'aria-label="top-1 over' in drawing
    assert "1 G" in by_macs and "device time per trial, s" in by_seconds
    assert plot.legend == data.styles


def test_arms_of_equal_macs_and_equal_time_are_not_drawn():
    _, records, summary = study(seconds=(40.0, 40.0), macs=(1e9, 1e9))
    assert list(cost.plots(data_of(summary, records=records))) == []
    _, records, summary = study(seconds=(40.0, 41.9), macs=(1e9, 1.049e9), spread=0.001)
    assert list(cost.plots(data_of(summary, records=records))) == []
    _, records, summary = study(seconds=(40.0, 42.1), macs=(1e9, 1.051e9), spread=0.0001)
    assert len(next(cost.plots(data_of(summary, records=records))).drawings) == 2


def test_seconds_of_single_trials_or_several_devices_are_not_compared():
    _, records, summary = study(seeds=1)
    assert against_seconds(summary, records) == []
    plan, records, summary = study()
    first = plan.trials[0].id
    other = dataclasses.replace(records[first].cost, device="cuda NVIDIA H200")
    records[first] = dataclasses.replace(records[first], cost=other)
    assert against_seconds(summary, records) == []
    assert several_devices(summary, records) == ["cpu", "cuda NVIDIA H200"]
    page = render_page(summary, records)
    assert "ran on 2 kinds of device (cpu, cuda NVIDIA H200)" in page
    assert "kinds of device" not in render_page(*study()[2:], study()[1])


def test_seconds_count_every_worker():
    _, records, summary = study(num_workers=4, spread=0.0001)
    assert against_seconds(summary, records)[0].cost == pytest.approx(160, rel=0.01)


def test_page_has_the_pattern_for_costs_alone():
    plan, records, _ = study()
    plain = dataclasses.replace(plan, dose="")
    assert 'id="pattern"' in render_page(summarize(plain, records), records)


@given(st.floats(1e-6, 1e12), st.floats(1.02, 1e9))
def test_log_ticks_are_within_round_and_not_too_many(low, ratio):
    found = log_ticks(low, low * ratio)
    assert 2 <= len(found) <= 9
    assert all(low <= value <= low * ratio for value in found)
    assert found == sorted(set(found))
    digits = [re.sub(r"0*e.*", "", f"{value:.9e}").rstrip(".") for value in found]
    assert all(len(text) <= 5 for text in digits)


def test_ticks_of_nearly_equal_costs_are_told_apart():
    _, records, summary = study(macs=(14.18e6, 14.95e6))
    (plot,) = cost.plots(data_of(summary, records=records))
    said = re.findall(r'class="tick">(14\.[^<]+ M)</text>', plot.drawings[0])
    assert len(said) > 2 and len(set(said)) == len(said)
