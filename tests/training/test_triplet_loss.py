"""The triplet loss, and training by it: evaluation asks the training clips."""

import itertools

import pytest
import torch

from models.output import Output
from models.registry import create
from orchestrator.data import open_pack
from orchestrator.errors import TrainingError
from orchestrator.execution.trial import TrialCheckpoints
from orchestrator.experiment.config import Component
from orchestrator.training.losses import build_loss
from orchestrator.training.trainer import Trainer
from tests import tiny

torch.set_num_threads(1)


def embedded(count=8, dim=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.nn.functional.normalize(torch.randn(count, dim, generator=generator))
    return Output(torch.zeros(count, 4), embedding=x.requires_grad_())


def possible_losses(x, labels, margin):
    """The losses that every pair can have, by loops."""
    found = []
    for i, j in itertools.combinations(range(len(x)), 2):
        if labels[i] == labels[j]:
            others = [n for n in range(len(x)) if labels[n] != labels[i]]
            losses = [
                ((x[i] - x[j]) ** 2).sum() - ((x[i] - x[n]) ** 2).sum() + margin for n in others
            ]
            positive = [float(loss) for loss in losses if loss > 0]
            if positive:
                found.append(positive)
    return found


def test_mean_is_that_of_one_random_broken_triplet_per_pair():
    output, labels = embedded(), torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])
    assert output.embedding is not None
    possible = possible_losses(output.embedding.detach(), labels, 0.5)
    assert any(len(losses) > 1 for losses in possible)
    loss = build_loss(Component("triplet"))
    means = set()
    for seed in range(20):
        torch.manual_seed(seed)
        means.add(round(loss(output, labels).mean().item(), 5))
    every = {round(sum(choice) / len(choice), 5) for choice in itertools.product(*possible)}
    assert len(means) > 3
    assert all(min(abs(mean - one) for one in every) < 2e-5 for mean in means)


def test_gradient_pulls_a_pair_together_and_pushes_the_other_away():
    x = torch.nn.functional.normalize(torch.tensor([[1.0, 0.1], [0.8, 0.6], [1.0, 0.0]]))
    output = Output(torch.zeros(3, 2), embedding=x.requires_grad_())
    create("loss", "triplet")(output, torch.tensor([0, 0, 1])).sum().backward()
    moved = x.detach() - 0.01 * x.grad
    assert (moved[0] - moved[1]).norm() < (x[0] - x[1]).norm()
    assert (moved[0] - moved[2]).norm() > (x[0] - x[2]).norm()


@pytest.mark.parametrize("labels", [[0, 1, 2, 3, 4, 5, 6, 7], [0] * 8], ids=["no pair", "no other"])
def test_batch_without_triplets_has_no_loss_and_a_gradient(labels):
    output = embedded()
    losses = create("loss", "triplet")(output, torch.tensor(labels))
    assert not losses.any()
    assert losses.shape == (8,)


@pytest.mark.parametrize("embedding", [None, 2 * torch.eye(2)], ids=["none", "of length 2"])
def test_model_without_an_embedding_of_length_1_is_refused(embedding):
    output = Output(torch.zeros(2, 3), embedding=embedding)
    with pytest.raises(TrainingError, match=r"of length 1.*train res15_triplet"):
        build_loss(Component("triplet"))(output, torch.tensor([0, 1]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    experiment = tiny.experiment(
        frontend=Component("honk_mfcc", win_length=800, hop_length=640),
        augmentation=Component("none"),
        model=Component("res15_triplet", dim=12, depth=6, neighbours=3),
        loss=Component("triplet"),
        optimizer=Component("adam_w", learning_rate=3e-3),
        epochs=6,
        batch_size=15,
    )
    store = tiny.store_with_pack(tmp_path_factory.mktemp("store"), experiment)
    clips = open_pack(experiment.dataset.arguments["fingerprint"], packs=store.packs_uri)

    def start(name):
        return Trainer(experiment, clips=clips, checkpoints=TrialCheckpoints(store, name))

    return start, list(start("first").epochs())


def test_training_by_triplets_lowers_the_loss_and_neighbours_answer(trained):
    start, records = trained
    assert records[-1].metrics["train/loss"] < records[0].metrics["train/loss"]
    trainer = start("other")
    for _ in trainer.epochs():
        pass
    model = trainer.chain.model
    assert len(model.memory) == len(trainer.train_indices)
    labels = torch.from_numpy(trainer.targets.labels[trainer.train_indices])
    assert torch.equal(model.memory_labels, labels)
    # Shares of three votes, and one spread over the classes.
    shares = torch.from_numpy(trainer.predictions["last"].logits).exp() * 4 - 1 / 3
    torch.testing.assert_close(shares, shares.round(), atol=1e-4, rtol=0)
    assert records[-1].metrics["val/top1"] == trainer.records[-1].metrics["val/top1"]


def test_resumed_run_remembers_anew_and_predicts_the_same(trained):
    start, _ = trained
    again = start("first")  # finished
    assert not list(again.epochs())
    predicted = again.final_predictions()["last"]
    assert predicted.scores()["val/top1"] == again.records[-1].metrics["val/top1"]


def test_autocast_to_bfloat16_leaves_the_distances_in_float32():
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])
    losses = []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            losses.append(create("loss", "triplet")(embedded(), labels))
    assert losses[0].sum() > 0
    torch.testing.assert_close(losses[1], losses[0], atol=0, rtol=0)
