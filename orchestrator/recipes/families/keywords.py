"""More families of the zoo: TALNet, the keyword models, ERANN and AudioSet's early systems."""

from __future__ import annotations

from orchestrator.experiment.config import Component, Experiment
from orchestrator.recipes.families.family import Family, is_laptop, sample_rate
from orchestrator.recipes.families.transformers import ast_fbank, log_mel


def talnet_fbank(base: Experiment) -> Component:
    """Return TALNet's filterbank at the base's sample rate.

    Windows of 64 ms every 25 ms in a transform four times as long; for a laptop every 50 ms, with
    half the filters.
    """
    rate, laptop = sample_rate(base), is_laptop(base)
    win_length = round(0.064 * rate)
    return Component(
        "talnet_fbank",
        sample_rate=rate,
        n_fft=win_length if laptop else 4 * win_length,
        win_length=win_length,
        hop_length=round((0.05 if laptop else 0.025) * rate),
        n_mels=32 if laptop else 64,
        f_max=min(8000.0, rate / 2),
    )


def mfcc(base: Experiment) -> Component:
    """Return KWT's cepstra at the base's sample rate: ten seconds, for a laptop 5.12."""
    seconds, num_frames = ((0.05, 0.04), 128) if is_laptop(base) else ((0.03, 0.01), 998)
    return _cepstra("mfcc", base, *seconds, num_frames=num_frames, f_max=7600.0)


def honk_mfcc(base: Experiment) -> Component:
    """Return Res-15's cepstra at the base's sample rate; for a laptop every 40 ms."""
    seconds = (0.05, 0.04) if is_laptop(base) else (0.03, 0.01)
    return _cepstra("honk_mfcc", base, *seconds, num_frames=0, f_max=4000.0)


def erann_log_mel(base: Experiment) -> Component:
    """Return ERANN's log-mel at the base's rate, 128 frames a second; for a laptop PANNs'."""
    if is_laptop(base):
        return log_mel(base)
    rate = sample_rate(base)
    hop_length = round(rate / 128)
    return log_mel(base).replace(
        n_fft=1 << (4 * hop_length).bit_length(),
        win_length=4 * hop_length,
        hop_length=hop_length,
        n_mels=128,
        f_max=rate / 2,
    )


def baseline_log_mel(base: Experiment) -> Component:
    """Return the log-mel of AudioSet's baseline at the base's rate; for a laptop every 40 ms."""
    rate = sample_rate(base)
    if is_laptop(base):
        return log_mel(base).replace(hop_length=round(0.04 * rate), n_mels=32)
    win_length = round(0.025 * rate)
    return log_mel(base).replace(
        n_fft=1 << (win_length - 1).bit_length(), win_length=win_length, f_min=125.0, f_max=7500.0
    )


def _cepstra(
    name: str,
    base: Experiment,
    window_s: float,
    hop_s: float,
    *,
    num_frames: int,
    f_max: float,
) -> Component:
    rate = sample_rate(base)
    return Component(
        name,
        sample_rate=rate,
        win_length=round(window_s * rate),
        hop_length=round(hop_s * rate),
        f_max=f_max,
        num_frames=num_frames,
    )


TALNET = Family(
    name="TALNet",
    full=Component("talnet"),
    laptop=Component("talnet_laptop"),
    frontend=talnet_fbank,
    weights="talnet_audioset",
)
KWT = Family(
    name="KWT",
    full=Component("kwt_2"),
    laptop=Component("kwt_laptop"),
    frontend=mfcc,
    weights="",
)
RES15 = Family(
    name="Res-15",
    full=Component("res15"),
    laptop=Component("res15_laptop"),
    frontend=honk_mfcc,
    weights="",  # the published encoders are for features that no front end here makes
)
ERANN = Family(
    name="ERANN",
    full=Component("erann_2_5"),
    laptop=Component("erann_laptop"),
    frontend=erann_log_mel,
    weights="",
)
DEEPRES = Family(
    name="DeepRes",
    full=Component("deepres"),
    laptop=Component("deepres_laptop"),
    frontend=ast_fbank,
    weights="",
)
BASELINE = Family(
    name="AudioSet baseline",
    full=Component("audioset_baseline"),
    laptop=Component("audioset_baseline_laptop"),
    frontend=baseline_log_mel,
    weights="",
)
KEYWORDS = (TALNET, KWT, RES15, ERANN, DEEPRES, BASELINE)
