"""Functions that return a complete experiment; a sweep calls one and changes two fields.

Every choice that a paper leaves open is stated here, once. `PAPERS` has the papers' own recipes by
name, with their sources and quirks; `python -m orchestrator.recipes` lists them.
"""

from __future__ import annotations

from orchestrator.recipes.ast import (
    ast_audioset,
    ast_audioset_balanced,
    ast_esc50,
    ast_speech_commands,
)
from orchestrator.recipes.datar import (
    datar_epic_kitchens,
    datar_kinetics_sounds,
    datar_laptop,
    datar_tiny,
    datar_vggsound,
)
from orchestrator.recipes.erann import erann_2_5
from orchestrator.recipes.htsat import (
    htsat_audioset,
    htsat_esc50,
    htsat_laptop,
    htsat_speech_commands,
    htsat_tiny,
)
from orchestrator.recipes.kwt import kwt_1, kwt_2, kwt_3
from orchestrator.recipes.panns import panns_cnn14
from orchestrator.recipes.papers import PAPERS
from orchestrator.recipes.psla import psla, psla_audioset, psla_audioset_balanced
from orchestrator.recipes.res15 import res15, res15_triplet
from orchestrator.recipes.slowfast import slowfast
from orchestrator.recipes.talnet import talnet
from orchestrator.recipes.vggsound import vggsound_resnet

__all__ = [
    "PAPERS",
    "ast_audioset",
    "ast_audioset_balanced",
    "ast_esc50",
    "ast_speech_commands",
    "datar_epic_kitchens",
    "datar_kinetics_sounds",
    "datar_laptop",
    "datar_tiny",
    "datar_vggsound",
    "erann_2_5",
    "htsat_audioset",
    "htsat_esc50",
    "htsat_laptop",
    "htsat_speech_commands",
    "htsat_tiny",
    "kwt_1",
    "kwt_2",
    "kwt_3",
    "panns_cnn14",
    "psla",
    "psla_audioset",
    "psla_audioset_balanced",
    "res15",
    "res15_triplet",
    "slowfast",
    "talnet",
    "vggsound_resnet",
]
