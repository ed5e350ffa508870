"""Published weights of DAT, AST, DeiT, HTS-AT and Swin."""

from __future__ import annotations

from models.zoo.weights.entry import IMAGES, Weights

AUDIOSET_STATISTICS = (-4.2677393, 4.5689974)
SPEECH_COMMANDS_STATISTICS = (-6.845978, 5.5654526)


def _dat(size: str, drive_id: str) -> Weights:
    return Weights(
        name=f"dat_{size}_imagenet",
        model=f"datar_{size}",
        num_classes=1000,
        trained_on=("imagenet_1k",),
        remark=IMAGES,
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
        remark=IMAGES,
        filename=filename,
        url=f"https://dl.fbaipublicfiles.com/deit/{filename}",
        page="https://github.com/facebookresearch/deit/blob/main/README_deit.md",
        licence="Apache-2.0",
        sha256=sha256,
    )


_HUGGING_FACE = "https://huggingface.co/MIT/ast-finetuned-"
_AUDIOSET_COMMIT = "f826b80d28226b62986cc218e5cec390b1096902"
_SPEECH_COMMIT = "315b0b847a3ca207e68b718503ad72066612eacd"
_HTSAT_ID = "1OK8a5XuMVLyeVKF117L8pfxeZYdfSDZv"
_SWIN = "swin_tiny_c24_patch4_window8_256.pth"

TRANSFORMERS = (
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
        remark=IMAGES,
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
)
