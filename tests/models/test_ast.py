"""AST's sizes and its outputs against the authors' code.

The numbers were made by running YuanGongND/ast 31088be (`src/models/ast_models.py`, timm 0.4.5,
torch 2.11, CPU) on the weights and spectrograms that `published_weights.py` computes by formula,
loaded with strict=True into `ASTModel(5, ..., imagenet_pretrain=False, model_size="tiny224")`.
The gradients are of the sum over the batch of logits times (1, -2, 3, -4, 5).
"""

from functools import partial

import pytest
import torch
from published_weights import ast_shapes, formula_features, formula_state

from models.checkpoints.load import load_pretrained
from models.errors import ModelError
from models.macs import count_macs, num_params
from models.registry import create

ast_base = partial(create, "model", "ast_base")
ast_laptop = partial(create, "model", "ast_laptop")
ast_small = partial(create, "model", "ast_small")
ast_tiny = partial(create, "model", "ast_tiny")

CASES = {
    "one second": dict(
        size=(128, 128),
        strides=(10, 10),
        num_patches=144,
        logits=[
            [-0.530923, -0.825605, 0.977195, 0.211886, 0.414366],
            [-0.493981, -0.897572, 0.885327, 0.171488, 0.307819],
        ],
        gradients=(2.056257, 5.882373, 34.354820, 48.081696),
    ),
    "low and odd": dict(
        size=(64, 100),
        strides=(10, 10),
        num_patches=45,
        logits=[
            [-0.354537, -0.991724, 0.363701, 0.069615, 0.714053],
            [-0.457654, -1.184488, 0.694954, -0.196063, 0.669955],
        ],
        gradients=(3.607006, 7.300521, 40.280216, 65.560349),
    ),
    "other strides": dict(
        size=(48, 200),
        strides=(16, 12),
        num_patches=48,
        logits=[
            [-0.443136, -1.011661, 0.264475, -0.005692, 0.713339],
            [-0.180672, -1.240215, 0.422450, -0.192760, 0.699494],
        ],
        gradients=(3.385141, 6.826108, 31.485447, 59.682747),
    ),
}


def small(*, input_size=(64, 128), num_classes=5, **changes):
    torch.manual_seed(0)
    return ast_laptop(1, input_size, num_classes, **({"dim": 24, "depth": 2} | changes))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_ast_with_the_authors_weights_gives_the_authors_outputs(case, tmp_path):
    freq_stride, time_stride = case["strides"]
    model = ast_tiny(1, case["size"], 5, freq_stride=freq_stride, time_stride=time_stride)
    shapes = ast_shapes(dim=192, depth=12, num_patches=case["num_patches"], num_classes=5)
    state = {"module." + name: value for name, value in formula_state(shapes).items()}
    torch.save(state, tmp_path / "audioset.pth")
    report = load_pretrained(model, tmp_path / "audioset.pth")
    assert report.missing == ()
    assert len(report.skipped) == 4
    features = formula_features(2, *case["size"]).requires_grad_()
    logits = model(features).clip_logits
    torch.testing.assert_close(logits, torch.tensor(case["logits"]), atol=2e-5, rtol=0)
    (logits * torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0])).sum().backward()
    norms = [
        tensor.grad.norm()
        for tensor in (
            features,
            model.pos_embed,
            model.patch_embed.weight,
            model.blocks[0].attn.qkv.weight,
        )
    ]
    torch.testing.assert_close(torch.stack(norms), torch.tensor(case["gradients"]))


@pytest.mark.parametrize(
    ("build", "params_m", "macs_g", "total_g"),
    [
        (ast_tiny, 6.11, 6.50, 13.30),
        (ast_small, 22.83, 25.90, 39.48),
        (ast_base, 88.13, 103.35, 130.51),
    ],
)
def test_published_sizes_have_the_authors_params_and_macs(build, params_m, macs_g, total_g):
    with torch.device("meta"):
        model = build(1, (128, 1024), 527)
        macs = count_macs(model, torch.zeros(1, 1, 128, 1024))
    unused_heads = 2 * (1000 * model.pos_embed.shape[2] + 1000)
    assert round((num_params(model) + unused_heads) / 1e6, 2) == params_m
    assert round(macs.layers / 1e9, 2) == macs_g
    assert round(macs.total / 1e9, 2) == total_g


def test_patches_are_ordered_mel_by_mel():
    model = small()
    assert model.grid == (5, 12)
    features = torch.zeros(1, 1, 64, 128)
    features[0, 0, 10:26, 20:36] = 1  # row 1, column 2
    with torch.no_grad():
        tokens = model.patch_embed(features).flatten(2)[0]
    assert (tokens - tokens[:, -1:]).abs().sum(dim=0).argmax() == 1 * 12 + 2


def test_cls_and_distillation_token_count_alike():
    model = small().eval()
    features = torch.randn(2, 1, 64, 128)
    before = model(features).clip_logits
    with torch.no_grad():
        model.pos_embed[:, :2] = model.pos_embed[:, [1, 0]]
        model.cls_token.data, model.dist_token.data = model.dist_token.data, model.cls_token.data
    torch.testing.assert_close(model(features).clip_logits, before, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input_size": (8, 128)}, "a patch of 16 or more"),
        ({"input_size": (64, 0)}, "change the front end's rows and frames"),
        ({"num_heads": 5}, "num_heads=5 does not divide dim=24"),
        ({"time_stride": 0}, "time_stride=0"),
        ({"drop_path_rate": 1.0}, "drop_path_rate=1.0"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ModelError, match=words):
        small(**changes)


def test_features_of_another_size_are_refused():
    with pytest.raises(ModelError, match=r"built for \(64, 128\)"):
        small()(torch.randn(1, 1, 64, 120))


def test_drop_path_acts_in_training_alone():
    model = small(drop_path_rate=0.5)
    features = torch.randn(8, 1, 64, 128)
    assert not torch.equal(model(features)[0], model(features)[0])
    model.eval()
    assert torch.equal(model(features)[0], model(features)[0])
