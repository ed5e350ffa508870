"""A search in the report: its scores are optimistic, and what fresh seeds say is the result."""

import dataclasses

import pytest

from orchestrator.analysis.summary import summarize
from orchestrator.records import ContrastRecord, SearchRecord, Status, TunedRecord
from orchestrator.report.files import RENDERERS
from orchestrator.report.render.page import render_page
from orchestrator.report.render.text import render_text
from orchestrator.report.wording.notes import answers, headline
from tests.report.report_examples import make_plan, make_records

POINTS = {f"λ={v}": {"transform.strength": v} for v in (0.001, 0.01, 0.1, 0.3)}


@pytest.fixture(scope="module")
def searched():
    """A search of four points, of which the second is best and the last was left early."""
    plan = make_plan(
        ("no adaptor", *POINTS),
        seeds=1,
        contrasts=(),
        dose="",
        search=SearchRecord(points=POINTS, num_points=4, pruner="asha"),
        followed_by="found",
    )
    records = make_records(plan, effects=(0.02, 0.1, 0.05, 0.3), spread=0.0)
    last = next(trial.id for trial in plan.trials if trial.arm == "λ=0.3")
    pruned = dataclasses.replace(
        records[last], status=Status.PRUNED, epochs=records[last].epochs[:2]
    )
    return plan, {**records, last: pruned}


@pytest.fixture(scope="module")
def confirmed():
    """Fresh seeds that call the second point better than the control, and not the third."""
    plan = make_plan(
        ("no adaptor", "λ=0.01", "λ=0.1"),
        dose="",
        contrasts=tuple(ContrastRecord(arm=a, reference="no adaptor") for a in list(POINTS)[1:3]),
    )
    return summarize(plan, make_records(plan, effects=(0.05, 0.0), spread=0.005))


def said(summary) -> str:
    """The report as text, without its line breaks."""
    return " ".join(render_text(summary, 200).split())


def test_scores_of_a_search_are_optimistic_and_fresh_seeds_are_the_result(searched, confirmed):
    alone = said(summarize(*searched))
    assert "The best of 4 points by top-1 on the reported clips is λ=0.01 with 70.0 %" in alone
    assert "an optimistic number" in alone and "Confirm its best points with --confirm 3" in alone
    assert " p: " not in alone and "sign-flip" not in alone
    summary = summarize(*searched, following=confirmed)
    text = said(summary)
    assert "• λ=0.01 helps by" in text
    assert text.index("• λ=0.01 helps by") < text.index("an optimistic number")
    assert "The result is the table on 8 fresh seeds, which compares the best 2" in text
    assert "its clips are those that chose them, which fresh seeds do not mend" in text
    assert "adjusted p" in text and "sign-flip test" in text
    page = render_page(summary, searched[1])
    assert page.index("adjusted p") < page.index("<h3>Every point of the search, whose scores")
    for form in RENDERERS.values():
        assert form(summary)


def test_search_at_chance_is_said_before_the_answer_and_of_the_search_alone(searched, confirmed):
    plan, _ = searched
    records = make_records(plan, level=0.1, spread=0.0)
    alone = answers(summarize(plan, records))
    assert alone[0].text.startswith("No arm beats chance (12.5 %")
    summary = summarize(plan, records, following=confirmed)
    first, second, *_ = (answer.text for answer in answers(summary))
    assert first.startswith("In the search, no arm beats chance (12.5 %")
    assert "so no difference between these arms says which is better" in first
    assert second.startswith("λ=0.01 helps by")
    for shown in (said(summary), render_page(summary, records)):
        assert shown.index("In the search, no arm") < shown.index("λ=0.01 helps by")


def test_pruned_trials_of_a_search_have_an_outcome_and_no_number(searched):
    plan, records = searched
    summary = summarize(plan, records)
    assert headline(summary) == (
        "Complete: 4 of 5 planned trials finished, and the search left 1 early."
    )
    assert [point.arm for point in summary.search.ranked] == ["λ=0.01", "λ=0.1", "λ=0.001"]
    assert "◂ pruned" in render_text(summary)
    assert "and the search left 1 early." in render_page(summary, records)
    other = summarize(dataclasses.replace(plan, search=None), records)
    assert headline(other).startswith("INCOMPLETE: 4 of 5 planned trials count (1 pruned)")
    assert "left by a search after 2 epochs" in render_text(other)
    assert 'class="square pruned"' in render_page(other, records)


def test_front_importances_and_history_of_a_search_are_shown(searched):
    plan, records = searched
    macs = {"λ=0.001": 100e6, "λ=0.01": 400e6, "λ=0.1": 200e6, "λ=0.3": 300e6}
    arms = {trial.id: trial.arm for trial in plan.trials}
    records = {
        id_: dataclasses.replace(
            record, cost=dataclasses.replace(record.cost, macs=int(macs.get(arms[id_], 1)))
        )
        for id_, record in make_records(plan, effects=(0.02, 0.1, 0.05, 0.04), spread=0.0).items()
    }
    found = dataclasses.replace(
        plan.search,
        pruner="",
        costs=("macs",),
        importances={"transform.strength": 0.8, "transform.kernel_size": 0.2},
    )
    plan = dataclasses.replace(plan, search=found)
    summary = summarize(plan, records)
    assert [point.arm for point in summary.search.front] == ["λ=0.01", "λ=0.1", "λ=0.001"]
    assert [point.arm for point in summary.search.ranked][-1] == "λ=0.3"
    assert summary.search.best_so_far() == [(1, pytest.approx(62.0)), (2, pytest.approx(70.0))]
    text, page = said(summary), render_page(summary, records)
    assert "3 of 4 points are on the front of top-1 and MACs; the best of them by top-1" in text
    assert "Points that no other beats" in text and "PED-ANOVA" in text
    assert "The front of top-1 and MACs" in page and "How much each setting matters" in page
    assert "top-1 of every point of the search: " in page and "top-1 over MACs: " in page


def test_arms_are_shown_at_the_shared_and_at_their_own_settings():
    values = {"no adaptor": 0.001, "λ=0.01": 0.0003}
    shared, own = (
        make_plan(
            tuple(values),
            dose="",
            tuned=tuned,
            contrasts=(ContrastRecord(arm="λ=0.01", reference="no adaptor"),),
        )
        for tuned in (None, TunedRecord(path="optimizer.lr", num_trials=8, values=values))
    )
    following = summarize(own, make_records(own, effects=(0.0,), spread=0.005))
    summary = summarize(
        shared, make_records(shared, effects=(0.05,), spread=0.005), following=following
    )
    text, page = said(summary), render_page(summary, make_records(shared))
    assert "The arms at the optimizer.lr that they share." in text
    how = "8 trials per arm chose on validation clips, none of which is reported (no adaptor: 0.001"
    assert text.index("that they share") < text.index(how)
    assert "<h3>The arms at their own optimizer.lr</h3>" in page
    assert how in said(following)
