"""Auditory SlowFast's sizes and checkpoints, and its outputs against the authors' code.

The numbers were made by running ekazakos/auditory-slow-fast 6af3fd7 (`slowfast.models.build_model`,
torch 2.11, CPU, evaluation mode, its softmax replaced by the identity) on the weights and
spectrograms that `slowfast_files.py` and `published_weights.py` compute by formula, loaded with
strict=True. The configuration was VGG-Sound/SLOWFAST_R50.yaml with WIDTH_PER_GROUP=16, BETA_INV=4,
NUM_FRAMES=128, NUM_FREQUENCIES=64 and one block a stage; the slow input is that of its
`pack_pathway_output`, and 100 frames are lengthened as its loader does. Gradients are of the sum
over the batch of logits times (1, -2, 3, -4, 5).

In full size, with random weights and statistics, the configurations VGG-Sound (512, 300 and 1001
frames, of the last the mean of two views) and EPIC-KITCHENS (verbs and nouns; 400, 250 and 399
frames) were held beside the authors': logits of a spread of 2.4 to 3.1 differ by 7.6e-6 at most,
gradients of the input by 8.5e-7 of their norm.
"""

import pytest
import torch
from published_weights import formula_features
from slowfast_files import slowfast_content

from models.checkpoints.load import load_pretrained
from models.errors import CheckpointError, ModelError
from models.registry import create
from models.zoo.counts import compare

WEIGHTS = torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0])
# (classes of the heads, frames)
CASES = {
    ((5,), 128): dict(
        logits=[
            [-0.233155, -0.064315, -0.210025, -0.106053, -0.18152],
            [-0.240658, -0.068366, -0.172257, -0.12591, -0.147339],
        ],
        gradients=(0.667581, 5.174896, 19.350443, 40.67543, 135.139023),
    ),
    ((2, 3), 128): dict(
        logits=[
            [0.091589, -0.051568, -0.1831, 0.435025, 0.062368],
            [0.098236, -0.036103, -0.15856, 0.421005, 0.038872],
        ],
        gradients=(0.738077, 5.067733, 17.936432, 46.607536, 128.849991),
    ),
    ((5,), 100): dict(
        logits=[
            [-0.147506, -0.029442, -0.214403, 0.011075, -0.134132],
            [-0.169095, -0.020428, -0.220598, 0.007413, -0.099518],
        ],
        gradients=(0.736885, 4.099972, 10.669755, 33.262577, 113.241348),
    ),
}


def published(folder, *, heads=(5,)):
    """A file in the authors' format for the small network."""
    torch.save(slowfast_content(heads=heads), folder / "file.pyth")
    return folder / "file.pyth"


def small(*, num_channels=1, num_classes=5, **changes):
    torch.manual_seed(0)
    return create("model", "slowfast_laptop", num_channels, (64, 0), num_classes, **changes).eval()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_slowfast_with_the_authors_weights_gives_the_authors_outputs(case, tmp_path):
    (heads, num_frames), expected = case, CASES[case]
    model = small(heads=heads)
    report = load_pretrained(model, published(tmp_path, heads=heads))
    assert (report.missing, report.skipped, report.resized) == ((), {}, {})
    features = formula_features(2, 64, num_frames).requires_grad_()
    logits = model(features).clip_logits
    torch.testing.assert_close(logits, torch.tensor(expected["logits"]), atol=1e-5, rtol=1e-5)
    (logits * WEIGHTS).sum().backward()
    norms = [
        tensor.grad.norm()
        for tensor in (
            features,
            model.stems[1].conv.weight,
            model.laterals[2].conv.weight,
            model.stages[3][0][0].time_conv.weight,
            model.heads[-1].weight,
        )
    ]
    torch.testing.assert_close(
        torch.stack(norms), torch.tensor(expected["gradients"]), atol=0, rtol=1e-4
    )


def test_counts_are_the_authors():
    rows = compare("slowfast_r50")
    counts = ["26.68 M", "5.52 G", "26.88 M"]
    assert [row.published.printed for row in rows] == counts
    assert [row.in_unit(row.ours) for row in rows] == counts


def test_a_longer_clip_is_the_mean_probability_of_its_first_and_last_frames(tmp_path):
    for heads in ((5,), (2, 3)):
        model = small(heads=heads)
        load_pretrained(model, published(tmp_path, heads=heads))
        features = 5 * torch.randn(3, 1, 64, 200)
        ends = [
            [part.softmax(1) for part in model(crop).clip_logits.split(heads, dim=1)]
            for crop in (features[..., :128], features[..., -128:])
        ]
        expected = torch.cat([(a + b) / 2 for a, b in zip(*ends, strict=True)], dim=1)
        logits = model(features).clip_logits
        found = torch.cat([part.softmax(1) for part in logits.split(heads, dim=1)], dim=1)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_clips_of_any_length_have_logits_of_one_scale(tmp_path):
    for heads in ((5,), (2, 3)):
        model = small(heads=heads)
        load_pretrained(model, published(tmp_path, heads=heads))
        steady = formula_features(3, 64, 128)[..., :1].expand(-1, -1, -1, 200)
        long, short = model(steady).clip_logits, model(steady[..., :128]).clip_logits
        torch.testing.assert_close(long, short, atol=1e-5, rtol=1e-5)


def test_one_view_is_the_beginning_and_training_crops_anywhere():
    model, features = small(views=1), torch.randn(4, 1, 64, 300)
    begun = model(features[..., :128]).clip_logits
    torch.testing.assert_close(model(features).clip_logits, begun)
    model.train()
    torch.manual_seed(0)
    one, other = model(features).clip_logits, model(features).clip_logits
    assert not torch.equal(one, other)


def test_a_shorter_clip_is_lengthened_by_its_last_frame():
    model, features = small(), torch.randn(2, 1, 64, 90)
    longer = torch.cat([features, features[..., -1:].expand(-1, -1, -1, 38)], dim=3)
    torch.testing.assert_close(model(features).clip_logits, model(longer).clip_logits)


def test_weights_of_one_head_start_two(tmp_path):
    model = small(num_classes=9, heads=(6, 3))
    report = load_pretrained(model, published(tmp_path))
    assert set(report.missing) == set(model.head_parameters)


def test_more_channels_share_the_first_weights(tmp_path):
    one, two = small(), small(num_channels=2)
    for model in (one, two):
        load_pretrained(model, published(tmp_path))
    features = formula_features(2, 64, 128)
    doubled = two(features.expand(-1, 2, -1, -1)).clip_logits
    torch.testing.assert_close(doubled, one(features).clip_logits, atol=1e-5, rtol=1e-5)


def test_file_of_a_single_stream_is_refused_by_name(tmp_path):
    content = slowfast_content()
    state = content["model_state"]
    content["model_state"] = {n: v for n, v in state.items() if "fuse" not in n}
    torch.save(content, tmp_path / "slow.pyth")
    with pytest.raises(CheckpointError, match="of a single stream"):
        load_pretrained(small(), tmp_path / "slow.pyth")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"heads": (97, 300)}, r"heads=\(97, 300\) add up to 5"),
        ({"num_frames": 100}, "num_frames=100 is a multiple of 16, 32 or more"),
        ({"views": 0, "dropout": 1.0}, r"views=0 is 1 or more; dropout=1.0 is in \[0, 1\)"),
        ({"width_ratio": 3}, "width_ratio divides width"),
        ({"depths": (1, 1)}, "are four"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ModelError, match=words):
        small(**changes)
