"""What is known of every model: its counts, its input, its weights and published numbers.

Models are built on the meta device, which allocates nothing; nothing here is typed in that can be
computed.
"""

from __future__ import annotations

import re
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
        name: registered name.
        summary: the first line of its documentation.
        paper: None for a model of another distribution.
        frontend: name and arguments of the front end that `models.create_model` gives it.
        transform: name of its input transform.
        sample_rate: that the front end is made for, in Hz.
        seconds: what the model sees of a clip: all that is counted on, or as much as fits into the
            frames that the front end makes.
        input_size: (mels, frames) that the front end makes of it.
        num_classes: of the head that is counted.
        num_params: of the model without front end and transform.
        macs: of the same, for one clip.
        results: published numbers.
        weights: published files.
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
        RegistryError: there is no such model; names the nearest.
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
    # As long as the front end makes it: a few milliseconds, and right by construction.
    mels, frames = front(torch.zeros(1, seconds * front.sample_rate)).shape[2:]
    if front.output_size[1]:
        # A clip for each second, silent but for that one: what changes nothing is not seen.
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
    """Return the arguments of a model, each with what its documentation says of it.

    A class documents its arguments itself. A function may name the class that documents them ("as
    in `models.panns...`") and explain the others in sentences of its own.
    """
    import importlib

    entry = lookup("model", name)
    part = getattr(importlib.import_module(entry.module), entry.attribute)
    own = (part.__init__ if isinstance(part, type) else part).__doc__ or ""
    said = docstring_section(own, "Args")
    for dotted in re.findall(r"as in `(models(?:\.\w+)+)`", " ".join(own.split())):
        module, _, attribute = dotted.rpartition(".")
        documented = getattr(importlib.import_module(module), attribute)
        said = docstring_section(documented.__init__.__doc__ or "", "Args") | said
    return tuple(
        (argument, said.get(argument.name) or _sentence(own, argument.name))
        for argument in entry.arguments.values()
    )


def _sentence(text: str, argument: str) -> str:
    flat = " ".join(text.split())
    sentences = [part for part in re.split(r"(?<=[.;]) ", flat) if f"`{argument}`" in part]
    return sentences[0].strip(" ;") if sentences else ""
