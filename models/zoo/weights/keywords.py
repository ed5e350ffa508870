"""Published weights of TALNet and Res-15."""

from __future__ import annotations

from models.zoo.weights.entry import Weights

_TRIPLET = "https://raw.githubusercontent.com/roman-vygon/triplet_loss_kws"
_COMMIT = "0d92edd689b0ecb1c6dad26cd14bb6d1781c58a6"


def _encoder(num_classes: int, sha256: str) -> Weights:
    """Trained on 64 log-mels of NeMo, which no front end here makes; without a classifier."""
    return Weights(
        name=f"res15_speech_commands_{num_classes}_triplet",
        model="res15_triplet",
        num_classes=num_classes,
        trained_on=("speech_commands_v2",),
        filename=f"res15_{num_classes}_Res15-STEP-14000.pt",
        url=f"{_TRIPLET}/{_COMMIT}/runs/res15_{num_classes}/checkpoints/Res15-STEP-14000.pt",
        page="https://github.com/roman-vygon/triplet_loss_kws",
        licence="MIT",
        remark="an encoder for 64 log-mels of NeMo, which no front end here makes to the bit: on "
        "other features fine-tune it. Its classifier is its nearest neighbours: until "
        "chain.model.set_support(embedding, labels) has training clips, an untrained layer answers",
        sha256=sha256,
        size=962_646,
    )


KEYWORDS: tuple[Weights, ...] = (
    Weights(
        name="talnet_audioset",
        model="talnet",
        num_classes=527,
        trained_on=("audioset",),
        frontend=("talnet_fbank", {}),
        filename="TALNet.pt",
        url="http://islpc21.is.cs.cmu.edu/yunwang/git/cmu-thesis/model/TALNet.pt",
        page="https://github.com/MaigoAkisame/cmu-thesis#workspace",
        licence="MIT",
        remark="the file lacks the statistics of the input: give mean and deviation of the "
        "authors' normalizer.pkl, or of the front end's output over your clips, as tensors "
        "(mels,) to chain.model.set_input_statistics(mean, std)",
    ),
    _encoder(12, "973eca48b5b5baa6738eb8963318bc857d606db02686c4d7970c397fb9e40234"),
    _encoder(35, "7dc8dd833534ad9ca92721bd9ca8c71bd0472c4f37722b0c280b8ceb263f042a"),
)
