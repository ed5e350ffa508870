"""Check before launch that every arm differs from the baseline exactly as declared.

Each arm is built as a trial would build it, with the same seed. The check compares the settings,
the parameters of each part, and a few seeded training steps on the same clips. An arm with the
baseline's losses and outputs ablates nothing; a null control must do exactly that.

`orchestrator.execution.preflight.probe` runs the steps; `LATER` lists what they cannot show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.registry import CHAIN_PARTS
from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.errors import OrchestratorError, PlanError, TrainingError
from orchestrator.execution.preflight.probe import (
    HEAD,
    STEPS,
    ContractError,
    Probe,
    made_up_clips,
    probe,
)
from orchestrator.experiment.overrides import differences, whole_parts
from orchestrator.metrics import lookup
from orchestrator.metrics.labels import TargetKind
from orchestrator.training.activation_checkpointing import checkpoint_activations
from orchestrator.training.evaluate import build

LATER = (
    *("epochs", "schedule", "selection", "selection_metric", "averaging"),  # take effect over time
    "clip_norm",  # the limit may be exceeded later, or by other clips
    *("dataset", "fold", "shuffled_labels"),  # different clips or labels
    *("batch_size", "accumulation_steps"),  # need more clips
    "sampler",  # built, but not called
    "mixup",  # may by chance mix none of so few clips
    "class_weights",  # of few clips they may be equal
    "model.neighbours",  # with so few clips, all of them vote
    *("initial", "distillation.teacher"),  # these trials must be trained first
)
"""Settings whose effect the steps may not show: whole parts or single arguments."""


@dataclass(frozen=True, kw_only=True)
class ArmCheck:
    """Result of building and probing an arm.

    Attributes:
        arm: Name of the arm.
        settings: Paths of all settings that differ from the baseline.
        num_params: Parameters of the whole chain.
        num_trained: Those of them that training changes.
        new_weights: Parts of the chain whose parameters differ in name, shape or initial value.
        output_change: Largest difference of the logits before training.
        loss_change: Largest difference of the clips' losses in the training steps.
        step_change: Largest difference of the logits after the training steps; for a model that
            remembers clips, with and without them.
        null_control: Whether the arm is declared equal to the baseline.
        problem: Problem of the arm; empty if there is none.
    """

    arm: str
    settings: tuple[str, ...]
    num_params: int
    num_trained: int
    new_weights: tuple[str, ...]
    output_change: float
    loss_change: float
    step_change: float
    null_control: bool = False
    problem: str = ""

    @property
    def differs(self) -> bool:
        """Whether anything computed differs from the baseline."""
        return any(change != 0 for change in self._changes)

    @property
    def shows(self) -> bool:
        """Whether the steps confirmed what the arm declares: a difference, or none."""
        return self.null_control or self.differs

    @property
    def _changes(self) -> tuple[float, float, float]:
        return self.output_change, self.loss_change, self.step_change

    @property
    def summary(self) -> str:
        """Description of how far losses and outputs are from the baseline's."""
        before, loss, after = self._changes
        return (
            f"logits differ by up to {before:.2g} before and {after:.2g} after {STEPS} training "
            f"steps, losses by up to {loss:.2g}"
        )

    @property
    def _size(self) -> str:
        text = f"{self.num_params:,} parameters"
        if self.num_trained == self.num_params:
            return text
        return f"{text}, {f'{self.num_trained:,}' if self.num_trained else 'none'} of them trained"

    def __str__(self) -> str:
        settings = ", ".join(whole_parts(self.settings))
        if self.null_control:
            return (
                f"{self.arm}: {self._size}; a control that differs in {settings} "
                f"and in nothing that {STEPS} training steps compute"
            )
        if self.settings and not self.shows:
            return (
                f"{self.arm}: {self._size}; differs in {settings}, which "
                f"{STEPS} training steps cannot show"
            )
        if not self.settings:
            return f"{self.arm}: the baseline, {self._size}"
        weights = ", ".join(self.new_weights) or "none, all weights start alike"
        return (
            f"{self.arm}: {self._size}; differs in {settings}; "
            f"other initial weights in: {weights}; {self.summary}"
        )


def check_arms(
    plan: Plan,
    *,
    num_classes: int,
    num_samples: int,
    sample_rate: int,
    num_clips: int = 64,
    kind: TargetKind = TargetKind.SINGLE_LABEL,
    heads: Mapping[str, int] | None = None,
    on_gpu: bool = False,
    activation_checkpointing: bool = False,
) -> tuple[ArmCheck, ...]:
    """Build every arm and compare it with the baseline.

    Args:
        plan: Valid plan.
        num_classes: Number of classes of the data set.
        num_samples: Length of a clip in samples.
        sample_rate: Sample rate of the clips in Hz.
        num_clips: Number of clips of the data set, which determines the steps of a schedule.
        kind: Kind of the data set's targets.
        heads: Its heads -> number of classes, if there are several.
        on_gpu: Whether trials run on GPUs, which compute TF32 where this check, on the CPU, cannot.
        activation_checkpointing: Whether every model must be made of repeated blocks.

    Returns:
        One result per arm, baseline first.

    Raises:
        PlanError: An arm cannot be built, breaks a contract, has losses or outputs that are not
            finite, or ablates nothing; the message names all such arms.
    """
    clips = made_up_clips(num_samples, sample_rate)
    arms = sorted(plan.arms, key=lambda arm: arm.name != plan.baseline_arm)
    checks: list[ArmCheck] = []
    problems: list[str] = []
    failed: set[str] = set()
    reference: Probe | None = None
    for arm in arms:
        try:
            built = probe(
                plan.experiment(arm),
                clips,
                num_classes=num_classes,
                sample_rate=sample_rate,
                num_train=num_clips,
                kind=kind,
                heads=heads,
            )
            if activation_checkpointing:
                model = build(plan.experiment(arm), num_classes=num_classes, heads=heads).model
                checkpoint_activations(model)
        except Exception as error:  # a user's part may raise anything
            text = _failure(error)
            if text not in failed:  # a problem of the baseline repeats in most arms
                problems.append(f"arm {arm.name!r} {text}")
            failed.add(text)
            continue
        if failed and reference is None:
            continue  # no baseline
        is_baseline = reference is None
        reference = reference or built
        if lookup(plan.metric).by_frame and not built.over_time:
            model = f"has model {built.experiment.model.name!r}, which has no frame head"
            if built.experiment.frozen:
                model = f"trains head {built.experiment.head!r} alone, which predicts whole clips"
            problems.append(
                f"arm {arm.name!r} {model}, and the plan's metric {plan.metric} scores predictions "
                "over time; take a model with a frame head (htsat, cnn14_decision_level_att, "
                "talnet and others), or a metric of whole clips such as val/map"
            )
        check = _compare(arm, built, reference, is_baseline=is_baseline, on_gpu=on_gpu)
        checks.append(check)
        if check.problem:
            problems.append(f"arm {arm.name!r} {check.problem}")
    if problems:
        raise PlanError(problems)
    return tuple(checks)


def _failure(error: Exception) -> str:
    if isinstance(error, ContractError | TrainingError):
        return f"cannot be trained: {error}"
    known = isinstance(error, ValueError | OrchestratorError)
    return f"cannot be built: {error if known else f'{type(error).__name__}: {error}'}"


def _compare(
    arm: Arm, built: Probe, reference: Probe, *, is_baseline: bool, on_gpu: bool
) -> ArmCheck:
    settings = tuple(differences(reference.experiment, built.experiment))
    changed_parts = {path.partition(".")[0] for path in settings}
    new_weights = tuple(
        part
        for part in (*CHAIN_PARTS, HEAD)
        if _differ(built.weights.get(part, {}), reference.weights.get(part, {}))
    )
    check = ArmCheck(
        arm=arm.name,
        settings=settings,
        num_params=built.num_params,
        num_trained=built.num_trained,
        new_weights=new_weights,
        output_change=_change(built.before, reference.before),
        loss_change=_change(built.losses, reference.losses),
        step_change=_change(built.after, reference.after),
        null_control=arm.null_control,
    )
    problem = ""
    # A checkpoint changes every part. The head of a frozen model comes with it, and is as wide as
    # its embeddings.
    named = {*changed_parts, *(CHAIN_PARTS if "initial" in changed_parts else ())}
    if named & {"frozen", *CHAIN_PARTS}:
        named.add(HEAD)
    strays = [part for part in new_weights if part not in named]
    if strays:
        problem = (
            f"changes the initial weights of {', '.join(strays)}, which it does not name; parts "
            "that an arm does not change must start alike"
        )
    elif not is_baseline and not settings:
        problem = "has the settings of the baseline"
    elif arm.null_control and check.differs:
        problem = (
            f"is declared a null control, but its {check.summary}; leave null_control out, or "
            "change nothing"
        )
    elif (
        not is_baseline
        and not arm.null_control
        and not check.differs
        and not changed_parts.union(settings).intersection(LATER)
        and not (on_gpu and _differ_in_tf32(built, reference))
    ):
        problem = (
            f"changes {', '.join(settings)}, but its losses and outputs before and after {STEPS} "
            "training steps are those of the baseline: it ablates nothing"
        )
    return replace(check, problem=problem)


def _differ_in_tf32(built: Probe, reference: Probe) -> bool:
    precisions = {built.experiment.precision, reference.experiment.precision}
    return precisions == {"fp32", "tf32"}


def _change(one: Tensor, other: Tensor) -> float:
    """Return the largest difference of two finite tensors."""
    return (one - other).abs().max().item()


def _differ(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() != other.keys() or any(
        one[name].shape != other[name].shape or not torch.equal(one[name], other[name])
        for name in one
    )
