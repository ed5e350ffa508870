"""What a plan can show and cost, said from what the store holds."""

import dataclasses
import re

import numpy as np
import pytest

from orchestrator import baselines
from orchestrator.ablation import Arm
from orchestrator.foresight import foresee
from orchestrator.plan import Plan
from orchestrator.records import Cost, EpochRecord, Status, TrialRecord
from orchestrator.stats import pilot_spread

PLAN = Plan(
    name="p",
    question="?",
    base=baselines.datar_laptop(),
    arms=(Arm(name="a"), Arm(name="b", changes={"epochs": 2})),
    seeds=tuple(range(8)),
)
PILOT = (0.012, -0.004, 0.02)


def records_of(plan: Plan, differences=PILOT, *, seconds=900.0):
    found = {}
    for trial in plan.trials():
        if trial.seed < len(differences):
            top1 = 0.5 + (differences[trial.seed] if trial.arm == "b" else 0.0)
            found[trial.id] = TrialRecord(
                id=trial.id,
                status=Status.FINISHED,
                experiment={},
                epochs=(EpochRecord(epoch=1, metrics={"val/top1": top1}),),
                cost=Cost(seconds=seconds),
            )
    return found


def test_plan_without_a_pilot_says_how_to_get_one():
    least, spread, cost = foresee(PLAN, {})
    assert "8 paired blocks" in least and "0.0078" in least
    assert "--seeds 3" in spread
    assert "16 trials to train; what they take is known once" in cost


def test_too_few_blocks_for_the_contrasts_are_named():
    arms = (*PLAN.arms, *(Arm(name=f"c{i}", changes={"epochs": 3 + i}) for i in range(4)))
    least, *_ = foresee(dataclasses.replace(PLAN, arms=arms, seeds=(0, 1, 2, 3, 4)), {})
    assert "0.31 after correction for 5 contrasts; 8 are needed" in least


def test_pilot_gives_detectable_difference_needed_blocks_and_cost():
    records = records_of(PLAN)
    _, detectable, enough, cost = foresee(PLAN, records, price_per_hour=2.0, num_workers=2)
    spread = pilot_spread(100 * np.array(PILOT))
    assert f"3 stored pairs have a spread of at most {spread:.2g} points" in detectable
    assert "8 blocks find a true difference of" in detectable and "80 % power" in detectable
    blocks = int(re.search(r"to find 1 points, (\d+) blocks", enough)[1])
    hours = blocks * 2 * 2 * 900 / 3600
    assert f"{2 * hours:.2f} at the price given" in enough
    assert cost == "10 trials to train: about 5 h 00 min of device time, 10.00 at the price given"


def test_detectable_difference_and_needed_blocks_agree():
    records = records_of(PLAN)
    _, detectable, *_ = foresee(PLAN, records)
    found = float(re.search(r"difference of ([\d.]+) points", detectable)[1])
    _, _, enough, _ = foresee(PLAN, records, wanted=1.1 * found)
    assert int(re.search(r", (\d+) blocks", enough)[1]) <= 8
    _, _, enough, _ = foresee(PLAN, records, wanted=0.8 * found)
    assert int(re.search(r", (\d+) blocks", enough)[1]) > 8


@pytest.mark.parametrize("differences", [(0.01,), (0.01, 0.01, 0.01)])
def test_pilot_without_a_spread_is_no_pilot(differences):
    assert "--seeds 3" in foresee(PLAN, records_of(PLAN, differences))[1]


def test_folds_of_a_seed_are_no_pairs_of_their_own():
    folds = dataclasses.replace(PLAN, folds=(1, 2, 3))
    least, *_ = foresee(folds, {})
    assert "8 seeds, each averaged over 3 folds: the smallest p" in least and "0.0078" in least
    few = dataclasses.replace(folds, seeds=(0, 1))
    over, cost = foresee(few, {})
    assert "2 seeds on 3 folds" in over and "corrected resampled t test" in over
    assert "from 6 seeds on" in over and "12 trials to train" in cost


def test_pilot_on_folds_takes_the_spread_of_seed_means_and_pays_for_every_fold():
    one = foresee(PLAN, records_of(PLAN))
    folds = dataclasses.replace(PLAN, folds=(1, 2, 3))
    several = foresee(folds, records_of(folds))
    spread = re.search(r"spread of at most [\d.]+ points", one[1])[0]
    assert spread in several[1]
    blocks = re.compile(r", (\d+) blocks: about (.+) of device time")
    assert blocks.search(one[2])[1] == blocks.search(several[2])[1]
    hours = [float(re.match(r"(\d+) h", blocks.search(s[2])[2])[1]) for s in (one, several)]
    assert hours[1] == pytest.approx(3 * hours[0], abs=2)
