"""What papers and authors' code count of PANNs; see `models.zoo.claims`.

Sources: qiuqiangkong/audioset_tagging_cnn d2f4b8c and arXiv 1912.10211. Numbers of the authors'
code were measured by running it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models.zoo.claims.claim import Claim, Extra

_CODE = "authors' code"
_TEN_SECONDS = (64, 1001)
_SLOW = {"sample_rate": 16000, "n_fft": 512, "win_length": 512, "hop_length": 160, "f_max": 8000}


def _panns() -> Iterable[Claim]:
    front: tuple[Extra, ...] = ("front end",)
    for model, label, params, trained, macs in (
        ("cnn6", "CNN6", "5.92 M", "4.84 M", "11.0 G"),
        ("cnn10", "CNN10", "6.30 M", "5.22 M", "14.1 G"),
        ("cnn14", "CNN14", "81.84 M", "80.75 M", "21.1 G"),
        ("cnn14", "CNN14, 16 kHz", "81.03 M", "80.75 M", "20.3 G"),
        ("cnn14_decision_level_max", "CNN14 max", "81.8 M", "80.8 M", "21.3 G"),
        ("cnn14_decision_level_att", "CNN14 att", "82.9 M", "81.8 M", "21.3 G"),
        ("resnet38", "ResNet38", "74.9 M", "73.8 M", "24.5 G"),
    ):
        rest: dict[str, Any] = dict(model=model, label=label, input_size=_TEN_SECONDS)
        if "16 kHz" in label:
            rest["frontend"] = _SLOW
        more: tuple[Extra, ...] = ("unused norm",) if model.endswith("_att") else ()
        all_of_it = (*front, *more)
        yield Claim(quantity="params", theirs=params, whose=_CODE, extras=all_of_it, **rest)
        yield Claim(
            quantity="params", theirs=trained, whose=f"{_CODE}, trained", extras=more, **rest
        )
        yield Claim(quantity="MACs", theirs=macs, whose=_CODE, extras=all_of_it, **rest)
        if label == "CNN14":
            rest |= dict(quantity="multiply-adds", theirs="42.2 G", whose="PANNs paper")
            yield Claim(extras=front, **rest)


PANNS: tuple[Claim, ...] = (*_panns(),)
