"""Published weights of the convolution nets on spectrograms.

PSLA divides by the deviation and the chain by twice that, so half of PSLA's number stands here.
"""

from __future__ import annotations

from typing import Any

from models.zoo.weights.entry import IMAGES, Weights

_EFFICIENTNET = "https://github.com/lukemelas/EfficientNet-PyTorch/releases/download/1.0"


def _psla(name: str, filename: str, key: str, *, num_classes: int, num_frames: int) -> Weights:
    return Weights(
        name=name,
        model="psla_b2",
        num_classes=num_classes,
        trained_on=("imagenet_1k", "audioset" if num_classes == 527 else "fsd50k"),
        frontend=("kaldi_fbank", {"num_frames": num_frames}),
        statistics=(-4.6476, 4.5699 / 2),
        filename=filename,
        url=f"https://www.dropbox.com/s/{key}/{filename}?dl=1",
        page="https://github.com/YuanGongND/psla#pretrained-models",
        licence="BSD-3-Clause",
    )


def _efficientnet(size: str, sha256: str) -> Weights:
    filename = f"efficientnet-{size}-{sha256}.pth"
    return Weights(
        name=f"efficientnet_{size}_imagenet",
        model=f"psla_{size}",
        num_classes=1000,
        trained_on=("imagenet_1k",),
        filename=filename,
        url=f"{_EFFICIENTNET}/{filename}",
        page="https://github.com/lukemelas/EfficientNet-PyTorch/releases/tag/1.0",
        licence="Apache-2.0",
        remark=IMAGES,
        sha256=sha256,
    )


def _vggsound(name: str, letter: str, pooling: str) -> Weights:
    return Weights(
        name=name,
        model="vggsound_resnet18",
        arguments={} if pooling == "average" else {"pooling": pooling},
        num_classes=309,
        trained_on=("vggsound",),
        frontend=("log_spectrogram", {}),
        filename=f"{letter}.pth.tar",
        url=f"https://www.robots.ox.ac.uk/~vgg/data/vggsound/models/{letter}.pth.tar",
        page="https://github.com/hche11/VGGSound#pretrained-model-and-evaluation",
        licence="CC-BY-4.0",
    )


def _slowfast(name: str, filename: str, key: str, **rest: Any) -> Weights:
    return Weights(
        name=name,
        model="slowfast_r50",
        filename=filename,
        url=f"https://www.dropbox.com/s/{key}/{filename}?dl=1",
        page="https://github.com/ekazakos/auditory-slow-fast#pretrained-models",
        licence="CC-BY-NC-SA-4.0",
        **rest,
    )


_EPIC_FEATURES = {
    "sample_rate": 24000,
    "win_length": 240,
    "hop_length": 120,
    "f_max": 12000.0,
}
_AUDIOSET = dict(num_classes=527, num_frames=1056)
_FSD50K = dict(num_classes=200, num_frames=3000)

SPECTROGRAM_NETS: tuple[Weights, ...] = (
    _efficientnet("b0", "355c32eb"),
    _efficientnet("b2", "8bb594d6"),
    _psla("psla_b2_audioset", "as_mdl_0.pth", "d1z27wj30ew5qrs", **_AUDIOSET),
    _psla("psla_b2_audioset_averaged", "as_mdl_0_wa.pth", "ieggie0ara4x26d", **_AUDIOSET),
    _psla("psla_b2_fsd50k", "fsd_mdl_best_single.pth", "stzrmfty2oyqnnj", **_FSD50K),
    _psla("psla_b2_fsd50k_averaged", "fsd_mdl_wa.pth", "5fvybrbulvhsish", **_FSD50K),
    _vggsound("vggsound_resnet18_vggsound", "H", "average"),
    _vggsound("vggsound_resnet18_netvlad_vggsound", "I", "netvlad"),
    _slowfast(
        "slowfast_vggsound",
        "SLOWFAST_VGG.pyth",
        "oexan0vv01eqy0k",
        num_classes=309,
        trained_on=("vggsound",),
        frontend=("htk_log_mel", {}),
    ),
    _slowfast(
        "slowfast_epic",
        "SLOWFAST_EPIC.pyth",
        "cr0c6xdaggc2wzz",
        arguments={"heads": (97, 300), "num_frames": 400},
        num_classes=397,
        remark="audio at 24000 Hz; the logits are those of 97 verbs, then of 300 nouns",
        trained_on=("vggsound", "epic_kitchens_100"),
        frontend=("htk_log_mel", _EPIC_FEATURES),
    ),
)
