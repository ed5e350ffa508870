"""What papers and authors' code count: parameters and MACs, with the input they were counted on.

Sources: DAT LeapLabTHU/DAT 797f187 and arXiv 2201.00520; DATAR arXiv 2312.16228; AST
YuanGongND/ast 31088be; HTS-AT RetroCirce/HTS-Audio-Transformer 2e29471 and arXiv 2202.00874; PANNs
qiuqiangkong/audioset_tagging_cnn d2f4b8c and arXiv 1912.10211. Numbers of the authors' code were
measured by running it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models.accounts import Claim, Extra
from models.claims_keywords import KEYWORDS
from models.claims_spectrogram_nets import SPECTROGRAM_NETS

_CODE = "authors' code"
_TEN_SECONDS = (64, 1001)
_SLOW = {"sample_rate": 16000, "n_fft": 512, "win_length": 512, "hop_length": 160, "f_max": 8000}
_SIZES = ("tiny", "small", "base")


def _dat() -> Iterable[Claim]:
    image: dict[str, Any] = dict(input_size=(224, 224), num_channels=3, num_classes=1000)
    counter = "the paper rounds, and does not say what its counter sees"
    for i, size in enumerate(_SIZES):
        rest = dict(image, model=f"datar_{size}", label=f"DAT-{size[0].upper()}")
        params = ("28.32 M", "49.70 M", "87.88 M")[i]
        layers = ("4.36 G", "8.53 G", "15.15 G")[i]
        products = ("4.56 G", "8.96 G", "15.72 G")[i]
        printed = ("4.6 G", "9.0 G", "15.8 G")[i]
        attention = "MACs + attention"
        yield Claim(quantity="params", theirs=params, whose=_CODE, **rest)
        yield Claim(quantity="MACs", theirs=layers, whose=_CODE, **rest)
        yield Claim(quantity=attention, theirs=products, whose=_CODE, **rest)
        yield Claim(quantity=attention, theirs=printed, whose="DAT paper", note=counter, **rest)
    datar: dict[str, Any] = dict(
        model="datar_tiny",
        quantity="MACs",
        theirs="93.3 G",
        whose="DATAR paper",
        input_size=(128, 1024),
        num_channels=3,
        num_classes=309,
    )
    yield Claim(
        label="DATAR",
        note="the paper does not say on which size and input; no plain setting gives 93.3",
        **datar,
    )
    yield Claim(label="DATAR, resized", arguments={"resize": (1024, 1024)}, **datar)


def _ast() -> Iterable[Claim]:
    for size, params in zip(_SIZES, ("6.11 M", "22.83 M", "88.13 M"), strict=True):
        yield Claim(
            model=f"ast_{size}",
            label=f"AST {size}",
            quantity="params",
            theirs=params,
            whose=_CODE,
            input_size=(128, 1024),
            extras=("ImageNet heads",),
        )
    base: dict[str, Any] = dict(model="ast_base", label="AST base", input_size=(128, 1024))
    yield Claim(quantity="params", theirs="87 M", whose="HTS-AT paper", **base)
    yield Claim(quantity="MACs", theirs="103.35 G", whose=_CODE, **base)
    yield Claim(quantity="MACs + attention", theirs="130.51 G", whose=_CODE, **base)
    yield Claim(quantity="MACs", theirs="103.4 G", whose="DATAR paper", **base)


def _htsat() -> Iterable[Claim]:
    hc: dict[str, Any] = dict(model="htsat_tiny", label="HTS-AT", input_size=_TEN_SECONDS)
    h: dict[str, Any] = dict(hc, label="HTS-AT, H", arguments={"token_semantic": False})
    everything: dict[str, Any] = dict(quantity="params", extras=("front end", "unused head"))
    yield Claim(theirs="31.33 M", whose=_CODE, **hc, **everything)
    yield Claim(theirs="31 M", whose="HTS-AT paper", **hc, **everything, note="the paper rounds")
    yield Claim(
        quantity="params",
        theirs="30.24 M",
        whose=f"{_CODE}, trained",
        extras=("unused head",),
        **hc,
    )
    products: dict[str, Any] = dict(quantity="MACs + attention", whose=_CODE)
    yield Claim(theirs="7.07 G", extras=("front end",), **products, **hc)
    yield Claim(quantity="params", theirs="29.02 M", whose=_CODE, extras=("front end",), **h)
    yield Claim(
        quantity="params",
        theirs="28.8 M",
        whose="HTS-AT paper",
        extras=("front end",),
        note="the authors' own class has 29.02 with its front end, 27.94 without; none gives 28.8",
        **h,
    )
    yield Claim(theirs="7.41 G", extras=("front end", "repeated frames"), **products, **h)


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


CLAIMS: tuple[Claim, ...] = (
    *_dat(),
    *_ast(),
    *_htsat(),
    *_panns(),
    *SPECTROGRAM_NETS,
    *KEYWORDS,
)
"""Every published count that a model here can be held against."""
