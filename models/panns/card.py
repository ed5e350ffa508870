"""PANNs (arXiv 1912.10211, qiuqiangkong/audioset_tagging_cnn d2f4b8c, Zenodo record 3987831)."""

from typing import Any

from models.card import (
    AUDIOSET,
    CODE,
    SINGLE,
    Card,
    Paper,
    PublishedCount,
    Weights,
    counts,
    results,
)
from models.zoo.paper_tables import PRINTED

_SLOW = {"sample_rate": 16000, "n_fft": 512, "win_length": 512, "hop_length": 160, "f_max": 8000.0}


def _weights(name: str, filename: str, md5: str, **rest: Any) -> Weights:
    slow = "16k" in filename
    return Weights(
        name=f"{name}_audioset" + ("_16k" if slow else ""),
        model=name,
        num_classes=527,
        trained_on=("audioset",),
        frontend=("log_mel", _SLOW if slow else {}),
        filename=filename,
        url=f"https://zenodo.org/record/3987831/files/{filename.replace('=', '%3D')}?download=1",
        page="https://zenodo.org/records/3987831",
        license="CC-BY-4.0",
        md5=md5,
        **rest,
    )


def _counts(
    model: str, label: str, params: str, trained: str, macs: str, *more: str, **rest: Any
) -> tuple[PublishedCount, ...]:
    rest |= dict(model=model, label=label, input_size=(64, 1001))
    return (
        *counts({"params": params}, rest, extras=("front end", *more)),
        *counts({"params": trained}, rest, source=f"{CODE}, trained", extras=more),
        *counts({"MACs": macs}, rest, extras=("front end", *more)),
    )


_TAGGING = (
    AUDIOSET
    | SINGLE
    | dict(paper="PANNs", arxiv="1912.10211", place="comparison of architectures")
    | dict(num_train_clips=1_934_187, num_test_clips=18_887, sample_rate_hz=32_000, pretraining=())
)
_ZENODO = _TAGGING | dict(place="file names of Zenodo record 3987831")

CARD = Card(
    rank=5,
    paper=Paper(
        name="PANNs",
        title="PANNs: Large-Scale Pretrained Audio Neural Networks for Audio Pattern Recognition",
        arxiv="1912.10211",
        code="qiuqiangkong/audioset_tagging_cnn d2f4b8c",
        license="MIT",
    ),
    frontend=("log_mel", {}),
    frontends=dict.fromkeys(
        ("cnn6_laptop", "cnn14_decision_level_att_laptop"), ("log_mel", {"hop_length": 640})
    ),
    weights=(
        _weights("cnn6", "Cnn6_mAP=0.343.pth", "e25e26b84585b14c7754c91e48efc9be"),
        _weights(
            "cnn10", "Cnn10_mAP=0.380.pth", "bfb1f1f9968938fa8ef4012b8471f5f6", size=25_237_595
        ),
        _weights(
            "cnn14",
            "Cnn14_mAP=0.431.pth",
            "541141fa2ee191a88f24a3219fff024e",
            sha256="0dc499e40e9761ef5ea061ffc77697697f277f6a960894903df3ada000e34b31",
            size=327_428_481,
        ),
        _weights(
            "cnn14",
            "Cnn14_16k_mAP=0.438.pth",
            "362fc5ff18f1d6ad2f6d464b45893f2c",
            sha256="e2ee543a27919542c2ea03eabaa70b24dcd4e6c8e05621de6b67a94e4c5058e6",
            size=358_668_570,
        ),
        _weights(
            "cnn14_decision_level_max",
            "Cnn14_DecisionLevelMax_mAP=0.385.pth",
            "70539c43c18b6a289b3199c503a82c5a",
            sha256="dd3b4043a87d4ec13df8082c0fcfee3fb5084151808e47e060987a95eabdd142",
            size=327_428_481,
        ),
        _weights(
            "cnn14_decision_level_att",
            "Cnn14_DecisionLevelAtt_mAP=0.425.pth",
            "c8281ca2b9967244b91d557aa941e8ca",
        ),
        _weights("resnet38", "ResNet38_mAP=0.434.pth", "bf12f36aaabac4e0855e22d3c3239c1b"),
    ),
    counts=(
        *_counts("cnn6", "CNN6", "5.92 M", "4.84 M", "11.0 G"),
        *_counts("cnn10", "CNN10", "6.30 M", "5.22 M", "14.1 G"),
        *_counts("cnn14", "CNN14", "81.84 M", "80.75 M", "21.1 G"),
        *counts(
            {"multiply-adds": "42.2 G"},
            model="cnn14",
            label="CNN14",
            source="PANNs paper",
            input_size=(64, 1001),
            extras=("front end",),
        ),
        *_counts("cnn14", "CNN14, 16 kHz", "81.03 M", "80.75 M", "20.3 G", frontend=_SLOW),
        *_counts("cnn14_decision_level_max", "CNN14 max", "81.8 M", "80.8 M", "21.3 G"),
        *_counts(
            "cnn14_decision_level_att", "CNN14 att", "82.9 M", "81.8 M", "21.3 G", "unused norm"
        ),
        *_counts("resnet38", "ResNet38", "74.9 M", "73.8 M", "24.5 G"),
    ),
    results=(
        *results({"map": 0.343, "auc": 0.965, "d_prime": 2.568}, _TAGGING, model="cnn6"),
        *results({"map": 0.380, "auc": 0.971, "d_prime": 2.678}, _TAGGING, model="cnn10"),
        *results({"map": 0.431, "auc": 0.973, "d_prime": 2.732}, _TAGGING, model="cnn14"),
        *results({"map": 0.434}, _TAGGING, model="resnet38"),
        *results({"map": 0.385}, _ZENODO, model="cnn14_decision_level_max"),
        *results({"map": 0.425}, _ZENODO, model="cnn14_decision_level_att"),
        *results(
            {"map": 0.438},
            _ZENODO,
            model="cnn14",
            form="16 kHz",
            sample_rate_hz=16_000,
            remark="trained by a later version of the code than the paper's",
        ),
        *PRINTED["htsat-2"].results(
            "PANN",
            model="cnn14",
            dataset="esc50",
            num_classes=50,
            quoted=True,
            remark="printed for 'PANN'; which of its models and which protocol is not said",
        ),
    ),
)
