"""The metric against its cost: which arms, which axis, which labels."""

import dataclasses
import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_examples import make_plan, make_records

from orchestrator.analysis.cost import against_macs, against_seconds, several_devices
from orchestrator.analysis.summary import summarize
from orchestrator.report.plots import svg
from orchestrator.report.plots.cost import cost_plots
from orchestrator.report.plots.label_places import Box, place_labels
from orchestrator.report.plots.scale import log_ticks
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
    colours = svg.colours([arm.name for arm in plan.arms], plan.baseline)
    plots = cost_plots(summary, records, colours)
    assert len(plots) == 2
    for plot in plots:
        assert plot.count("λ=0.1") >= 2 and colours["λ=0.1"] in plot
        assert 'aria-label="top-1 over' in plot
    assert "1 G" in plots[0] and "device time per trial, s" in plots[1]


def test_arms_of_equal_macs_and_equal_time_are_not_drawn():
    _, records, summary = study(seconds=(40.0, 40.0), macs=(1e9, 1e9))
    assert cost_plots(summary, records, {}) == []


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


@given(
    st.lists(
        st.tuples(st.text("abλ", min_size=1, max_size=30), st.floats(0, 700), st.floats(20, 200)),
        max_size=12,
    )
)
def test_labels_overlap_nothing_and_stay_inside(points):
    frame = Box(0, 0, 800, 250)
    taken = [Box(x - 6, y - 6, x + 6, y + 6) for _, x, y in points]
    found = place_labels(points, taken, frame)
    assert all(frame.holds(label.box) for label in found)
    assert not any(a.box.meets(b.box) for a, b in itertools.combinations(found, 2))
    assert not any(label.box.meets(box) for label in found for box in taken)


def test_a_lone_label_stands_beside_its_point():
    (label,) = place_labels([("a", 100, 100)], [Box(94, 94, 106, 106)], Box(0, 0, 800, 250))
    assert label.leader is None and 106 < label.x < 116


def test_a_crowd_gets_leaders_and_every_label_a_place():
    points = [(f"arm {i}", 400.0 + 3 * i, 120.0) for i in range(12)]
    taken = [Box(x - 6, y - 6, x + 6, y + 6) for _, x, y in points]
    found = place_labels(points, taken, Box(0, 0, 800, 250))
    assert [label.text for label in found] == [said for said, _, _ in points]
    assert any(label.leader for label in found)


@given(st.floats(1e-6, 1e12), st.floats(1.02, 1e9))
def test_log_ticks_are_within_round_and_not_too_many(low, ratio):
    found = log_ticks(low, low * ratio)
    assert 2 <= len(found) <= 9
    assert all(low <= value <= low * ratio for value in found)
    assert found == sorted(set(found))
    digits = [re.sub(r"0*e.*", "", f"{value:.9e}").rstrip(".") for value in found]
    assert all(len(text) <= 5 for text in digits)


def test_ticks_of_nearly_equal_costs_are_told_apart():
    _, records, summary = study(macs=(14.18e6, 14.26e6))
    (plot, *_) = cost_plots(summary, records, svg.colours(["no adaptor", "λ=0.1"], "no adaptor"))
    wide = plot.split("</svg>")[0]
    said = re.findall(r'class="tick">(14\.[^<]+ M)</text>', wide)
    assert len(said) > 2 and len(set(said)) == len(said)
