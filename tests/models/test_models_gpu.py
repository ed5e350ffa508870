"""The contract of every model on a CUDA device, against the CPU in float32."""

import pytest
import torch

import models
from models.chain import build_chain

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def clips(built):
    num_frames = built.frontend.num_frames or 400  # 0 stands for any number
    num_samples = int(1.1 * num_frames * built.frontend.hop_length)
    return 0.1 * torch.randn(2, num_samples, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=models.list_models())
def pair(request):
    """The same model on the CPU and on the device, and clips for it."""
    built = models.create_model(request.param, num_classes=10).eval()
    built.set_normalization(-4.0, 4.0)
    for name, parameter in built.named_parameters():
        if name.endswith("weight") and not parameter.any():
            torch.nn.init.ones_(parameter)  # gains that start at 0 hide what is behind them
    moved = models.create_model(request.param, num_classes=10).eval().cuda()
    moved.load_state_dict(built.state_dict())
    return built, moved, clips(built)


def test_cuda_outputs_equal_the_cpu(pair, monkeypatch):
    # Convolutions take shorter mantissas by default.
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    on_cpu, on_gpu, waveform = pair
    with torch.no_grad():
        expected, actual = on_cpu(waveform)[0], on_gpu(waveform.cuda())[0].cpu()
    assert (actual - expected).abs().max() <= 1e-3 * expected.abs().max()


def test_cuda_backward_in_bfloat16_autocast_reaches_every_parameter(pair):
    _, on_gpu, waveform = pair

    def gradients(dtype):
        on_gpu.zero_grad()
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
            logits = on_gpu(waveform.cuda()).clip_logits
        assert logits.isfinite().all()
        logits.float().square().sum().backward()
        return {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in named}

    named = list(on_gpu.named_parameters())
    half, full = gradients(torch.bfloat16), gradients(torch.float32)
    assert all(gradient.isfinite().all() for gradient in half.values())
    largest = max(gradient.abs().max() for gradient in full.values())
    # What float32 barely sees may vanish: scores over time that an untrained model cannot tell
    # apart (PSLA), and the bias of scores, which a softmax over time cancels.
    idle = [name for name, gradient in half.items() if not gradient.any()]
    assert all(full[name].abs().max() <= 1e-7 * largest for name in idle)


def test_cuda_augmentation_equals_the_cpu():
    built = build_chain(
        frontend=("kaldi_fbank", {"n_mels": 64, "num_frames": 128}),
        augmentation=("spec_augment", {}),
        transform=("laplacian", {"scale": 0.1}),
        model=("datar_laptop", {}),
        num_classes=2,
        seed=0,
    )
    waveform, seeds = clips(built), torch.tensor([5, 6])
    expected = built.features(waveform, seeds)
    actual = built.cuda().features(waveform.cuda(), seeds.cuda()).cpu()
    torch.testing.assert_close(actual, expected, atol=1e-3, rtol=1e-3)


def test_cuda_training_step_repeats_bit_for_bit_with_deterministic_algorithms(pair, monkeypatch):
    _, on_gpu, waveform = pair
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        gradients = []
        for _ in range(2):
            on_gpu.zero_grad()
            on_gpu(waveform.cuda()).clip_logits.square().sum().backward()
            gradients.append([p.grad.clone() for p in on_gpu.parameters()])
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(one, two) for one, two in zip(*gradients, strict=True))
