"""Clip-level tests against scipy, scikit-learn and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn.metrics import average_precision_score

from orchestrator.stats import CAVEAT, average_precision_of, clip_bootstrap, mcnemar, mean_of


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_mcnemar_is_the_binomial_test_of_the_discordant_clips(pairs):
    run, reference = (np.array(column) for column in zip(*pairs, strict=True))
    found = mcnemar(run, reference)
    gained, lost = int((run & ~reference).sum()), int((~run & reference).sum())
    total = gained + lost
    expected = scipy_stats.binomtest(gained, total).pvalue if total else 1.0
    assert found.p_value == pytest.approx(expected)
    assert (found.only_run, found.only_reference) == (gained, lost)
    assert found.difference == pytest.approx(run.mean() - reference.mean())
    assert mcnemar(reference, run).p_value == found.p_value


def test_every_clip_result_says_that_it_is_not_about_seeds():
    right = np.array([True, False, True])
    boot = clip_bootstrap(mean_of(right), mean_of(~right), num_clips=3)
    assert mcnemar(right, ~right).caveat == boot.caveat == CAVEAT
    assert "nothing about other seeds" in CAVEAT


def test_mcnemar_refuses_different_clips():
    with pytest.raises(ValueError, match="same clips"):
        mcnemar([True, False], [True])


def scored(seed, clips=60, classes=5):
    rng = np.random.default_rng(seed)
    targets = rng.random((clips, classes)) < 0.3
    # Two decimals make ties.
    return np.round(rng.random((clips, classes)) + 0.4 * targets, 2), targets


@pytest.mark.parametrize("seed", range(4))
def test_weighted_average_precision_matches_scikit_learn(seed):
    scores, targets = scored(seed)
    counts = np.random.default_rng(seed).multinomial(60, np.full(60, 1 / 60), size=5)
    found = average_precision_of(scores, targets)(counts.astype(float))
    expected = [average_precision_score(targets, scores, sample_weight=row) for row in counts]
    assert found == pytest.approx(expected, abs=1e-12)


def test_class_without_a_drawn_positive_is_left_out_of_the_mean():
    scores, targets = scored(0)
    targets[:, 2] = False
    targets[7, 2] = True
    counts = np.ones((1, 60))
    counts[0, 7] = 0
    others = [0, 1, 3, 4]
    expected = average_precision_score(
        targets[:, others], scores[:, others], sample_weight=counts[0]
    )
    assert average_precision_of(scores, targets)(counts)[0] == pytest.approx(expected)


def test_bootstrap_of_a_mean_matches_scipy():
    rng = np.random.default_rng(5)
    run, reference = rng.random(80), rng.random(80) - 0.05
    found = clip_bootstrap(mean_of(run), mean_of(reference), num_clips=80, resamples=20_000)
    expected = scipy_stats.bootstrap(
        (run - reference,), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.004)
    assert found.difference == pytest.approx(run.mean() - reference.mean())
    normal = 2 * scipy_stats.norm.sf(
        abs(found.difference) / (np.std(run - reference) / np.sqrt(80))
    )
    assert found.p_value == pytest.approx(normal, abs=0.02)


def test_p_and_interval_agree_on_zero():
    for seed in range(6):
        rng = np.random.default_rng(seed)
        run = rng.random(50) + 0.12
        found = clip_bootstrap(mean_of(run), mean_of(rng.random(50)), num_clips=50, seed=seed)
        if abs(found.p_value - 0.05) > 0.004:
            assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_bootstrap_of_map_is_paired():
    scores, targets = scored(2, clips=200)
    same = average_precision_of(scores, targets)
    nothing = clip_bootstrap(same, same, num_clips=200)
    assert (nothing.difference, nothing.low, nothing.high, nothing.p_value) == (0, 0, 0, 1)
    better = average_precision_of(scores + 0.5 * targets, targets)
    assert clip_bootstrap(better, same, num_clips=200).low > 0


def test_clips_of_one_recording_are_drawn_together():
    rng = np.random.default_rng(9)
    sources = np.repeat(np.arange(20), 10)
    effect = np.repeat(rng.normal(size=20), 10) + 0.1 * rng.normal(size=200)
    zeros = mean_of(np.zeros(200))
    apart = clip_bootstrap(mean_of(effect), zeros, num_clips=200)
    together = clip_bootstrap(mean_of(effect), zeros, num_clips=200, sources=sources)
    means = effect.reshape(20, 10).mean(axis=1)
    assert together.high - together.low == pytest.approx(
        2 * 1.96 * means.std() / np.sqrt(20), rel=0.1
    )
    assert together.high - together.low > 2 * (apart.high - apart.low)
    assert "20 sources" in together.method


def test_inputs_that_do_not_fit_are_refused():
    values = mean_of(np.zeros(4))
    with pytest.raises(ValueError, match="as many sources"):
        clip_bootstrap(values, values, num_clips=4, sources=[1, 2])
    with pytest.raises(ValueError, match="two independent"):
        clip_bootstrap(values, values, num_clips=4, sources=[1, 1, 1, 1])
    with pytest.raises(ValueError, match="shape"):
        average_precision_of(np.zeros((4, 2)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="positive clip"):
        average_precision_of(np.zeros((4, 2)), np.zeros((4, 2)))
