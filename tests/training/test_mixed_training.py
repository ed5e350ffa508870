"""Training on drawn and mixed clips: what the chain mixes, what the loss counts, and repeats."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from models.chain import Chain
from models.output import Output
from orchestrator.data import open_pack
from orchestrator.errors import ConfigError
from orchestrator.experiment.config import Component
from orchestrator.store import Store
from orchestrator.training.losses import build_loss
from orchestrator.training.state import NoCheckpoints
from orchestrator.training.trainer import Trainer
from tests import tiny


class Frames(nn.Module):
    num_channels, output_size, is_pure = 1, (2, 0), False

    def forward(self, waveform):
        return waveform.unfold(1, 2, 2).transpose(1, 2)[:, None]


class Mask(nn.Module):
    """Adds the seed, so that a test sees whose augmentation a clip got."""

    def forward(self, features, *, clip_seeds, padding):
        return features + clip_seeds[:, None, None, None]


class Keep(nn.Module):
    def forward(self, features, *, clip_seeds=None):
        self.seeds = clip_seeds
        return features


class Sum(nn.Module):
    def forward(self, features):
        return Output(features.sum(dim=(1, 2))[:, :1])


def chain() -> Chain:
    made = Chain(frontend=Frames(), augmentation=Mask(), transform=Keep(), model=Sum())
    return made.train()


def test_waveforms_minus_their_means_are_mixed_before_the_front_end():
    # First: (1, 3, 0, 0) - 1 = (0, 2, -1, -1); partner: (4, 0, 0, 0) - 1 = (3, -1, -1, -1).
    # 0.75 * first + 0.25 * partner = (0.75, 1.25, -1, -1), with mean 0.
    waves = torch.tensor([[1.0, 3, 0, 0], [2, 2, 2, 2], [4, 0, 0, 0], [9, 9, 9, 9]])
    made = chain()
    features = made.features(
        waves, torch.tensor([10, 20, 30, 40]), mix_waveforms=torch.tensor([0.75, 1.0])
    )
    expected = torch.tensor([[[0.75, -1], [1.25, -1]], [[2.0, 2], [2, 2]]])
    torch.testing.assert_close(features[:, 0], expected + torch.tensor([10.0, 20])[:, None, None])
    assert made.transform.seeds.tolist() == [10, 20]


def test_features_are_mixed_after_each_clips_own_augmentation():
    given = torch.tensor([[1.0], [2], [3], [4]])[:, None, None]
    features = chain().features(
        None,
        torch.tensor([10, 20, 30, 40]),
        frontend_output=given,
        mix_features=torch.tensor([0.25, 1.0]),
    )
    # 0.25 * (1 + 10) + 0.75 * (3 + 30) = 27.5; the second clip is not mixed.
    assert features.flatten().tolist() == [27.5, 22.0]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return tiny.store_with_pack(tmp_path_factory.mktemp("store"), tiny.experiment())


def trainer(store: Store, **changes) -> Trainer:
    experiment = tiny.experiment(**changes)
    clips = open_pack(experiment.dataset.arguments["fingerprint"], packs=store.packs_uri)
    return Trainer(experiment, clips=clips, checkpoints=NoCheckpoints())


MIXUPS = {
    "waveforms": Component("random_partner", probability=0.7),
    "pairs": Component("pairs"),
    "reversed": Component("reversed_batch"),
}


@pytest.mark.parametrize("mixup", MIXUPS.values(), ids=MIXUPS)
def test_mixed_training_repeats_and_differs_from_unmixed(store, mixup):
    def losses(**changes):
        run = trainer(store, epochs=1, **changes)
        return [record.metrics["train/loss"] for record in run.epochs()]

    assert losses(mixup=mixup) == losses(mixup=mixup) != losses()


def test_mixed_labels_are_the_loss_on_mixed_targets(store):
    run = trainer(store, mixup=Component("pairs"))
    (batch,) = list(run._batches([run._steps()[0].shares[0]], epoch=1))
    (labels, _), ((others, _), share) = batch.targets, batch.partner
    logits = torch.randn(len(labels), 3)
    soft = share[:, None] * nn.functional.one_hot(labels, 3)
    soft = soft + (1 - share)[:, None] * nn.functional.one_hot(others, 3)
    expected = -(soft * logits.log_softmax(dim=1)).sum(dim=1)
    loss = build_loss(Component("cross_entropy"))
    made = share * loss(Output(logits), labels) + (1 - share) * loss(Output(logits), others)
    torch.testing.assert_close(made, expected)
    # The features are of both clips, and the seeds of a clip that is drawn twice differ.
    assert len(batch.inputs["clip_seeds"]) == 2 * len(labels)
    assert len(set(batch.inputs["clip_seeds"].tolist())) == 2 * len(labels)


def test_sampler_draws_from_the_training_clips_alone(store):
    run = trainer(store, sampler=Component("balanced"))
    draws = run._draws(1)
    assert set(draws.first) <= set(run.train_indices)
    assert np.bincount(run.targets.labels[draws.first]).tolist() == [5, 5, 5]
    assert run.steps_per_epoch == 3


def test_loss_on_pairs_of_clips_refuses_mixed_labels():
    with pytest.raises(ConfigError, match=r"mixup\.labels=False"):
        build_loss(Component("triplet"), mixes_labels=True)
    build_loss(Component("triplet"))
