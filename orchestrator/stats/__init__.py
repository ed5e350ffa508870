"""Statistics of ablations: paired differences over few replicates, and what they allow to be said.

Pure functions on numpy and `scipy.special` (`scipy.stats` takes most of a second to import).
"""

from orchestrator.stats.equivalence import (
    Equivalence,
    equivalence,
)
from orchestrator.stats.factorial import (
    effect_weights,
    weighted_contrast,
)
from orchestrator.stats.family import (
    holm,
    pairs_needed,
)
from orchestrator.stats.intervals import (
    IntervalMethod,
    MeanInterval,
    mean_interval,
)
from orchestrator.stats.paired import (
    PairedDifference,
    Verdict,
    paired_difference,
    verdict,
)
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
from orchestrator.stats.trend import (
    Trend,
    dose_trend,
)
from orchestrator.stats.values import (
    ALPHA,
    CONFIDENCE,
)

__all__ = [
    "ALPHA",
    "CONFIDENCE",
    "DRAWS",
    "EXACT",
    "EXACT_UP_TO",
    "SAMPLED",
    "Alternative",
    "Equivalence",
    "IntervalMethod",
    "MeanInterval",
    "PairedDifference",
    "SignFlip",
    "Trend",
    "Verdict",
    "dose_trend",
    "effect_weights",
    "equivalence",
    "holm",
    "mean_interval",
    "paired_difference",
    "pairs_needed",
    "sign_flip",
    "sign_flip_p",
    "sign_flip_p_rows",
    "smallest_p",
    "verdict",
    "weighted_contrast",
]
