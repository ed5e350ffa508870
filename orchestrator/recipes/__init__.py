"""Functions that return a complete experiment; a sweep calls one and changes two fields.

Every choice that a paper leaves open is stated here, once.
"""

from __future__ import annotations

from orchestrator.recipes.keywords import (
    erann_2_5,
    kwt_1,
    kwt_2,
    kwt_3,
    res15,
    res15_triplet,
    talnet,
)
from orchestrator.recipes.spectrogram_nets import psla, slowfast, vggsound_resnet
from orchestrator.recipes.transformers import datar_laptop, datar_tiny, htsat_laptop, htsat_tiny

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
