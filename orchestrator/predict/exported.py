"""A model that is being exported, and the check that its export gives the same numbers."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from orchestrator.data import open_pack
from orchestrator.data.partition import partition
from orchestrator.errors import ConfigError, DataError, OrchestratorError
from orchestrator.predict.choice import Choice
from orchestrator.predict.loading import TrainedModel
from orchestrator.predict.scores import Windows, groups_of, probabilities

TOLERANCE = 1e-4
"""Largest difference of a logit, or of a probability, from the model's."""
HELD_OUT = 8
"""Number of held-out clips that are compared."""


class ParityError(OrchestratorError):
    """An exported model gives other numbers than the trained one."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A model that is being exported.

    Attributes:
        choice: The trained model.
        sample_rate: Its sample rate in Hz.
        num_samples: Length of its input.
        clips: Name of some audio -> waveforms (clips, num_samples) on which parity is checked.
    """

    choice: Choice
    sample_rate: int
    num_samples: int
    clips: Mapping[str, Tensor]

    @property
    def facts(self) -> dict[str, Any]:
        """What a file says about itself, as plain JSON."""
        model, choice = self.choice.model, self.choice
        return {
            "class_names": list(model.names),
            "heads": dict(model.heads),
            "sample_rate": self.sample_rate,
            "num_samples": self.num_samples,
            "trial": model.trial,
            "epoch": choice.epoch,
            "sweep": choice.plan.sweep if choice.plan else "",
            "arm": choice.arm,
        }

    def difference(
        self, run: Callable[[Tensor], Sequence[Tensor]], module: nn.Module
    ) -> dict[str, float]:
        """Compare an exported model with a module, one clip at a time and all at once.

        Args:
            run: The exported model, from waveforms to its outputs.
            module: What was exported.

        Returns:
            Name of the audio -> largest absolute difference of an output.

        Raises:
            ParityError: One is above the tolerance, or not a number.
        """
        found = {}
        for name, waveform in self.clips.items():
            with torch.no_grad():
                wanted = outputs_of(module(waveform))
                pairs = [*zip(run(waveform), wanted, strict=True)]
                pairs += [*zip(run(waveform[:1]), (one[:1] for one in wanted), strict=True)]
            found[name] = max(float((made - want).abs().max()) for made, want in pairs)
            if not found[name] <= TOLERANCE:
                raise ParityError(
                    f"the exported model differs from {self.choice.model.source} by "
                    f"{found[name]:.2g} on {name}, more than {TOLERANCE:g}; nothing was written"
                )
        return found


def prepare(choice: Choice, *, window_s: float | None = None) -> Exported:
    """Gather what is needed to export a model and to check the result.

    Args:
        choice: The trained model.
        window_s: Length of the input in seconds; None takes that of the training clips.

    Raises:
        ConfigError: Length or rate are not known.
    """
    windows = Windows.of(choice.model, window_s=window_s)
    count = round(windows.window_s * windows.sample_rate)
    generator = torch.Generator().manual_seed(0)
    made_up = torch.randn(3, count, generator=generator) * 0.1
    tone = torch.sin(torch.arange(count) * (2 * torch.pi * 440 / windows.sample_rate)) * 0.5
    # A tone alone is silent elsewhere, where a log-mel shows the rounding of its transform.
    made_up[1] = tone + 0.01 * made_up[1]
    clips = {"made-up audio": made_up}
    if (held_out := _held_out(choice, count)) is not None:
        clips["held-out clips"] = held_out
    return Exported(choice=choice, sample_rate=windows.sample_rate, num_samples=count, clips=clips)


def _held_out(choice: Choice, num_samples: int) -> Tensor | None:
    """Return the first of the clips that the trial was tested on; None without its pack."""
    if choice.store is None or choice.record is None:
        return None
    try:
        pack = open_pack(str(choice.record.data["fingerprint"]), packs=choice.store.packs_uri)
    except (DataError, KeyError):
        return None
    clips = partition(pack, choice.model.experiment).test[:HELD_OUT]
    return pack.batch(clips, num_samples)


class Logits(nn.Module):
    """The plain tensors of a chain's output, as exporters take them."""

    def __init__(self, chain: nn.Module) -> None:
        """Take the logits of a chain."""
        super().__init__()
        self.chain = chain
        self.eval()

    def forward(self, waveform: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return logits from waveforms (batch, samples).

        Returns:
            Clip logits (batch, classes); of a model with a frame head the pair with frame logits
            (batch, rows, classes).
        """
        output = self.chain(waveform)
        if output.frame_logits is None:
            return output.clip_logits
        return output.clip_logits, output.frame_logits


def outputs_of(given: Any) -> tuple[Tensor, ...]:
    """Return the outputs of a module as a tuple, also where it has one."""
    return given if isinstance(given, tuple) else (given,)


class Probabilities(nn.Module):
    """Class probabilities of a model, as `orchestrator.predict` gives them for one window."""

    def __init__(self, model: TrainedModel) -> None:
        """Take the probabilities of a model."""
        super().__init__()
        self.chain = model.chain
        self.groups = groups_of(model)
        self.eval()

    def forward(self, waveform: Tensor) -> Tensor:
        """Return (batch, classes) from waveforms (batch, samples)."""
        return probabilities(self.chain(waveform).clip_logits, self.groups)


def traced(module: nn.Module, num_samples: int, *, source: str) -> torch.export.ExportedProgram:
    """Trace a module for any batch size.

    Args:
        module: A module that takes waveforms (batch, samples).
        num_samples: Length of its input.
        source: Name of the model, for messages.

    Raises:
        ConfigError: `torch.export` cannot trace it; the message says why.
    """
    example = torch.zeros(2, num_samples)  # torch.export makes a constant of a batch of one
    shapes = {"waveform": {0: torch.export.Dim("batch", min=1, max=1 << 16)}}
    with quiet(), reasons(source, "torch.export"), torch.no_grad():
        return torch.export.export(module, (example,), dynamic_shapes=shapes)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what exporters log of their own workings from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def reasons(source: str, exporter: str) -> Iterator[None]:
    """Turn any error of an exporter into one message with its root."""
    try:
        yield
    except Exception as error:
        root: BaseException = error
        while root.__cause__ is not None:
            root = root.__cause__
        text = " ".join(str(root).split())[:300] or type(root).__name__
        raise ConfigError(
            f"{source} cannot be exported: {exporter} says {text!r}; --format huggingface takes "
            "every model"
        ) from error
