"""Res-15 (arXiv 1710.10361, castorini/honk c3aae75), also with a triplet loss (2101.04792)."""

from models.card import SPEECH_COMMANDS, Card, Paper, Weights, counts, results
from models.zoo.paper_tables import PRINTED

_FILES = "https://raw.githubusercontent.com/roman-vygon/triplet_loss_kws"
_COMMIT = "0d92edd689b0ecb1c6dad26cd14bb6d1781c58a6"


def _encoder(num_classes: int, sha256: str) -> Weights:
    return Weights(
        name=f"res15_speech_commands_{num_classes}_triplet",
        model="res15_triplet",
        num_classes=num_classes,
        trained_on=("speech_commands_v2",),
        filename=f"res15_{num_classes}_Res15-STEP-14000.pt",
        url=f"{_FILES}/{_COMMIT}/runs/res15_{num_classes}/checkpoints/Res15-STEP-14000.pt",
        page="https://github.com/roman-vygon/triplet_loss_kws",
        license="MIT",
        remark="an encoder for 64 log-mels of NeMo, which no front end here makes to the bit: on "
        "other features fine-tune it. Its classifier is its nearest neighbors: until "
        "chain.model.set_support(embedding, labels) has training clips, an untrained layer answers",
        sha256=sha256,
        size=962_646,
    )


_TRIPLET = (
    SPEECH_COMMANDS
    | dict(model="res15_triplet", remark="on 64 log-mels")
    | dict(paper="Triplet loss for keywords", arxiv="2101.04792", place="results")
    | dict(sample_rate_hz=16_000, pretraining=(), num_models=1, test_views=1)
)

CARD = Card(
    rank=11,
    paper=Paper(
        name="Res-15",
        title="Deep Residual Learning for Small-Footprint Keyword Spotting",
        arxiv="1710.10361",
        code="castorini/honk c3aae75; by triplet loss roman-vygon/triplet_loss_kws 0d92edd",
        license="MIT",
        num_classes=12,
    ),
    frontend=("honk_mfcc", {}),
    frontends={"res15_laptop": ("honk_mfcc", {"win_length": 800, "hop_length": 640})},
    weights=(
        _encoder(12, "973eca48b5b5baa6738eb8963318bc857d606db02686c4d7970c397fb9e40234"),
        _encoder(35, "7dc8dd833534ad9ca92721bd9ca8c71bd0472c4f37722b0c280b8ceb263f042a"),
    ),
    counts=counts(
        {"params": "0.239 M", "MACs": "0.96 G"},
        model="res15",
        label="Res-15",
        input_size=(40, 101),
        num_classes=35,
    ),
    results=(
        *results({"top1": 97.0}, _TRIPLET),
        *results({"top1": 98.37}, _TRIPLET, num_classes=12, num_test_clips=None),
        *PRINTED["htsat-2"].results(
            "RES-15",
            model="res15_triplet",
            dataset="speech_commands_v2",
            num_classes=35,
            quoted=True,
        ),
    ),
)
