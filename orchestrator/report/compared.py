"""The comparisons of a study: every arm with the baseline, and the declared contrasts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.metrics import Metric
from orchestrator.records import PlanRecord, TrialRecord
from orchestrator.report import sequence
from orchestrator.report.rows import ArmSummary, Block, ContrastSummary
from orchestrator.report.words import equivalence_sentence, sentence
from orchestrator.stats import (
    PairedDifference,
    Verdict,
    crossed_difference,
    equivalence,
    holm,
    verdict,
)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Compares arms of a plan by a metric.

    Attributes:
        plan: as declared.
        records: id -> record.
        metric: what is compared.
        mixed: whether trials of different code or data may stand in one comparison.
    """

    plan: PlanRecord
    records: Mapping[str, TrialRecord]
    metric: Metric
    mixed: bool

    def with_differences(self, arms: tuple[ArmSummary, ...]) -> tuple[ArmSummary, ...]:
        """Return the arms, each with its difference from the baseline."""
        reference = next((arm for arm in arms if arm.name == self.plan.baseline), None)
        return tuple(
            arm
            if reference is None or arm is reference
            else dataclasses.replace(arm, to_baseline=self._difference(arm, reference))
            for arm in arms
        )

    def contrasts(self, arms: tuple[ArmSummary, ...]) -> tuple[ContrastSummary, ...]:
        """Return the declared contrasts, tested and corrected for being several."""
        by_name = {arm.name: arm for arm in arms}
        judged = (
            sequence.decisions(self.plan, self.records, metric=self.metric)
            if self.plan.cap
            else None
        )
        pairs = [(by_name[c.arm], by_name[c.reference]) for c in self.plan.contrasts]
        found = [
            arm.to_baseline
            if reference.name == self.plan.baseline
            else self._difference(arm, reference)
            for arm, reference in pairs
        ]
        adjusted = holm([d.p_value if d else None for d in found])
        smallest = [p or 0.0 for p in holm([d.smallest_p if d else 1.0 for d in found])]
        summaries = []
        for i, (arm, reference) in enumerate(pairs):
            difference, adjusted_p, least = found[i], adjusted[i], smallest[i]
            said = Verdict.NOT_TESTED
            if difference is not None and judged is not None:
                own = judged[sequence.name_of(arm.name, reference.name)]
                difference = dataclasses.replace(
                    difference, p_value=own.p_value, test_method=own.method
                )
                adjusted_p, said, least = own.adjusted_p, sequence.VERDICTS[own.decision], 0.0
            elif difference is not None:
                said = verdict(difference, adjusted_p, sign=self.metric.sign)
            summaries.append(
                ContrastSummary(
                    arm=arm.name,
                    reference=reference.name,
                    difference=difference,
                    adjusted_p=adjusted_p,
                    smallest_adjusted_p=least,
                    verdict=said,
                    sentence=self._refusal(arm, reference)
                    or sentence(
                        arm.name,
                        reference.name,
                        difference,
                        metric=self.metric,
                        verdict=said,
                        adjusted_p=adjusted_p,
                        smallest_adjusted_p=least,
                        num_contrasts=len(found),
                        num_planned=self.plan.cap or _num_planned(arm, reference, difference),
                    )
                    + self._equivalence(difference),
                )
            )
        return tuple(summaries)

    def _difference(self, arm: ArmSummary, reference: ArmSummary) -> PairedDifference | None:
        one, other = self._values(arm), self._values(reference)
        if not one.keys() & other.keys() or self._refusal(arm, reference):
            return None
        return crossed_difference(one, other, num_contrasts=len(self.plan.contrasts))

    def _refusal(self, arm: ArmSummary, reference: ArmSummary) -> str:
        """Say why two arms are not compared: their trials saw other code or other data."""
        if self.mixed:
            return ""
        ids = [cell.id for a in (arm, reference) for cell in a.cells if cell.value is not None]
        counted = [self.records[id_] for id_ in ids]
        for what, values in (
            ("versions of the code", {r.provenance.get("code", "") for r in counted} - {""}),
            ("packs of the data", {str(r.data.get("fingerprint", "")) for r in counted} - {""}),
        ):
            if len(values) > 1:
                return (
                    f"{arm.name} against {reference.name} is not compared: their trials come from "
                    f"{len(values)} {what} ({', '.join(sorted(values))}). Train them again, or "
                    f"`python -m orchestrator.report {self.plan.sweep} --mixed` compares them all "
                    "the same."
                )
        return ""

    def _equivalence(self, difference: PairedDifference | None) -> str:
        """Say what the margin that was declared adds; nothing in a study until decided."""
        margin = self.plan.margin
        if not margin or self.plan.cap or difference is None or difference.n < 2:
            return ""
        found = equivalence(difference.differences.values(), margin=margin, sign=self.metric.sign)
        return " " + equivalence_sentence(found, metric=self.metric)

    def _values(self, arm: ArmSummary) -> Mapping[Block, float]:
        return arm.measures[self.metric.key].values if self.metric.key in arm.measures else {}


def _num_planned(
    arm: ArmSummary, reference: ArmSummary, difference: PairedDifference | None
) -> int:
    """Count the planned replicates of a contrast, in what its difference counts."""
    blocks = {cell.block for cell in arm.cells} & {cell.block for cell in reference.cells}
    by_fold = difference is not None and difference.replicate == "fold"
    return len({fold if by_fold else seed for seed, fold in blocks})
