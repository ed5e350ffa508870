"""What papers and authors' code count of convolution nets; see `models.zoo.claims`.

Sources: PSLA YuanGongND/psla 76aedd1 and arXiv 2102.01243; VGGSound hche11/VGGSound 9bbc749 and
arXiv 2004.14368; Auditory SlowFast ekazakos/auditory-slow-fast 6af3fd7. Numbers of the authors'
code were measured by running it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models.zoo.claims.claim import Claim

_CODE = "authors' code"


def _psla() -> Iterable[Claim]:
    b2: dict[str, Any] = dict(model="psla_b2", label="PSLA B2", input_size=(128, 1056))
    b0: dict[str, Any] = dict(b2, model="psla_b0", label="PSLA B0")
    yield Claim(quantity="params", theirs="13.64 M", whose=_CODE, **b2)
    yield Claim(quantity="params", theirs="13.6 M", whose="authors' read-me", **b2)
    yield Claim(quantity="MACs", theirs="1.95 G", whose=_CODE, **b2)
    yield Claim(quantity="params", theirs="9.41 M", whose=_CODE, **b0)
    yield Claim(quantity="MACs", theirs="1.19 G", whose=_CODE, **b0)


def _vggsound() -> Iterable[Claim]:
    for depth, params, macs in (
        (18, "11.33 M", "9.45 G"),
        (34, "21.4 M", "19.5 G"),
        (50, "24.1 M", "21.8 G"),
    ):
        rest: dict[str, Any] = dict(
            model=f"vggsound_resnet{depth}",
            label=f"VGGSound ResNet{depth}",
            whose=_CODE,
            input_size=(257, 1004),
            num_classes=309,
        )
        yield Claim(quantity="params", theirs=params, **rest)
        yield Claim(quantity="MACs", theirs=macs, **rest)
    yield Claim(
        model="vggsound_resnet18",
        label="VGGSound ResNet18 + NetVLAD",
        quantity="params",
        theirs="13.7 M",
        whose=_CODE,
        input_size=(257, 1004),
        num_classes=309,
        arguments={"pooling": "netvlad"},
    )


def _slowfast() -> Iterable[Claim]:
    rest: dict[str, Any] = dict(model="slowfast_r50", whose=_CODE)
    vgg = dict(rest, label="SlowFast", input_size=(128, 512), num_classes=309)
    yield Claim(quantity="params", theirs="26.68 M", **vgg)
    yield Claim(quantity="MACs", theirs="5.52 G", **vgg)
    yield Claim(
        label="SlowFast, verbs and nouns",
        quantity="params",
        theirs="26.88 M",
        input_size=(128, 400),
        num_classes=397,
        arguments={"heads": (97, 300), "num_frames": 400},
        **rest,
    )


SPECTROGRAM_NETS: tuple[Claim, ...] = (*_psla(), *_vggsound(), *_slowfast())
