"""What the numbers of an aggregate are, and what bounds them."""

from __future__ import annotations

from orchestrator.analysis.aggregate import Aggregated
from orchestrator.metrics.chance import level_text
from orchestrator.report.wording.numbers import number


def aggregate_notes(found: Aggregated) -> list[str]:
    """Return the notes below the table of an aggregate."""
    unit = f" {found.metric.unit}".rstrip()
    places = 1 if found.metric.unit == "%" else 3
    notes = [
        "Score: 0 is chance and 1 the mean of the best arm of each data set; they count alike. "
        + "; ".join(
            f"{name}: 0 is {level_text(scale.chance, unit=found.metric.unit)}, 1 is "
            f"{number(scale.mean, places)}{unit} ({scale.best}), {scale.num_seeds} seeds"
            for name, scale in found.scales.items()
        )
        + ".",
        "P(better): how likely a run of the arm beats one of the baseline, a tie counting half, "
        "averaged over data sets; 50 % is no difference (Agarwal et al. 2021).",
        "95 % intervals: t over seeds within each data set, arms, baseline and scale paired by "
        "them; of P(better) a score interval that takes runs for unpaired and so is rather wide. "
        "They speak of other seeds on these data sets, not of other data sets, are not corrected "
        "for being several, and no test was declared.",
    ]
    if found.left_out:
        listed = ", ".join(f"{dataset} {count}" for dataset, count in found.left_out.items())
        notes.append(f"Seeds left out, since an arm lacks them: {listed}.")
    if found.by_fold:
        notes.append("On several folds a run is a seed's mean over all of them.")
    return notes
