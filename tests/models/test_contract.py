"""What every model of the zoo promises, asked of each name behind its family's front end.

A model that is registered is tested, without a line here. Laptop sizes are asked in the default
suite, all others in the slow one.

A full-size model is asked at its default input for clips of three lengths, and for the rest behind
the same front end with fewer frames: its weights and layers are what is asked.

Clips may have any length: a front end with `num_frames` pads or cuts them to it, for models whose
size is fixed when they are built (AST, DATAR); one without hands on as many frames as the clip
has, and the model has a rule of its own (PANNs pool over time, HTS-AT stretches or crops).
"""

import copy
import re

import pytest
import torch
from safetensors.torch import save_file

import models
from models.errors import ModelError
from models.frontends.features import Features
from models.registry import RegistryError, lookup, names
from models.zoo.cards import default_parts

NUM_CLASSES = 5
LAPTOP = [name for name in models.list_models() if name.endswith("_laptop")]
EVERY = pytest.mark.parametrize(
    "name",
    [
        name if name in LAPTOP else pytest.param(name, marks=pytest.mark.slow)
        for name in models.list_models()
    ],
)
# One full size of every file, for what does not depend on the size.
FIRST = {lookup("model", name).module: name for name in models.list_models() if name not in LAPTOP}
ONE_SIZE = pytest.mark.parametrize(
    "name", [*LAPTOP, *(pytest.param(name, marks=pytest.mark.slow) for name in FIRST.values())]
)
# A softmax over time cancels the bias of its scores.
WITHOUT_GRADIENT = {"cnn14_decision_level_att": {"model.attention.bias"}}


# Arguments of front ends that fix the number of frames, and what is enough.
FEW_FRAMES = {"num_frames": 256, "seconds": 2.5}


def few_frames(name):
    """The front end of a full-size model with fewer frames, where it fixes their number."""
    if name in LAPTOP:
        return {}
    (frontend, own), _ = default_parts(name)
    valid = {
        key: argument.default for key, argument in lookup("frontend", frontend).arguments.items()
    }
    fewer = {key: few for key, few in FEW_FRAMES.items() if (valid | own).get(key, 0) > few}
    return {"frontend": (frontend, {**own, **fewer})} if fewer else {}


def build(name, *, seed=0, **changes):
    changes = few_frames(name) | changes
    built = models.create_model(name, num_classes=NUM_CLASSES, seed=seed, **changes)
    built.set_normalization(-4.0, 4.0)
    for path, parameter in built.named_parameters():
        if path.endswith("weight") and not parameter.any():
            torch.nn.init.ones_(parameter)  # gains that start at 0 hide what is behind them
    return built


def clips(built, *, seconds=1.0, batch_size=2):
    generator = torch.Generator().manual_seed(0)
    if isinstance(built.frontend, Features):
        rows, frames = built.frontend.output_size
        size = (batch_size, built.frontend.num_channels, rows, frames or round(100 * seconds))
        return torch.randn(size, generator=generator)
    num_samples = int(seconds * built.frontend.sample_rate)
    return 0.1 * torch.randn(batch_size, num_samples, generator=generator)


def assert_well_formed(output, batch_size):
    assert output.clip_logits.shape == (batch_size, NUM_CLASSES)
    assert output.clip_logits.isfinite().all()
    assert output.embedding.dim() == 2 and len(output.embedding) == batch_size
    assert output.embedding.isfinite().all()
    if output.frame_logits is not None:
        batch, frames, classes = output.frame_logits.shape
        assert (batch, classes) == (batch_size, NUM_CLASSES)
        assert frames > 1
        assert output.frame_logits.isfinite().all()


@EVERY
def test_clips_of_three_lengths_give_logits(name):
    built = build(name, frontend=default_parts(name)[0]).eval()
    for seconds in (0.5, 5.0, 10.0):
        with torch.no_grad():
            assert_well_formed(built(clips(built, seconds=seconds, batch_size=1)), 1)


@EVERY
def test_every_parameter_gets_a_finite_gradient(name):
    built = build(name)
    torch.manual_seed(0)
    idle = {path: parameter for path, parameter in built.named_parameters()}
    for _ in range(4):  # in one pass stochastic depth may leave a block out for both clips
        built(clips(built)).clip_logits.square().sum().backward()
        idle = {path: p for path, p in idle.items() if p.grad is None or not p.grad.any()}
        if idle.keys() <= WITHOUT_GRADIENT.get(name, set()):
            break
    assert idle.keys() <= WITHOUT_GRADIENT.get(name, set())
    assert all(p.grad.isfinite().all() for p in built.parameters() if p.grad is not None)


@EVERY
def test_checkpoint_of_its_own_restores_the_outputs(name, tmp_path):
    one, other = build(name), build(name, seed=1).eval()
    waveform, path = clips(one, batch_size=1), tmp_path / "checkpoint"
    with torch.no_grad():
        one(waveform)  # moves the running statistics, where there are any
        expected = one.eval()(waveform).clip_logits
        assert not torch.equal(other(waveform).clip_logits, expected)
        save_file(one.state_dict(), path)
        report = models.load_pretrained(other, path)
        path.unlink()
        assert (report.missing, report.skipped, report.resized) == ((), {}, {})
        assert torch.equal(other(waveform).clip_logits, expected)


@EVERY
def test_bfloat16_autocast_stays_near_float32_and_trains(name):
    built = build(name).eval()
    waveform = clips(built)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        output = built(waveform)
    assert_well_formed(output, 2)
    with torch.no_grad():
        expected = built(waveform)
    for actual, reference in zip(output, expected, strict=True):
        if reference is not None:
            bound = 0.05 * reference.abs().max().clamp_min(1)
            assert (actual.float() - reference).abs().max() <= bound
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = built.train()(waveform).clip_logits.float().square().sum()
    loss.backward()
    assert all(p.grad.isfinite().all() for p in built.parameters() if p.grad is not None)


@EVERY
def test_one_clip_trains_and_is_classified_as_in_a_batch(name):
    built = build(name)
    waveform = clips(built, batch_size=3)
    built(waveform[:1]).clip_logits.sum().backward()
    built.eval()
    with torch.no_grad():
        single, batch = built(waveform[1:2]), built(waveform)
    for one, several in zip(single, batch, strict=True):
        if one is not None:
            torch.testing.assert_close(one, several[1:2], atol=1e-5, rtol=1e-4)


def linear_head(model):
    """The linear map from a clip's embedding to its logits; None where steps are combined."""
    modules = dict(model.named_children())
    heads = modules["heads"] if "heads" in modules else [modules.get("head")]
    return heads if all(isinstance(head, torch.nn.Linear) for head in heads) else None


@EVERY
def test_linear_head_maps_the_embedding_to_the_logits(name):
    built = build(name).eval()
    heads = linear_head(built.model)
    with torch.no_grad():
        output = built(clips(built))
        if heads is None or output.frame_logits is not None:  # it combines the scores of steps
            assert output.frame_logits is not None or name.startswith("psla")
            return
        logits = torch.cat([head(output.embedding) for head in heads], dim=1)
    torch.testing.assert_close(logits, output.clip_logits, atol=1e-5, rtol=1e-4)


def test_linear_head_of_htsat_maps_the_embedding_to_the_logits():
    built = build("htsat_laptop", token_semantic=False).eval()
    with torch.no_grad():
        output = built(clips(built))
        logits = built.model.head(output.embedding)
    torch.testing.assert_close(logits, output.clip_logits, atol=1e-5, rtol=1e-4)


def test_embedding_of_a_clip_in_crops_is_the_mean_of_theirs():
    model = build("slowfast_laptop").eval().model
    clip = torch.randn(1, 1, 64, 200, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        crops = [model(clip[..., start : start + 128]).embedding for start in (0, 72)]
        expected = torch.stack(crops).mean(dim=0)
        torch.testing.assert_close(model(clip).embedding, expected, atol=1e-5, rtol=1e-4)


@EVERY
@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
def test_silence_gives_finite_logits_and_gradients(name, autocast):
    built = build(name)
    silence = torch.zeros_like(clips(built, batch_size=1))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        with torch.no_grad():
            assert_well_formed(built.eval()(silence), 1)
        output = built.train()(silence)
    assert_well_formed(output, 1)
    output.clip_logits.float().square().sum().backward()
    assert all(p.grad.isfinite().all() for p in built.parameters() if p.grad is not None)


@EVERY
def test_short_clips_are_classified_or_refused_with_the_length_to_pad_to(name):
    built = build(name)
    refused = 0
    for num_samples in (0, 1, 399, 513, 2000, 12000):
        waveform = 0.1 * torch.randn(1, num_samples)
        for training in (True, False):
            try:
                output = built.train(training)(waveform)
            except ModelError as error:
                refused += 1
                assert "pad" in str(error)
            else:
                assert_well_formed(output, 1)
    assert refused >= 2


@ONE_SIZE
def test_ready_features_of_three_channels_are_classified(name):
    rows, frames = build(name).frontend.output_size
    size = {"num_channels": 3, "n_mels": rows, "num_frames": frames}
    built = build(name, frontend=("features", size))
    output = built(clips(built, seconds=2.0))
    assert_well_formed(output, 2)
    output.clip_logits.square().sum().backward()
    assert next(p for p in built.model.parameters() if p.dim() == 4 or "kwt" in name).grad.any()


@ONE_SIZE
def test_spectrogram_in_place_of_a_waveform_is_answered_with_what_to_call(name):
    built = build(name)
    for shape in ((2, 64, 100), (2, 1, 64, 100)):
        with pytest.raises(ModelError, match=r"is \(batch, time\), not .*chain\.model\(chain\.tra"):
            built(torch.zeros(shape))
    with pytest.raises(ModelError, match=r"not \(16000,\): one clip is waveform\[None\]"):
        built(torch.zeros(16000))


@EVERY
def test_unknown_arguments_are_refused_by_name(name):
    with pytest.raises(RegistryError, match=f"{name!r} has no argument 'no_such'"):
        build(name, no_such=1)


@pytest.mark.parametrize(
    ("frontend", "changes"),
    [
        (name, changes)
        for name in names("frontend")
        for changes in ({}, {"num_frames": 256}, {"n_mels": 40})
        if changes.keys() <= lookup("frontend", name).arguments.keys()
    ],
    ids=str,
)
@pytest.mark.parametrize("name", LAPTOP)
def test_front_end_fits_or_the_error_says_which_sizes_do(name, frontend, changes):
    try:
        built = build(name, frontend=(frontend, changes))
    except ModelError as error:
        # Only arguments that this front end has, so that the way out is one.
        named = set(re.findall(r"\b(n_mels|n_mfcc|num_frames|n_fft|f_max|seconds)\b", str(error)))
        assert named
        assert named <= lookup("frontend", frontend).arguments.keys()
    else:
        for training in (True, False):
            assert_well_formed(built.train(training)(clips(built, seconds=2.0)), 2)


def assert_compiled_is_equal(built, backend):
    built.eval()
    waveform = clips(built)
    torch.compiler.reset()
    compiled = torch.compile(copy.deepcopy(built), backend=backend, fullgraph=True)
    with torch.no_grad():
        for actual, expected in zip(compiled(waveform), built(waveform), strict=True):
            if expected is not None:
                bound = 1e-4 * expected.abs().max().item()
                torch.testing.assert_close(actual, expected, atol=bound, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in models.list_models() if name not in LAPTOP])
def test_chain_is_one_graph_with_the_same_output(name):
    """Traced and decomposed, not turned into C++: that takes minutes a size, see the next test."""
    assert_compiled_is_equal(build(name), "aot_eager")


# One block of each kind: more of them are more of the same C++.
FEW_BLOCKS = {
    "ast_laptop": {"depth": 1},
    "datar_laptop": {"depths": (2, 1, 1, 1)},
    "datar_pp_laptop": {"depths": (2, 1, 1, 1)},
    "htsat_laptop": {"depths": (2, 1, 1, 1)},
    "kwt_laptop": {"depth": 1},
    "res15_laptop": {"depth": 5},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LAPTOP)
def test_compiled_chain_gives_the_same_output(name):
    """The compiler's C++, of one size per family."""
    assert_compiled_is_equal(build(name, **FEW_BLOCKS.get(name, {})), "inductor")
