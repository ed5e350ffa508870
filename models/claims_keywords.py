"""What papers and authors' code count of TALNet and of the keyword models; see `models.claims`.

Numbers of the authors' code were measured by running it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models.accounts import Claim

_CODE = "authors' code"


def _talnet() -> Iterable[Claim]:
    rest: dict[str, Any] = dict(model="talnet", label="TALNet", input_size=(64, 400))
    yield Claim(quantity="params", theirs="9.98 M", whose=_CODE, **rest)
    yield Claim(quantity="MACs", theirs="3.6 G", whose=_CODE, **rest)


KEYWORDS: tuple[Claim, ...] = (*_talnet(),)
