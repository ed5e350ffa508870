"""What a report says of a study until decided: the words agree with p, interval and n."""

import pytest
from report_examples import make_plan, make_record

from orchestrator.analysis.summary import summarize
from orchestrator.design.effects import declared_effect
from orchestrator.design.factors import Effect
from orchestrator.records import ArmRecord
from orchestrator.report.wording.findings import finding_sentence
from orchestrator.report.wording.notes import cautions
from orchestrator.stats import Verdict, mean_interval

ALTERNATING = (0.002, -0.002)
TURNS = [0.05, 0.048, 0.052, 0.049, 0.051, 0.05, 0.047, 0.053, 0.05, 0.051, -0.5, -0.48]
WIDENS = [*TURNS[:10], -0.2, -0.21]


def study(gains, *, gaps=(), cap=12):
    """Arm A gains what `gains` says, B next to nothing; `gaps` are (seed, arm) without a record."""
    plan = make_plan(("base", "A", "B"), seeds=len(gains), cap=cap, dose="")
    records = {}
    for key in plan.trials:
        gain = {"base": 0.0, "A": gains[key.seed], "B": ALTERNATING[key.seed % 2]}[key.arm]
        if (key.seed, key.arm) not in gaps:
            records[key.id] = make_record(key.id, top1=0.6 + gain)
    return summarize(plan, records)


def test_call_that_later_blocks_contradict_says_its_blocks_and_the_mean_of_all():
    contrast = study(TURNS).contrasts[0]
    assert contrast.verdict is Verdict.BETTER and contrast.difference.mean < 0
    assert "helps" not in finding_sentence(contrast)
    assert finding_sentence(contrast) == (
        "A was called better than base by block 10 (p 0.004, adjusted 0.008), which stays; over "
        "all 12 blocks the mean is −4.0 points of top-1 for other seeds on these clips (95 % "
        "simultaneous repeated sign-flip interval above 0.0 to 5.3, n 12)."
    )


def test_interval_of_a_call_leaves_zero_out_where_that_of_t_covers_it():
    contrast = study(WIDENS).contrasts[0]
    assert contrast.verdict is Verdict.BETTER
    assert mean_interval(contrast.difference.differences.values()).low < 0
    assert 0 < contrast.difference.low < contrast.difference.mean < contrast.difference.high
    assert finding_sentence(contrast).startswith("A helps by")
    other = study(WIDENS).contrasts[1]
    assert not other.called and other.difference.low <= 0 <= other.difference.high


def test_few_blocks_of_a_study_until_decided_have_no_interval():
    contrast = study([0.05, 0.048, 0.052]).contrasts[0]
    assert contrast.difference.low is None
    assert "(no 95 % interval from 3 pairs, p 1" in finding_sentence(contrast)


@pytest.mark.parametrize("gap", ["A", "B", "base"])
def test_gap_says_on_which_blocks_p_rests_and_on_which_the_other_numbers(gap):
    for contrast in study([0.05, 0.048, 0.052] * 4, gaps=[(3, gap)]).contrasts:
        n = contrast.difference.n
        assert contrast.verdict is Verdict.UNDECIDED
        assert (
            "p and interval rest on the first 3 blocks, since block 4 is not whole; mean and n are "
            f"of all {n} blocks that have what is compared."
        ) in finding_sentence(contrast)


def test_caution_says_until_decided_only_once_everything_is():
    so_far = cautions(study([0.05, 0.048, 0.052]))
    said = "Blocks are added until every contrast is decided, 12 at most; 2 of 2 are not."
    assert any(caution.startswith(said) for caution in so_far)
    done = cautions(study([0.05, 0.048, 0.052] * 4))
    assert any("Blocks were added until every contrast was decided" in c for c in done)
    assert any("means are optimistic" in c for c in done)


def test_gap_in_the_first_block_leaves_no_p():
    said = finding_sentence(study([0.05, 0.048, 0.052] * 4, gaps=[(0, "B")]).contrasts[0])
    assert "p and interval rest on no block, since block 1 is not whole" in said


def test_gap_in_the_last_block_of_both_arms_needs_no_words():
    found = study([0.05, 0.048, 0.052] * 3, gaps=[(8, "base")]).contrasts
    assert all("not whole" not in finding_sentence(contrast) for contrast in found)


def test_arms_that_are_equal_so_far_are_not_yet_decided():
    contrast = study([0.0] * 8).contrasts[0]
    assert contrast.verdict is Verdict.UNDECIDED
    assert finding_sentence(contrast).startswith(
        "A is not yet decided against base for other seeds on these clips: equal in all 8 pairs so "
        "far ("
    )
    assert finding_sentence(study([0.0] * 12).contrasts[0]).startswith(
        "A equals base in all 12 pairs"
    )


def test_interaction_that_later_blocks_contradict_says_so():
    levels = {
        "n": {"a": "a0", "b": "b0"},
        "A": {"a": "a1", "b": "b0"},
        "B": {"a": "a0", "b": "b1"},
        "AB": {"a": "a1", "b": "b1"},
    }
    plan = make_plan(
        tuple(ArmRecord(name=name, levels=at) for name, at in levels.items()),
        seeds=12,
        cap=12,
        dose="",
        contrasts=(),
        effects=(declared_effect(Effect(("a", "b")), levels),),
    )
    records = {
        key.id: make_record(key.id, top1=0.6 + (TURNS[key.seed] if key.arm == "AB" else 0.0))
        for key in plan.trials
    }
    (effect,) = summarize(plan, records).effects
    assert effect.verdict is Verdict.BETTER and effect.difference.mean < 0
    assert finding_sentence(effect).startswith("a1 and b1 were called to help each other by block ")
    assert "which stays; over all 12 blocks the interaction is −4.0 points of top-1" in (
        finding_sentence(effect)
    )
