"""Averages of weights are what their papers say, resume to the bit, and are what is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from models.registry import create
from orchestrator.data import open_pack
from orchestrator.errors import ConfigError
from orchestrator.execution.trial import TrialCheckpoints
from orchestrator.experiment.config import Component
from orchestrator.store import Store
from orchestrator.training.averaging import Averaging, renew_norms
from orchestrator.training.state import NoCheckpoints, model_state
from orchestrator.training.trainer import Trainer
from tests import tiny

WEIGHTS = (1.0, 2.0, 6.0, 4.0)


class Scalar(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.register_buffer("count", torch.tensor(0))


def averages(averaging: Averaging, *, by_step: bool = False) -> list[float]:
    """What is evaluated after each of four epochs, or steps, whose weights are `WEIGHTS`."""
    module, seen = Scalar(), []
    for number, weight in enumerate(WEIGHTS, start=1):
        module.weight.data.fill_(weight)
        module.count.fill_(number)
        if by_step:
            averaging.after_step(module)
        else:
            averaging.after_epoch(module, number)
        with averaging.swapped_in(module, lambda: None):
            seen.append(module.weight.item())
            assert module.count.item() == number
        assert module.weight.item() == weight
    return seen


def test_mean_of_epochs_is_their_plain_mean_from_the_first_on():
    assert averages(create("averaging", "epoch_mean", 4)) == pytest.approx([1, 1.5, 3, 3.25])
    assert averages(create("averaging", "epoch_mean", 4, first=3)) == pytest.approx([1, 2, 6, 5])
    assert averages(create("averaging", "none", 4)) == list(WEIGHTS)


def test_first_epoch_counts_twice_in_pslas_loop():
    made = create("averaging", "epoch_mean", 4, first=2, first_twice=True)
    # (2 + 2) / 2, (2 + 2 + 6) / 3, (2 + 2 + 6 + 4) / 4
    assert averages(made) == pytest.approx([1, 2, 10 / 3, 3.5])


def test_ema_keeps_its_decay_of_the_average_at_every_step():
    # 1; 0.9 + 0.1 * 2 = 1.1; 0.99 + 0.6 = 1.59; 1.431 + 0.4 = 1.831
    made = create("averaging", "ema", 4, decay=0.9)
    assert averages(made, by_step=True) == pytest.approx([1, 1.1, 1.59, 1.831])
    # Decays of 2/11, 3/12 and 4/13: 2/11 + 9/11 * 2 = 20/11, ...
    warm = create("averaging", "ema", 4, decay=0.9, warms_up=True)
    second = 2 / 11 * 1 + 9 / 11 * 2
    third = 3 / 12 * second + 9 / 12 * 6
    expected = [1, second, third, 4 / 13 * third + 9 / 13 * 4]
    assert averages(warm, by_step=True) == pytest.approx(expected)


def test_swa_averages_the_last_quarter():
    assert averages(create("averaging", "swa", 4)) == list(WEIGHTS)
    assert averages(create("averaging", "swa", 4, start=0.5)) == [1, 2, 6, 5]


def test_statistics_of_batch_norms_are_measured_again_as_the_mean_over_batches():
    module = nn.Sequential(nn.BatchNorm1d(1), nn.Dropout(0.5)).eval()
    batches = [torch.tensor([[1.0], [3.0]]), torch.tensor([[10.0], [14.0]])]
    seen = []

    def run() -> None:
        seen.append(module[1].training)
        for batch in batches:
            module(batch)

    renew_norms(module, run)
    # Means 2 and 12, unbiased variances 2 and 8.
    assert module[0].running_mean.item() == pytest.approx(7)
    assert module[0].running_var.item() == pytest.approx(5)
    assert seen == [False] and module[0].momentum == 0.1 and not module[0].training


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Component("epoch_mean", first=9), r"averaging\.first=9.*one of 1 to 4"),
        (Component("ema", decay=1.0), r"averaging\.decay=1\.0"),
        (Component("swa", start=1.0), r"averaging\.start=1\.0"),
    ],
)
def test_average_of_nothing_is_refused(part, said):
    with pytest.raises(ConfigError, match=said):
        create("averaging", part.name, 4, **part.arguments)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return tiny.store_with_pack(tmp_path_factory.mktemp("store"), tiny.experiment())


def trainer(store: Store, experiment, name: str = "") -> Trainer:
    clips = open_pack(experiment.dataset.arguments["fingerprint"], packs=store.packs_uri)
    checkpoints = TrialCheckpoints(store, name) if name else NoCheckpoints()
    return Trainer(experiment, clips=clips, checkpoints=checkpoints)


# PANNs' batch norms have statistics, which are averaged or measured again.
NORMED = {
    "model": Component("cnn6_laptop"),
    "frontend": Component("log_mel", sample_rate=16000, n_fft=1024, hop_length=480, f_max=8000.0),
}
AVERAGES = {
    "ema": ({"averaging": Component("ema", decay=0.5)}, NORMED),
    "epoch_mean": ({"averaging": Component("epoch_mean", first=2)}, {}),
    "swa": ({"averaging": Component("swa", start=0.4), "selection": "best"}, NORMED),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_killed_trial_with_an_average_resumes_to_the_bit(store, name):
    averaging, rest = AVERAGES[name]
    experiment = tiny.experiment(**averaging, **rest, augmentation=Component("none"))
    whole = trainer(store, experiment)
    expected = [(r.metrics["train/loss"], r.metrics["val/loss"]) for r in whole.epochs()]
    parts = trainer(store, experiment, f"parts-{name}")
    for record in parts.epochs():
        if record.epoch == 2:
            break
    torch.manual_seed(99)
    again = trainer(store, experiment, f"parts-{name}")
    assert len(again.records) == 2
    list(again.epochs())
    assert [(r.metrics["train/loss"], r.metrics["val/loss"]) for r in again.records] == expected
    predicted = {which: made.logits for which, made in whole.final_predictions().items()}
    for which, made in again.final_predictions().items():
        np.testing.assert_array_equal(made.logits, predicted[which])

    # Killed between the last epoch and the record: what is kept is what was evaluated.
    late = trainer(store, experiment, f"parts-{name}")
    for which, made in late.final_predictions().items():
        np.testing.assert_array_equal(made.logits, predicted[which])
    kept = store.load_checkpoint(f"parts-{name}", "last")
    assert kept is not None and kept[0].keys() == model_state(kept[0]).keys()

    if "selection" not in averaging:  # which takes its clips from the training
        plain = trainer(store, tiny.experiment(**rest, augmentation=Component("none")))
        other = [(r.metrics["train/loss"], r.metrics["val/loss"]) for r in plain.epochs()]
        assert [loss for loss, _ in other] == [loss for loss, _ in expected]
        assert other[-1][1] != expected[-1][1]
