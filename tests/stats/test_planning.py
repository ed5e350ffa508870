"""What n pairs can show, against simulation and closed forms."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from orchestrator.stats import (
    Components,
    Steps,
    break_ties,
    components,
    detectable_effect,
    detectable_over_recordings,
    over_recordings,
    pairs_at_effect,
    pairs_for,
    pairs_needed,
    pooled_components,
    pooled_spread,
    power_of,
    power_over_recordings,
    prospect,
    recordings_over_seeds,
    seeds_over_recordings,
)
from orchestrator.stats.family import flip, step_down


def calls(rng, effect, n, contrasts):
    """Whether the test calls a contrast that differs, beside others that share its baseline."""
    arms = rng.normal(0, 1, (contrasts + 1, n))
    differences = (arms[1:] - arms[0]) / np.sqrt(2)
    differences[0] += effect
    return step_down(flip([dict(enumerate(row)) for row in differences.tolist()]))[0] <= 0.05


@pytest.mark.parametrize(("n", "contrasts"), [(6, 1), (8, 1), (8, 5)])
@pytest.mark.parametrize("effect", [0.8, 1.5])
def test_power_matches_a_simulation_of_the_test_itself(n, contrasts, effect):
    rng = np.random.default_rng(n + contrasts)
    found = [calls(rng, effect, n, contrasts) for _ in range(3_000)]
    rate = np.mean(found)
    # Both sides are simulated: 4 standard errors of their difference.
    error = np.sqrt(max(rate * (1 - rate), 0.001) * (1 / 3_000 + 1 / 2_000))
    assert power_of(effect, n, num_contrasts=contrasts) == pytest.approx(rate, abs=4 * error)


@pytest.mark.parametrize(("n", "contrasts"), [(6, 1), (8, 1), (8, 3)])
@pytest.mark.parametrize("step", [0.5, 1.4])
@pytest.mark.parametrize("tie_break", [False, True])
def test_power_on_whole_clips_matches_a_simulation_of_the_test_itself(
    n, contrasts, step, tie_break
):
    rng = np.random.default_rng(n + contrasts)
    # The spread before rounding that has a variance of 1 after it, by Monte Carlo.
    draws = rng.normal(size=400_000)
    spreads = np.linspace(0.3, 1.0, 351)
    rounded = [np.std(np.rint(draws[:20_000] * s / step) * step) for s in spreads]
    spread = spreads[np.argmin(np.abs(np.array(rounded) - 1))]
    found = []
    for _ in range(2_000):
        arms = rng.normal(0, spread / np.sqrt(2), (contrasts + 1, n))
        differences = arms[1:] - arms[0]
        differences[0] += 1.2
        whole = [dict(enumerate(row)) for row in (np.rint(differences / step) * step).tolist()]
        if tie_break:
            second = [dict(enumerate(row)) for row in differences.tolist()]
            whole = [break_ties(one, other) for one, other in zip(whole, second, strict=True)]
        found.append(step_down(flip(whole))[0] <= 0.05)
    rate = np.mean(found)
    error = np.sqrt(max(rate * (1 - rate), 0.001) * (1 / 2_000 + 1 / 2_000))
    planned = power_of(1.2, n, num_contrasts=contrasts, steps=Steps(size=step, tie_break=tie_break))
    assert planned == pytest.approx(rate, abs=4 * error + 0.01)
    if not tie_break:
        assert planned <= power_of(1.2, n, num_contrasts=contrasts) + 0.02


def test_pairs_for_asks_for_more_where_pairs_tie():
    alone = pairs_for(1.0, spread=1.0)
    tied = pairs_for(1.0, spread=1.0, steps=Steps(size=1.4))
    broken = pairs_for(1.0, spread=1.0, steps=Steps(size=1.4, tie_break=True))
    assert alone <= tied and broken <= tied
    assert prospect(6, spread=2.0, steps=Steps(size=2.8)).detectable > 1.2 * (
        prospect(6, spread=2.0).detectable
    )


@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0])
def test_power_of_six_pairs_has_a_closed_form(effect):
    # Only six equal signs reach 2 / 64.
    expected = scipy_stats.norm.cdf(effect) ** 6 + scipy_stats.norm.cdf(-effect) ** 6
    assert power_of(effect, 6) == pytest.approx(expected, abs=0.035)


@pytest.mark.parametrize(("n", "contrasts"), [(13, 1), (13, 10), (14, 5)])
def test_power_beyond_the_simulated_sizes_is_close(n, contrasts):
    rng = np.random.default_rng(n)
    for effect in (0.6, 1.1):
        rate = np.mean([calls(rng, effect, n, contrasts) for _ in range(1_000)])
        error = np.sqrt(rate * (1 - rate) / 1_000)
        found = power_of(effect, n, num_contrasts=contrasts)
        assert found == pytest.approx(rate, abs=0.02 + 3 * error)


def test_power_grows_with_pairs_and_effect_and_falls_with_contrasts():
    for n, effect in itertools.product((7, 11, 16), (0.4, 1.0)):
        here = power_of(effect, n)
        assert here < power_of(effect + 0.4, n)
        assert here < power_of(effect, n + 4)
        assert here >= power_of(effect, n, num_contrasts=4)


def test_detectable_effect_has_the_wanted_power():
    for n, contrasts in ((7, 1), (10, 5), (25, 3)):
        effect = detectable_effect(n, num_contrasts=contrasts)
        assert power_of(effect, n, num_contrasts=contrasts) >= 0.8
        assert power_of(effect - 0.02, n, num_contrasts=contrasts) < 0.8


def test_pairs_for_is_the_first_number_that_suffices():
    found = pairs_for(1.2, spread=1.0, num_contrasts=3)
    assert power_of(1.2, found, num_contrasts=3) >= 0.8
    assert power_of(1.2, found - 1, num_contrasts=3) < 0.8
    assert pairs_for(-1.2, spread=1.0, num_contrasts=3) == found
    assert pairs_for(2.4, spread=2.0, num_contrasts=3) == found


def test_pairs_for_of_many_pairs_is_near_the_normal_formula():
    z = scipy_stats.norm.ppf(0.975) + scipy_stats.norm.ppf(0.8)
    assert pairs_for(0.2, spread=1.0) == pytest.approx((z / 0.2) ** 2, abs=4)


@pytest.mark.parametrize("contrasts", [1, 5])
def test_pairs_at_the_effect_seen_are_those_of_the_power_analysis(contrasts):
    data = np.random.default_rng(3).normal(0.9, 1, 9)
    found = pairs_at_effect(data, num_contrasts=contrasts)
    assert found.effect == pytest.approx(data.mean() / data.std(ddof=1))
    exact = pairs_for(data.mean(), spread=data.std(ddof=1), num_contrasts=contrasts)
    assert abs(found.pairs - exact) <= 1
    assert found.fewest <= found.pairs and (found.most is None or found.pairs <= found.most)
    assert pairs_at_effect(-data, num_contrasts=contrasts) == found
    assert pairs_at_effect([1.0, 1.0, 1.0]) is None and pairs_at_effect([1.0, 2.0]) is None


def test_interval_of_the_effect_behind_the_pairs_is_that_of_the_noncentral_t():
    rng = np.random.default_rng(4)
    needed = pairs_for(1.0, spread=1.0)
    held = []
    for row in rng.normal(1.0, 1, (800, 8)):
        found = pairs_at_effect(row)
        most = np.inf if found.most is None else found.most
        held.append(found.fewest - 1 <= needed <= most + 1)
    assert 0.77 <= np.mean(held) <= 0.92  # whole pairs, one more or fewer, cover more than 80 %


def test_a_huge_difference_needs_what_the_test_needs():
    for contrasts in (1, 5, 10):
        assert pairs_for(50, spread=1, num_contrasts=contrasts) == pairs_needed()


def test_a_tiny_difference_has_no_answer():
    assert pairs_for(0.01, spread=1.0) is None


def test_prospect_says_when_nothing_can_be_called():
    found = prospect(5, spread=1.0)
    assert (found.smallest_p, found.detectable) == (0.0625, None)
    found = prospect(8, spread=2.0, num_contrasts=5)
    assert found.smallest_p == 2 / 2**8
    assert found.detectable == pytest.approx(2 * detectable_effect(8, num_contrasts=5))


def test_spread_of_one_contrast_has_the_chi_square_limit():
    data = [0.1, 0.9, 0.4]
    found = pooled_spread([data], [{"b": 1.0, "a": -1.0}])
    expected = np.sqrt(2 * np.var(data, ddof=1) / scipy_stats.chi2.ppf(0.2, 2))
    assert (found.estimate, found.upper) == pytest.approx((np.std(data, ddof=1), expected))


@pytest.mark.parametrize("contrasts", [1, 5])
def test_pooled_spread_is_an_upper_limit_of_the_stated_confidence(contrasts):
    rng = np.random.default_rng(0)
    weights = [{f"arm {i}": 1.0, "baseline": -1.0} for i in range(contrasts)]
    uppers = []
    for _ in range(4_000):
        arms = rng.normal(0, np.sqrt(0.5), (contrasts + 1, 4))
        uppers.append(pooled_spread(list(arms[1:] - arms[0]), weights).upper)
    # A pooled variance is only nearly a chi square, and its limit a little high.
    assert 0.78 <= np.mean(np.array(uppers) >= 1) <= (0.84 if contrasts > 1 else 0.82)
    if contrasts > 1:  # pooling pays: the limit is nearer to the truth
        alone = [pooled_spread([rng.normal(0, 1, 4)], weights[:1]).upper for _ in range(4_000)]
        assert np.mean(uppers) < 0.85 * np.mean(alone)


def test_spread_of_an_interaction_is_that_of_its_four_arms():
    rng = np.random.default_rng(1)
    arms = rng.normal(0, 1, (4, 20_000))
    plain = {"b": 1.0, "a": -1.0}
    both = {"d": 1.0, "c": -1.0, "b": -1.0, "a": 1.0}
    samples = [arms[1] - arms[0], arms[3] - arms[2] - arms[1] + arms[0]]
    assert pooled_spread(samples, [plain, both]).estimate == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pairs_for(0.0, spread=1.0),
        lambda: pairs_for(1.0, spread=0.0),
        lambda: pairs_for(1.0, spread=1.0, power=1.0),
        lambda: pooled_spread([[1.0]], [{"b": 1.0, "a": -1.0}]),
        lambda: pooled_spread([], []),
        lambda: detectable_effect(8, power=0.0),
    ],
)
def test_what_cannot_be_planned_is_refused(call):
    with pytest.raises(ValueError, match=r"spread|power"):
        call()


@settings(max_examples=50)
@given(st.integers(1, 40), st.integers(1, 12))
def test_there_is_power_exactly_where_a_contrast_can_be_called(n, contrasts):
    assert (power_of(30.0, n, num_contrasts=contrasts) > 0.99) == (n >= pairs_needed())


@pytest.mark.parametrize(
    ("seeds", "recordings", "of_seeds", "of_recordings", "difference"),
    [(6, 40, 1.0, 2.0, 1.6), (8, 20, 0.5, 4.0, 2.5), (12, 60, 1.5, 0.5, 1.4)],
)
def test_planned_power_over_recordings_is_what_simulated_tables_show(
    seeds, recordings, of_seeds, of_recordings, difference
):
    rng = np.random.default_rng(seeds)
    given = Components(of_seeds=of_seeds**2, of_recordings=of_recordings**2, of_rest=9.0)
    shown = 0
    for _ in range(1_000):
        table = difference + of_seeds * rng.standard_normal((seeds, 1))
        table = table + of_recordings * rng.standard_normal((1, recordings))
        found = over_recordings(table + 3 * rng.standard_normal((seeds, recordings)))
        shown += found.low > 0 or found.high < 0
    planned = power_over_recordings(difference, given, seeds=seeds, recordings=recordings)
    assert 0.4 < planned < 0.95
    assert shown / 1_000 == pytest.approx(planned, abs=0.05)


def test_seeds_and_recordings_that_suffice_are_the_fewest_that_do():
    given = Components(of_seeds=4.0, of_recordings=9.0, of_rest=25.0)
    asked = {"num_contrasts": 3}
    seeds = seeds_over_recordings(3.0, given, recordings=80, **asked)
    recordings = recordings_over_seeds(3.0, given, seeds=10, **asked)
    for n, size in ((seeds, 80), (10, recordings)):
        assert power_over_recordings(3.0, given, seeds=n, recordings=size, **asked) >= 0.8
    for n, size in ((seeds - 1, 80), (10, recordings - 1)):
        assert power_over_recordings(3.0, given, seeds=n, recordings=size, **asked) < 0.8
    found = detectable_over_recordings(given, seeds=10, recordings=recordings, **asked)
    assert 2.9 < found <= 3.01
    # On twenty recordings their own spread hides a point, however many seeds there are.
    assert seeds_over_recordings(1.0, given, recordings=20) is None
    assert recordings_over_seeds(1.0, given, seeds=6) is None


def test_variances_of_a_table_are_found_again_and_pooled_by_the_arms_in_a_contrast():
    rng = np.random.default_rng(0)
    tables = [
        2 * rng.standard_normal((12, 1))
        + 3 * rng.standard_normal((1, 200))
        + 4 * rng.standard_normal((12, 200))
        for _ in range(40)
    ]
    of = [components(table) for table in tables]
    mean = pooled_components(of, [{"a": 1.0, "b": -1.0}] * 40)
    assert mean.of_seeds == pytest.approx(4, rel=0.2)
    assert mean.of_recordings == pytest.approx(9, rel=0.05)
    assert mean.of_rest == pytest.approx(16, rel=0.02)
    wider = pooled_components(of[:1], [{"a": 1.0, "b": -1.0}], widened=1.5)
    assert wider.of_rest == pytest.approx(2.25 * of[0].of_rest)
    both = pooled_components(of[:2], [{"a": 1.0, "b": -1.0}, dict.fromkeys("abcd", 0.5)])
    assert both.of_rest == pytest.approx(of[0].of_rest / 2 + of[1].of_rest)
