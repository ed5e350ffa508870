"""PSLA's sizes and checkpoints, and its outputs against the authors' code.

The numbers were made by running YuanGongND/psla 76aedd1 (`src/models`, efficientnet_pytorch 0.7.1,
torch 2.11, CPU, evaluation mode) on the weights and spectrograms that `psla_files.py` and
`published_weights.py` compute by formula, loaded with strict=True. The trunk is that of
`from_name("efficientnet-b2", width_coefficient=0.5, depth_coefficient=0.5, image_size=260)`. Logits
are those of the authors' probabilities in float64; gradients are of the sum over the batch of clip
logits times (1, -2, 3, -4, 5).

In full size, with random weights and statistics, B0 and B2 with 4, 1 and no heads were held beside
the authors' on 1056, 512 and 300 frames: logits differ by 8.0e-7 at most, gradients of the input by
1.3e-6 of their norm.
"""

import pytest
import torch
from psla_files import SMALL, efficientnet_shapes, formula_state, psla_shapes
from published_weights import formula_features

from models.checkpoints.load import load_pretrained
from models.errors import ModelError
from models.psla.efficientnet import reduced, strided
from models.psla.model import weighted_log_odds
from models.registry import create
from models.zoo.counts import compare

WEIGHTS = torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0])
# (heads, frames)
CASES = {
    (4, 132): dict(
        logits=[
            [0.271683, -2.803599, 1.077878, -0.124314, -1.093311],
            [0.30951, -2.72102, 1.155859, -0.12154, -1.105701],
        ],
        gradients=(29.528816, 132.331268, 33.593819, 72.18898),
    ),
    (1, 100): dict(
        logits=[
            [0.624425, -2.628875, 0.979161, 2.254413, 1.042729],
            [0.916931, -2.518878, 0.849008, 2.27376, 0.965017],
        ],
        gradients=(2.197449, 6.774663, 3.704122, 90.272659),
    ),
    (0, 70): dict(
        logits=[
            [0.612711, -2.357037, 1.303385, 1.966938, 1.212197],
            [0.596678, -2.249619, 1.404333, 2.086509, 1.333084],
        ],
        gradients=(1.920109, 3.262314, 2.645837, 83.251495),
    ),
}


def published(folder, *, num_heads=4, num_classes=5):
    """A file in the authors' format for the narrow model."""
    state = formula_state(psla_shapes(num_heads=num_heads, num_classes=num_classes))
    torch.save({f"module.{name}": value for name, value in state.items()}, folder / "file.pth")
    return folder / "file.pth"


def narrow(*, num_channels=1, input_size=(128, 0), num_classes=5, **changes):
    torch.manual_seed(0)
    return create("model", "psla_laptop", num_channels, input_size, num_classes, **changes).eval()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_psla_with_the_authors_weights_gives_the_authors_outputs(case, tmp_path):
    (num_heads, num_frames), expected = case, CASES[case]
    model = narrow(num_heads=num_heads)
    report = load_pretrained(model, published(tmp_path, num_heads=num_heads))
    assert (report.missing, report.skipped, report.resized) == ((), {}, {})
    features = formula_features(2, 128, num_frames).requires_grad_()
    logits = model(features).clip_logits
    torch.testing.assert_close(logits, torch.tensor(expected["logits"]), atol=1e-5, rtol=1e-5)
    (logits * WEIGHTS).sum().backward()
    norms = [
        tensor.grad.norm()
        for tensor in (
            features,
            model.trunk.conv_stem.weight,
            model.trunk.blocks[3][1].conv_dw.weight,
            model.classify[0].weight,
        )
    ]
    torch.testing.assert_close(
        torch.stack(norms), torch.tensor(expected["gradients"]), atol=0, rtol=1e-4
    )


@pytest.mark.parametrize(
    ("model", "params", "macs"), [("psla_b0", "9.41 M", "1.19 G"), ("psla_b2", "13.64 M", "1.95 G")]
)
def test_counts_are_the_authors(model, params, macs):
    rows = [row for row in compare(model) if row.published.source == "authors' code"]
    assert [row.published.printed for row in rows] == [params, macs]
    assert [row.in_unit(row.ours) for row in rows] == [params, macs]


def test_padding_is_that_of_the_image_and_not_of_the_spectrogram():
    for name, edges, size in (
        ("psla_b0", [(0, 1), (0, 1), (1, 2), (0, 1), (1, 2)], 224),
        ("psla_b2", [(0, 1), (0, 1), (2, 2), (1, 1), (2, 2)], 260),
    ):
        with torch.device("meta"):
            trunk = create("model", name, 1, (128, 1056), 5).trunk
        assert [(conv.before, conv.after) for conv in strided(trunk)] == edges
        assert [reduced(trunk, n) for n in (size, 128, 1056)] == [-(-size // 32), 4, 33]


@pytest.mark.parametrize("size", [32, 33, 40, 64, 95])
def test_last_map_has_the_foretold_size(size):
    trunk = narrow().trunk
    left = reduced(trunk, size)
    assert trunk.forward_features(torch.zeros(1, 1, size, 64)).shape[2] == left


def test_imagenet_weights_start_all_but_the_stem_and_the_heads(tmp_path):
    stem, stages, features = SMALL
    shapes = efficientnet_shapes(stem=stem, stages=stages, features=features, num_channels=3)
    state = formula_state(shapes | {"_fc.weight": (7, features), "_fc.bias": (7,)})
    torch.save(state, tmp_path / "image.pth")
    model = narrow()
    report = load_pretrained(model, tmp_path / "image.pth")
    assert {name.partition(".")[0] for name in report.skipped} == {"imagenet_stem", "_fc"}
    heads = {"trunk.conv_stem.weight", "head_weight", *model.head_parameters}
    assert set(report.missing) == heads


def test_head_for_other_classes_keeps_its_initial_weights(tmp_path):
    model = narrow(num_classes=3)
    before = model.classify[2].weight.clone()
    report = load_pretrained(model, published(tmp_path))
    assert set(report.missing) == set(model.head_parameters)
    assert torch.equal(model.classify[2].weight, before)


def test_more_channels_share_the_first_weights(tmp_path):
    one, two = narrow(), narrow(num_channels=2)
    for model in (one, two):
        load_pretrained(model, published(tmp_path))
    features = formula_features(2, 128, 100)
    doubled = two(features.expand(-1, 2, -1, -1)).clip_logits
    torch.testing.assert_close(doubled, one(features).clip_logits, atol=1e-5, rtol=1e-5)


def test_weights_of_heads_may_leave_the_probabilities():
    yes = torch.tensor([[[0.9, 0.2, 1e-12]], [[0.9, 0.2, 1e-20]]]).expand(2, 4, 3).log()
    no = (-yes.exp()).log1p()
    for weight in ([0.25] * 4, [0.5, 0.5, 0.5, -0.2], [0.5] * 4, [-0.5, -0.5, 0.1, 0.1]):
        weight = torch.tensor(weight, requires_grad=True)
        logits = weighted_log_odds(yes, no, weight)
        logits.sum().backward()
        assert logits.isfinite().all() and weight.grad.isfinite().all()
        p = (weight[:, None] * yes.exp()).sum(1)[:, :2]
        inside = (p > 0) & (p < 1)
        torch.testing.assert_close(logits[:, :2][inside], p.logit()[inside], atol=1e-5, rtol=1e-5)
        if weight.sum() > 0:
            assert (logits[0, 2] > logits[1, 2]).item()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_heads": -1}, "num_heads=-1 is 0 or more"),
        ({"drop_path_rate": 1.0}, "drop_path_rate=1.0"),
        ({"width": 0.0, "depth": -1.0}, "width=0.0 is above 0; depth=-1.0 is above 0"),
        ({"input_size": (3, 100)}, "change the front end's rows"),
        ({"input_size": (128, 3)}, "each is 4 or more"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ModelError, match=words):
        narrow(**changes)


def test_training_on_a_single_place_says_what_to_do():
    model = narrow(input_size=(32, 0)).train()
    features = torch.randn(2, 1, 32, 36)
    assert model(features).clip_logits.isfinite().all()
    assert model(features[:1]).clip_logits.isfinite().all()
    assert model(features[..., :35]).clip_logits.isfinite().all()
    with pytest.raises(ModelError, match="more clips in a batch, or pad to 36 frames"):
        model(features[:1, ..., :35])
