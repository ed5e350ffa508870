"""What a plan can show and cost, said from what the store holds."""

import dataclasses
import re

import numpy as np
import pytest
from scipy import stats as scipy_stats

from orchestrator import cli, recipes
from orchestrator.cli.power import power_analysis
from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.execution.stages import Ended, stages
from orchestrator.metrics.predictions import Predictions
from orchestrator.metrics.targets import Targets
from orchestrator.records import Cost, EpochRecord, Status, TrialRecord
from orchestrator.stats import decide, pooled_spread
from orchestrator.store import Store

PLAN = Plan(
    name="p",
    question="?",
    base=recipes.datar_laptop(),
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
    least, spread, cost = power_analysis(PLAN, {})
    assert "8 paired blocks" in least and "0.0078" in least
    assert "--seeds 3" in spread
    assert "16 trials to train; what they take is known once" in cost


def test_too_few_blocks_are_named_however_many_contrasts_there_are():
    arms = (*PLAN.arms, *(Arm(name=f"c{i}", changes={"epochs": 3 + i}) for i in range(4)))
    least, *_ = power_analysis(dataclasses.replace(PLAN, arms=arms, seeds=(0, 1, 2, 3, 4)), {})
    assert least.endswith("can give is 0.062; 6 are needed for one below 0.05")
    enough, *_ = power_analysis(dataclasses.replace(PLAN, arms=arms), {})
    assert enough.endswith("can give is 0.0078")


def test_pilot_of_several_contrasts_is_pooled():
    arms = (*PLAN.arms, *(Arm(name=f"c{i}", changes={"epochs": 3 + i}) for i in range(4)))
    plan = dataclasses.replace(PLAN, arms=arms)
    rng = np.random.default_rng(0)
    noise = {(arm.name, seed): rng.normal(0, 0.01) for arm in arms for seed in range(3)}
    records = {
        trial.id: TrialRecord(
            id=trial.id,
            status=Status.FINISHED,
            experiment={},
            epochs=(
                EpochRecord(epoch=1, metrics={"val/top1": 0.5 + noise[trial.arm, trial.seed]}),
            ),
            cost=Cost(seconds=9.0),
        )
        for trial in plan.trials()
        if trial.seed < 3
    }
    _, planned, *_ = power_analysis(plan, records)
    found = re.match(
        r"planned with a spread of ([\d.]+) points, the upper 80 % limit of the ([\d.]+) points "
        r"seen in 3 stored pairs of each of 5 contrasts$",
        planned,
    )
    variances = [
        np.var([100 * (noise[arm.name, s] - noise["a", s]) for s in range(3)], ddof=1)
        for arm in arms[1:]
    ]
    assert float(found[2]) == pytest.approx(np.sqrt(np.mean(variances)), rel=0.05)
    # Five contrasts with one baseline: 4 * 5 * 2 / (5 + 3) degrees of freedom.
    ratio = np.sqrt(5 / scipy_stats.chi2.ppf(0.2, 5))
    assert float(found[1]) == pytest.approx(ratio * float(found[2]), rel=0.08)


def test_pilot_gives_detectable_difference_needed_blocks_and_cost():
    records = records_of(PLAN)
    _, planned, detectable, enough, cost = power_analysis(
        PLAN, records, price_per_hour=2.0, num_workers=2
    )
    spread = pooled_spread([100 * np.array(PILOT)], [{"b": 1.0, "a": -1.0}])
    assert f"a spread of {spread.upper:.2g} points, the upper 80 % limit of the " in planned
    assert f"of the {spread.estimate:.2g} points seen in 3 stored pairs" in planned
    assert "8 blocks find a true difference of" in detectable and "80 % power" in detectable
    blocks = int(re.search(r"to find 1 points, (\d+) blocks", enough)[1])
    hours = blocks * 2 * 2 * 900 / 3600
    assert enough.endswith(f" of device time in all, {2 * hours:.2f} at the price given")
    assert cost == "10 trials to train: about 5 h 00 min of device time, 10.00 at the price given"


def test_detectable_difference_and_needed_blocks_agree():
    records = records_of(PLAN)
    _, _, detectable, *_ = power_analysis(PLAN, records)
    found = float(re.search(r"difference of ([\d.]+) points", detectable)[1])
    *_, enough, _ = power_analysis(PLAN, records, wanted=1.1 * found)
    assert int(re.search(r", (\d+) blocks", enough)[1]) <= 8
    *_, enough, _ = power_analysis(PLAN, records, wanted=0.8 * found)
    assert int(re.search(r", (\d+) blocks", enough)[1]) > 8


@pytest.mark.parametrize("differences", [(0.01,), (0.01, 0.01, 0.01)])
def test_pilot_without_a_spread_is_no_pilot(differences):
    assert "--seeds 3" in power_analysis(PLAN, records_of(PLAN, differences))[1]


def test_folds_of_a_seed_are_no_pairs_of_their_own():
    folds = dataclasses.replace(PLAN, folds=(1, 2, 3))
    least, *_ = power_analysis(folds, {})
    assert "8 seeds, each averaged over 3 folds: the smallest p" in least and "0.0078" in least
    few = dataclasses.replace(folds, seeds=(0, 1))
    over, cost = power_analysis(few, {})
    assert "2 seeds on 3 folds" in over and "corrected resampled t test" in over
    assert "from 6 seeds on" in over and "12 trials to train" in cost


def test_pilot_on_folds_takes_the_spread_of_seed_means_and_pays_for_every_fold():
    one = power_analysis(PLAN, records_of(PLAN))
    folds = dataclasses.replace(PLAN, folds=(1, 2, 3))
    several = power_analysis(folds, records_of(folds))
    spread = re.search(r"spread of [\d.]+ points", one[1])[0]
    assert spread in several[1]
    blocks = re.compile(r", (\d+) (?:blocks|seeds).*: about (.+) of device time")
    assert blocks.search(one[3])[1] == blocks.search(several[3])[1]
    hours = [float(re.match(r"(\d+) h", blocks.search(s[3])[2])[1]) for s in (one, several)]
    assert hours[1] == pytest.approx(3 * hours[0], abs=2)


def test_plan_until_decided_is_estimated_by_its_own_rule():
    arms = (*PLAN.arms, Arm(name="c", changes={"epochs": 3}))
    plan = dataclasses.replace(PLAN, arms=arms, seeds=tuple(range(20))).until_decided()
    records = records_of(plan)
    least, _, detectable, enough, cost = power_analysis(plan, records)
    best = decide({"b": [1.0] * 20, "c": [1.0] * 20}, cap=20)["b"]
    assert f"the rule until decided can give is {best.p_value:.2g}, " in least
    assert f"{best.adjusted_p:.2g} after correction for 2 contrasts" in least
    assert detectable.startswith("the exact test, made once after 20 blocks, finds")
    assert "has somewhat less power" in detectable and "by the exact test, made once" in enough
    assert cost.startswith("at most 51 trials to train: about")


def test_few_seeds_on_folds_answer_what_is_asked_or_say_why_not():
    few = dataclasses.replace(PLAN, folds=(1, 2, 3), seeds=(0, 1))
    _, why, _ = power_analysis(few, {}, wanted=5.0)
    assert why.startswith("how many seeds find 5 points depends on the spread of whole seeds")
    _, planned, enough = power_analysis(few, records_of(few), wanted=5.0)
    assert "2 stored pairs" in planned
    as_seen = r"to find 5 points, \d+ seeds by the exact test, made once if the spread is as seen: "
    assert re.match(as_seen + "about", enough)


def test_pilot_of_two_seeds_says_that_a_third_tells_most():
    records = records_of(PLAN)
    two = {t.id: records[t.id] for t in PLAN.trials() if t.seed < 2 and t.id in records}
    *_, planned, _, enough, _ = power_analysis(PLAN, two)
    assert "seen in 2 stored pairs" in planned
    found = re.match(
        r"to find 1 points, ([\d,]+) blocks if the spread is as seen: about .*; (over |)([\d,]+) "
        r"at its upper limit. One more seed than these 2 tells most: it brings the limit from "
        r"([\d.]+) to ([\d.]+) times what is seen; train it and list the plan again$",
        enough,
    )
    fewest, most = (int(found[i].replace(",", "")) for i in (1, 3))
    assert 10 * fewest < most
    limits = [np.sqrt(k / scipy_stats.chi2.ppf(0.2, k)) for k in (1, 2)]
    assert [float(found[i]) for i in (4, 5)] == pytest.approx(limits, rel=0.02)


@pytest.mark.parametrize("hours", [0.4, 1.2, 2.0, 2.6, 99.0])
@pytest.mark.parametrize("num_workers", [1, 2])
def test_budget_stops_the_listed_launch_where_it_stops_the_run(tmp_path, hours, num_workers):
    store = Store.open(tmp_path)
    records = records_of(PLAN)
    for record in records.values():
        store.write_record(record)
    said = power_analysis(PLAN, records, budget_hours=hours, num_workers=num_workers)[-1]
    trained, reason = 0, ""
    for stage in stages(PLAN, store, budget_hours=hours, num_workers=num_workers):
        if isinstance(stage, Ended):
            reason = stage.reason
            break
        for trial in stage.trials:
            done = next(iter(records.values()))
            store.write_record(dataclasses.replace(done, id=trial.id))
            trained += 1
    before = re.search(r"before block (\d+) of 8", reason)
    if before is None:
        assert said == f"a budget of {hours:g} device-hours is enough for what is left"
    else:
        assert f"{before[0]}: after {trained} trials, about" in said


def test_budget_without_a_stored_trial_says_when_it_is_known():
    *_, said = power_analysis(PLAN, {}, budget_hours=2.0)
    assert said.startswith("a budget of 2 device-hours begins no block that would not fit")


def test_listing_until_decided_says_at_most_and_where_the_budget_stops(tmp_path, capsys):
    asked = ["--dry-run", "--until-decided", "--seeds", "20", "--budget-hours", "2"]
    with pytest.raises(SystemExit) as ended:
        cli.main(PLAN, [*asked, "--store", str(tmp_path / "none")])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "at most 40 trials (2 arms x 20 seeds), block by block" in said
    assert "20 blocks at most: the smallest p that the rule until decided can give" in said
    assert "a budget of 2 device-hours begins no block" in said


@pytest.mark.parametrize("tie_break", [None, "val/loss"])
def test_planning_counts_pairs_that_tie_over_few_clips(tie_break):
    plan = dataclasses.replace(PLAN, tie_break=tie_break)
    differences = (0.0125, 0.0, -0.0125, 0.0)  # of 80 clips
    records = {
        key: dataclasses.replace(record, data={"num_val": 80})
        for key, record in records_of(plan, differences).items()
    }
    said = power_analysis(plan, records, wanted=2.0)
    ties = "top-1 comes in steps of 1.2 points, so pairs tie"
    after = "; validation loss orders them" if tie_break else " and show nothing"
    assert f"{ties}{after}, which is counted" in said
    finds = re.search(r"find a true difference of ([\d.]+) points", " ".join(said))
    many = {key: dataclasses.replace(r, data={"num_val": 80_000}) for key, r in records.items()}
    other = " ".join(power_analysis(plan, many, wanted=2.0))
    assert "steps" not in other
    exact = re.search(r"find a true difference of ([\d.]+) points", other)
    assert finds and exact
    if tie_break is None:
        assert float(finds[1]) >= float(exact[1])
    else:
        assert float(finds[1]) == pytest.approx(float(exact[1]), rel=0.1)


def test_each_metric_says_how_many_seeds_it_needs_at_the_effect_seen():
    rng = np.random.default_rng(0)
    records = {}
    for key, record in records_of(PLAN, tuple(rng.normal(0.01, 0.02, 8))).items():
        (epoch,) = record.epochs
        top1 = epoch.metrics["val/top1"]
        loss = 1.0 - (0.3 if top1 != 0.5 else 0.0) + rng.normal(0, 0.05)
        scored = dataclasses.replace(epoch, metrics={"val/top1": top1, "val/loss": loss})
        records[key] = dataclasses.replace(record, epochs=(scored,))
    text = next(s for s in power_analysis(PLAN, records) if s.startswith("seeds that would"))
    found = re.search(r"top-1 (\S+ ?\S*) \(.*validation loss (\d+) \((\d+) to (\d+)\); read", text)
    assert found and (found[2], found[3], found[4]) == ("6", "6", "6")
    assert "declare it in the next study" in text
    alone = power_analysis(PLAN, records_of(PLAN))
    assert not any(s.startswith("seeds that would") for s in alone)


CLIPS, CLASSES = 90, 3
RECORDINGS = {f"clip-{i}": f"recording-{i // 2}" for i in range(CLIPS)}


def predictions_of(trial, *, of_seeds, of_recordings):
    """Clips whose arms differ by seed and by recording, as much as is said."""
    rng = np.random.default_rng([trial.seed, trial.arm == "b"])
    own = np.random.default_rng(trial.arm == "b")
    labels = (np.arange(CLIPS) // 2) % CLASSES
    logits = rng.normal(size=(CLIPS, CLASSES))
    easy = own.normal(0.5, of_recordings, CLIPS // 2) + rng.normal(0, of_seeds)
    logits[np.arange(CLIPS), labels] += np.repeat(easy, 2)
    names = tuple(RECORDINGS)
    targets = Targets.of_labels(labels, num_classes=CLASSES)
    return Predictions(epoch=1, clip_ids=names, targets=targets, logits=logits.astype(np.float32))


def planned_for_both(*, seeds=8, wanted=0.0, recordings=RECORDINGS, **spreads):
    """What a dry run says of other recordings, from a pilot with predictions."""
    made = {t.id: predictions_of(t, **spreads) for t in PLAN.trials() if t.seed < seeds}
    records = {
        key: TrialRecord(
            id=key,
            status=Status.FINISHED,
            experiment={},
            epochs=(EpochRecord(epoch=1, metrics=one.scores()),),
        )
        for key, one in made.items()
    }
    said = power_analysis(PLAN, records, wanted=wanted, predictions=made.get, recordings=recordings)
    return [one for one in said if "recordings" in one]


def test_plan_for_other_recordings_says_what_it_finds_and_what_limits_it():
    many, way = planned_for_both(of_seeds=0.05, of_recordings=1.5, wanted=25.0)
    found = re.match(
        r"for other seeds and other recordings, 8 blocks on these 45 recordings find a true "
        r"difference of ([\d.]+) points with 80 % power; (\d+) % of its variance is of seeds, "
        r"(\d+) % of recordings, the rest of both: recordings are the bottleneck$",
        many,
    )
    assert found and float(found[1]) > 25 and int(found[3]) > 60 > int(found[2])
    more = re.match(r"to find 25 points there, ([\d,]+) recordings with 8 blocks$", way)
    assert more and int(more[1].replace(",", "")) > 45
    _, way = planned_for_both(of_seeds=0.05, of_recordings=1.5, wanted=15.0)
    assert way.endswith("neither more blocks nor more recordings alone are enough")
    few, way = planned_for_both(of_seeds=2.0, of_recordings=0.1, wanted=40.0)
    assert few.endswith("seeds are the bottleneck")
    more = re.match(r"to find 40 points there, (\d+) blocks on these 45 recordings$", way)
    assert more and int(more[1]) > 8


def test_plan_without_recordings_or_with_too_few_seeds_says_nothing_of_them():
    assert planned_for_both(of_seeds=1.0, of_recordings=1.0, recordings={}) == []
    assert planned_for_both(of_seeds=1.0, of_recordings=1.0, seeds=1) == []
