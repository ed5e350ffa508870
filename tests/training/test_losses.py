"""A loss is called with an output and labels, whichever part of the output it reads."""

import pytest
import torch

from models.output import Output
from orchestrator.errors import TrainingError
from orchestrator.experiment.config import Component
from orchestrator.training.losses import OutputLoss, build_loss

OUTPUT, LABELS = Output(torch.tensor([[2.0, 0.0], [0.0, 1.0]])), torch.tensor([0, 0])


class Whole(OutputLoss):
    """A loss of one's own that is given all of the output."""

    def forward(self, output, labels):
        return output.clip_logits.logsumexp(dim=1) + 0 * labels


def test_registered_loss_is_called_with_the_output_and_reads_its_logits():
    expected = torch.nn.functional.cross_entropy(OUTPUT.clip_logits, LABELS, reduction="none")
    assert torch.equal(build_loss(Component("cross_entropy"))(OUTPUT, LABELS), expected)


@pytest.mark.parametrize("name", ["tests.own_parts:Loss", "tests.training.test_losses:Whole"])
def test_loss_of_ones_own_reads_the_logits_or_the_whole_output(name):
    losses = build_loss(Component(name))(OUTPUT, LABELS)
    assert torch.equal(losses, OUTPUT.clip_logits.logsumexp(dim=1))


@pytest.mark.parametrize(
    ("name", "returned"), [("Mean", r"shape \(\)"), ("Column", r"shape \(2, 1\)"), ("Number", "a")]
)
def test_loss_that_is_not_one_number_per_clip_is_refused_by_its_name(name, returned):
    loss = build_loss(Component(f"tests.own_parts:{name}"))
    with pytest.raises(TrainingError, match=rf"'tests.own_parts:{name}' returned {returned}"):
        loss(OUTPUT, LABELS)
