"""What papers and authors' code count of DAT, DATAR, AST and HTS-AT; see `models.zoo.claims`.

Sources: DAT LeapLabTHU/DAT 797f187 and arXiv 2201.00520; DATAR arXiv 2312.16228; AST
YuanGongND/ast 31088be; HTS-AT RetroCirce/HTS-Audio-Transformer 2e29471 and arXiv 2202.00874.
Numbers of the authors' code were measured by running it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models.zoo.claims.claim import Claim

_CODE = "authors' code"
_TEN_SECONDS = (64, 1001)
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


TRANSFORMERS: tuple[Claim, ...] = (*_dat(), *_ast(), *_htsat())
