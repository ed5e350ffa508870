"""Every published count that a model here can be held against; `models.accounts` says what one is.

A module per group of families. Each count names the input that it was counted on.
"""

from __future__ import annotations

from models.accounts import Claim
from models.claims.keywords import KEYWORDS
from models.claims.panns import PANNS
from models.claims.spectrogram_nets import SPECTROGRAM_NETS
from models.claims.transformers import TRANSFORMERS

CLAIMS: tuple[Claim, ...] = (*TRANSFORMERS, *PANNS, *SPECTROGRAM_NETS, *KEYWORDS)
"""In the order in which they are shown."""
