"""PSLA (arXiv 2102.01243, YuanGongND/psla 76aedd1)."""

from models.card import (
    AUDIOSET,
    LAPTOP_FBANK,
    OF_IMAGES,
    SINGLE,
    Card,
    Paper,
    Weights,
    counts,
    results,
)

_EFFICIENTNET = "https://github.com/lukemelas/EfficientNet-PyTorch/releases"


def _efficientnet(size: str, sha256: str) -> Weights:
    filename = f"efficientnet-{size}-{sha256}.pth"
    return Weights(
        name=f"efficientnet_{size}_imagenet",
        model=f"psla_{size}",
        filename=filename,
        url=f"{_EFFICIENTNET}/download/1.0/{filename}",
        page=f"{_EFFICIENTNET}/tag/1.0",
        license="Apache-2.0",
        sha256=sha256,
        **OF_IMAGES,
    )


def _weights(name: str, filename: str, key: str) -> Weights:
    dataset, num_classes, num_frames = (
        ("audioset", 527, 1056) if name.startswith("audioset") else ("fsd50k", 200, 3000)
    )
    return Weights(
        name=f"psla_b2_{name}",
        model="psla_b2",
        num_classes=num_classes,
        trained_on=("imagenet_1k", dataset),
        frontend=("kaldi_fbank", {"num_frames": num_frames}),
        # PSLA divides by the deviation, the chain by twice that; so this is half of PSLA's number.
        statistics=(-4.6476, 4.5699 / 2),
        filename=filename,
        url=f"https://www.dropbox.com/s/{key}/{filename}?dl=1",
        page="https://github.com/YuanGongND/psla#pretrained-models",
        license="BSD-3-Clause",
    )


_B2 = dict(model="psla_b2", label="PSLA B2", input_size=(128, 1056))
_B0 = dict(model="psla_b0", label="PSLA B0", input_size=(128, 1056))

_READ_ME = (
    SINGLE
    | dict(model="psla_b2", paper="PSLA", arxiv="2102.01243")
    | dict(sample_rate_hz=16_000, pretraining=("imagenet_1k",))
    | dict(place="YuanGongND/psla 76aedd1, read-me")
)
_FULL = AUDIOSET | _READ_ME | dict(epochs=30, selection="last")
_BALANCED = _FULL | dict(training_subset="balanced", epochs=60)
_MEAN = "mean of the last five epochs, each scored by itself"
_FSD50K = _READ_ME | dict(
    dataset="fsd50k",
    num_classes=200,
    protocol="official_split",
    epochs=40,
    remark="beside it stand 0.558 with the labels as they are and 0.567 with enhanced ones",
)

CARD = Card(
    rank=6,
    paper=Paper(
        name="PSLA",
        title="PSLA: Improving Audio Tagging with Pretraining, Sampling, Labeling, and Aggregation",
        arxiv="2102.01243",
        code="YuanGongND/psla 76aedd1",
        license="BSD-3-Clause",
    ),
    frontend=("kaldi_fbank", {"num_frames": 1056}),
    frontends={"psla_laptop": LAPTOP_FBANK},
    weights=(
        _efficientnet("b0", "355c32eb"),
        _efficientnet("b2", "8bb594d6"),
        _weights("audioset", "as_mdl_0.pth", "d1z27wj30ew5qrs"),
        _weights("audioset_averaged", "as_mdl_0_wa.pth", "ieggie0ara4x26d"),
        _weights("fsd50k", "fsd_mdl_best_single.pth", "stzrmfty2oyqnnj"),
        _weights("fsd50k_averaged", "fsd_mdl_wa.pth", "5fvybrbulvhsish"),
    ),
    counts=(
        *counts({"params": "13.64 M"}, _B2),
        *counts({"params": "13.6 M"}, _B2, source="authors' read-me"),
        *counts({"MACs": "1.95 G"}, _B2),
        *counts({"params": "9.41 M", "MACs": "1.19 G"}, _B0),
    ),
    results=(
        *results({"map": 0.440}, _FULL, form="single", remark=_MEAN),
        *results(
            {"map": 0.444},
            _FULL,
            form="weights averaged",
            averaged_checkpoints=15,
            remark="epochs 16 to 30, of which the authors' loop counts the first twice",
        ),
        *results(
            {"map": 0.453},
            _FULL,
            form="all epochs",
            num_models=30,
            remark="the models of one run's epochs",
        ),
        *results({"map": 0.464}, _FULL, form="three seeds", num_models=3),
        *results(
            {"map": 0.474}, _FULL, form="ten models", num_models=10, remark="of different settings"
        ),
        *results({"map": 0.316}, _BALANCED, form="balanced, labels enhanced", remark=_MEAN),
        *results({"map": 0.312}, _BALANCED, form="balanced", remark=_MEAN),
        *results({"map": 0.559}, _FSD50K, form="single", selection="best_on_validation"),
        *results({"map": 0.562}, _FSD50K, form="weights averaged", averaged_checkpoints=20),
        *results(
            {"auc": 0.974, "d_prime": 2.749},
            _FULL,
            form="single",
            place="YuanGongND/psla 76aedd1, log of as_mdl_0.pth",
        ),
    ),
)
