"""Published weights of PANNs, Zenodo record 3987831."""

from __future__ import annotations

from models.zoo.weights.entry import Weights


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


PANNS = (
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
)
