"""Statistics of ablations: paired differences over few replicates, and what can be concluded.

Pure functions on numpy and `scipy.special` (`scipy.stats` takes most of a second to import).
`tests/benchmarks/stats/error_rates.md` gives the error rate of each rule in simulated ablations.
"""

from orchestrator.stats.aggregate import (
    Aggregate,
    normalized_difference,
    normalized_score,
    probability_of_improvement,
)
from orchestrator.stats.clips import (
    CAVEAT,
    ClipTest,
    average_precision_of,
    clip_bootstrap,
    mcnemar,
    mean_of,
)
from orchestrator.stats.equivalence import Equivalence, equivalence
from orchestrator.stats.factorial import effect_weights, weighted_sums
from orchestrator.stats.folds import (
    CrossedInterval,
    Replicates,
    corrected_resampled_t,
    crossed_test,
    replicate_interval,
    replicates_of,
)
from orchestrator.stats.intervals import MeanInterval, mean_interval
from orchestrator.stats.paired import (
    FLIP_INTERVAL,
    SIMULTANEOUS,
    Judged,
    PairedDifference,
    Verdict,
    agreeing_ends,
    holm,
    judge,
    paired_difference,
    pairs_needed,
    unbroken_ends,
    verdict,
)
from orchestrator.stats.planning import (
    MAX_PAIRS,
    PooledSpread,
    Prospect,
    Steps,
    detectable_effect,
    pairs_for,
    pooled_spread,
    power_of,
    prospect,
)
from orchestrator.stats.recordings import RecordingsInterval, over_recordings
from orchestrator.stats.sequential import (
    REPEATED_INTERVAL,
    Decision,
    Sequential,
    all_decided,
    decide,
    repeated_interval,
)
from orchestrator.stats.signflip import (
    EXACT_UP_TO,
    sign_flip,
    sign_flip_p,
    sign_flip_p_rows,
    smallest_p,
)
from orchestrator.stats.spending import SEQUENTIAL_METHOD, anytime_p_rows, levels_for
from orchestrator.stats.tie_break import break_ties
from orchestrator.stats.trend import Trend, dose_trend
from orchestrator.stats.values import ALPHA, CONFIDENCE

__all__ = [
    "ALPHA",
    "CAVEAT",
    "CONFIDENCE",
    "EXACT_UP_TO",
    "FLIP_INTERVAL",
    "MAX_PAIRS",
    "REPEATED_INTERVAL",
    "SEQUENTIAL_METHOD",
    "SIMULTANEOUS",
    "Aggregate",
    "ClipTest",
    "CrossedInterval",
    "Decision",
    "Equivalence",
    "Judged",
    "MeanInterval",
    "PairedDifference",
    "PooledSpread",
    "Prospect",
    "RecordingsInterval",
    "Replicates",
    "Sequential",
    "Steps",
    "Trend",
    "Verdict",
    "agreeing_ends",
    "all_decided",
    "anytime_p_rows",
    "average_precision_of",
    "break_ties",
    "clip_bootstrap",
    "corrected_resampled_t",
    "crossed_test",
    "decide",
    "detectable_effect",
    "dose_trend",
    "effect_weights",
    "equivalence",
    "holm",
    "judge",
    "levels_for",
    "mcnemar",
    "mean_interval",
    "mean_of",
    "normalized_difference",
    "normalized_score",
    "over_recordings",
    "paired_difference",
    "pairs_for",
    "pairs_needed",
    "pooled_spread",
    "power_of",
    "probability_of_improvement",
    "prospect",
    "repeated_interval",
    "replicate_interval",
    "replicates_of",
    "sign_flip",
    "sign_flip_p",
    "sign_flip_p_rows",
    "smallest_p",
    "unbroken_ends",
    "verdict",
    "weighted_sums",
]
