"""TALNet's outputs against the author's code, its checkpoint, its front end.

The numbers were made by running MaigoAkisame/cmu-thesis 7578dda (`code/audioset/Net.py`, its
integer divisions and initializers written for Python 3, torch 2.11, CPU, float64, evaluation
mode) on weights and spectrograms that are computed by formula, loaded with strict=True, with
`embedding_size` 64 in place of 1024. Logits are those of its probabilities; gradients are of the
sum over the batch of the first five clip logits times (1, -2, 3, -4, 5).

At full size, with random weights, on noise of 101, 400 and 401 frames, in float32, its logits
differ by at most 1.7e-6 (clips) and 2.9e-6 (frames), its parameters are as many: 9,980,527.
"""

import numpy as np
import pytest
import torch
from keyword_weights import talnet_shapes
from published_weights import formula_features, formula_state

import models
from models.checkpoints.load import load_pretrained
from models.errors import ModelError
from models.frontends.talnet import TalnetFbank
from models.registry import create
from models.talnet.model import BiGru, linear_softmax_logits
from models.zoo.counts import compare

DIMS = (2, 4, 8, 16, 32)
WEIGHTS = torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0])
CLIPS = [
    [0.665295, 0.725902, -0.226832, -0.823898, 0.642285],
    [0.722550, 0.710104, -0.159461, -0.791007, 0.595085],
]
FRAMES = [
    *(-0.748669, -0.450493, -0.299751, -0.257611, -0.303719),
    *(-0.281288, -0.083807, -0.068919, 0.056425, 0.372317),
]
GRADIENTS = (5.124453, 7.750344, 9.706173, 6.458765)


def narrow(*, input_size=(64, 0), num_classes=527, **changes):
    torch.manual_seed(0)
    arguments = {"dims": DIMS, "hidden_dim": 32} | changes
    return create("model", "talnet", 1, input_size, num_classes, **arguments).eval()


def published(folder):
    state = formula_state(talnet_shapes(dims=DIMS, num_classes=527), gain=1.4)
    torch.save({"model": state, "optimizer": {"state": {}, "param_groups": []}}, folder / "file.pt")
    return folder / "file.pt"


def test_talnet_with_the_authors_weights_gives_the_authors_outputs(tmp_path):
    model = narrow()
    report = load_pretrained(model, published(tmp_path))
    assert all(name.startswith("mel_norm.") for name in report.missing)
    assert not report.skipped
    model.set_input_statistics(torch.zeros(64), torch.ones(64))
    features = (2 * formula_features(2, 64, 42)).requires_grad_()
    clips, frames, _ = model(features)
    torch.testing.assert_close(clips[:, :5], torch.tensor(CLIPS), atol=1e-5, rtol=0)
    assert torch.equal(frames[:, 0:40:4], frames[:, 3:40:4])
    torch.testing.assert_close(frames[1, 0:40:4, 2], torch.tensor(FRAMES), atol=1e-5, rtol=0)
    assert torch.equal(frames[:, 39], frames[:, 41])
    (clips[:, :5] * WEIGHTS).sum().backward()
    norms = [
        tensor.grad.norm()
        for tensor in (
            features,
            model.convs[0].weight,
            model.recurrent.get_parameter("weight_hh_l0_reverse"),
            model.norms[9].weight,
        )
    ]
    torch.testing.assert_close(torch.stack(norms), torch.tensor(GRADIENTS), atol=0, rtol=1e-4)


def test_head_for_other_classes_keeps_its_initial_weights(tmp_path):
    model = narrow(num_classes=3)
    head = model.head.weight.clone()
    report = load_pretrained(model, published(tmp_path))
    assert set(model.head_parameters) <= set(report.missing)
    assert torch.equal(model.head.weight, head)


def test_input_statistics_normalize_every_mel():
    mean, std = torch.linspace(-60, -20, 64), torch.linspace(5, 15, 64)
    one, other = narrow(), narrow()
    one.set_input_statistics(torch.zeros(64), torch.ones(64))
    other.set_input_statistics(mean, std)
    features = torch.randn(2, 1, 64, 40)
    scaled = features * std[:, None] + mean[:, None]
    torch.testing.assert_close(other(scaled)[0], one(features)[0], atol=1e-4, rtol=1e-4)


def test_own_recurrent_layer_equals_torchs():
    torch.manual_seed(0)
    own, theirs = BiGru(6, 4), torch.nn.GRU(6, 4, batch_first=True, bidirectional=True)
    theirs.load_state_dict(own.state_dict(), strict=True)
    x = torch.randn(3, 11, 6)
    torch.testing.assert_close(own(x), theirs(x)[0])
    weight = own.get_parameter("weight_hh_l0")
    assert torch.allclose(weight.T @ weight, torch.eye(4), atol=1e-5)


def test_linear_softmax_equals_the_plain_formula_and_does_not_saturate():
    logits = 3 * torch.randn(2, 7, 4, dtype=torch.float64)
    p = logits.sigmoid()
    plain = torch.logit(p.square().sum(dim=1) / p.sum(dim=1))
    torch.testing.assert_close(linear_softmax_logits(logits), plain)
    assert linear_softmax_logits(torch.full((1, 2, 1), 200.0)) == 200
    assert linear_softmax_logits(torch.full((1, 2, 1), -200.0)) == -200


def test_frames_may_be_of_any_number():
    for frames in (4, 7, 8, 61):
        clips, steps, _ = narrow()(torch.randn(1, 1, 64, frames))
        assert steps.shape == (1, frames, 527)
        assert clips.shape == (1, 527)


def test_counts_are_the_authors():
    rows = {row.published.quantity: row for row in compare("talnet")}
    assert rows["params"].ours == 9_980_527
    params = rows["params"]
    assert params.in_unit(params.ours) == "9.98 M" == params.published.printed
    assert rows["MACs"].published.printed == "3.6 G"
    assert abs(rows["MACs"].difference) < 0.001


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input_size": (16, 0)}, "32 mels and 4 frames or more"),
        ({"dims": (4,)}, "two widths or more"),
        ({"dropout": 1.0}, "dropout=1.0"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ModelError, match=words):
        narrow(**changes)


def sweep_and_tone():
    """A decaying tone, a chirp, and an end a million times quieter: (samples,) at 16 kHz."""
    t = np.arange(12345) / 16000
    tone = 0.3 * np.sin(2 * np.pi * 440 * t) * np.exp(-3 * t)
    wave = (tone + 0.05 * np.sin(2 * np.pi * (300 + 2500 * t) * t)).astype(np.float32)
    wave[9000:] *= np.float32(1e-6)
    return torch.from_numpy(wave)


def test_front_end_equals_librosa():
    # The author's calls (issue 4 of cmu-thesis) by librosa 0.11: largest difference 1.0e-5 dB.
    features = TalnetFbank()(sweep_and_tone()[None])[0, 0]
    assert features.shape == (64, 30)
    cells = {(0, 0): -2.507875, (5, 3): -24.971998, (20, 10): -42.225998, (40, 28): -71.29855}
    for place, expected in cells.items():
        assert features[place].item() == pytest.approx(expected, abs=2e-4)
    assert features.max().item() == pytest.approx(8.701443, abs=2e-4)
    assert features.min().item() == pytest.approx(8.701443 - 80, abs=2e-4)


def test_front_end_equals_a_plain_formula_in_float64():
    front, wave = TalnetFbank(), sweep_and_tone()
    padded = np.pad(wave.double().numpy(), 512)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    frames = np.stack([padded[i * 400 : i * 400 + 1024] for i in range(30)])
    mel = np.abs(np.fft.rfft(frames * window, 4096)) @ front.filters.double().numpy()
    expected = 10 * np.log10(np.maximum(mel, 1e-10)).T
    expected = np.maximum(expected, expected.max() - 80)
    np.testing.assert_allclose(front(wave[None])[0, 0].numpy(), expected, atol=1e-4)


def test_front_end_of_fixed_length_fills_up_with_silence_and_cuts():
    wave = sweep_and_tone()[None]
    any_length = TalnetFbank()
    longer = torch.nn.functional.pad(wave, (0, 40 * 400 - wave.shape[1]))
    assert torch.equal(TalnetFbank(num_frames=40)(wave), any_length(longer))
    assert TalnetFbank(num_frames=10)(wave).shape == (1, 1, 64, 10)
    with pytest.raises(ModelError, match="pad them to 400"):
        any_length(wave[:, :399])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"f_max": 9000.0}, "f_max=9000.0"),
        ({"hop_length": 0}, "hop_length"),
        ({"top_db": 0.0}, "top"),
    ],
    ids=str,
)
def test_front_end_that_makes_no_filterbank_is_refused(changes, words):
    with pytest.raises(ModelError, match=words):
        TalnetFbank(**changes)


def test_ten_seconds_give_400_frames_in_100_steps():
    built = models.create_model("talnet", num_classes=2).eval()
    output = built(0.1 * torch.randn(1, 160_000))
    assert output.frame_logits.shape == (1, 400, 2)
    assert output.frame_logits.unique_consecutive(dim=1).shape == (1, 100, 2)
