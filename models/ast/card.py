"""AST (arXiv 2104.01778), also from code, logs, and README of YuanGongND/ast 31088be."""

from typing import Any

from models.card import (
    AUDIOSET,
    ESC50,
    LAPTOP_FBANK,
    OF_IMAGES,
    SINGLE,
    SPEECH_COMMANDS,
    Card,
    Fields,
    Paper,
    Weights,
    counts,
    results,
)
from models.zoo.paper_tables import PRINTED


def _deit(name: str, size: str, resolution: int, sha256: str) -> Weights:
    filename = f"deit_{size}_distilled_patch16_{resolution}-{sha256}.pth"
    return Weights(
        name=f"deit_{name}_imagenet",
        model=f"ast_{size}",
        filename=filename,
        url=f"https://dl.fbaipublicfiles.com/deit/{filename}",
        page="https://github.com/facebookresearch/deit/blob/main/README_deit.md",
        license="Apache-2.0",
        sha256=sha256,
        **OF_IMAGES,
    )


_ON_AUDIOSET: Fields = dict(
    num_classes=527,
    trained_on=("imagenet_1k", "audioset"),
    frontend=("kaldi_fbank", {}),
    statistics=(-4.2677393, 4.5689974),
)
_ON_SPEECH: Fields = dict(
    num_classes=35,
    trained_on=("imagenet_1k", "speech_commands_v2"),
    frontend=("kaldi_fbank", {"num_frames": 128}),
    statistics=(-6.845978, 5.5654526),
)


def _weights(name: str, filename: str, key: str, stride: int = 10, **rest: Any) -> Weights:
    return Weights(
        name=f"ast_base_{name}",
        model="ast_base",
        arguments={} if stride == 10 else {"freq_stride": stride, "time_stride": stride},
        filename=filename,
        url=f"https://www.dropbox.com/s/{key}/{filename}?dl=1",
        page="https://github.com/YuanGongND/ast#pretrained-models",
        license="BSD-3-Clause",
        **rest or _ON_AUDIOSET,
    )


def _hugging_face(name: str, repository: str, commit: str, **rest: Any) -> Weights:
    page = f"https://huggingface.co/MIT/ast-finetuned-{repository}"
    return Weights(
        name=f"ast_base_{name}",
        model="ast_base",
        filename=f"ast-finetuned-{repository}.safetensors",
        url=f"{page}/resolve/{commit}/model.safetensors",
        page=page,
        license="BSD-3-Clause",
        **rest,
    )


_TINY = dict(model="ast_tiny", label="AST tiny", input_size=(128, 1024))
_SMALL = dict(model="ast_small", label="AST small", input_size=(128, 1024))
_BASE = dict(model="ast_base", label="AST base", input_size=(128, 1024))

_QUOTED = dict(
    model="ast_base",
    quoted=True,
    remark="equal to the audio-only row of another paper, although the text says code was run",
)
_AST = SINGLE | dict(model="ast_base", sample_rate_hz=16_000, paper="AST", arxiv="2104.01778")
_TAGGING = (
    AUDIOSET
    | _AST
    | dict(place="Section 3.1", pretraining=("imagenet_1k",), epochs=5, selection="last")
)
_BALANCED = _TAGGING | dict(training_subset="balanced", epochs=25)
# One epoch for all folds, chosen by the mean over the test folds.
_ESC50 = ESC50 | _AST | dict(place="Section 3.2, Table 7", epochs=25, selection="best_on_test")
_SPEECH = (
    SPEECH_COMMANDS
    | _AST
    | dict(
        place="Section 3.2, Table 7",
        num_train_clips=84_843,
        epochs=30,
        selection="best_on_validation",
    )
)
_S = dict(form="AST-S", pretraining=("imagenet_1k",), spread_kind="std")
_P = dict(form="AST-P", pretraining=("imagenet_1k", "audioset"), spread_kind="std")

CARD = Card(
    rank=3,
    paper=Paper(
        name="AST",
        title="AST: Audio Spectrogram Transformer",
        arxiv="2104.01778",
        code="YuanGongND/ast 31088be",
        license="BSD-3-Clause",
    ),
    frontend=("kaldi_fbank", {}),
    frontends={"ast_laptop": LAPTOP_FBANK},
    weights=(
        _deit("tiny", "tiny", 224, "b40b3cf7"),
        _deit("small", "small", 224, "649709d9"),
        _deit("base", "base", 224, "df68dfff"),
        _deit("base384", "base", 384, "d0272ac0"),
        _weights("audioset", "audioset_10_10_0.4593.pth", "ca0b1v2nlxzyeb4"),
        _weights("audioset_run1", "audioset_10_10_0.4495.pth", "1tv0hovue1bxupk"),
        _weights("audioset_run2", "audioset_10_10_0.4483.pth", "6u5sikl4b9wo4u5"),
        _weights("audioset_run3", "audioset_10_10_0.4475.pth", "kt6i0v9fvfm1mbq"),
        _weights("audioset_s12", "audioset_12_12_0.4467.pth", "snfhx3tizr4nuc8", stride=12),
        _weights("audioset_s14", "audioset_14_14_0.4431.pth", "z18s6pemtnxm4k7", stride=14),
        _weights("audioset_s16", "audioset_16_16_0.4422.pth", "mdsa4t1xmcimia6", stride=16),
        _hugging_face(
            "audioset_hf",
            "audioset-10-10-0.4593",
            "f826b80d28226b62986cc218e5cec390b1096902",
            **_ON_AUDIOSET,
        ),
        _weights(
            "speech_commands", "speechcommands_10_10_0.9812.pth", "q0tbqpwv44pquwy", **_ON_SPEECH
        ),
        _hugging_face(
            "speech_commands_hf",
            "speech-commands-v2",
            "315b0b847a3ca207e68b718503ad72066612eacd",
            **_ON_SPEECH,
        ),
    ),
    counts=(
        *counts({"params": "6.11 M"}, _TINY, extras=("ImageNet heads",)),
        *counts({"params": "22.83 M"}, _SMALL, extras=("ImageNet heads",)),
        *counts({"params": "88.13 M"}, _BASE, extras=("ImageNet heads",)),
        *counts({"params": "87 M"}, _BASE, source="HTS-AT paper"),
        *counts({"MACs": "103.35 G", "MACs + attention": "130.51 G"}, _BASE),
        *counts({"MACs": "103.4 G"}, _BASE, source="DATAR paper"),
    ),
    results=(
        *PRINTED["datar-1"].results("AST", _QUOTED),
        *PRINTED["datar-2"].results("AST", _QUOTED, num_classes=309),
        *PRINTED["datar-3"].results("AST", _QUOTED),
        *results({"map": 0.459}, _TAGGING, form="weights averaged", averaged_checkpoints=5),
        *results({"map": 0.448}, _TAGGING, form="last epoch"),
        *results({"map": 0.475}, _TAGGING, form="ensemble-S", num_models=3),
        *results({"map": 0.485}, _TAGGING, form="ensemble-M", num_models=6),
        *results({"map": 0.347}, _BALANCED, form="balanced", averaged_checkpoints=20),
        *PRINTED["htsat-1"].results(
            "AST", model="ast_base", form="scratch", quoted=True, num_classes=527, pretraining=()
        ),
        *results({"top1": 95.6}, _ESC50, _P, spread=0.4),
        *results({"top1": 88.7}, _ESC50, _S, spread=0.7),
        *results({"top1": 98.11}, _SPEECH, _S, spread=0.05),
        *results({"top1": 97.88}, _SPEECH, _P, spread=0.03),
    ),
)
