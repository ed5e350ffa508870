from functools import partial

import pytest
import torch
from torch.nn import functional

import models
from models.chain import build_chain
from models.errors import ModelError
from models.htsat.model import HtsAt
from models.layers.frames import random_crops, stretch_by_taps, stretch_frames
from models.registry import create

htsat_laptop = partial(create, "model", "htsat_laptop")
htsat_tiny = partial(create, "model", "htsat_tiny")

# What the authors' class has besides: the Fourier matrices and filters of its front end, and a
# linear layer of classes x classes that it does not use.
FRONT_END = 2 * 513 * 1024 + 513 * 64
UNUSED_HEAD = 527 * 527 + 527


def laptop(num_classes=5, *, token_semantic=True, **changes):
    return htsat_laptop(1, (64, 0), num_classes, token_semantic=token_semantic, **changes)


def spectrogram(frames, *, batch_size=2):
    generator = torch.Generator().manual_seed(0)
    return 10 * torch.randn(batch_size, 1, 64, frames, generator=generator) - 40


def clips(seconds, *, batch_size=2):
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(batch_size, int(32000 * seconds), generator=generator)


@pytest.mark.parametrize("seconds", [0.1, 2.5, 5.0, 8.3, 10.0])
def test_linear_head_gives_logits_for_clips_of_any_length(seconds):
    built = models.create_model("htsat_laptop", num_classes=7, token_semantic=False).eval()
    clip, frame, _ = built(clips(seconds, batch_size=1))
    assert clip.shape == (1, 7)
    assert frame.shape == (1, built.model.num_frames // built.model.frames_per_step, 7)
    assert clip.isfinite().all()
    assert frame.isfinite().all()


def test_every_parameter_of_the_linear_form_gets_a_gradient():
    built = models.create_model(
        "htsat_laptop", num_classes=3, token_semantic=False, drop_path_rate=0.0
    )
    built(clips(2.0)).clip_logits.square().sum().backward()
    idle = [n for n, p in built.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_bfloat16_autocast_of_crops_stays_near_float32():
    built = models.create_model("htsat_laptop", num_classes=3).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = built(clips(8.0))
    for actual, reference in zip(output, built(clips(8.0)), strict=True):
        assert actual.isfinite().all()
        assert (actual - reference).abs().max() < 0.05 * reference.abs().max()


def test_the_sizes_are_those_of_the_paper():
    # Measured on the authors' class: 31.325 M (30.242 M trained) and 29.023 M.
    token_semantic = models.num_params(htsat_tiny(1, (64, 0), 527))
    assert token_semantic == 29_963_431
    assert token_semantic + FRONT_END + UNUSED_HEAD == 31_325_143
    assert token_semantic + UNUSED_HEAD == 30_241_687
    linear = models.num_params(htsat_tiny(1, (64, 0), 527, token_semantic=False))
    assert linear + FRONT_END == 29_023_207
    assert models.num_params(laptop(10)) == 582_232


def test_the_macs_are_those_of_the_authors_code():
    # Measured on it for ten seconds: 7.07 G and 7.41 G, 1.08 G of them the Fourier matrices and
    # filters; its linear head runs on 1024 repeated frames, here on the 32 steps they come from.
    front_end = 1001 * (2 * 513 * 1024 + 513 * 64)
    features = spectrogram(1001, batch_size=1)
    macs = models.count_macs(htsat_tiny(1, (64, 0), 527), features)
    assert round((macs.total + front_end) / 1e9, 2) == 7.07
    macs = models.count_macs(htsat_tiny(1, (64, 0), 527, token_semantic=False), features)
    repeated = (1024 - 32) * 768 * 527
    assert round((macs.total + front_end + repeated) / 1e9, 2) == 7.41
    assert round(models.count_macs(laptop(10), spectrogram(251, batch_size=1)).total / 1e6) == 29


def test_clip_logits_are_the_mean_of_the_frame_logits_and_steps_are_local_in_time():
    model = laptop().eval()
    clip, frame, _ = model(spectrogram(256))
    torch.testing.assert_close(clip, frame.mean(dim=1))
    assert model.frames_per_step == 32
    assert model.forward_features(spectrogram(256)).shape == (2, 128, 2, 8)


def test_fold_puts_chunks_under_one_another_low_mel_first():
    image = laptop()._fold(spectrogram(256))
    assert image.shape == (2, 1, 128, 128)
    chunks = torch.cat([image[:, :, :64], image[:, :, 64:]], dim=3)
    assert torch.equal(chunks, spectrogram(256))


def test_tokens_are_in_the_order_of_frequency_and_time():
    model = laptop()
    rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
    grid = (10 * rows + columns).reshape(1, 4, 4, 1)
    model.swin.forward_features = lambda image: grid
    tokens = model._tokens(spectrogram(256))
    # Two rows of tokens per chunk; the second chunk continues the first in time.
    assert tokens[0, 0].tolist() == [[0, 1, 2, 3, 20, 21, 22, 23], [10, 11, 12, 13, 30, 31, 32, 33]]


def test_shorter_clips_are_stretched_with_their_ends_in_place():
    model = laptop().eval()
    short = spectrogram(100)
    stretched = functional.interpolate(short, (64, 256), mode="bicubic", align_corners=True)
    torch.testing.assert_close(stretched[..., 0], short[..., 0])
    torch.testing.assert_close(model(short)[0], model(stretched)[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 5, 100, 251, 256])
def test_stretch_by_taps_equals_the_kernel_and_its_gradient(frames):
    x = spectrogram(frames).requires_grad_()
    weight = spectrogram(256)
    outputs = [stretch(x, 256) for stretch in (stretch_frames, stretch_by_taps)]
    torch.testing.assert_close(*outputs, atol=2e-4, rtol=0)
    gradients = [torch.autograd.grad((y * weight).sum(), x)[0] for y in outputs]
    torch.testing.assert_close(*gradients, atol=1e-5 * gradients[0].abs().max().item(), rtol=0)


@pytest.mark.parametrize(("frames", "starts"), [(513, (0, 128)), (400, (0, 99, 198))])
def test_longer_clips_are_evaluated_in_crops_whose_probabilities_are_averaged(frames, starts):
    model, size = laptop().eval(), (frames - 1) // 2
    x = spectrogram(frames)
    for i in range(2):
        expected = torch.stack([model(x[..., s : s + size])[i].sigmoid() for s in starts]).mean(0)
        torch.testing.assert_close(model(x)[i].sigmoid(), expected)


def test_longer_clips_are_trained_on_a_random_crop_per_clip():
    model = laptop(drop_path_rate=0.0)
    model.bn0.eval()
    x = spectrogram(600)
    torch.manual_seed(0)
    first, second = (model(x).clip_logits for _ in range(2))
    torch.manual_seed(0)
    assert torch.equal(model(x).clip_logits, first)
    assert not torch.equal(first, second)
    crops = random_crops(x, 256)
    windows = x.unfold(3, 256, 1)
    for clip, crop in zip(windows, crops, strict=True):
        assert (clip[0] == crop[0][:, None]).all(dim=(0, 2)).sum() == 1


def test_frames_beyond_what_crops_cover_are_refused():
    model = laptop().eval()
    assert model(spectrogram(514)).clip_logits.shape == (2, 5)
    with pytest.raises(ModelError, match=r"515 frames.*at most 514"):
        model(spectrogram(515))


@pytest.mark.parametrize(("frames", "image_size"), [(514, 128), (515, 192), (1024, 192)])
def test_front_end_of_more_frames_than_evaluation_can_crop_is_refused(frames, image_size):
    htsat_laptop(1, (64, frames), 5, image_size=image_size)
    if image_size > 128:
        with pytest.raises(ModelError, match=f"514 or less .* image_size={image_size} or more"):
            htsat_laptop(1, (64, frames), 5)


def test_a_single_frame_is_refused():
    with pytest.raises(ModelError, match=r"clips of 1 frames, .* 2 or more; pad them"):
        laptop()(spectrogram(1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 100}, r"image_size=100 is a multiple of the 64 mels, nearest 128"),
        ({"num_heads": (1, 2, 4)}, "as many of both"),
        ({"num_heads": (3, 2, 4, 8)}, r"divide the dims \(16, 32, 64, 128\)"),
        ({"window_size": 1}, "window_size=1"),
        ({"drop_path_rate": 1.0}, "drop_path_rate"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ModelError, match=message):
        laptop(**changes)


def test_another_number_of_mels_is_refused():
    with pytest.raises(ModelError, match=r"80 rows .* multiple of 32, nearest 64"):
        htsat_laptop(1, (80, 256), 5)
    with pytest.raises(ModelError, match=r"features of 32 mels.*built for 64"):
        laptop()(torch.zeros(1, 1, 32, 256))


def test_any_front_end_and_number_of_mels_fit_the_fold():
    built = build_chain(
        frontend=("kaldi_fbank", {"n_mels": 128, "num_frames": 200}),
        augmentation=("none", {}),
        transform=("adaptor", {}),
        model=("htsat_laptop", {"image_size": 256}),
        num_classes=4,
        seed=0,
    )
    assert isinstance(built.model, HtsAt)
    assert built(clips(1.0)).clip_logits.shape == (2, 4)


@pytest.mark.slow
def test_a_training_chain_of_htsat_is_one_graph_to_the_compiler():
    built = models.create_model("htsat_laptop", num_classes=3, drop_path_rate=0.0)
    built.model.bn0.eval()
    traced = torch.compile(built, backend="eager", fullgraph=True)
    seeds = torch.arange(2)
    torch.testing.assert_close(traced(clips(2.0), seeds)[0], built(clips(2.0), seeds)[0])
