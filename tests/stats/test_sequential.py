"""The sequential rule: exact error over all sign patterns, an independent build, its logic."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.stats import (
    ALPHA,
    Decision,
    all_decided,
    anytime_p_rows,
    decide,
    levels_for,
    repeated_interval,
)

MAGNITUDES = st.lists(st.integers(0, 60), min_size=6, max_size=6)


def patterns(magnitudes):
    signs = np.array(list(itertools.product((1, -1), repeat=len(magnitudes))))
    return signs * np.asarray(magnitudes, dtype=float)


@settings(max_examples=15)
@given(MAGNITUDES)
def test_over_all_sign_patterns_each_level_is_kept_at_every_look(magnitudes):
    # Without the level 1, at which a p says nothing.
    levels = levels_for(3)[:-1]
    found = anytime_p_rows(patterns(magnitudes), cap=6, levels=levels)
    for level in levels:
        for look in range(6):
            # Whatever was spent by this look, and so whoever stops here for whatever reason.
            spent = level * ((look + 1) / 6) ** 3
            assert np.mean(found[:, look] <= level) <= spent + 1e-12


def test_marked_patterns_match_a_plain_build():
    magnitudes = [1.0, 0.4, 0.7, 1.3, 0.2, 0.9]
    rows = patterns(magnitudes)
    levels = (0.05, 0.1, 0.3)
    crossed = {level: set() for level in levels}
    expected = np.ones(rows.shape)
    for look in range(1, 7):
        prefixes = sorted({tuple(row[:look]) for row in rows}, key=lambda p: -abs(sum(p)))
        allowed = len(prefixes)
        for level in reversed(levels):
            paid = {p for p in prefixes if any(p[: len(c)] == c for c in crossed[level])}
            reach, seen = 0, set(paid)
            for k in range(1, allowed + 1):
                seen.add(prefixes[k - 1])
                tie = k < len(prefixes) and np.isclose(
                    abs(sum(prefixes[k])), abs(sum(prefixes[k - 1]))
                )
                if len(seen) > level * (look / 6) ** 3 * len(prefixes) + 1e-9:
                    break
                if not tie:
                    reach = k
            allowed = reach
            crossed[level] |= set(prefixes[:reach])
        for i, row in enumerate(rows):
            own = [
                level for level in levels if any(tuple(row[: len(c)]) == c for c in crossed[level])
            ]
            expected[i, look - 1] = min(own, default=1.0)
    assert anytime_p_rows(rows, cap=6, levels=levels).tolist() == expected.tolist()


def test_at_the_cap_nearly_all_of_the_level_is_spent():
    rows = patterns(np.random.default_rng(0).normal(size=10))
    found = anytime_p_rows(rows, cap=10, levels=levels_for(1))
    assert 0.045 < np.mean(found[:, -1] <= ALPHA) <= 0.05


def test_drawn_patterns_agree_with_all_patterns(monkeypatch):
    rows = np.random.default_rng(3).normal(0.9, 1, (4, 12))
    exact = anytime_p_rows(rows, cap=12)
    monkeypatch.setattr("orchestrator.stats.spending.EXACT_LOOKS", 0)
    drawn = anytime_p_rows(rows, cap=12)
    # 49 of 16,384 drawn patterns reach 0.003, so p is good to 15 % there: less than one step of
    # the grid, a quarter, at a look, and two over the looks that share the level.
    there = exact >= 0.003
    assert np.abs(np.log(drawn[there] / exact[there])).max() < 2.1 * np.log(10) / 10
    assert (drawn[exact < 0.003] < 0.006).all()


def test_beyond_all_patterns_the_level_holds_within_simulation_error():
    rows = np.random.default_rng(1).normal(size=(60, 18))
    found = anytime_p_rows(rows, cap=18, levels=(0.05, 0.2))
    rate = np.mean(found[:, -1] <= 0.2)
    assert rate <= 0.2 + 3 * np.sqrt(0.2 * 0.8 / 60)


@settings(max_examples=40)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=9), st.sampled_from([0.01, 30.0]))
def test_p_falls_along_the_looks_and_knows_no_unit_or_direction(differences, scale):
    row = np.array([differences], dtype=float)
    found = anytime_p_rows(row, cap=9)
    assert (np.diff(found[0]) <= 0).all()
    assert (anytime_p_rows(-scale * row, cap=9) == found).all()
    # A look uses what was seen until then: earlier looks do not change afterwards.
    assert (anytime_p_rows(row[:, :-1], cap=9) == found[:, :-1]).all()


def test_clear_differences_are_decided_before_the_cap_and_stay_so():
    rng = np.random.default_rng(5)
    helps, hurts = rng.normal(3, 1, 12), rng.normal(-3, 1, 12)
    seen = []
    for n in range(13):
        found = decide({"helps": helps[:n], "hurts": hurts[:n]}, cap=12)
        seen.append({name: own.decision for name, own in found.items()})
    first = next(n for n, own in enumerate(seen) if Decision.UNDECIDED not in own.values())
    assert 6 <= first < 12
    for own in seen[first:]:
        assert own == {"helps": Decision.BETTER, "hurts": Decision.WORSE}


def test_a_call_stays_when_later_blocks_turn_the_mean():
    found = decide({"arm": [1.0, 1.1, 1.2, 0.9, 1.0, 1.3, 1.0, 1.1, -9.0, -9.0]}, cap=10)["arm"]
    assert found.mean < 0
    assert found.decision is Decision.BETTER


def test_no_difference_is_undecided_and_then_not_distinguishable():
    data = [0.5, -0.4, 0.1, -0.2, 0.3, -0.3, 0.2, -0.1]
    before, after = decide({"arm": data[:7]}, cap=8), decide({"arm": data}, cap=8)
    assert before["arm"].decision is Decision.UNDECIDED
    assert not all_decided(before)
    assert after["arm"].decision is Decision.NOT_DISTINGUISHABLE
    assert all_decided(after)


def test_direction_of_the_metric_turns_the_words():
    found = decide({"loss": [-1.0, -1.2, -0.9, -1.1, -1.0, -1.3, -0.8]}, cap=7, sign=-1)
    assert found["loss"].decision is Decision.BETTER


def test_a_contrast_without_blocks_counts_in_the_family():
    data = [1.0, 1.2, 0.9, 1.1, 1.0, 1.3]
    alone = decide({"arm": data}, cap=6)["arm"]
    assert alone.decision is Decision.BETTER
    beside = decide({"arm": data, "late": []}, cap=7)
    assert beside["late"].decision is Decision.UNDECIDED
    assert (beside["late"].mean, beside["late"].p_value) == (None, 1.0)
    assert beside["arm"].adjusted_p == 2 * beside["arm"].p_value


def test_caps_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="set it to 8 or more"):
        decide({str(i): [] for i in range(5)}, cap=7)
    with pytest.raises(ValueError, match="more than the cap of 6"):
        decide({"arm": [1.0] * 7}, cap=6)
    with pytest.raises(ValueError, match="finite"):
        decide({"arm": [1.0, np.nan]}, cap=6)


@settings(max_examples=40)
@given(st.lists(st.integers(-8, 24).map(lambda i: i / 8), min_size=1, max_size=10))
def test_repeated_interval_leaves_zero_out_exactly_where_the_rule_calls(differences):
    found = decide({"a": differences}, cap=10)["a"]
    low, high = repeated_interval(differences, cap=10)
    called = found.decision in (Decision.BETTER, Decision.WORSE)
    if low is None:
        assert not called
        return
    # The search ends within a thousandth of its reach outside of the interval.
    close = 4e-3 * max(np.ptp(differences), abs(np.mean(differences)), 1e-9)
    if called:
        assert low > -close or high < close
    else:
        assert low <= 0 <= high
    assert low <= np.mean(differences) + 1e-9 and np.mean(differences) <= high + 1e-9


def test_repeated_interval_holds_what_moved_differences_are_not_rejected_at():
    rng = np.random.default_rng(3)
    data = rng.normal(1.0, 1.0, 9)
    low, high = repeated_interval(data.tolist(), cap=10, alpha=0.05)
    near = [(low - 0.05, False), (low + 0.05, True), (high - 0.05, True), (high + 0.05, False)]
    for value, inside in near:
        moved = decide({"a": (data - value).tolist()}, cap=10)["a"]
        assert (moved.decision is Decision.UNDECIDED) == inside


def test_repeated_interval_covers_when_the_study_ends_as_soon_as_it_can():
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(150):
        data = rng.normal(1.0, 1.0, 10).tolist()
        decided = (
            n
            for n in range(6, 11)
            if decide({"a": data[:n]}, cap=10)["a"].decision is not Decision.UNDECIDED
        )
        low, high = repeated_interval(data[: next(decided)], cap=10)
        held += low <= 1.0 <= high
    assert held / 150 >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 150)


def test_no_block_that_can_be_called_yet_has_no_interval():
    assert repeated_interval([1.0, 2.0, 1.5], cap=10) == (None, None)
