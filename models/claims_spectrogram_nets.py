"""What papers and authors' code count of the convolution nets on spectrograms; see `models.claims`.

Sources: PSLA YuanGongND/psla 76aedd1 and arXiv 2102.01243. Numbers of the authors' code were
measured by running it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models.accounts import Claim

_CODE = "authors' code"


def _psla() -> Iterable[Claim]:
    b2: dict[str, Any] = dict(model="psla_b2", label="PSLA B2", input_size=(128, 1056))
    b0: dict[str, Any] = dict(b2, model="psla_b0", label="PSLA B0")
    yield Claim(quantity="params", theirs="13.64 M", whose=_CODE, **b2)
    yield Claim(quantity="params", theirs="13.6 M", whose="authors' read-me", **b2)
    yield Claim(quantity="MACs", theirs="1.95 G", whose=_CODE, **b2)
    yield Claim(quantity="params", theirs="9.41 M", whose=_CODE, **b0)
    yield Claim(quantity="MACs", theirs="1.19 G", whose=_CODE, **b0)


SPECTROGRAM_NETS: tuple[Claim, ...] = (*_psla(),)
