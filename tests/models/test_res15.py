"""Res-15's outputs against its authors' code, and its checkpoints.

The numbers were made by running castorini/honk c3aae75 (`SpeechResModel` in `utils/model.py`,
torch 2.11, CPU, float64, evaluation mode) on weights and features that are computed by formula,
loaded with strict=True, with 6 maps and 7 layers. Gradients are of the sum over the batch of
logits times (1, -2, 3, -4, 5).

At full size, with random weights, in float32, its logits differ by at most 2.4e-7; 238,940
parameters with 35 classes on both sides. With the trained encoder of roman-vygon/triplet_loss_kws
0d92edd (`runs/res15_35`) the embeddings of ours and theirs are the same to the last bit.
"""

import pytest
import torch
from keyword_weights import res15_shapes
from published_weights import formula_features, formula_state

from models.checkpoints.load import load_pretrained
from models.errors import ModelError
from models.registry import create
from models.zoo.counts import compare

LOGITS = [
    [2.390943, -1.136765, -2.789784, 0.501004, 4.315516],
    [2.436414, -1.206599, -2.774313, 0.417540, 4.314045],
]
GRADIENTS = (4.722413, 22.981203, 34.817105, 64.461084)


def narrow(*, num_classes=5, input_size=(12, 0), **changes):
    torch.manual_seed(0)
    arguments = {"dim": 6, "depth": 7} | changes
    return create("model", "res15", 1, input_size, num_classes, **arguments).eval()


def published(folder, **shapes):
    state = formula_state(res15_shapes(dim=6, depth=7, **shapes), gain=1.4)
    torch.save(state, folder / "file.pt")
    return folder / "file.pt"


def test_res15_with_the_authors_weights_gives_the_authors_outputs(tmp_path):
    model = narrow()
    report = load_pretrained(model, published(tmp_path, num_classes=5))
    assert (report.missing, report.skipped) == ((), {})
    features = formula_features(2, 12, 20).requires_grad_()
    logits = model(features).clip_logits
    torch.testing.assert_close(logits, torch.tensor(LOGITS), atol=2e-5, rtol=0)
    (logits * torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0])).sum().backward()
    norms = [
        parameter.grad.norm()
        for parameter in (features, model.stem.weight, model.convs[3].weight, model.head.weight)
    ]
    torch.testing.assert_close(torch.stack(norms), torch.tensor(GRADIENTS), atol=0, rtol=1e-4)


def test_encoder_of_the_triplet_loss_is_oriented_as_ours(tmp_path):
    state = formula_state(res15_shapes(dim=6, depth=7), gain=1.4)
    model = narrow()
    report = load_pretrained(model, published(tmp_path))
    assert set(report.missing) == set(model.head_parameters)
    assert torch.equal(model.stem.weight, state["conv0.weight"])
    load_pretrained(model, published(tmp_path, num_classes=5))
    assert torch.equal(model.stem.weight, state["conv0.weight"].mT)


def test_head_for_other_classes_keeps_its_initial_weights(tmp_path):
    model = narrow(num_classes=3)
    head = model.head.weight.clone()
    load_pretrained(model, published(tmp_path, num_classes=5))
    assert torch.equal(model.head.weight, head)


def test_clips_may_be_of_any_length_and_pooling_needs_a_few_frames():
    model = narrow(pool=(2, 4))
    assert model(torch.randn(1, 1, 12, 4)).clip_logits.shape == (1, 5)
    with pytest.raises(ModelError, match="pad the clips"):
        model(torch.randn(1, 1, 12, 3))


def test_counts_are_the_authors():
    rows = {row.published.quantity: row for row in compare("res15")}
    assert rows["params"].ours == 238_940
    params = rows["params"]
    assert params.in_unit(params.ours) == "0.239 M" == params.published.printed
    assert rows["MACs"].in_unit(rows["MACs"].ours) == "0.96 G" == rows["MACs"].published.printed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dim": 0}, "dim=0"),
        ({"pool": (2,)}, "pool is empty or two"),
        ({"pool": (16, 2)}, "raise the front end's rows or frames"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ModelError, match=words):
        narrow(**changes)
