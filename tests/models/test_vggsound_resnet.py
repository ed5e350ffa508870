"""VGGSound's ResNets: sizes, checkpoints, and outputs against the authors' code.

The numbers were made by running hche11/VGGSound 9bbc749 (`models/resnet.py`, torch 2.11, CPU,
evaluation mode) on the weights and spectrograms that `vggsound_files.py` and
`published_weights.py` compute by formula, loaded with strict=True. The network is of one basic
block a stage, with the channels of stages divided by 4 while it is built. Gradients are of the sum
over the batch of clip logits times (1, -2, 3, -4, 5).

In full size, with random weights and statistics and the authors' own spectrogram of clips of 10,
4.3 and 12.7 s, depths 18, 34 and 50 with the mean and 18 and 34 with NetVLAD were held beside the
authors': logits of a spread of about 1 differ by 2.9e-6 at most, from the waveform through our
front end too.
"""

import pytest
import torch
from published_weights import formula_features
from vggsound_files import SMALL, vggsound_content

from models.checkpoints.load import load_pretrained
from models.errors import CheckpointError, ModelError
from models.registry import create
from models.zoo.counts import compare

WEIGHTS = torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0])
# (pooling, frames)
CASES = {
    ("average", 125): dict(
        logits=[
            [9.857273, -0.373405, 2.945875, 6.444298, 3.016716],
            [9.849237, -0.4304, 2.762283, 6.521222, 3.425431],
        ],
        gradients=(15.67704, 87.151192, 507.834473, 569.68811),
    ),
    ("average", 70): dict(
        logits=[
            [6.382513, 0.961006, 2.352174, 4.922873, 1.985206],
            [6.376617, 0.92435, 2.473107, 4.518274, 1.666448],
        ],
        gradients=(13.506213, 42.203491, 241.38858, 364.051544),
    ),
    ("netvlad", 125): dict(
        logits=[
            [-0.687094, -1.92473, -0.698702, 0.911059, -1.186156],
            [-0.605431, -1.876405, -0.930098, 0.991832, -1.196339],
        ],
        gradients=(4.636065, 11.777328, 72.300751, 125.46801, 0.92301),
    ),
}


def published(folder, *, pooling="average"):
    """A file in the authors' format for the small model."""
    content = vggsound_content(netvlad=pooling == "netvlad", **SMALL)
    torch.save(content, folder / "file.pth.tar")
    return folder / "file.pth.tar"


def small(*, num_channels=1, num_classes=5, **changes):
    torch.manual_seed(0)
    name = "vggsound_resnet_laptop"
    return create("model", name, num_channels, (129, 0), num_classes, **changes).eval()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_resnet_with_the_authors_weights_gives_the_authors_outputs(case, tmp_path):
    (pooling, num_frames), expected = case, CASES[case]
    model = small(pooling=pooling)
    report = load_pretrained(model, published(tmp_path, pooling=pooling))
    assert (report.missing, report.skipped, report.resized) == ((), {}, {})
    features = formula_features(2, 129, num_frames).requires_grad_()
    logits = model(features).clip_logits
    torch.testing.assert_close(logits, torch.tensor(expected["logits"]), atol=1e-5, rtol=1e-5)
    (logits * WEIGHTS).sum().backward()
    tensors = [features, model.resnet.conv1.weight, model.resnet.layer3[0].conv2.weight]
    if pooling == "netvlad":
        tensors += [model.vlad.centroids, model.vlad.assign.weight]
    else:
        tensors += [model.head.weight]
    norms = torch.stack([tensor.grad.norm() for tensor in tensors])
    torch.testing.assert_close(norms, torch.tensor(expected["gradients"]), atol=0, rtol=1e-4)


@pytest.mark.parametrize(
    ("depth", "counts"),
    [(18, ["11.33 M", "9.45 G", "13.7 M"]), (34, ["21.4 M", "19.5 G"]), (50, ["24.1 M", "21.8 G"])],
)
def test_counts_are_the_authors(depth, counts):
    rows = compare(f"vggsound_resnet{depth}")
    assert [row.published.printed for row in rows] == counts
    for row in rows:
        decimals = len(row.published.printed.split()[0].partition(".")[2])
        assert f"{float(row.in_unit(row.ours).split()[0]):.{decimals}f}" in row.published.printed


def test_every_parameter_of_netvlad_learns_from_its_first_weights():
    model = small(pooling="netvlad", num_clusters=4).train()
    model(formula_features(2, 129, 125)).clip_logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.vlad.parameters())
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("pooling", ["average", "netvlad"])
def test_file_of_the_other_pooling_is_refused_by_name(pooling, tmp_path):
    other = {"average": "netvlad", "netvlad": "average"}[pooling]
    with pytest.raises(CheckpointError, match=f"pooling='{other}'; build that one"):
        load_pretrained(small(pooling=pooling), published(tmp_path, pooling=other))


@pytest.mark.parametrize("pooling", ["average", "netvlad"])
def test_head_for_other_classes_keeps_its_initial_weights(pooling, tmp_path):
    model = small(num_classes=3, pooling=pooling)
    before = model.head.weight.clone()
    report = load_pretrained(model, published(tmp_path, pooling=pooling))
    assert set(report.missing) == set(model.head_parameters)
    assert torch.equal(model.head.weight, before)


def test_more_channels_share_the_first_weights(tmp_path):
    one, two = small(), small(num_channels=2)
    for model in (one, two):
        load_pretrained(model, published(tmp_path))
    features = formula_features(2, 129, 100)
    doubled = two(features.expand(-1, 2, -1, -1)).clip_logits
    torch.testing.assert_close(doubled, one(features).clip_logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"channels": (16, 32)}, "four numbers"),
        ({"num_clusters": 0}, "num_clusters=0: 1 or more"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ModelError, match=words):
        small(**changes)


def test_training_on_a_single_place_says_what_to_do():
    model = small().train()
    features = torch.randn(2, 1, 32, 33)
    assert model(features[:1]).clip_logits.isfinite().all()
    assert model(features[..., :32]).clip_logits.isfinite().all()
    with pytest.raises(ModelError, match="more clips in a batch, or pad to 33 frames"):
        model(features[:1, ..., :32])
