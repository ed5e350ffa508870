"""DATAR, AST and HTS-AT, and PANNs, whose front end HTS-AT took over."""

from __future__ import annotations

from orchestrator.experiment.config import Component, Experiment
from orchestrator.recipes.families.family import Family, is_laptop, sample_rate

DATAR_FBANK = Component("kaldi_fbank", sample_rate=43000, n_mels=128, num_frames=1024)
"""128 bins by 1024 frames: told 43,000 Hz on 44.1 kHz audio, by which 10 s fill them exactly."""
LAPTOP_FBANK = Component(
    "kaldi_fbank", n_mels=64, num_frames=128, frame_length_ms=50.0, frame_shift_ms=40.0
)


def log_mel(base: Experiment) -> Component:
    """Return PANNs' and HTS-AT's log-mel at the base's sample rate.

    Windows of 32 ms every 10 ms and 64 filters from 50 to 14000 Hz, as at their 32 kHz; for a
    laptop the frames are 20 ms apart.
    """
    rate = sample_rate(base)
    win_length = round(0.032 * rate)
    return Component(
        "log_mel",
        sample_rate=rate,
        n_fft=1 << (win_length - 1).bit_length(),
        win_length=win_length,
        hop_length=round((0.02 if is_laptop(base) else 0.01) * rate),
        f_max=min(14000.0, rate / 2),
    )


def datar_fbank(base: Experiment) -> Component:
    """Return the base's filterbank, or DATAR's where the base has another kind of front end."""
    if base.frontend.name == "kaldi_fbank":
        return base.frontend
    return LAPTOP_FBANK if is_laptop(base) else DATAR_FBANK


def ast_fbank(base: Experiment) -> Component:
    """Return AST's filterbank, which ends at 8 kHz whatever the base's sample rate.

    25-ms frames every 10 ms and 128 filters, as at its 16 kHz; for a laptop DATAR's.
    """
    if is_laptop(base):
        return datar_fbank(base)
    rate = sample_rate(base)
    return Component("kaldi_fbank", sample_rate=rate, f_max=min(8000.0, rate / 2))


DATAR = Family(
    name="DATAR",
    full=Component("datar_tiny"),
    laptop=Component("datar_laptop", drop_path_rate=0.0),
    frontend=datar_fbank,
    weights="dat_tiny_imagenet",
)
AST = Family(
    name="AST",
    full=Component("ast_base"),
    laptop=Component("ast_laptop"),
    frontend=ast_fbank,
    weights="ast_base_audioset",
)
HTSAT = Family(
    name="HTS-AT",
    full=Component("htsat_tiny"),
    laptop=Component("htsat_laptop", drop_path_rate=0.0),
    frontend=log_mel,
    weights="swin_tiny_imagenet",
)
PANNS = Family(
    name="PANNs",
    full=Component("cnn14"),
    laptop=Component("cnn6_laptop"),
    frontend=log_mel,
    weights="cnn14_audioset",
)

TRANSFORMERS_AND_PANNS = (DATAR, AST, HTSAT, PANNS)
