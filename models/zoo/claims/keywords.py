"""What papers and authors' code count of TALNet and of the keyword models; see `models.zoo.claims`.

Numbers of the authors' code were measured by running it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models.zoo.claims.claim import Claim

_CODE = "authors' code"


def _talnet() -> Iterable[Claim]:
    rest: dict[str, Any] = dict(model="talnet", label="TALNet", input_size=(64, 400))
    yield Claim(quantity="params", theirs="9.98 M", whose=_CODE, **rest)
    yield Claim(quantity="MACs", theirs="3.6 G", whose=_CODE, **rest)


def _kwt() -> Iterable[Claim]:
    for size, params in (("1", "0.607 M"), ("2", "2.394 M"), ("3", "5.361 M")):
        yield Claim(
            model=f"kwt_{size}",
            label=f"KWT-{size}",
            quantity="params",
            theirs=params,
            whose=_CODE,
            input_size=(40, 98),
            num_classes=12,
        )


def _res15() -> Iterable[Claim]:
    rest: dict[str, Any] = dict(
        model="res15", label="Res-15", input_size=(40, 101), num_classes=35, whose=_CODE
    )
    yield Claim(quantity="params", theirs="0.239 M", **rest)
    yield Claim(quantity="MACs", theirs="0.96 G", **rest)


def _erann() -> Iterable[Claim]:
    # The paper compares sizes with AST's (arXiv 2104.01778): 9.7 and 2.3 times smaller.
    for model, label, params, num_classes in (
        ("erann_1_6", "ERANN-1-6", "54.5 M", 527),
        ("erann_2_5", "ERANN-2-5", "37.9 M", 50),
    ):
        yield Claim(
            model=model,
            label=label,
            quantity="params",
            theirs=params,
            whose="ratio in the paper",
            input_size=(128, 1279),
            num_classes=num_classes,
        )


def _early() -> Iterable[Claim]:
    rest: dict[str, Any] = dict(quantity="params", whose="HTS-AT paper", input_size=(128, 1024))
    yield Claim(
        model="deepres",
        label="DeepRes",
        theirs="26 M",
        note="the paper rounds, and does not say which ResNet it is",
        **rest,
    )
    yield Claim(
        model="audioset_baseline",
        label="AudioSet baseline",
        theirs="2.6 M",
        note="theirs is the classifier on given embeddings alone (2.64 M with 1024 hidden units); "
        "here the network that embeds is trained with it and counted",
        **dict(rest, input_size=(64, 1001)),
    )


KEYWORDS: tuple[Claim, ...] = (*_talnet(), *_kwt(), *_res15(), *_erann(), *_early())
