"""The families of the zoo as a factor: each in two sizes and with its own kind of front end.

A sweep crosses them with its question: nothing (`sweeps/model_zoo.py`), the input transform
(`adaptor_everywhere.py`) or the initial weights (`pretrain.py`). Everything else is the base's:
data, recipe, seeds. The base's model decides the size (`..._laptop` or not), the base's clips the
sample rate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.design.factors import FromBase, Level
from orchestrator.experiment.config import Component, Experiment
from orchestrator.experiment.identity import CompletedExperiment
from orchestrator.experiment.overrides import override

DATAR_FBANK = Component("kaldi_fbank", sample_rate=43000, n_mels=128, num_frames=1024)
"""128 bins by 1024 frames: told 43,000 Hz on 44.1 kHz audio, by which 10 s fill them exactly."""
LAPTOP_FBANK = Component(
    "kaldi_fbank", n_mels=64, num_frames=64, frame_length_ms=80.0, frame_shift_ms=80.0
)


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of models.

    Attributes:
        name: Name in a table.
        full: The published size.
        laptop: A size that two CPU cores train in seconds.
        frontend: Function from the base to the family's front end.
        weights: Name of the published weights that its paper's numbers start from; empty if no
            readable ones exist.
    """

    name: str
    full: Component
    laptop: Component
    frontend: Callable[[Experiment], Component]
    weights: str = ""

    def model(self, base: Experiment) -> Component:
        """Return the family's model in the base's size."""
        return self.laptop if is_laptop(base) else self.full

    @property
    def changes(self) -> Mapping[str, Any]:
        """Path -> value, to replace the base's model with the family's."""
        return {"model": FromBase(self.model), "frontend": FromBase(self.frontend)}

    @property
    def level(self) -> Level:
        """Return the family as a level of a factor."""
        return Level(self.name, self.changes)

    def experiment(self, base: Experiment) -> CompletedExperiment:
        """Return the base with the family's model and front end."""
        return override(base, {"model": self.model(base), "frontend": self.frontend(base)})


def is_laptop(base: Experiment) -> bool:
    """Whether an experiment is in laptop size."""
    return base.model.name.endswith("_laptop")


def sample_rate(base: Experiment) -> int:
    """Return the rate of the base's clips in Hz."""
    return base.dataset.arguments.get("sample_rate", 16000)


def log_mel(base: Experiment) -> Component:
    """Return PANNs' and HTS-AT's log-mel at the base's sample rate.

    32 ms windows every 10 ms and 64 filters from 50 to 14000 Hz, as at their 32 kHz; for a laptop
    the frames are 20 ms apart.
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
    """Return the base's filterbank, or DATAR's if the base has another kind of front end."""
    if base.frontend.name == "kaldi_fbank":
        return base.frontend
    return LAPTOP_FBANK if is_laptop(base) else DATAR_FBANK


def ast_fbank(base: Experiment) -> Component:
    """Return AST's filterbank, which ends at 8 kHz at any sample rate of the base.

    25 ms frames every 10 ms and 128 filters, as at its 16 kHz; for a laptop DATAR's.
    """
    if is_laptop(base):
        return datar_fbank(base)
    rate = sample_rate(base)
    return Component("kaldi_fbank", sample_rate=rate, f_max=min(8000.0, rate / 2))


def psla_fbank(base: Experiment) -> Component:
    """Return AST's filterbank with PSLA's 1056 frames; for a laptop DATAR's."""
    fbank = ast_fbank(base)
    return fbank if is_laptop(base) else fbank.replace(num_frames=1056)


def log_spectrogram(base: Experiment) -> Component:
    """Return VGGSound's log spectrogram at the base's sample rate, up to 8 kHz.

    32 ms frames every 9.94 ms over 10 s, as at its 16 kHz; for a laptop 16 ms every 40 ms over 5 s.
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

    20 ms windows every 10 ms and 128 filters, as at its 16 kHz; for a laptop 50 ms windows every
    40 ms and 64 filters.
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


def talnet_fbank(base: Experiment) -> Component:
    """Return TALNet's filterbank at the base's sample rate.

    64 ms windows every 25 ms in a transform four times as long; for a laptop every 50 ms, with half
    the filters.
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
TALNET = Family(
    name="TALNet",
    full=Component("talnet"),
    laptop=Component("talnet_laptop"),
    frontend=talnet_fbank,
    weights="talnet_audioset",
)
KWT = Family(name="KWT", full=Component("kwt_2"), laptop=Component("kwt_laptop"), frontend=mfcc)
RES15 = Family(
    name="Res-15",
    full=Component("res15"),
    laptop=Component("res15_laptop"),
    frontend=honk_mfcc,  # no front end here makes the published encoders' features
)
ERANN = Family(
    name="ERANN",
    full=Component("erann_2_5"),
    laptop=Component("erann_laptop"),
    frontend=erann_log_mel,
)
DEEPRES = Family(
    name="DeepRes",
    full=Component("deepres"),
    laptop=Component("deepres_laptop"),
    frontend=ast_fbank,
)
BASELINE = Family(
    name="AudioSet baseline",
    full=Component("audioset_baseline"),
    laptop=Component("audioset_baseline_laptop"),
    frontend=baseline_log_mel,
)

FAMILIES = (
    *(DATAR, AST, HTSAT, PANNS, PSLA, VGGSOUND, SLOWFAST),
    *(TALNET, KWT, RES15, ERANN, DEEPRES, BASELINE),
)
"""All of them."""

PRETRAINED = tuple(family for family in FAMILIES if family.weights)
"""Those with published weights for their front end."""
