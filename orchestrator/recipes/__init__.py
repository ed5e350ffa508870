"""Functions that return a complete experiment; a sweep calls one and changes two fields.

Every choice that a paper leaves open is stated here, once.
"""

from __future__ import annotations

from orchestrator.recipes.datar import datar_laptop, datar_tiny
from orchestrator.recipes.erann import erann_2_5
from orchestrator.recipes.htsat import htsat_laptop, htsat_tiny
from orchestrator.recipes.kwt import kwt_1, kwt_2, kwt_3
from orchestrator.recipes.psla import psla
from orchestrator.recipes.res15 import res15, res15_triplet
from orchestrator.recipes.slowfast import slowfast
from orchestrator.recipes.talnet import talnet
from orchestrator.recipes.vggsound import vggsound_resnet

__all__ = [
    "datar_laptop",
    "datar_tiny",
    "erann_2_5",
    "htsat_laptop",
    "htsat_tiny",
    "kwt_1",
    "kwt_2",
    "kwt_3",
    "psla",
    "res15",
    "res15_triplet",
    "slowfast",
    "talnet",
    "vggsound_resnet",
]
