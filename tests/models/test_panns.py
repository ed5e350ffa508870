"""PANNs' sizes and checkpoints, and their outputs against the authors' code.

The numbers were made by running qiuqiangkong/audioset_tagging_cnn d2f4b8c (`pytorch/models.py`,
torch 2.11, CPU, evaluation mode) on the weights and spectrograms that `published_weights.py`
computes by formula, loaded with strict=True. All widths are divided by 16, by layers that take
the place of torch's while the model is built, and the two layers of the front end hand the
spectrogram through. Logits are those of the authors' probabilities in float64; gradients are of
the sum over the batch of clip logits times (1, -2, 3, -4, 5).
"""

import pytest
import torch
from published_weights import formula_features, formula_state, panns_shapes

from models.checkpoints.load import load_pretrained
from models.errors import ModelError
from models.macs import count_macs, num_params
from models.registry import create

WIDTHS = (4, 8, 16, 32, 64, 128)
WEIGHTS = torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0])


def blocks(widths, *, kernel=3, convs=2):
    pairs = zip((1, *widths), widths, strict=False)
    return [(f"conv_block{i + 1}", *pair, kernel, convs) for i, pair in enumerate(pairs)]


CASES = {
    "cnn6": dict(
        dims=WIDTHS[:4],
        shapes=dict(blocks=blocks(WIDTHS[:4], kernel=5, convs=1), dim=32),
        logits=[
            [-0.730075, -0.892751, 1.447901, -0.659945, -0.992776],
            [-0.732364, -0.887516, 1.432433, -0.654039, -1.01133],
        ],
        gradients=(0.411047, 0.557102, 6.341458, 49.169926),
    ),
    "cnn10": dict(
        dims=WIDTHS[:4],
        shapes=dict(blocks=blocks(WIDTHS[:4]), dim=32),
        logits=[
            [-7.648462, -2.565343, 3.177869, -0.662365, -1.753156],
            [-7.728486, -2.550752, 3.107461, -0.629591, -1.818439],
        ],
        gradients=(1.067988, 2.856197, 6.041082, 192.951065),
    ),
    "cnn14": dict(
        dims=WIDTHS,
        shapes=dict(blocks=blocks(WIDTHS), dim=128),
        logits=[
            [-1.675228, 0.963336, -0.584244, 0.506011, 0.029175],
            [-1.695539, 1.019648, -0.58119, 0.507148, 0.0477],
        ],
        gradients=(0.631368, 1.850576, 8.934631, 132.810226),
    ),
    "resnet38": dict(
        dims=(4, 8, 16, 32, 128),
        shapes=dict(
            blocks=[("conv_block1", 1, 4, 3, 2), ("conv_block_after1", 32, 128, 3, 2)],
            dim=128,
            resnet=((4, 3), (8, 4), (16, 6), (32, 3)),
        ),
        logits=[
            [-2.475206, 0.398975, -0.069322, -0.44382, 0.459198],
            [-2.496939, 0.407865, -0.078482, -0.452517, 0.445084],
        ],
        gradients=(0.374847, 1.590315, 4.157802, 214.074387),
    ),
    "cnn14_decision_level_max": dict(
        dims=WIDTHS,
        shapes=dict(blocks=blocks(WIDTHS), dim=128),
        logits=[
            [-1.34507, 1.063066, -0.584244, 0.589423, 0.068664],
            [-1.357543, 1.11328, -0.58119, 0.586633, 0.084046],
        ],
        gradients=(0.569363, 1.587972, 7.847265, 113.164604),
        frames=[-0.606996, -0.606996, -0.58119, -0.58119, -0.679639, -0.679639],
    ),
    "cnn14_decision_level_avg": dict(
        dims=WIDTHS,
        shapes=dict(blocks=blocks(WIDTHS), dim=128),
        logits=[
            [-1.450042, 0.888718, -0.617439, 0.450684, 0.04767],
            [-1.47521, 0.943984, -0.622344, 0.456273, 0.067828],
        ],
        gradients=(0.48531, 1.47997, 7.483521, 116.360069),
        frames=[-0.606996, -0.606996, -0.58119, -0.58119, -0.679639, -0.679639],
    ),
    "cnn14_decision_level_att": dict(
        dims=WIDTHS,
        shapes=dict(blocks=blocks(WIDTHS), dim=128, attention=True),
        logits=[
            [0.360821, 1.589967, 0.843241, 0.733249, -0.828977],
            [0.375208, 1.601855, 0.812029, 0.707379, -0.831185],
        ],
        gradients=(0.316193, 0.91022, 4.284173, 98.450935),
        frames=[0.767719, 0.767719, 0.883196, 0.883196, 0.764301, 0.764301],
    ),
}


def published(name, folder, *, num_classes=5):
    """A file in the authors' format for the narrow model of that name."""
    shapes = panns_shapes(num_classes=num_classes, **CASES[name]["shapes"])
    state = formula_state(shapes, gain=1.0 if name == "resnet38" else 1.4)
    torch.save({"iteration": 600000, "model": state}, folder / "file.pth")
    return folder / "file.pth"


def narrow(name, *, num_channels=1, input_size=(64, 100), num_classes=5, **changes):
    torch.manual_seed(0)
    arguments = {"dims": CASES[name]["dims"]} | changes
    return create("model", name, num_channels, input_size, num_classes, **arguments).eval()


@pytest.mark.parametrize("name", CASES)
def test_panns_with_the_authors_weights_give_the_authors_outputs(name, tmp_path):
    case, model = CASES[name], narrow(name)
    report = load_pretrained(model, published(name, tmp_path))
    assert report.missing == ()
    assert not report.resized
    features = formula_features(2, 64, 100).requires_grad_()
    output = model(features)
    torch.testing.assert_close(
        output.clip_logits, torch.tensor(case["logits"]), atol=2e-5, rtol=1e-5
    )
    if "frames" in case:
        frames = output.frame_logits[1, [0, 31, 32, 63, 64, 99], 2]
        torch.testing.assert_close(frames, torch.tensor(case["frames"]), atol=2e-5, rtol=0)
    (output.clip_logits * WEIGHTS).sum().backward()
    first = model.stages[0].convs[0]
    norms = [
        tensor.grad.norm()
        for tensor in (features, model.mel_norm.weight, first.weight, model.embed.weight)
    ]
    torch.testing.assert_close(
        torch.stack(norms), torch.tensor(case["gradients"]), atol=0, rtol=1e-4
    )


@pytest.mark.parametrize(
    ("name", "params_m", "macs_g"),
    [
        ("cnn6", 5.92, 11.02),
        ("cnn10", 6.30, 14.10),
        ("cnn14", 81.84, 21.13),
        ("cnn14_decision_level_max", 81.84, 21.28),
        ("cnn14_decision_level_avg", 81.84, 21.28),
        ("cnn14_decision_level_att", 82.92, 21.32),
        ("resnet38", 74.87, 24.48),
    ],
)
def test_published_sizes_have_the_authors_params_and_macs(name, params_m, macs_g):
    with torch.device("meta"):
        model = create("model", name, 1, (64, 1001), 527)
        macs = count_macs(model, torch.zeros(1, 1, 64, 1001))
    frontend = 2 * 513 * 1024 + 513 * 64  # Fourier and mel filters, once per frame
    assert round((num_params(model) + frontend) / 1e6, 2) == params_m
    assert round((macs.layers + 1001 * frontend) / 1e9, 2) == macs_g


def test_published_front_end_is_skipped_and_said_so(tmp_path):
    name = "cnn14_decision_level_att"
    report = load_pretrained(narrow(name), published(name, tmp_path))
    reasons = {path.split(".")[0]: why for path, why in report.skipped.items()}
    assert reasons.keys() == {"spectrogram_extractor", "logmel_extractor", "att_block"}
    assert "front end" in reasons["logmel_extractor"]
    assert "never runs" in reasons["att_block"]


@pytest.mark.parametrize("name", ["cnn10", "cnn14_decision_level_att"])
def test_head_for_other_classes_keeps_its_initial_weights(name, tmp_path):
    model = narrow(name, num_classes=3)
    head = model.head.weight.clone()
    report = load_pretrained(model, published(name, tmp_path))
    assert set(report.missing) == set(model.head_parameters)
    assert torch.equal(model.head.weight, head)


def test_more_channels_share_the_first_weights(tmp_path):
    one, two = narrow("cnn10"), narrow("cnn10", num_channels=2)
    for model in (one, two):
        load_pretrained(model, published("cnn10", tmp_path))
    features = formula_features(2, 64, 100)
    expected = one(features).clip_logits
    doubled = two(features.expand(-1, 2, -1, -1)).clip_logits
    torch.testing.assert_close(doubled, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(64, 100), (32, 40)], ids=str)
@pytest.mark.parametrize("mels_last", [False, True])
def test_gradient_of_the_features_equals_differences(size, mels_last):
    model = narrow("cnn14", input_size=size).double()
    features = torch.randn(1, 1, *size, dtype=torch.float64)
    if mels_last:
        features = features.mT.contiguous().mT
    direction = torch.randn(1, 1, *size, dtype=torch.float64)
    leaf = features.clone().requires_grad_()
    (model(leaf).clip_logits @ WEIGHTS.double()).sum().backward()
    ends = [model(features + s * 1e-6 * direction).clip_logits @ WEIGHTS.double() for s in (1, -1)]
    expected = ((ends[0] - ends[1]) / 2e-6).sum()
    torch.testing.assert_close((leaf.grad * direction).sum(), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input_size": (16, 100)}, "each is 32 or more"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"head_dropout": -0.1}, "head_dropout=-0.1"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ModelError, match=words):
        narrow("cnn14", **changes)


def test_resnet_of_other_rows_is_refused():
    with pytest.raises(ModelError, match="give 5 dims and 4 depths"):
        narrow("resnet38", dims=(4, 8))


@pytest.mark.parametrize("size", [(32, 100), (64, 16)], ids=str)
def test_features_that_do_not_fit_are_refused(size):
    with pytest.raises(ModelError, match="takes 64 mels and 32 frames or more"):
        narrow("cnn14")(torch.randn(1, 1, *size))


def test_training_on_a_single_place_says_what_to_do():
    model = narrow("cnn14", input_size=(32, 0))
    features = torch.randn(2, 1, 32, 63)
    assert model(features[:1]).clip_logits.isfinite().all()
    assert model.train()(features).clip_logits.isfinite().all()
    with pytest.raises(ModelError, match="more clips in a batch, or pad to 64 frames"):
        model(features[:1])
