"""Effects of factorial designs against cell means and plain differences."""

import itertools

import numpy as np
import pytest

from orchestrator.stats import effect_weights, paired_difference, weighted_sums
from orchestrator.stats.paired import difference_of

LEVELS = {
    "neither": {"a": "off", "b": "off"},
    "with a": {"a": "on", "b": "off"},
    "with b": {"a": "off", "b": "on"},
    "both": {"a": "on", "b": "on"},
}


def values(seed=0, n=6):
    rng = np.random.default_rng(seed)
    return {arm: dict(enumerate(rng.normal(size=n).tolist())) for arm in LEVELS}


def weighted_contrast(arms, weights):
    return difference_of(weighted_sums(arms, weights))


def test_interaction_is_the_difference_of_differences():
    arms = values()
    weights = effect_weights(LEVELS, ("a", "b"))
    assert weights == {"neither": 1, "with a": -1, "with b": -1, "both": 1}
    found = weighted_contrast(arms, weights)
    gain = {b: arms["both"][b] - arms["with b"][b] for b in range(6)}
    alone = {b: arms["with a"][b] - arms["neither"][b] for b in range(6)}
    expected = paired_difference(gain, alone)
    assert found.mean == pytest.approx(expected.mean)
    assert found.p_value == expected.p_value
    assert found.low == pytest.approx(expected.low)


def test_main_effect_is_the_difference_of_level_means():
    arms = values()
    found = weighted_contrast(arms, effect_weights(LEVELS, ("a",)))
    means = {arm: np.mean(list(own.values())) for arm, own in arms.items()}
    expected = (means["with a"] + means["both"] - means["neither"] - means["with b"]) / 2
    assert found.mean == pytest.approx(expected)


def test_planted_effects_of_three_factors_come_back_exactly():
    names = "abc"
    cells = list(itertools.product((0, 1), repeat=3))
    levels = {str(c): {n: str(v) for n, v in zip(names, c, strict=True)} for c in cells}
    truth = {
        str((a, b, c)): {0: 5 + 2 * a - b + 0.5 * a * b, 1: 7 + 2 * a - b + 0.5 * a * b + 0 * c}
        for a, b, c in cells
    }
    effects = {
        factors: weighted_contrast(truth, effect_weights(levels, factors)).mean
        for size in (1, 2, 3)
        for factors in itertools.combinations(names, size)
    }
    expected = {("a",): 2.25, ("b",): -0.75, ("a", "b"): 0.5}
    for factors, effect in effects.items():
        assert effect == pytest.approx(expected.get(factors, 0.0), abs=1e-12)


def test_what_a_block_shares_cancels():
    arms = values()
    moved = {arm: {b: v + 100 * b for b, v in own.items()} for arm, own in arms.items()}
    weights = effect_weights(LEVELS, ("a", "b"))
    assert weighted_contrast(moved, weights).p_value == weighted_contrast(arms, weights).p_value


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"both": 1.0}, "sum to 0"),
        ({"both": 0.0}, "sum to 0"),
        ({"both": 1.0, "typo": -1.0}, "typo"),
    ],
)
def test_weights_that_make_no_contrast_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        weighted_sums(values(), weights)


def test_a_design_that_mixes_the_effect_is_refused():
    three = {arm: LEVELS[arm] for arm in ("neither", "with a", "both")}
    with pytest.raises(ValueError, match="equally often"):
        effect_weights(three, ("a", "b"))
    with pytest.raises(ValueError, match="two levels"):
        effect_weights({**LEVELS, "third": {"a": "half", "b": "off"}}, ("a",))
    with pytest.raises(ValueError, match="no level"):
        effect_weights(LEVELS, ("c",))
