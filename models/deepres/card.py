"""DeepRes and AudioSet's baseline; neither has published code."""

from models.card import LAPTOP_FBANK, Card, Paper, counts
from models.zoo.paper_tables import PRINTED

_BASELINE = Paper(
    name="AudioSet baseline",
    title="Audio Set: An Ontology and Human-Labeled Dataset for Audio Events",
    doi="10.1109/ICASSP.2017.7952261",
)

CARD = Card(
    rank=13,
    paper=Paper(
        name="DeepRes",
        title="A Deep Residual Network for Large-Scale Acoustic Scene Analysis",
        doi="10.21437/Interspeech.2019-2731",
    ),
    papers={"audioset_baseline": _BASELINE, "audioset_baseline_laptop": _BASELINE},
    frontend=("kaldi_fbank", {}),
    frontends={
        "deepres_laptop": LAPTOP_FBANK,
        "audioset_baseline": (
            "log_mel",
            {"sample_rate": 16000, "n_fft": 512, "win_length": 400, "hop_length": 160}
            | {"f_min": 125.0, "f_max": 7500.0},
        ),
        "audioset_baseline_laptop": ("log_mel", {"hop_length": 1280, "n_mels": 32}),
    },
    counts=(
        *counts(
            {"params": "26 M"},
            model="deepres",
            label="DeepRes",
            source="HTS-AT paper",
            input_size=(128, 1024),
            note="the paper rounds, and does not say which ResNet it is",
        ),
        *counts(
            {"params": "2.6 M"},
            model="audioset_baseline",
            label="AudioSet baseline",
            source="HTS-AT paper",
            input_size=(64, 1001),
            note="theirs is the classifier on given embeddings alone (2.64 M with 1024 hidden "
            "units); here the network that embeds is trained with it and counted",
        ),
    ),
    results=(
        *PRINTED["htsat-1"].results(
            "Baseline",
            model="audioset_baseline",
            quoted=True,
            remark="of Gemmeke et al. 2017: embeddings of a network whose data are not public",
        ),
        *PRINTED["htsat-1"].results(
            "DeepRes",
            model="deepres",
            quoted=True,
            remark="of Ford et al. 2019, whose AUC is 0.971",
        ),
    ),
)
