"""Descriptions of all models: counts, input, weights, and published numbers.

Models are built on the meta device, which allocates nothing. Everything computable is computed.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.card import Paper, Part, Result, Weights
from models.registry import Argument, docstring_section, lookup, names
from models.zoo.cards import default_parts, paper_of, published_results, weights_of

if TYPE_CHECKING:
    from models.macs import Macs

_LAPTOP_CLASSES = 10
_LAPTOP_SECONDS = 5
_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class Description:
    """One model of the zoo.

    Attributes:
        name: Registered name.
        summary: The first line of its documentation.
        paper: None for a model without a card.
        frontend: Name and arguments of its front end in `models.create_model`.
        transform: Name of its input transform.
        sample_rate: Sample rate of the front end in Hz.
        seconds: Length of the clip in seconds: that of the counts, or as much as fits into the
            front end's frames.
        input_size: (mels, frames) of this clip.
        num_classes: Number of classes of the counted head.
        num_params: Number of parameters, without front end and transform.
        macs: MACs of the model for one clip, without front end and transform.
        results: Published numbers.
        weights: Published files.
    """

    name: str
    summary: str
    paper: Paper | None
    frontend: Part
    transform: str
    sample_rate: int
    seconds: int
    input_size: tuple[int, int]
    num_classes: int
    num_params: int
    macs: Macs
    results: tuple[Result, ...]
    weights: tuple[Weights, ...]


def describe_all() -> tuple[Description, ...]:
    """Describe every model, family by family."""
    described = [describe(name) for name in names("model")]
    return tuple(sorted(described, key=lambda d: d.paper.name if d.paper else "~"))


def describe(name: str) -> Description:
    """Describe one model.

    Raises:
        RegistryError: There is no such model; names the nearest.
    """
    entry = lookup("model", name)
    import torch

    from models.macs import count_macs, num_params
    from models.registry import create

    paper = paper_of(name)
    laptop = name.endswith("laptop") or paper is None
    seconds = _LAPTOP_SECONDS if laptop else _SECONDS
    num_classes = _LAPTOP_CLASSES if laptop or paper is None else paper.num_classes
    (front_name, arguments), transform = default_parts(name)
    front = create("frontend", front_name, **arguments)
    # Measured on the front end: a few milliseconds, and right by construction.
    mels, frames = front(torch.zeros(1, seconds * front.sample_rate)).shape[2:]
    if front.output_size[1]:
        # One clip per second, silent elsewhere: seconds that change nothing are not seen.
        tone = torch.sin(torch.arange(front.sample_rate))
        probes = torch.eye(seconds)[:, :, None] * tone
        features = front(torch.cat([torch.zeros(1, seconds, len(tone)), probes]).flatten(1))
        seconds = int((features[1:] != features[:1]).flatten(1).any(dim=1).sum())
    with torch.device("meta"):
        model = create("model", name, front.num_channels, front.output_size, num_classes)
        macs = count_macs(model, torch.zeros(1, front.num_channels, mels, frames))
    return Description(
        name=name,
        summary=entry.summary,
        paper=paper,
        frontend=(front_name, arguments),
        transform=transform[0],
        sample_rate=front.sample_rate,
        seconds=seconds,
        input_size=(mels, frames),
        num_classes=num_classes,
        num_params=num_params(model),
        macs=macs,
        results=published_results(name),
        weights=weights_of(name),
    )


def documented_arguments(name: str) -> tuple[tuple[Argument, str], ...]:
    """Return the arguments of a model, each with its text in the "Args" section."""
    entry = lookup("model", name)
    part = getattr(importlib.import_module(entry.module), entry.attribute)
    text = (part.__init__ if isinstance(part, type) else part).__doc__ or ""
    lines = docstring_section(text, "Args")
    return tuple((argument, lines.get(argument.name, "")) for argument in entry.arguments.values())
