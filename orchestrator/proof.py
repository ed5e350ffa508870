"""Prove before launch that every arm differs from the baseline, and only where it says so.

Each arm is built as a trial would build it, with the same seed. Compared are the settings, the
parameters link by link, and what one seeded training step makes of the same clips. An arm whose
step, loss and outputs are all those of the baseline is an ablation of nothing; one that is declared
void has to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.chain import Chain
from models.pretrained import load_pretrained
from models.registry import create
from models.seeding import derive_seed
from orchestrator.ablation import Arm
from orchestrator.config import Experiment
from orchestrator.errors import PlanError
from orchestrator.evaluate import build
from orchestrator.losses import clip_losses
from orchestrator.overrides import differences, whole_parts
from orchestrator.plan import Plan

LINKS = ("frontend", "augmentation", "transform", "model")
# What a single step cannot show: it comes with time, with other clips, or with a checkpoint that
# is trained first.
LATER = (
    *("epochs", "schedule", "batch_size", "initial", "dataset", "fold", "selection"),
    "shuffled_labels",
)


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What building an arm showed.

    Attributes:
        arm: its name.
        settings: every path in which it departs from the baseline.
        num_params: of the whole chain.
        new_weights: links whose parameters differ in name, shape or initial value.
        output_change: largest difference of the logits before training.
        step_change: largest difference of the logits after one training step.
        void: whether the arm was declared to be equal to the baseline.
        problem: why the arm proves nothing; empty if it is sound.
    """

    arm: str
    settings: tuple[str, ...]
    num_params: int
    new_weights: tuple[str, ...]
    output_change: float
    step_change: float
    void: bool = False
    problem: str = ""

    @property
    def shows(self) -> bool:
        """Whether one step was enough to see what the arm declares: a difference, or none."""
        return self.void or self.output_change > 0 or self.step_change > 0

    def __str__(self) -> str:
        settings = ", ".join(whole_parts(self.settings))
        if self.void:
            return (
                f"{self.arm}: {self.num_params:,} parameters; a control that differs in {settings} "
                "and in nothing that one step computes"
            )
        if self.settings and not self.shows:
            return (
                f"{self.arm}: {self.num_params:,} parameters; differs in {settings}, which one "
                "step from scratch cannot show"
            )
        if not self.settings:
            return f"{self.arm}: the baseline, {self.num_params:,} parameters"
        weights = ", ".join(self.new_weights) or "none, all weights start alike"
        return (
            f"{self.arm}: {self.num_params:,} parameters; differs in {settings}; "
            f"other initial weights in: {weights}; logits differ by up to "
            f"{self.output_change:.2g} before and {self.step_change:.2g} after one step"
        )


@dataclass(frozen=True, kw_only=True)
class _Built:
    experiment: Experiment
    weights: Mapping[str, Mapping[str, Tensor]]
    before: Tensor
    after: Tensor
    num_params: int


def prove(plan: Plan, *, num_classes: int, num_samples: int, sample_rate: int) -> tuple[Proof, ...]:
    """Build every arm and compare it with the baseline.

    Args:
        plan: a plan that passes its own check.
        num_classes: of the data set.
        num_samples: length of a clip.
        sample_rate: of the clips, in Hz.

    Returns:
        What was seen, baseline first.

    Raises:
        PlanError: names every arm that cannot be built or proves nothing.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, num_samples, generator=generator) * 0.1
    tone = torch.sin(torch.arange(num_samples) * (2 * torch.pi * 440 / sample_rate)) * 0.1
    clips, labels = noise + tone, torch.arange(2) % num_classes
    arms = sorted(plan.arms, key=lambda arm: arm.name != plan.baseline_arm)
    proofs: list[Proof] = []
    problems: list[str] = []
    reference: _Built | None = None
    for arm in arms:
        try:
            built = _built(plan.experiment(arm), clips, labels, num_classes)
        except Exception as error:  # a part of the user's may raise anything
            said = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            problems.append(f"arm {arm.name!r} cannot be built: {said}")
            if reference is None:
                break  # nothing to compare the others with
            continue
        is_baseline = reference is None
        reference = reference or built
        proof = _compare(arm, built, reference, is_baseline=is_baseline)
        proofs.append(proof)
        if proof.problem:
            problems.append(f"arm {arm.name!r} {proof.problem}")
    if problems:
        raise PlanError(problems)
    return tuple(proofs)


def _built(experiment: Experiment, clips: Tensor, labels: Tensor, num_classes: int) -> _Built:
    chain = build(experiment, num_classes=num_classes)
    if experiment.initial.name == "checkpoint":
        path = experiment.initial.arguments["file"].path
        load_pretrained(chain, path)
    features = chain.eval().frontend(clips).double()
    chain.set_normalisation(features.mean().item(), max(features.std().item(), 1e-3))
    weights = {
        link: {n: p.detach().clone() for n, p in chain.get_submodule(link).named_parameters()}
        for link in LINKS
    }
    before = _logits(chain, clips)
    _step(chain, experiment, clips, labels)
    return _Built(
        experiment=experiment,
        weights=weights,
        before=before,
        after=_logits(chain, clips),
        num_params=sum(p.numel() for p in chain.parameters()),
    )


@torch.no_grad()
def _logits(chain: Chain, clips: Tensor) -> Tensor:
    return chain.eval()(clips).clip_logits.float()


def _step(chain: nn.Module, experiment: Experiment, clips: Tensor, labels: Tensor) -> None:
    loss = create("loss", experiment.loss.name, **experiment.loss.arguments)
    optimizer = create(
        "optimizer",
        experiment.optimizer.name,
        list(chain.named_parameters()),
        **experiment.optimizer.arguments,
    )
    chain.train()
    torch.manual_seed(derive_seed(experiment.seed, "proof"))
    seeds = torch.tensor([1, 2])
    clip_losses(loss, chain(clips, seeds), labels).mean().backward()
    if experiment.clip_norm > 0:
        torch.nn.utils.clip_grad_norm_(chain.parameters(), experiment.clip_norm)
    optimizer.step()


def _compare(arm: Arm, built: _Built, reference: _Built, *, is_baseline: bool) -> Proof:
    settings = tuple(differences(reference.experiment, built.experiment))
    changed_links = {path.partition(".")[0] for path in settings}
    new_weights = tuple(
        link for link in LINKS if _differ(built.weights[link], reference.weights[link])
    )
    output_change = (built.before - reference.before).abs().max().item()
    step_change = (built.after - reference.after).abs().max().item()
    problem = ""
    loaded = "initial" in changed_links
    strays = [link for link in new_weights if link not in changed_links and not loaded]
    if strays:
        problem = (
            f"changes the initial weights of {', '.join(strays)}, which it does not name; links "
            "that an arm does not change must start alike"
        )
    elif not is_baseline and not settings:
        problem = "has the settings of the baseline"
    elif arm.void and (output_change > 0 or step_change > 0):
        problem = (
            f"is declared void, but its logits differ by up to {output_change:.2g} before and "
            f"{step_change:.2g} after a training step; leave void out, or change nothing"
        )
    elif (
        not is_baseline
        and not arm.void
        and output_change == 0
        and step_change == 0
        and not changed_links.intersection(LATER)
    ):
        problem = (
            f"changes {', '.join(settings)}, but its outputs before and after a training step are "
            "those of the baseline: it ablates nothing"
        )
    return Proof(
        arm=arm.name,
        settings=settings,
        num_params=built.num_params,
        new_weights=new_weights,
        output_change=output_change,
        step_change=step_change,
        void=arm.void,
        problem=problem,
    )


def _differ(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() != other.keys() or any(
        one[name].shape != other[name].shape or not torch.equal(one[name], other[name])
        for name in one
    )
