"""Published weights as data: where each file is, what it fits, and under which licence.

`models.load_pretrained(model, name)` fetches a file of this list once and keeps it. Nothing heavy
is imported here, so that a sweep can name weights before anything is built.

Checksums are those that the publisher states (Zenodo's md5), that the file's name carries (the
first digits of the sha256, PyTorch's convention), or the sha256 of a file with the stated md5.
A file without one is checked by its length and by being readable. The tensors of the files
themselves were not at hand when this was written: names and shapes are from the authors' code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.weights_keywords import KEYWORDS
from models.weights_spectrogram_nets import SPECTROGRAM_NETS

AUDIOSET_STATISTICS = (-4.2677393, 4.5689974)
SPEECH_COMMANDS_STATISTICS = (-6.845978, 5.5654526)


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One published file.

    Attributes:
        name: what `load_pretrained` is called with.
        model: the registered model that it fits.
        arguments: what the model is built with, where it differs from the defaults.
        num_classes: of the file's head.
        trained_on: data sets, first to last.
        frontend: name and arguments of the features it expects; empty for weights of images.
        statistics: mean and deviation for `Chain.set_normalisation`, where it expects them.
        filename: the authors' name of the file, and its name in the cache.
        url: what is fetched; empty where a person has to fetch it.
        page: where a person finds it.
        licence: of the weights.
        md5: 32 hex digits, or empty.
        sha256: 64 hex digits, or the first 8 or more of them, or empty.
        size: bytes, or 0 where it is not known.
    """

    name: str
    model: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    num_classes: int
    trained_on: tuple[str, ...]
    frontend: tuple[str, Mapping[str, Any]] = ("", {})
    statistics: tuple[float, float] | None = None
    filename: str
    url: str = ""
    page: str
    licence: str
    md5: str = ""
    sha256: str = ""
    size: int = 0


def _dat(size: str, drive_id: str) -> Weights:
    return Weights(
        name=f"dat_{size}_imagenet",
        model=f"datar_{size}",
        num_classes=1000,
        trained_on=("imagenet_1k",),
        filename=f"dat_{size}_in1k_224.pth",
        url=f"https://drive.usercontent.google.com/download?id={drive_id}&export=download&confirm=t",
        page=f"https://drive.google.com/file/d/{drive_id}/view",
        licence="Apache-2.0",
    )


def _ast(name: str, filename: str, key: str, *, stride: int = 10) -> Weights:
    strides = {} if stride == 10 else {"freq_stride": stride, "time_stride": stride}
    return Weights(
        name=name,
        model="ast_base",
        arguments=strides,
        num_classes=527,
        trained_on=("imagenet_1k", "audioset"),
        frontend=("kaldi_fbank", {}),
        statistics=AUDIOSET_STATISTICS,
        filename=filename,
        url=f"https://www.dropbox.com/s/{key}/{filename}?dl=1",
        page="https://github.com/YuanGongND/ast#pretrained-models",
        licence="BSD-3-Clause",
    )


def _ast_speech(name: str, *, filename: str, url: str, page: str) -> Weights:
    return Weights(
        name=name,
        model="ast_base",
        num_classes=35,
        trained_on=("imagenet_1k", "speech_commands_v2"),
        frontend=("kaldi_fbank", {"num_frames": 128}),
        statistics=SPEECH_COMMANDS_STATISTICS,
        filename=filename,
        url=url,
        page=page,
        licence="BSD-3-Clause",
    )


def _deit(name: str, size: str, resolution: int, sha256: str) -> Weights:
    filename = f"deit_{size}_distilled_patch16_{resolution}-{sha256}.pth"
    return Weights(
        name=name,
        model=f"ast_{size}",
        num_classes=1000,
        trained_on=("imagenet_1k",),
        filename=filename,
        url=f"https://dl.fbaipublicfiles.com/deit/{filename}",
        page="https://github.com/facebookresearch/deit/blob/main/README_deit.md",
        licence="Apache-2.0",
        sha256=sha256,
    )


def _panns(
    name: str, filename: str, md5: str, *, sha256: str = "", size: int = 0, rate: int = 32000
) -> Weights:
    slow = {"sample_rate": 16000, "n_fft": 512, "win_length": 512, "hop_length": 160}
    return Weights(
        name=f"{name}_audioset" + ("_16k" if rate == 16000 else ""),
        model=name,
        num_classes=527,
        trained_on=("audioset",),
        frontend=("log_mel", slow | {"f_max": 8000.0} if rate == 16000 else {}),
        filename=filename,
        url=f"https://zenodo.org/record/3987831/files/{filename.replace('=', '%3D')}?download=1",
        page="https://zenodo.org/records/3987831",
        licence="CC-BY-4.0",
        md5=md5,
        sha256=sha256,
        size=size,
    )


_HUGGING_FACE = "https://huggingface.co/MIT/ast-finetuned-"
_AUDIOSET_COMMIT = "f826b80d28226b62986cc218e5cec390b1096902"
_SPEECH_COMMIT = "315b0b847a3ca207e68b718503ad72066612eacd"
_HTSAT_ID = "1OK8a5XuMVLyeVKF117L8pfxeZYdfSDZv"
_SWIN = "swin_tiny_c24_patch4_window8_256.pth"

_ALL = (
    _dat("tiny", "1I08oJlXNtDe8jJPxHkroxUi7lYX2lhVc"),
    _dat("small", "1UUmQqQYY5OInVuXvUgO41Gice93vJ0A7"),
    _dat("base", "1Avu16r59koxizoSYhfaCdNdr-QxLVGjd"),
    _deit("deit_tiny_imagenet", "tiny", 224, "b40b3cf7"),
    _deit("deit_small_imagenet", "small", 224, "649709d9"),
    _deit("deit_base_imagenet", "base", 224, "df68dfff"),
    _deit("deit_base384_imagenet", "base", 384, "d0272ac0"),
    _ast("ast_base_audioset", "audioset_10_10_0.4593.pth", "ca0b1v2nlxzyeb4"),
    _ast("ast_base_audioset_run1", "audioset_10_10_0.4495.pth", "1tv0hovue1bxupk"),
    _ast("ast_base_audioset_run2", "audioset_10_10_0.4483.pth", "6u5sikl4b9wo4u5"),
    _ast("ast_base_audioset_run3", "audioset_10_10_0.4475.pth", "kt6i0v9fvfm1mbq"),
    _ast("ast_base_audioset_s12", "audioset_12_12_0.4467.pth", "snfhx3tizr4nuc8", stride=12),
    _ast("ast_base_audioset_s14", "audioset_14_14_0.4431.pth", "z18s6pemtnxm4k7", stride=14),
    _ast("ast_base_audioset_s16", "audioset_16_16_0.4422.pth", "mdsa4t1xmcimia6", stride=16),
    Weights(
        name="ast_base_audioset_hf",
        model="ast_base",
        num_classes=527,
        trained_on=("imagenet_1k", "audioset"),
        frontend=("kaldi_fbank", {}),
        statistics=AUDIOSET_STATISTICS,
        filename="ast-finetuned-audioset-10-10-0.4593.safetensors",
        url=f"{_HUGGING_FACE}audioset-10-10-0.4593/resolve/{_AUDIOSET_COMMIT}/model.safetensors",
        page=f"{_HUGGING_FACE}audioset-10-10-0.4593",
        licence="BSD-3-Clause",
    ),
    _ast_speech(
        "ast_base_speech_commands",
        filename="speechcommands_10_10_0.9812.pth",
        url="https://www.dropbox.com/s/q0tbqpwv44pquwy/speechcommands_10_10_0.9812.pth?dl=1",
        page="https://github.com/YuanGongND/ast#pretrained-models",
    ),
    _ast_speech(
        "ast_base_speech_commands_hf",
        filename="ast-finetuned-speech-commands-v2.safetensors",
        url=f"{_HUGGING_FACE}speech-commands-v2/resolve/{_SPEECH_COMMIT}/model.safetensors",
        page=f"{_HUGGING_FACE}speech-commands-v2",
    ),
    Weights(
        name="swin_tiny_imagenet",
        model="htsat_tiny",
        num_classes=1000,
        trained_on=("imagenet_1k",),
        filename=_SWIN,
        url=f"https://github.com/SwinTransformer/storage/releases/download/v1.0.5/{_SWIN}",
        page="https://github.com/microsoft/Swin-Transformer#main-results-on-imagenet-with-pretrained-models",
        licence="MIT",
    ),
    Weights(
        name="htsat_tiny_audioset",
        model="htsat_tiny",
        num_classes=527,
        trained_on=("imagenet_1k", "audioset"),
        frontend=("log_mel", {}),
        filename="htsat_audioset_pretrain.ckpt",
        url=f"https://drive.usercontent.google.com/download?id={_HTSAT_ID}&export=download&confirm=t",
        page="https://drive.google.com/drive/folders/1f5VYMk0uos_YnuBshgmaTVioXbs7Kmz6",
        licence="MIT",
    ),
    _panns("cnn6", "Cnn6_mAP=0.343.pth", "e25e26b84585b14c7754c91e48efc9be"),
    _panns("cnn10", "Cnn10_mAP=0.380.pth", "bfb1f1f9968938fa8ef4012b8471f5f6", size=25_237_595),
    _panns(
        "cnn14",
        "Cnn14_mAP=0.431.pth",
        "541141fa2ee191a88f24a3219fff024e",
        sha256="0dc499e40e9761ef5ea061ffc77697697f277f6a960894903df3ada000e34b31",
        size=327_428_481,
    ),
    _panns(
        "cnn14",
        "Cnn14_16k_mAP=0.438.pth",
        "362fc5ff18f1d6ad2f6d464b45893f2c",
        sha256="e2ee543a27919542c2ea03eabaa70b24dcd4e6c8e05621de6b67a94e4c5058e6",
        size=358_668_570,
        rate=16000,
    ),
    _panns(
        "cnn14_decision_level_max",
        "Cnn14_DecisionLevelMax_mAP=0.385.pth",
        "70539c43c18b6a289b3199c503a82c5a",
        sha256="dd3b4043a87d4ec13df8082c0fcfee3fb5084151808e47e060987a95eabdd142",
        size=327_428_481,
    ),
    _panns(
        "cnn14_decision_level_att",
        "Cnn14_DecisionLevelAtt_mAP=0.425.pth",
        "c8281ca2b9967244b91d557aa941e8ca",
    ),
    _panns("resnet38", "ResNet38_mAP=0.434.pth", "bf12f36aaabac4e0855e22d3c3239c1b"),
    *(Weights(**entry) for entry in SPECTROGRAM_NETS),
    *(Weights(**entry) for entry in KEYWORDS),
)

WEIGHTS: Mapping[str, Weights] = {weights.name: weights for weights in _ALL}
"""Every published file by name."""


def weights_of(model: str) -> tuple[Weights, ...]:
    """Return the published files that fit a registered model; empty for most laptop sizes."""
    return tuple(weights for weights in _ALL if weights.model == model)
