"""Statistics of ablations: paired differences over few replicates, and what they allow to be said.

Pure functions on numpy and `scipy.special` (`scipy.stats` takes most of a second to import).
`python -m orchestrator.stats` simulates ablations in which nothing differs, or something does, and
prints how often each rule errs.
"""

from orchestrator.stats.family import holm, pairs_needed
from orchestrator.stats.intervals import IntervalMethod, MeanInterval, mean_interval
from orchestrator.stats.paired import PairedDifference, Verdict, paired_difference, verdict
from orchestrator.stats.signflip import (
    DRAWS,
    EXACT,
    EXACT_UP_TO,
    SAMPLED,
    Alternative,
    SignFlip,
    sign_flip,
    sign_flip_p,
    sign_flip_p_rows,
    smallest_p,
)
from orchestrator.stats.values import ALPHA, CONFIDENCE

__all__ = [
    "ALPHA",
    "CONFIDENCE",
    "DRAWS",
    "EXACT",
    "EXACT_UP_TO",
    "SAMPLED",
    "Alternative",
    "IntervalMethod",
    "MeanInterval",
    "PairedDifference",
    "SignFlip",
    "Verdict",
    "holm",
    "mean_interval",
    "paired_difference",
    "pairs_needed",
    "sign_flip",
    "sign_flip_p",
    "sign_flip_p_rows",
    "smallest_p",
    "verdict",
]
