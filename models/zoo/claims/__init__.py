"""Every published count that a model can be held against; see `models.zoo.counts`.

A module per group of families. Each count names the input that it was counted on.
"""

from __future__ import annotations

from models.zoo.claims.claim import Claim
from models.zoo.claims.keywords import KEYWORDS
from models.zoo.claims.panns import PANNS
from models.zoo.claims.spectrogram_nets import SPECTROGRAM_NETS
from models.zoo.claims.transformers import TRANSFORMERS

CLAIMS: tuple[Claim, ...] = (*TRANSFORMERS, *PANNS, *SPECTROGRAM_NETS, *KEYWORDS)
"""In the order in which they are shown."""
