"""What n pairs can show, against simulation and closed forms."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from orchestrator.stats import (
    detectable_effect,
    pairs_for,
    pairs_needed,
    pilot_spread,
    power_of,
    prospect,
    sign_flip_p,
)


@pytest.mark.parametrize(("n", "contrasts"), [(6, 1), (8, 1), (8, 5)])
@pytest.mark.parametrize("effect", [0.8, 1.5])
def test_power_matches_a_simulation_of_the_test_itself(n, contrasts, effect):
    rng = np.random.default_rng(n + contrasts)
    found = [sign_flip_p(rng.normal(effect, 1, n)) <= 0.05 / contrasts for _ in range(3_000)]
    rate = np.mean(found)
    # Both sides are simulated: 4 standard errors of their difference.
    error = np.sqrt(max(rate * (1 - rate), 0.001) * (1 / 3_000 + 1 / 2_000))
    assert power_of(effect, n, num_contrasts=contrasts) == pytest.approx(rate, abs=4 * error)


@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0])
def test_power_of_six_pairs_has_a_closed_form(effect):
    # Only six equal signs reach 2 / 64.
    expected = scipy_stats.norm.cdf(effect) ** 6 + scipy_stats.norm.cdf(-effect) ** 6
    assert power_of(effect, 6) == pytest.approx(expected, abs=0.035)


@pytest.mark.parametrize(("n", "contrasts"), [(13, 1), (13, 10), (14, 5)])
def test_power_beyond_the_simulated_sizes_is_close(n, contrasts):
    rng = np.random.default_rng(n)
    for effect in (0.6, 1.1):
        rows = rng.normal(effect, 1, (1_000, n))
        rate = np.mean([sign_flip_p(row) <= 0.05 / contrasts for row in rows])
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


def test_a_huge_difference_needs_what_the_test_needs():
    for contrasts in (1, 5, 10):
        assert pairs_for(50, spread=1, num_contrasts=contrasts) == pairs_needed(contrasts)


def test_a_tiny_difference_has_no_answer():
    assert pairs_for(0.01, spread=1.0) is None


def test_prospect_says_when_nothing_can_be_called():
    found = prospect(5, spread=1.0)
    assert (found.smallest_p, found.detectable) == (0.0625, None)
    found = prospect(8, spread=2.0, num_contrasts=5)
    assert found.smallest_adjusted_p == pytest.approx(5 / 128)
    assert found.detectable == pytest.approx(2 * detectable_effect(8, num_contrasts=5))


def test_pilot_spread_is_an_upper_limit_of_the_stated_confidence():
    rng = np.random.default_rng(0)
    above = np.mean([pilot_spread(rng.normal(0, 1, 5)) >= 1 for _ in range(4_000)])
    assert above == pytest.approx(0.8, abs=0.02)
    data = [0.1, 0.9, 0.4]
    expected = np.sqrt(2 * np.var(data, ddof=1) / scipy_stats.chi2.ppf(0.2, 2))
    assert pilot_spread(data) == pytest.approx(expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pairs_for(0.0, spread=1.0),
        lambda: pairs_for(1.0, spread=0.0),
        lambda: pairs_for(1.0, spread=1.0, power=1.0),
        lambda: pilot_spread([1.0]),
        lambda: detectable_effect(8, power=0.0),
    ],
)
def test_what_cannot_be_planned_is_refused(call):
    with pytest.raises(ValueError, match=r"spread|power"):
        call()


@given(st.integers(1, 40), st.integers(1, 12))
def test_there_is_power_exactly_where_a_contrast_can_be_called(n, contrasts):
    assert (power_of(30.0, n, num_contrasts=contrasts) > 0.99) == (n >= pairs_needed(contrasts))
