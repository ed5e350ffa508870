"""The studentized bootstrap against full enumeration, and what both intervals must obey."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.stats import IntervalMethod, mean_interval, paired_difference

DATA = [0.61, 0.64, 0.58, 0.66, 0.69]


def test_studentized_bootstrap_matches_every_resample():
    mean, error = np.mean(DATA), np.std(DATA, ddof=1) / math.sqrt(5)
    roots = []
    for drawn in itertools.product(DATA, repeat=5):
        spread = np.std(drawn, ddof=1)
        if spread > 1e-12:
            roots.append((np.mean(drawn) - mean) / (spread / math.sqrt(5)))
    low, high = np.quantile(roots, [0.05, 0.95])
    found = mean_interval(DATA, confidence=0.9, method=IntervalMethod.BOOTSTRAP)
    # 9,999 of 3,125 patterns: the quantiles' sampling error is some percent of the width.
    assert found.low == pytest.approx(mean - high * error, abs=0.1 * error)
    assert found.high == pytest.approx(mean - low * error, abs=0.1 * error)
    assert found.interval_method == "studentized bootstrap interval"


def test_interval_method_is_named_in_a_paired_difference():
    arm, reference = dict(enumerate(DATA)), dict.fromkeys(range(5), 0.6)
    found = paired_difference(arm, reference, interval=IntervalMethod.BOOTSTRAP)
    assert found.interval_method == "studentized bootstrap interval"
    assert found.low < found.mean < found.high
    assert paired_difference(arm, reference).interval_method == "t interval"


@pytest.mark.parametrize("method", IntervalMethod)
def test_interval_of_equal_values_is_a_point(method):
    found = mean_interval([0.5] * 6, method=method)
    assert (found.low, found.high) == (0.5, 0.5)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.integers(-500, 500), min_size=3, max_size=8, unique=True),
    st.sampled_from([0.01, 3.0]),
    st.integers(-100, 100),
)
def test_bootstrap_interval_moves_and_scales_with_the_data(values, scale, shift):
    plain = mean_interval(values, method=IntervalMethod.BOOTSTRAP)
    moved = mean_interval([scale * v + shift for v in values], method=IntervalMethod.BOOTSTRAP)
    assert moved.low == pytest.approx(scale * plain.low + shift, abs=1e-6)
    assert moved.high == pytest.approx(scale * plain.high + shift, abs=1e-6)


def test_bootstrap_interval_repeats_with_its_seed():
    one, same, other = (
        mean_interval(DATA, method=IntervalMethod.BOOTSTRAP, seed=seed) for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other
