"""DATAR (arXiv 2312.16228) and its backbone DAT (2201.00520, LeapLabTHU/DAT 797f187)."""

from models.card import LAPTOP_FBANK, OF_IMAGES, Card, Paper, Weights, counts, results
from models.zoo.paper_tables import PRINTED


def _weights(size: str, drive_id: str) -> Weights:
    return Weights(
        name=f"dat_{size}_imagenet",
        model=f"datar_{size}",
        filename=f"dat_{size}_in1k_224.pth",
        url=f"https://drive.usercontent.google.com/download?id={drive_id}&export=download&confirm=t",
        page=f"https://drive.google.com/file/d/{drive_id}/view",
        license="Apache-2.0",
        **OF_IMAGES,
    )


_IMAGE = dict(input_size=(224, 224), num_channels=3, num_classes=1000)
_DAT_T = _IMAGE | dict(model="datar_tiny", label="DAT-T")
_DAT_S = _IMAGE | dict(model="datar_small", label="DAT-S")
_DAT_B = _IMAGE | dict(model="datar_base", label="DAT-B")
_PAPER = dict(source="DAT paper", note="the paper rounds, and does not say what its counter sees")
_DATAR = dict(
    model="datar_tiny",
    source="DATAR paper",
    input_size=(128, 1024),
    num_channels=3,
    num_classes=309,
)
_TABLES = dict(
    model="datar_tiny",
    remark="the paper does not state the size of its backbone; DAT-T is assumed",
    protocol="own_split",
    sample_rate_hz=43_000,
    pretraining=("imagenet_1k",),
    num_models=1,
)
_KINETICS = _TABLES | dict(num_train_clips=22_914, num_test_clips=1_585, epochs=300)
_VGGSOUND = _TABLES | dict(num_train_clips=159_223, num_test_clips=12_790, epochs=50)
# The same clips for verbs, nouns, and actions (97 x 293 pairs).
_EPIC = _TABLES | dict(num_train_clips=67_217, num_test_clips=9_668, epochs=100)
_ROW, _FORM = "DATAR (deformable + adaptor)", "deformable + adaptor"
_TABLE_4 = {
    "without deformable": {"model.deformable": False, "transform": ("identity", {})},
    "with deformable": {"transform": ("identity", {})},
    "deformable + N(0, 0.005)": {"transform": ("gaussian", {"scale": 0.005})},
    "deformable + L(0, 0.005)": {"transform": ("laplacian", {"scale": 0.005})},
    "deformable + adaptor λ=0.2": {"transform": ("adaptor", {"strength": 0.2})},
    "deformable + adaptor λ=0.005": {"transform": ("adaptor", {"strength": 0.005})},
}
ON_IMAGES = dict(
    dataset="imagenet_1k",
    num_classes=1000,
    num_test_clips=50_000,
    protocol="official_split",
    pretraining=(),
    epochs=300,
    num_models=1,
    test_views=1,
    remark="of images: what the published weights reach at 224 x 224",
)
_READ_ME = ON_IMAGES | dict(
    paper="DAT", arxiv="2201.00520", place="read-me of LeapLabTHU/DAT 797f187"
)

CARD = Card(
    rank=1,
    paper=Paper(
        name="DATAR",
        title="DATAR: Deformable Audio Transformer for Audio Event Recognition",
        arxiv="2312.16228",
        code="none of DATAR; its backbone is LeapLabTHU/DAT 797f187 (arXiv 2201.00520)",
        license="Apache-2.0",
        num_classes=309,
    ),
    frontend=("kaldi_fbank", {"sample_rate": 43000}),
    frontends={"datar_laptop": LAPTOP_FBANK},
    transform=("adaptor", {}),
    weights=(
        _weights("tiny", "1I08oJlXNtDe8jJPxHkroxUi7lYX2lhVc"),
        _weights("small", "1UUmQqQYY5OInVuXvUgO41Gice93vJ0A7"),
        _weights("base", "1Avu16r59koxizoSYhfaCdNdr-QxLVGjd"),
    ),
    counts=(
        *counts({"params": "28.32 M", "MACs": "4.36 G", "MACs + attention": "4.56 G"}, _DAT_T),
        *counts({"MACs + attention": "4.6 G"}, _DAT_T, _PAPER),
        *counts({"params": "49.70 M", "MACs": "8.53 G", "MACs + attention": "8.96 G"}, _DAT_S),
        *counts({"MACs + attention": "9.0 G"}, _DAT_S, _PAPER),
        *counts({"params": "87.88 M", "MACs": "15.15 G", "MACs + attention": "15.72 G"}, _DAT_B),
        *counts({"MACs + attention": "15.8 G"}, _DAT_B, _PAPER),
        *counts(
            {"MACs": "93.3 G"},
            _DATAR,
            label="DATAR",
            note="the paper does not say on which size and input; no plain setting gives 93.3",
        ),
        *counts(
            {"MACs": "93.3 G"}, _DATAR, label="DATAR, resized", arguments={"resize": (1024, 1024)}
        ),
    ),
    results=(
        *PRINTED["datar-1"].results(_ROW, _KINETICS, form=_FORM),
        *PRINTED["datar-2"].results(_ROW, _VGGSOUND, form=_FORM, num_classes=309),
        *PRINTED["datar-3"].results(_ROW, _EPIC, form=_FORM),
        *(
            result
            for form, changes in _TABLE_4.items()
            for result in PRINTED["datar-4"].results(form, _KINETICS, form=form, changes=changes)
        ),
        *results({"top1": 82.0}, _READ_ME, model="datar_tiny", form="DAT-T"),
        *results({"top1": 83.7}, _READ_ME, model="datar_small", form="DAT-S"),
        *results({"top1": 84.0}, _READ_ME, model="datar_base", form="DAT-B"),
    ),
)
