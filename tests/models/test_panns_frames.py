"""How PANNs make a clip of time steps, and how near its gradients are to the authors'.

qiuqiangkong/audioset_tagging_cnn d2f4b8c (`pytorch/models.py`) was run beside these models with
the same weights at full width (527 classes, two weight seeds), torch 2.11, float32, one CPU
thread, evaluation mode, on noise and on recordings of 101, 320 and 1001 frames. Its probabilities
differ by at most 1.8e-7. The largest difference of any gradient (of the sum of probabilities times
cos(0, 1, 2, ...)), relative to the largest element of that gradient:

- maximum and mean: 2.4e-6. It was 8e-2 before equal values sent their gradient to the first of
  them, as the authors' code does: neighbours in time do come out equal, and so do probabilities;
- attention: 1.5e-6, but for the weights of the attention scores 5e-5, 1.4e-4 and 2.8e-4 at 101,
  320 and 1001 frames. There the authors' float32 is the farther one from float64 arithmetic on the
  same float32 embedding: theirs 5.0e-5 and 2.8e-4 (101 and 1001 frames), ours 2.4e-6 and 3.7e-6.
  The bias of the scores has no gradient at all: a softmax over time cancels it, and what both
  codes return for it is rounding.

In float64 all of them agree to 3e-13.

Where the authors' rounding comes from was measured on noise of amplitude 0.1 and weights as drawn
(two seeds), which is harder: 8.4e-4, 7.3e-4 to 9.3e-4 and 1.5e-3 to 2.0e-3 from float64 at 101, 320
and 1001 frames, ours 4.8e-5 to 6.8e-5, 3.2e-5 to 3.8e-5 and 5.4e-5 to 6.6e-5; in float64 the two
differ by 5e-12. With one operation at a time rounded to float32 and all others in float64, at 1001
frames: the backward pass of the softmax over time 1.1e-3 (its inner sum alone 6e-4), the softmax
itself 1.6e-4, sigmoid 1.8e-5, the product with the sigmoid's gradient 1.4e-5, the product with
the embedding 4e-7, the class layer 4e-8, the score layer 2e-10; the clamp at 10 was not reached.
The gradients of a clip's scores sum to zero over time, but after that subtraction only up to
rounding of its terms, which are a thousand times larger; the embedding hardly changes over time,
so the product with it cancels the gradient and not that rest. With the rest taken off again, theirs
is 2.1e-5 from float64. `mean_probability_logits` does so by its form: the difference is taken above
a log-softmax, whose backward pass takes the rest off.

The limit is theirs: when the last bit of the embedding changes, their gradient moves by 3.6e-4 to
2.1e-3 and ours by 1.5e-5 to 5.3e-5, so that no other program can be within 2e-4 of them. Their
operations in their order within this model would be 3.3e-3 from float64, and 3.6e-3 from theirs.
"""

import pytest
import torch
from torch.nn import functional

from models.layers.steps import mean_probability_logits
from models.panns.model import _largest_probability, _smooth
from models.registry import create

NARROW = {"dims": (4, 8, 16, 32, 64, 128)}


def draws(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize("frames", [32, 63, 64, 200])
def test_frames_of_one_model_may_be_of_any_length(frames):
    torch.manual_seed(0)
    model = create("model", "cnn14_decision_level_avg", 1, (64, 100), 5, **NARROW).eval()
    output = model(torch.randn(1, 1, 64, frames))
    assert output.frame_logits.shape == (1, frames, 5)
    assert torch.equal(output.frame_logits[0, -1], output.frame_logits[0, frames // 32 * 32 - 1])


def test_mean_probability_logits_equal_the_plain_formula():
    logits, scores = 3 * draws(2, 2, 7, 4, dtype=torch.float64)
    mean = torch.logit(logits.sigmoid().mean(dim=1))
    weighted = torch.logit((scores.softmax(dim=1) * logits.sigmoid()).sum(dim=1))
    torch.testing.assert_close(mean_probability_logits(logits, None), mean)
    torch.testing.assert_close(mean_probability_logits(logits, scores), weighted)
    assert mean_probability_logits(torch.full((1, 2, 1), 200.0), None) == 200


def test_gradient_of_attention_scores_is_nearer_to_float64_than_the_plain_formula():
    """Steps that hardly differ, as those of a model that is not trained."""
    logits, scores, weights = 0.3 + 1e-3 * draws(31, 8), 1e-3 * draws(31, 8).flip(0), draws(8)

    def gradient(formula, dtype):
        leaf = scores[None].to(dtype).requires_grad_()
        (formula(logits[None].to(dtype), leaf).sigmoid() @ weights.to(dtype)).sum().backward()
        return leaf.grad.double()

    def plain(logits, scores):
        return torch.logit((scores.softmax(dim=1) * logits.sigmoid()).sum(dim=1))

    exact = gradient(plain, torch.float64)
    own, theirs = (
        (gradient(formula, torch.float32) - exact).abs().max() / exact.abs().max()
        for formula in (mean_probability_logits, plain)
    )
    assert own < 2e-4
    assert own < theirs


@pytest.mark.parametrize("seed", range(3))
def test_gradient_of_score_weights_has_no_rest_that_time_does_not_cancel(seed):
    """An embedding that hardly changes over time, and scores of weights that are not trained."""
    generator = torch.Generator().manual_seed(seed)
    embedding = 1 + 0.1 * torch.randn(2, 31, 64, generator=generator)
    class_weight, score_weight = 1e-3 * torch.randn(2, 8, 64, generator=generator)
    upstream = torch.cos(torch.arange(16.0)).view(2, 8)

    def own(logits, scores):
        return mean_probability_logits(logits, scores).sigmoid()

    def theirs(logits, scores):
        return (scores.softmax(dim=1) * logits.sigmoid()).sum(dim=1)

    def gradients(formula, dtype):
        x, weight = embedding.to(dtype), score_weight.to(dtype).clone().requires_grad_()
        scores = x @ weight.T
        clip = formula(x @ class_weight.to(dtype).T, scores)
        return torch.autograd.grad((clip * upstream.to(dtype)).sum(), (weight, scores))

    exact, exact_scores = gradients(theirs, torch.float64)
    errors, rests = [], []
    for formula in (own, theirs):
        weight, scores = gradients(formula, torch.float32)
        errors.append(((weight - exact).abs().max() / exact.abs().max()).item())
        rests.append((scores.sum(dim=1).abs().max() / exact_scores.abs().max()).item())
    assert rests[0] < 1e-6 < 1e-3 < rests[1]
    assert errors[0] < 5e-4 < 2e-3 < errors[1]


def test_smoothing_with_equal_neighbours_has_the_gradient_of_pooling():
    values = functional.relu(draws(2, 3, 40)).mul(4).round()  # many neighbours are equal
    assert (values[..., 1:] == values[..., :-1]).logical_and(values[..., 1:] > 0).sum() > 10
    weights, results = draws(2, 3, 40), []

    def pooled(x):
        return functional.max_pool1d(x, 3, 1, padding=1) + functional.avg_pool1d(x, 3, 1, padding=1)

    for smooth in (_smooth, pooled):
        leaf = values.clone().requires_grad_()
        output = smooth(functional.relu(leaf))
        (output * weights).sum().backward()
        results.append((output, leaf.grad))
    for own, expected in zip(*results, strict=True):
        torch.testing.assert_close(own, expected)


def test_largest_probability_is_the_first_of_those_that_round_to_it():
    logits = torch.tensor([0.5, 8.0, 8.0 + 2.0**-20, 8.0])
    assert logits.argmax() == 2
    assert logits.sigmoid().unique().numel() == 2
    assert _largest_probability(logits[None, :, None]).item() == 1


@pytest.mark.parametrize("offset", [-200.0, -16.0, 0.0, 16.0, 200.0])
def test_largest_probability_of_clearly_different_logits_is_theirs(offset):
    logits = offset + 3 * draws(5, 9, 7)
    assert torch.equal(_largest_probability(logits)[:, 0], logits.argmax(dim=1))


def test_clip_of_the_maximum_is_one_of_its_frames():
    torch.manual_seed(0)
    model = create("model", "cnn14_decision_level_max", 1, (64, 100), 5, **NARROW).eval()
    clip, frames, _ = model(torch.randn(3, 1, 64, 200))
    torch.testing.assert_close(clip, frames.amax(dim=1))
    assert (clip[:, None] == frames).any(dim=1).all()
