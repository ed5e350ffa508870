"""Crossed mean squares of seeds and recordings, against an analysis of variance by hand."""

import numpy as np
import patsy
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.regression.mixed_linear_model import VCSpec

from orchestrator.stats import components, over_recordings
from tests.benchmarks.stats.bench_recordings import coverage


def crossed(seeds, recordings, *, of_seeds=1.0, of_recordings=2.0, rest=1.5, seed=0):
    rng = np.random.default_rng(seed)
    table = rng.normal(0, of_seeds, (seeds, 1)) + rng.normal(0, of_recordings, (1, recordings))
    return table + rng.normal(0, rest, (seeds, recordings))


def mean_squares(values):
    """Mean squares of a two-way table by least squares, one model within the other."""
    seeds, recordings = values.shape
    s, r = np.indices(values.shape).reshape(2, -1)
    y = values.ravel()

    def residual(*groups):
        design = np.column_stack([np.ones(y.size), *(g == k for g in groups for k in set(g))])
        return np.square(y - design @ np.linalg.lstsq(design, y, rcond=None)[0]).sum()

    whole = residual(s, r)
    return (
        (residual(r) - whole) / (seeds - 1),
        (residual(s) - whole) / (recordings - 1),
        whole / ((seeds - 1) * (recordings - 1)),
    )


@pytest.mark.parametrize(("seeds", "recordings"), [(4, 9), (7, 20)])
def test_interval_is_that_of_the_analysis_of_variance(seeds, recordings):
    values = crossed(seeds, recordings)
    a, b, e = mean_squares(values)
    found = over_recordings(values)
    total = a + b - e
    df = total**2 / (
        a**2 / (seeds - 1) + b**2 / (recordings - 1) + e**2 / ((seeds - 1) * (recordings - 1))
    )
    half = scipy_stats.t.ppf(0.975, df) * np.sqrt(total / values.size)
    assert (found.mean, found.half_width) == pytest.approx((values.mean(), half))
    assert (found.n, found.num_recordings) == (seeds, recordings)
    assert found.from_seeds == pytest.approx((a - e) / values.size)
    assert found.from_recordings == pytest.approx((b - e) / values.size)
    assert found.narrowed_by != ("seeds",) or a > b


def test_mean_squares_are_those_of_statsmodels_analysis_of_variance():
    values = crossed(5, 12, seed=3)
    s, r = np.indices(values.shape).reshape(2, -1)
    design = patsy.dmatrix("C(s) + C(r)", {"s": s, "r": r}, return_type="dataframe")
    fitted = sm.OLS(values.ravel(), design).fit()
    of_seeds, of_recordings = (
        sm.stats.anova_lm(
            sm.OLS(values.ravel(), design.loc[:, ~design.columns.str.contains(f"C.{name}.")]).fit(),
            fitted,
        )
        for name in ("s", "r")
    )
    a = of_seeds.ss_diff[1] / of_seeds.df_diff[1]
    b = of_recordings.ss_diff[1] / of_recordings.df_diff[1]
    e = fitted.mse_resid
    found, parts = over_recordings(values), components(values)
    assert found.half_width == pytest.approx(
        scipy_stats.t.ppf(0.975, (a + b - e) ** 2 / (a**2 / 4 + b**2 / 11 + e**2 / 44))
        * np.sqrt((a + b - e) / values.size)
    )
    assert (parts.of_seeds, parts.of_recordings, parts.of_rest) == pytest.approx(
        ((a - e) / 12, (b - e) / 5, e)
    )


def test_variances_are_those_of_statsmodels_mixed_model():
    """Balanced crossed samples: REML is the analysis of variance where no variance is 0."""
    values = crossed(6, 15, seed=1)
    s, r = np.indices(values.shape).reshape(2, -1)
    model = sm.MixedLM(
        values.ravel(),
        np.ones((values.size, 1)),
        groups=np.ones(values.size),
        exog_vc=VCSpec(
            ["s", "r"],
            [[[str(k) for k in range(n)]] for n in values.shape],
            [[np.eye(n)[of]] for n, of in zip(values.shape, (s, r), strict=True)],
        ),
    )
    fitted, parts = model.fit(reml=True), components(values)
    assert fitted.vcomp == pytest.approx((parts.of_seeds, parts.of_recordings), rel=1e-3)
    assert fitted.scale == pytest.approx(parts.of_rest, rel=1e-3)
    assert fitted.bse_fe[0] ** 2 == pytest.approx(parts.variance(6, 15), rel=1e-3)


def test_recordings_that_do_not_differ_leave_the_t_interval_of_the_seeds():
    values = crossed(6, 30, of_recordings=0.0)
    values = values - values.mean(axis=0) + values.mean()  # no recording stands out
    found = over_recordings(values)
    expected = scipy_stats.t.interval(0.95, 5, values.mean(), scipy_stats.sem(values.mean(axis=1)))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.narrowed_by == ("seeds",) and found.from_recordings == 0


def test_few_recordings_leave_an_interval_of_the_spread_that_was_seen():
    """A part below the rest is none: subtracted, it left thousands of times the values' spread."""
    rng = np.random.default_rng(0)
    wide = 0.0
    for _ in range(2000):
        values = rng.normal(size=(6, 4)) + 0.3 * rng.normal(size=4)
        made = over_recordings(values)
        wide = max(wide, (made.high - made.low) / float(values.std()))
    assert wide < 10


def test_folds_that_differ_do_not_count_as_recordings_that_do():
    values = crossed(6, 40, of_recordings=0.5)
    folds = np.arange(40) % 4
    shifted = values + 9.0 * folds
    assert over_recordings(shifted, folds=folds).half_width == pytest.approx(
        over_recordings(values, folds=folds).half_width
    )
    assert over_recordings(shifted).half_width > 2 * over_recordings(values).half_width


def test_bottleneck_is_where_the_variance_is():
    assert over_recordings(crossed(6, 40, of_seeds=3.0, of_recordings=1.0)).narrowed_by == (
        "seeds",
    )
    found = over_recordings(crossed(12, 20, of_seeds=0.2, of_recordings=4.0))
    assert found.narrowed_by == ("recordings",)


@pytest.mark.parametrize(("of_seeds", "of_recordings"), [(1.0, 3.0), (2.0, 0.0), (0.2, 3.0)])
def test_coverage_over_both_is_nominal_where_that_over_seeds_alone_is_not(of_seeds, of_recordings):
    held, alone = 0, 0
    for i in range(600):
        values = crossed(8, 30, of_seeds=of_seeds, of_recordings=of_recordings, seed=i)
        found = over_recordings(values)
        held += found.low <= 0 <= found.high
        ends = scipy_stats.t.interval(0.95, 7, values.mean(), scipy_stats.sem(values.mean(axis=1)))
        alone += ends[0] <= 0 <= ends[1]
    assert held / 600 == pytest.approx(0.95, abs=0.03)
    if of_recordings > of_seeds:
        assert alone / 600 < 0.85


@given(st.integers(0, 99), st.floats(-5, 5), st.sampled_from([0.01, 7.0]))
def test_interval_moves_and_scales_with_the_values(seed, shift, scale):
    values = crossed(5, 12, seed=seed)
    one, other = over_recordings(values), over_recordings(scale * (values + shift))
    assert other.low == pytest.approx(scale * (one.low + shift), abs=1e-7)
    assert other.narrowed_by == one.narrowed_by


@pytest.mark.parametrize("shape", [(1, 9), (5, 1)])
def test_one_seed_or_one_recording_is_refused(shape):
    with pytest.raises(ValueError, match="two seeds and two recordings"):
        over_recordings(np.zeros(shape))


def test_simulated_contrasts_are_covered_elsewhere_by_what_a_report_shows():
    here, elsewhere, _, shown = coverage(
        "top-1",
        seeds=12,
        recordings=30,
        clips=4,
        folds=1,
        spreads=(0.2, 0.8),
        simulations=60,
        seed=1,
    )
    error = np.sqrt(0.95 * 0.05 / 60)
    assert min(here, shown) >= 0.95 - 3 * error
    assert elsewhere < 0.95 - 3 * error
