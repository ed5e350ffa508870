"""The families of the zoo as a factor: each in two sizes and on a front end of its own kind.

A sweep crosses them with what it asks: nothing (`sweeps/model_zoo.py`), the input transform
(`adaptor_everywhere.py`) or the initial weights (`pretrain.py`). Everything else is the base's:
data, recipe, seeds. The base's model decides the size (`..._laptop` or not), the base's clips
decide the sample rate.
"""

from __future__ import annotations

from orchestrator.recipes.families.family import Family, is_laptop
from orchestrator.recipes.families.keywords import (
    BASELINE,
    DEEPRES,
    ERANN,
    KEYWORDS,
    KWT,
    RES15,
    TALNET,
)
from orchestrator.recipes.families.spectrogram_nets import (
    PSLA,
    SLOWFAST,
    SPECTROGRAM_NETS,
    VGGSOUND,
)
from orchestrator.recipes.families.transformers import (
    AST,
    DATAR,
    DATAR_FBANK,
    HTSAT,
    LAPTOP_FBANK,
    PANNS,
    TRANSFORMERS_AND_PANNS,
)

FAMILIES: tuple[Family, ...] = (*TRANSFORMERS_AND_PANNS, *SPECTROGRAM_NETS, *KEYWORDS)
"""All of them."""

PRETRAINED = tuple(family for family in FAMILIES if family.weights)
"""Those with published weights for their front end."""

__all__ = [
    "AST",
    "BASELINE",
    "DATAR",
    "DATAR_FBANK",
    "DEEPRES",
    "ERANN",
    "FAMILIES",
    "HTSAT",
    "KEYWORDS",
    "KWT",
    "LAPTOP_FBANK",
    "PANNS",
    "PRETRAINED",
    "PSLA",
    "RES15",
    "SLOWFAST",
    "SPECTROGRAM_NETS",
    "TALNET",
    "TRANSFORMERS_AND_PANNS",
    "VGGSOUND",
    "Family",
    "is_laptop",
]
