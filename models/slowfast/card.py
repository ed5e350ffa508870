"""Auditory SlowFast (arXiv 2103.03516, ekazakos/auditory-slow-fast 6af3fd7)."""

from typing import Any

from models.card import Card, Paper, Weights, counts
from models.zoo.paper_tables import PRINTED


def _weights(filename: str, key: str, **rest: Any) -> Weights:
    return Weights(
        model="slowfast_r50",
        filename=filename,
        url=f"https://www.dropbox.com/s/{key}/{filename}?dl=1",
        page="https://github.com/ekazakos/auditory-slow-fast#pretrained-models",
        license="CC-BY-NC-SA-4.0",
        **rest,
    )


_EPIC = {"sample_rate": 24000, "win_length": 240, "hop_length": 120, "f_max": 12000.0}
_VERBS_AND_NOUNS = dict(num_classes=397, arguments={"heads": (97, 300), "num_frames": 400})
_COUNTED = dict(model="slowfast_r50", label="SlowFast", input_size=(128, 512), num_classes=309)
_QUOTED = dict(model="slowfast_r50", quoted=True)

CARD = Card(
    rank=8,
    paper=Paper(
        name="Auditory SlowFast",
        title="Slow-Fast Auditory Streams for Audio Recognition",
        arxiv="2103.03516",
        code="ekazakos/auditory-slow-fast 6af3fd7",
        license="CC-BY-NC-SA-4.0",
        num_classes=309,
    ),
    frontend=("htk_log_mel", {}),
    frontends={
        "slowfast_laptop": (
            "htk_log_mel",
            {"n_fft": 1024, "win_length": 800, "hop_length": 640, "n_mels": 64},
        )
    },
    weights=(
        _weights(
            "SLOWFAST_VGG.pyth",
            "oexan0vv01eqy0k",
            name="slowfast_vggsound",
            num_classes=309,
            trained_on=("vggsound",),
            frontend=("htk_log_mel", {}),
        ),
        _weights(
            "SLOWFAST_EPIC.pyth",
            "cr0c6xdaggc2wzz",
            name="slowfast_epic",
            trained_on=("vggsound", "epic_kitchens_100"),
            frontend=("htk_log_mel", _EPIC),
            remark="audio at 24000 Hz; the logits are those of 97 verbs, then of 300 nouns",
            **_VERBS_AND_NOUNS,
        ),
    ),
    counts=(
        *counts({"params": "26.68 M", "MACs": "5.52 G"}, _COUNTED),
        *counts(
            {"params": "26.88 M"},
            _COUNTED,
            _VERBS_AND_NOUNS,
            label="SlowFast, verbs and nouns",
            input_size=(128, 400),
        ),
    ),
    results=(
        *PRINTED["datar-2"].results("AudioSlowFast", _QUOTED, num_classes=309),
        *PRINTED["datar-3"].results("AudioSlowFast", _QUOTED),
    ),
)
