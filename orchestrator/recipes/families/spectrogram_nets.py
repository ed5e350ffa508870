"""PSLA, VGGSound's ResNets and Auditory SlowFast: convolution nets on spectrograms."""

from __future__ import annotations

from orchestrator.experiment.config import Component, Experiment
from orchestrator.recipes.families.family import Family, is_laptop, sample_rate
from orchestrator.recipes.families.transformers import ast_fbank


def psla_fbank(base: Experiment) -> Component:
    """Return AST's filterbank with PSLA's 1056 frames; for a laptop DATAR's."""
    fbank = ast_fbank(base)
    return fbank if is_laptop(base) else fbank.replace(num_frames=1056)


def log_spectrogram(base: Experiment) -> Component:
    """Return VGGSound's log spectrogram at the base's sample rate, up to 8 kHz.

    Frames of 32 ms every 9.94 ms over 10 s, as at its 16 kHz; for a laptop of 16 ms every 40 ms
    over 5 s.
    """
    rate, laptop = sample_rate(base), is_laptop(base)
    return Component(
        "log_spectrogram",
        sample_rate=rate,
        seconds=5.0 if laptop else 10.0,
        n_fft=round((0.016 if laptop else 0.032) * rate),
        hop_length=round((0.04 if laptop else 159 / 16000) * rate),
    )


def htk_log_mel(base: Experiment) -> Component:
    """Return SlowFast's log-mel at the base's sample rate, up to 8 kHz.

    Windows of 20 ms every 10 ms and 128 filters, as at its 16 kHz; for a laptop windows of 50 ms
    every 40 ms and 64 filters.
    """
    rate, laptop = sample_rate(base), is_laptop(base)
    return Component(
        "htk_log_mel",
        sample_rate=rate,
        n_fft=1 << (round((0.064 if laptop else 0.128) * rate) - 1).bit_length(),
        win_length=round((0.05 if laptop else 0.02) * rate),
        hop_length=round((0.04 if laptop else 0.01) * rate),
        n_mels=64 if laptop else 128,
    )


PSLA = Family(
    name="PSLA",
    full=Component("psla_b2"),
    laptop=Component("psla_laptop", drop_path_rate=0.0),
    frontend=psla_fbank,
    weights="efficientnet_b2_imagenet",
)
VGGSOUND = Family(
    name="VGGSound",
    full=Component("vggsound_resnet18"),
    laptop=Component("vggsound_resnet_laptop"),
    frontend=log_spectrogram,
    weights="vggsound_resnet18_vggsound",
)
SLOWFAST = Family(
    name="SlowFast",
    full=Component("slowfast_r50"),
    laptop=Component("slowfast_laptop"),
    frontend=htk_log_mel,
    weights="slowfast_vggsound",
)

SPECTROGRAM_NETS = (PSLA, VGGSOUND, SLOWFAST)
