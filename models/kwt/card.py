"""KWT (arXiv 2104.00769, ARM-software/keyword-transformer 237e409).

Its best numbers are those of models that a convolutional network taught (Att-MH-RNN, hard
distillation); the rows without a teacher are the paper's as wdjose/keyword-transformer quotes them.
The released weights had no teacher: their `model_summary.txt` counts 607,308, 2,394,252 and
5,360,844 parameters, without a distillation token and its head.
"""

from models.card import SPEECH_COMMANDS, Card, Paper, counts, results
from models.zoo.paper_tables import PRINTED

_COUNTED = dict(input_size=(40, 98), num_classes=12)
_WORDS = (
    SPEECH_COMMANDS
    | dict(paper="KWT", arxiv="2104.00769", place="Table 2")
    | dict(sample_rate_hz=16_000, pretraining=(), num_models=1, test_views=1)
)
_RELEASED = _WORDS | dict(
    form="released weights",
    place="read-me of ARM-software/keyword-transformer 237e409",
    num_classes=12,
    num_test_clips=4_800,
    num_runs=1,
    remark="ten words, silence and unknown; test clips as in tf_non_stream_model_accuracy.txt",
)
_TWELVE = _WORDS | dict(
    num_classes=12, num_test_clips=None, remark="ten words, silence and unknown; a mean of runs"
)
_TAUGHT, _ALONE = dict(form="with a teacher"), dict(form="without a teacher", quoted=True)

CARD = Card(
    rank=10,
    paper=Paper(
        name="KWT",
        title="Keyword Transformer: A Self-Attention Model for Keyword Spotting",
        arxiv="2104.00769",
        code="ARM-software/keyword-transformer 237e409",
        license="Apache-2.0",
        num_classes=12,
    ),
    frontend=("mfcc", {}),
    frontends={"kwt_laptop": ("mfcc", {"win_length": 800, "hop_length": 640, "num_frames": 128})},
    counts=(
        *counts({"params": "0.607 M"}, _COUNTED, model="kwt_1", label="KWT-1"),
        *counts({"params": "2.394 M"}, _COUNTED, model="kwt_2", label="KWT-2"),
        *counts({"params": "5.361 M"}, _COUNTED, model="kwt_3", label="KWT-3"),
    ),
    results=(
        *results({"top1": 96.95}, _WORDS, _TAUGHT, model="kwt_1"),
        *results({"top1": 96.85}, _WORDS, _ALONE, model="kwt_1"),
        *results({"top1": 98.08}, _TWELVE, _TAUGHT, model="kwt_1"),
        *results({"top1": 97.72}, _TWELVE, _ALONE, model="kwt_1"),
        *results({"top1": 97.7}, _RELEASED, model="kwt_1"),
        *results({"top1": 97.74}, _WORDS, _TAUGHT, model="kwt_2", spread=0.03),
        *results({"top1": 97.53}, _WORDS, _ALONE, model="kwt_2"),
        *results({"top1": 98.43}, _TWELVE, _TAUGHT, model="kwt_2"),
        *results({"top1": 98.21}, _TWELVE, _ALONE, model="kwt_2"),
        *results({"top1": 98.2}, _RELEASED, model="kwt_2"),
        *results({"top1": 97.69}, _WORDS, _TAUGHT, model="kwt_3"),
        *results({"top1": 97.51}, _WORDS, _ALONE, model="kwt_3"),
        *results({"top1": 98.56}, _TWELVE, _TAUGHT, model="kwt_3"),
        *results({"top1": 98.54}, _TWELVE, _ALONE, model="kwt_3"),
        *results({"top1": 98.7}, _RELEASED, model="kwt_3"),
        *PRINTED["htsat-2"].results(
            "KWT-2",
            model="kwt_2",
            dataset="speech_commands_v2",
            num_classes=35,
            quoted=True,
            remark="KWT's own paper has 97.74 ± 0.03",
        ),
    ),
)
