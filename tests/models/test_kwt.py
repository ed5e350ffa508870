"""The Keyword Transformer against its authors' code, and its counts.

The numbers were made by running ARM-software/keyword-transformer 237e409 (`KWSTransformer` in
`kws_streaming/models/transformer_utils.py`, TensorFlow 2.21 with tf_keras in float64, its GELU of
TensorFlow Addons replaced by `tf.nn.gelu`) on weights and features that are computed by formula,
kernels transposed. Gradients are of the sum over the batch of logits times (1, -2, 3, -4, 5).

The authors' trained KWT-1 in their TensorFlow Lite file, from four waveforms of one second to
logits up to 4.3: ours, with its weights and its approximate GELU, differs by at most 1.2e-6, and
its cepstra by 1.5e-5.
"""

import pytest
import torch
from published_weights import formula_features, formula_state

import models
from models.errors import ModelError
from models.registry import create
from models.zoo.counts import compare

LOGITS = [
    [0.249669, -0.677160, -0.474333, 1.444323, -1.782327],
    [0.362469, -0.741242, -0.023763, 1.351858, -1.767257],
]
GRADIENTS = (7.019918, 13.895971, 39.116222, 18.257147)


def narrow(*, input_size=(10, 12), **changes):
    torch.manual_seed(0)
    arguments = {"dim": 16, "depth": 2, "num_heads": 2, "mlp_dim": 32} | changes
    return create("model", "kwt_1", 1, input_size, 5, **arguments).eval()


def test_kwt_with_weights_by_formula_gives_the_authors_outputs():
    model = narrow()
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    model.load_state_dict(formula_state(shapes))
    features = formula_features(2, 10, 12).requires_grad_()
    logits = model(features).clip_logits
    torch.testing.assert_close(logits, torch.tensor(LOGITS), atol=5e-6, rtol=0)
    (logits * torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0])).sum().backward()
    norms = [
        gradient.norm()
        for gradient in (
            features.grad,
            model.embed.weight.grad,
            model.blocks[0].qkv.weight.grad[32:],  # of the values
            model.pos_embed.grad,
        )
    ]
    torch.testing.assert_close(torch.stack(norms), torch.tensor(GRADIENTS), atol=0, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "theirs", "ours"),
    [
        ("kwt_1", "0.607 M", 607_308),
        ("kwt_2", "2.394 M", 2_394_252),
        ("kwt_3", "5.361 M", 5_360_844),
    ],
)
def test_counts_are_the_authors(name, theirs, ours):
    [row] = compare(name)
    assert (row.published.printed, row.ours) == (theirs, ours)
    assert row.in_unit(row.ours) == theirs


def test_one_second_is_98_frames_and_as_it_is_without_normalization():
    built = models.create_model("kwt_1", num_classes=12).eval()
    wave = 0.1 * torch.randn(1, 16_000)
    assert built.frontend(wave).shape == (1, 1, 40, 98)
    built.set_normalization(0.0, 0.5)
    assert torch.equal(built.features(wave), built.frontend(wave))


def test_channels_are_features_of_a_frame():
    model = create("model", "kwt_1", 2, (10, 12), 5, dim=16, depth=1, num_heads=1, mlp_dim=8)
    assert model.embed.in_features == 20
    assert model(torch.randn(3, 2, 10, 12)).clip_logits.shape == (3, 5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input_size": (10, 0)}, "set the front end's frames"),
        ({"num_heads": 3}, "num_heads divides dim"),
        ({"dropout": 1.0}, "dropout=1.0"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ModelError, match=words):
        narrow(**changes)


def test_features_of_another_length_are_refused():
    with pytest.raises(ModelError, match="built for"):
        narrow()(torch.randn(1, 1, 10, 13))
