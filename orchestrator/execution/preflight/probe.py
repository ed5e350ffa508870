"""A few training steps of an experiment on synthetic clips, to see what it computes.

The steps are those of the trainer: its waveform augmentation, mixup, chain, loss, optimizer,
clipping and precision, with new clips in every step. Sampler and averaging are built, which shows
wrong arguments, but nothing is drawn or averaged. There are two steps, because momentum and
moments show in the second, and three clips, two of one class, because a loss on pairs needs a
positive pair; where clips have any number of classes, one has two of them, and where they have
events, these fill half of a clip. Outputs are computed in float32, where rounding hides no small
difference; the precision shows in the trained weights.

Every part is also checked against its contract: shape, type and finiteness of its output.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.chain import Chain
from models.errors import ModelError
from models.frozen import encoder_of
from models.macs import num_params, num_trained
from models.registry import CHAIN_PARTS, create
from models.seeding import derive_seed
from orchestrator.data.mixup import Mixup
from orchestrator.data.samplers import draw_seeds
from orchestrator.errors import OrchestratorError
from orchestrator.experiment.config import Component
from orchestrator.experiment.identity import CompletedExperiment
from orchestrator.metrics.labels import Event, Label, TargetKind
from orchestrator.metrics.targets import Targets
from orchestrator.training.class_weights import weigh_classes
from orchestrator.training.distillation import build_distillation
from orchestrator.training.evaluate import (
    autocast,
    build,
    build_waveform_augmentation,
    predict_shifted,
    refuse_cropped_events,
    refuse_support,
)
from orchestrator.training.losses import batch_targets, build_loss, described
from orchestrator.training.optimizers import build_schedule, clip_gradients, learning_rate
from orchestrator.training.state import Initial, pack_state

CALLS = {
    "waveform_augmentation": "forward(waveform, *, clip_seeds, num_samples)",
    "frontend": "forward(waveform)",
    "augmentation": "forward(features, *, clip_seeds, padding)",
    "transform": "forward(features, *, clip_seeds)",
    "model": "forward(features)",
}
"""Part of the chain, or what goes before it -> how it is called."""

HEAD = "head"
"""The part that a frozen experiment trains."""

STEPS = 2
CLASSES = (0, 0, 1)


class ContractError(OrchestratorError, TypeError):
    """A part breaks the contract of its kind; the message names the part."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What an experiment computed.

    Attributes:
        experiment: Experiment that was built.
        weights: Part of the chain -> name -> initial value; of a frozen experiment the encoder's
            parts, and `HEAD`.
        before: (clips, classes) logits of the first batch before training.
        losses: (STEPS, clips) of the training steps.
        after: (2 * clips, classes) logits after the steps, without and with remembered clips; equal
            halves if the model remembers none.
        num_params: Parameters of the whole chain.
        num_trained: Those of them that training changes.
        over_time: Whether the model predicts over time.
    """

    experiment: CompletedExperiment
    weights: Mapping[str, Mapping[str, Tensor]]
    before: Tensor
    losses: Tensor
    after: Tensor
    num_params: int
    num_trained: int
    over_time: bool


def made_up_targets(
    kind: TargetKind, *, num_classes: int, seconds: float, heads: Mapping[str, int] | None = None
) -> Targets:
    """Return targets of made-up clips, of a kind."""
    if heads:
        ends = np.cumsum([*heads.values()])
        of_clips = [
            tuple(
                int(end) - 1 - label % size for end, size in zip(ends, heads.values(), strict=True)
            )
            for label in CLASSES
        ]
        return Targets.of(of_clips, num_classes=num_classes, heads=heads)
    first, second = 0, 1 % num_classes
    labels: dict[TargetKind, tuple[Label, ...]] = {
        TargetKind.SINGLE_LABEL: tuple(label % num_classes for label in CLASSES),
        TargetKind.MULTI_LABEL: ((first,), (first, second), (second,)),
        TargetKind.EVENTS: tuple(
            (Event(label, 0.0, seconds / 2),) for label in (first, first, second)
        ),
    }
    return Targets.of(labels[kind], num_classes=num_classes, kind=kind)


def made_up_clips(num_samples: int, sample_rate: int) -> Tensor:
    """Return (STEPS, clips, num_samples) of a tone in noise, the same on every call."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(STEPS, len(CLASSES), num_samples, generator=generator) * 0.1
    tone = torch.sin(torch.arange(num_samples) * (2 * torch.pi * 440 / sample_rate)) * 0.1
    return noise + tone


def probe(
    experiment: CompletedExperiment,
    clips: Tensor,
    *,
    num_classes: int,
    sample_rate: int = 16000,
    num_train: int = 64,
    kind: TargetKind = TargetKind.SINGLE_LABEL,
    heads: Mapping[str, int] | None = None,
) -> Probe:
    """Build an experiment as a trial would, and train one step on each batch of clips.

    Args:
        experiment: Experiment to build.
        clips: Output of `made_up_clips`.
        num_classes: Number of classes of the data set.
        sample_rate: Sample rate of the clips in Hz.
        num_train: Approximate number of training clips, which determines the number of steps.
        kind: Kind of the data set's targets.
        heads: Its heads -> number of classes, if there are several.

    Raises:
        ContractError: A part returns a wrong output or fails when called.
        ConfigError: A part cannot be built.
    """
    # Rows of frame logits cover one second here: which events sound in them does not matter.
    targets = made_up_targets(kind, num_classes=num_classes, seconds=1.0, heads=heads)
    _hold_frontend(experiment.frontend)
    chain = build(experiment, num_classes=num_classes, heads=heads)
    encoder = encoder_of(chain)
    inner = encoder.chain if encoder else chain  # whose parts the experiment names
    watch = _Watch(inner, experiment, num_classes=num_classes)
    if experiment.initial.name == "checkpoint":
        Initial.read(experiment.initial.arguments["file"]).load(chain)
    with watch.named():
        for one in [inner] if inner is chain else [inner, chain]:
            features = one.eval().frontend(clips[0]).double()
            one.set_normalization(features.mean().item(), max(features.std().item(), 1e-3))
    parts = {kind: inner.get_submodule(kind) for kind in CHAIN_PARTS}
    if inner is not chain:
        parts[HEAD] = chain.model
    weights = {
        kind: {name: value.detach().clone() for name, value in part.named_parameters()}
        for kind, part in parts.items()
    }
    optimizer = _optimizer(chain, experiment)
    num_steps = experiment.epochs * math.ceil(num_train / experiment.batch_size)
    _hold_schedule(experiment, num_steps, optimizer.param_groups[0]["lr"])
    if kind is TargetKind.EVENTS:
        refuse_cropped_events(chain, features.shape[-1])
    with watch.named():
        over_time = _over_time(chain, clips[0])
        shifts = [round(by * sample_rate) for by in experiment.test_shifts_s]
        predict = functools.partial(_logits, chain, clips[0], shifts=shifts, targets=targets)
        before = predict()
        losses = _train(chain, experiment, optimizer, clips, targets, sample_rate=sample_rate)
    with watch.named(f"after {STEPS} training steps"):
        after = predict()
        recalled = after
        if _remember(chain, clips[0], targets):
            recalled = predict()
    return Probe(
        experiment=experiment,
        weights=weights,
        before=before,
        losses=losses,
        after=torch.cat([after, recalled]),
        num_params=num_params(chain),
        num_trained=num_trained(chain),
        over_time=over_time,
    )


class _Watch:
    """Tracks what each part of a chain returns, and which part is running."""

    def __init__(self, chain: Chain, experiment: CompletedExperiment, *, num_classes: int):
        self._experiment = experiment
        self._num_classes = num_classes
        front: Any = chain.frontend
        self._channels, self._rows = front.num_channels, front.output_size[0]
        self._at_work = ""
        self._when = ""
        for kind in CHAIN_PARTS:
            part = getattr(chain, kind)
            if not isinstance(part, nn.Module):
                raise ContractError(
                    f"{self._called(kind)} is a {type(part).__name__}; a torch.nn.Module is needed"
                )
            part.register_forward_pre_hook(functools.partial(self._before, kind))
            part.register_forward_hook(functools.partial(self._after, kind), with_kwargs=True)

    @contextlib.contextmanager
    def named(self, when: str = "") -> Iterator[None]:
        """Add to an exception which part raised it, and when."""
        self._when = f"{when}, " if when else ""
        try:
            yield
        except (OrchestratorError, ModelError):
            raise
        except Exception as error:
            if not self._at_work:
                raise
            raise ContractError(
                f"{self._when}{self._called(self._at_work)} fails when it is called as "
                f"{CALLS[self._at_work]}: {type(error).__name__}: {error}"
            ) from error

    def _called(self, kind: str) -> str:
        return f"{kind} {getattr(self._experiment, kind).name!r}"

    def _before(self, kind: str, part: nn.Module, given: tuple[Any, ...]) -> None:
        self._at_work = kind

    def _after(
        self, kind: str, part: nn.Module, given: tuple[Any, ...], options: Any, out: Any
    ) -> None:
        called = f"{self._when}{self._called(kind)}"
        if kind == "model":
            if not hasattr(out, "clip_logits"):
                raise ContractError(
                    f"{called} returned {described(out)}; an output with clip_logits, such as "
                    "models.output.Output(logits), is needed"
                )
            out = out.clip_logits
            _hold(f"{called} returned clip_logits of", out, (len(given[0]), self._num_classes))
        elif kind == "frontend":
            wanted = (len(given[0]), self._channels, self._rows, None)
            _hold(f"{called} returned", out, wanted, dtype=torch.float32)
        else:
            _hold(f"{called} returned", out, tuple(given[0].shape), dtype=given[0].dtype)
        self._at_work = ""


def _hold(
    what: str, out: Any, wanted: tuple[int | None, ...], *, dtype: torch.dtype | None = None
) -> None:
    """Raise a `ContractError` if a tensor has a wrong shape or type, or is not finite."""
    shape = f"({', '.join('frames' if size is None else str(size) for size in wanted)})"
    fits = (
        isinstance(out, Tensor)
        and out.ndim == len(wanted)
        and all(size in (None, given) for size, given in zip(wanted, out.shape, strict=True))
    )
    if not fits:
        raise ContractError(f"{what} {described(out)} for {wanted[0]} clips; {shape} is needed")
    if not out.is_floating_point() or dtype not in (None, out.dtype):
        needed = dtype or "a floating-point type"
        raise ContractError(f"{what} type {out.dtype}; {needed} is needed")
    if not out.isfinite().all():
        raise ContractError(f"{what} {_not_finite(out)}; every value must be finite")


def _not_finite(values: Tensor) -> str:
    kinds = [
        name for name, found in (("nan", values.isnan()), ("inf", values.isinf())) if found.any()
    ]
    return f"{' and '.join(kinds)} in {int((~values.isfinite()).sum())} of {values.numel()} values"


def _hold_frontend(frontend: Component) -> None:
    """Raise a `ContractError` if a front end lacks the attributes that other parts need."""
    if ":" not in frontend.name:
        return
    part = create("frontend", frontend.name, **frontend.arguments)
    channels, size = getattr(part, "num_channels", None), getattr(part, "output_size", None)
    if not isinstance(channels, int):
        raise ContractError(
            f"frontend {frontend.name!r} has num_channels {channels!r}; the number of channels of "
            "its output, an int, is needed"
        )
    if not (isinstance(size, tuple | list) and len(size) == 2):
        raise ContractError(
            f"frontend {frontend.name!r} has output_size {size!r}; (rows, frames) of its output is "
            "needed, frames 0 where they depend on the clip"
        )


def _hold_schedule(experiment: CompletedExperiment, num_steps: int, peak: float) -> None:
    """Raise if a schedule gives no learning rate at its first, middle or last step."""
    part = experiment.schedule
    schedule = build_schedule(
        part, num_steps=num_steps, peak=peak, steps_per_epoch=num_steps // experiment.epochs
    )
    for step in sorted({0, num_steps // 2, num_steps - 1}):
        with _failing_as(f"schedule {part.name!r}", f"schedule({step}), of {num_steps} steps"):
            learning_rate(schedule, step, name=part.name)


def _optimizer(chain: nn.Module, experiment: CompletedExperiment) -> torch.optim.Optimizer:
    """Build the optimizer; raise a `ContractError` unless it holds parameters of the chain."""
    part = experiment.optimizer
    optimizer = create("optimizer", part.name, list(chain.named_parameters()), **part.arguments)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ContractError(
            f"optimizer {part.name!r} returned a {type(optimizer).__name__}; a "
            "torch.optim.Optimizer is needed"
        )
    parameters = {id(parameter) for parameter in chain.parameters()}
    if not any(
        id(held) in parameters for group in optimizer.param_groups for held in group["params"]
    ):
        raise ContractError(f"optimizer {part.name!r} holds no parameter of the model's chain")
    rate = optimizer.param_groups[0].get("lr")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not math.isfinite(rate):
        raise ContractError(
            f"optimizer {part.name!r} has learning rate {rate!r} in its first group; a finite "
            "number, from which the schedule starts, is needed"
        )
    return optimizer


@torch.no_grad()
def _over_time(chain: Chain, clips: Tensor) -> bool:
    return chain.eval()(clips).frame_logits is not None


@torch.no_grad()
def _logits(chain: Chain, clips: Tensor, *, shifts: Sequence[int], targets: Targets) -> Tensor:
    """Return what an evaluation predicts of clips."""
    given = {"waveform": clips}
    output = predict_shifted(chain.eval(), given, shifts=shifts, targets=targets)
    return output.clip_logits.float()


@torch.no_grad()
def _remember(chain: Chain, clips: Tensor, targets: Targets) -> bool:
    """Show clips to a model that remembers them (see `evaluate.set_support`); whether it does."""
    if chain.backbone.set_support is None:
        return False
    refuse_support(targets.kind)
    labels = torch.from_numpy(targets.labels)
    chain.backbone.set_support(chain.eval()(clips).embedding.float(), labels)
    return True


def _train(
    chain: nn.Module,
    experiment: CompletedExperiment,
    optimizer: torch.optim.Optimizer,
    clips: Tensor,
    targets: Targets,
    *,
    sample_rate: int,
) -> Tensor:
    """Train one step on each batch of clips; return (STEPS, batch) losses."""
    part = experiment.waveform_augmentation
    augment = build_waveform_augmentation(part, sample_rate=sample_rate)
    mixup: Mixup = create("mixup", experiment.mixup.name, **experiment.mixup.arguments)
    create(
        "averaging", experiment.averaging.name, experiment.epochs, **experiment.averaging.arguments
    )
    create("sampler", experiment.sampler.name, targets, **experiment.sampler.arguments)
    name = experiment.loss.name
    loss = build_loss(
        experiment.loss,
        kind=targets.kind,
        heads=tuple(targets.heads.values()),
        mixes_labels=mixup.mixes_labels,
        moves_time=getattr(augment, "moves_time", False),
        class_weights=weigh_classes(experiment.class_weights, targets, device=clips.device),
    )
    taught = build_distillation(
        experiment.distillation, kind=targets.kind, heads=tuple(targets.heads.values())
    )
    draws = np.arange(mixup.draws_per_clip * len(targets)) % len(targets)
    chain.train()
    seen: list[Tensor] = []
    for step, batch in enumerate(clips):
        torch.manual_seed(derive_seed(experiment.seed, f"probe/{step}"))
        mixed = mixup(
            draws,
            num_clips=len(targets),
            batch_size=len(targets),
            seed=experiment.seed,
            epoch=step + 1,
        )
        parts = [mixed.first, mixed.partner] if mixup.on else [mixed.first]
        taken = np.concatenate(parts)
        seeds = torch.from_numpy(draw_seeds(taken, seed=experiment.seed, epoch=step + 1))
        shares = torch.from_numpy(mixed.weight)
        waveforms = batch[torch.from_numpy(taken)]
        if augment is not None:
            called = f"waveform_augmentation {part.name!r}"
            with _failing_as(called, CALLS["waveform_augmentation"]):
                shape = tuple(waveforms.shape)
                lengths = torch.full_like(seeds, batch.shape[1])
                waveforms = augment(waveforms, clip_seeds=seeds, num_samples=lengths)
            _hold(f"{called} returned", waveforms, shape, dtype=torch.float32)
        optimizer.zero_grad(set_to_none=True)
        with autocast(batch.device, experiment.precision):
            into = "mix_waveforms" if mixup.on == "waveform" else "mix_features"
            mix = {into: shares} if mixup.on else {}
            output = chain(waveforms, seeds, **mix)
            each: list[Tensor] = []
            counted = parts if mixup.mixes_labels else parts[:1]
            for given in batch_targets(targets, counted, device=batch.device, covered_s=1.0):
                with _failing_as(f"loss {name!r}", "forward(logits, labels)"):
                    each.append(loss(output, *given))
                if taught is not None:
                    with _failing_as(f"distillation {experiment.distillation.name!r}", "a loss"):
                        logits = output.clip_logits
                        each[-1] = taught(each[-1], logits, _made_up_teacher(logits.shape))
            losses = shares * each[0] + (1 - shares) * each[1] if len(each) == 2 else each[0]
        if not losses.isfinite().all():
            raise ContractError(
                f"loss {name!r} returned {_not_finite(losses)}; every value must be finite"
            )
        if not losses.requires_grad:
            raise ContractError(
                f"loss {name!r} returned losses without a gradient; compute them from the logits "
                "with torch, without detach() or item()"
            )
        losses.mean().backward()
        if experiment.clip_norm > 0:
            clip_gradients(chain.parameters(), experiment.clip_norm)
        with _failing_as(f"optimizer {experiment.optimizer.name!r}", "step(), then saved"):
            optimizer.step()
            pack_state(chain, optimizer)
        seen.append(losses.detach().float())
    return torch.stack(seen)


def _made_up_teacher(shape: torch.Size) -> Tensor:
    """Return logits in place of a teacher's, which is not trained yet."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@contextlib.contextmanager
def _failing_as(part: str, how: str) -> Iterator[None]:
    try:
        yield
    except OrchestratorError:
        raise
    except Exception as error:
        raise ContractError(
            f"{part} fails when it is called as {how}: {type(error).__name__}: {error}"
        ) from error
