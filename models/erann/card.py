"""ERANN (arXiv 2106.01621), which has no published code."""

from models.card import AUDIOSET, ESC50, Card, Paper, counts, results
from models.zoo.paper_tables import PRINTED

# The paper gives sizes relative to AST (arXiv 2104.01778): 9.7 and 2.3 times smaller.
_COUNTED = dict(source="ratio in the paper", input_size=(128, 1279))
_ERANN = dict(paper="ERANN", arxiv="2106.01621", sample_rate_hz=44_100, num_models=1)

CARD = Card(
    rank=12,
    paper=Paper(
        name="ERANN",
        title="ERANNs: Efficient Residual Audio Neural Networks for Audio Pattern Recognition",
        arxiv="2106.01621",
    ),
    frontend=(
        "log_mel",
        {"sample_rate": 44100, "n_fft": 2048, "win_length": 1380, "hop_length": 345}
        | {"n_mels": 128, "f_max": 22050.0},
    ),
    frontends={"erann_laptop": ("log_mel", {"hop_length": 640})},
    counts=(
        *counts({"params": "54.5 M"}, _COUNTED, model="erann_1_6", label="ERANN-1-6"),
        *counts(
            {"params": "37.9 M"}, _COUNTED, model="erann_2_5", label="ERANN-2-5", num_classes=50
        ),
    ),
    results=(
        *results(
            {"map": 0.450, "auc": 0.976, "d_prime": 2.804},
            AUDIOSET,
            _ERANN,
            model="erann_1_6",
            place="results on AudioSet",
            pretraining=(),
        ),
        *results(
            {"top1": 96.1},
            ESC50,
            _ERANN,
            model="erann_2_5",
            place="results on ESC-50",
            pretraining=("audioset",),
        ),
        *PRINTED["htsat-2"].results(
            "ERANN", model="erann_2_5", dataset="esc50", num_classes=50, quoted=True
        ),
    ),
)
