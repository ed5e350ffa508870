"""Clips are evaluated at several shifts, and the probabilities averaged."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from models.output import Output
from orchestrator import Arm, Component, Plan
from orchestrator.data import open_pack
from orchestrator.errors import ConfigError, PlanError
from orchestrator.execution.preflight.arms import check_arms
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.targets import Targets
from orchestrator.training.evaluate import mean_logits, predict_shifted
from orchestrator.training.inputs import Inputs
from orchestrator.training.state import NoCheckpoints
from orchestrator.training.trainer import Trainer
from tests import tiny

torch.set_num_threads(1)
ONE = Targets.of_labels([0], num_classes=2)
MANY = Targets.of([(0,)], num_classes=2, kind=TargetKind.MULTI_LABEL)
EVENTS = Targets.of([(0,)], num_classes=2, kind=TargetKind.EVENTS)


def odds(*probabilities: float) -> list[float]:
    return [math.log(p / (1 - p)) for p in probabilities]


def test_probabilities_are_averaged_of_one_class_of_heads_and_of_any_number():
    logits = torch.tensor([[odds(0.2, 0.5)], [odds(0.6, 0.9)]])
    torch.testing.assert_close(mean_logits(logits, MANY), torch.tensor([odds(0.4, 0.7)]))
    # A softmax of (ln 3, 0) is (0.75, 0.25), and one of (0, 0) a half each.
    logits = torch.tensor([[[math.log(3), 0.0]], [[0.0, 0.0]]])
    expected = torch.tensor([[0.625, 0.375]]).log()
    torch.testing.assert_close(mean_logits(logits, ONE), expected)
    heads = Targets.of([(0, 3)], num_classes=4, heads={"verb": 2, "noun": 2})
    both = torch.cat([logits, logits.flip(2)], dim=2)
    expected = torch.cat([expected, expected.flip(1)], dim=1)
    torch.testing.assert_close(mean_logits(both, heads), expected)
    certain = torch.tensor([[[300.0, -300.0]], [[300.0, -300.0]]])
    torch.testing.assert_close(mean_logits(certain, MANY), certain[0])


class First(nn.Module):
    """Takes the first two samples for logits, also over time if asked."""

    def __init__(self, *, over_time: bool = False):
        super().__init__()
        self.over_time = over_time

    def forward(self, waveform):
        logits = waveform[:, :2]
        return Output(logits, logits[:, None] if self.over_time else None)


def test_waveforms_are_rolled_later_where_a_shift_is_positive():
    given = {"waveform": torch.tensor([[1.0, 2.0, 3.0, 4.0]])}

    def predicted(*shifts):
        return predict_shifted(First(), given, shifts=shifts, targets=MANY).clip_logits

    assert predicted(0).tolist() == [[1, 2]]
    torch.testing.assert_close(predicted(1), torch.tensor([[4.0, 1]]))
    torch.testing.assert_close(predicted(-1), torch.tensor([[2.0, 3]]))


def test_events_over_time_are_not_shifted():
    given = {"waveform": torch.rand(1, 4)}
    with pytest.raises(ConfigError, match=r"take test_shifts_s=\(0\.0,\), or a model without"):
        predict_shifted(First(over_time=True), given, shifts=(0, 1), targets=EVENTS)
    predict_shifted(First(over_time=True), given, shifts=(0, 1), targets=MANY)
    predict_shifted(First(), given, shifts=(0, 1), targets=EVENTS)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"test_shifts_s": ()}, r"must be one or more shifts in seconds, each once"),
        ({"test_shifts_s": (0.0, 0.0)}, "each once"),
        ({"test_shifts_s": (0.0, math.inf)}, "one or more shifts"),
        ({"test_shifts_s": ("a",)}, "test_shifts_s is .* it must be tuple"),
        ({"test_shifts_s": 0.1}, "test_shifts_s is 0.1; it must be tuple"),
        (
            {"test_shifts_s": (0.1,), "frozen": True, "augmentation": Component("none")},
            "test_shifts_s shifts what a frozen model takes",
        ),
    ],
)
def test_wrong_shifts_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        tiny.experiment(**changes)


def test_trained_arm_differs_in_its_evaluation_alone(tmp_path):
    store = tiny.store_with_pack(tmp_path, tiny.experiment())

    def trained(**changes):
        experiment = tiny.experiment(epochs=1, **changes)
        clips = open_pack(experiment.dataset.arguments["fingerprint"], packs=store.packs_uri)
        run = Trainer(experiment, clips=clips, checkpoints=NoCheckpoints())
        (record,) = run.epochs()
        return run, record, run.final_predictions()["last"]

    _, plain, at_rest = trained()
    run, record, made = trained(test_shifts_s=(0.0, 0.01))
    assert record.metrics["train/loss"] == plain.metrics["train/loss"]
    assert record.metrics["val/loss"] != plain.metrics["val/loss"]
    waveforms = Inputs(run.clips, torch.device("cpu")).waveforms(run.val_indices)
    with torch.no_grad():
        parts = [run.chain.eval()(waveforms.roll(by, dims=1)).clip_logits for by in (0, 160)]
    expected = torch.stack([part.softmax(dim=1) for part in parts]).mean(dim=0)
    np.testing.assert_allclose(made.probabilities(), expected, atol=1e-5)
    assert abs(made.probabilities() - at_rest.probabilities()).max() > 1e-4


def checks(kind: TargetKind, **changes):
    plan = Plan(
        name="shifts",
        question="Do shifts of the evaluated clips help?",
        base=tiny.experiment(**changes),
        arms=(
            Arm(name="as it is"),
            Arm(name="shifted", changes={"test_shifts_s": (0.0, -0.01, 0.01)}),
        ),
    )
    return check_arms(plan, num_classes=3, num_samples=8000, sample_rate=16000, kind=kind)


def test_shifts_are_a_level_that_is_seen_to_differ_and_refused_over_time_before_launch():
    _, shifted = checks(TargetKind.SINGLE_LABEL)
    assert shifted.output_change > 0 and shifted.loss_change == 0
    events = {
        "loss": Component("frame_binary_cross_entropy"),
        "model": Component("htsat_laptop", drop_path_rate=0.0),
    }
    with pytest.raises(
        PlanError, match="'shifted' cannot be built: test_shifts_s moves the events"
    ):
        checks(TargetKind.EVENTS, **events)
