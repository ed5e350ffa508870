"""The contract of AST and PANNs: one list of small models, every promise for each of them."""

import pytest
import torch
from safetensors.torch import save_file

from models.pretrained import load_pretrained
from models.registry import create

NUM_CLASSES = 5
WIDTHS = (4, 8, 16, 32, 64, 128)
SIZES = ((64, 64), (64, 100), (64, 161))
MODELS = {
    "ast_tiny": {"dim": 24, "depth": 2},
    "ast_small": {"dim": 24, "depth": 2, "freq_stride": 16},
    "ast_base": {"dim": 24, "depth": 2, "time_stride": 7},
    "ast_laptop": {},
    "cnn6": {"dims": (4, 8, 16, 32)},
    "cnn6_laptop": {},
    "cnn10": {"dims": (4, 8, 16, 32)},
    "cnn14": {"dims": WIDTHS},
    "cnn14_decision_level_max": {"dims": WIDTHS},
    "cnn14_decision_level_avg": {"dims": WIDTHS},
    "cnn14_decision_level_att": {"dims": WIDTHS},
    "resnet38": {"dims": (4, 8, 16, 32, 64), "depths": (1, 2, 1, 1)},
}


@pytest.fixture(params=MODELS)
def built(request):
    return build(request.param)


def build(name, size=SIZES[1]):
    torch.manual_seed(0)
    model = create("model", name, 1, size, NUM_CLASSES, **MODELS[name])
    for path, parameter in model.named_parameters():
        if not parameter.any() and path.endswith("weight"):
            torch.nn.init.ones_(parameter)  # gains that start at 0 hide what is behind them
    model.name = name
    return model


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_forward_on_several_sizes_returns_finite_logits(name, size):
    output = build(name, size)(torch.randn(2, 1, *size))
    assert output.clip_logits.shape == (2, NUM_CLASSES)
    assert output.clip_logits.isfinite().all()
    if "decision_level" in name:
        assert output.frame_logits.shape == (2, size[1], NUM_CLASSES)
        assert output.frame_logits.isfinite().all()
    else:
        assert output.frame_logits is None


def test_forward_of_one_clip_equals_its_row_in_a_batch(built):
    built.eval()
    batch = torch.randn(3, 1, *SIZES[1])
    single = built(batch[1:2]).clip_logits
    torch.testing.assert_close(single, built(batch).clip_logits[1:2], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_forward_of_silence_is_finite(built, training):
    logits = built.train(training)(torch.full((1, 1, *SIZES[1]), -100.0)).clip_logits
    assert logits.isfinite().all()


def test_backward_reaches_every_parameter(built):
    built(torch.randn(4, 1, *SIZES[1])).clip_logits.square().sum().backward()
    idle = [n for n, p in built.named_parameters() if p.grad is None or not p.grad.any()]
    # A softmax over time cancels the bias of its scores.
    assert set(idle) <= {"attention.bias"}


def test_own_checkpoint_gives_the_same_logits(built, tmp_path):
    features = torch.randn(2, 1, *SIZES[1])
    built(features)  # moves the running statistics, where there are any
    save_file(built.state_dict(), tmp_path / "checkpoint")
    other = create("model", built.name, 1, SIZES[1], NUM_CLASSES, **MODELS[built.name])
    report = load_pretrained(other, tmp_path / "checkpoint")
    assert report.missing == ()
    assert report.skipped == {}
    assert torch.equal(other.eval()(features).clip_logits, built.eval()(features).clip_logits)


def test_autocast_to_bfloat16_stays_near_float32(built):
    built.eval()
    features = torch.randn(2, 1, *SIZES[1])
    expected = built(features).clip_logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = built(features).clip_logits
    assert actual.isfinite().all()
    assert (actual.float() - expected).abs().max() <= 0.05 * expected.abs().max().clamp_min(1)
    actual.float().sum().backward()
    assert all(p.grad.isfinite().all() for p in built.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ast_laptop", "cnn6_laptop", "cnn14_decision_level_att"])
def test_model_is_one_graph_to_the_compiler(name):
    model = build(name).eval()
    features = torch.randn(2, 1, *SIZES[1])
    traced = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(features)[0], model(features)[0])
