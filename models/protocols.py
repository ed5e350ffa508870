"""What the parts of a chain say of themselves.

A front end or a model may be any `nn.Module`, also one that knows nothing of this project. What it
says is read once, where a chain is put together or weights are loaded; the fields below are the
attributes that are read, with what they are taken for where a part does not have them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Protocol, Self

import torch
from torch import Tensor

from models.errors import ModelError


class Fitted(NamedTuple):
    """A published parameter in a model's shape.

    Attributes:
        value: the very tensor that was given where nothing had to change.
        how: how its places were read, for the load report; empty where the shapes say it.
    """

    value: Tensor
    how: str = ""


class RenamePublished(Protocol):
    """Gives a published state a model's own names."""

    def __call__(self, state: Mapping[str, Tensor], /) -> Mapping[str, Tensor] | None:
        """Return name -> tensor, or None if the state is none of the family's.

        Raises:
            CheckpointError: it is of another model, which the message names.
        """
        ...


class FitParameter(Protocol):
    """Resizes a parameter of a published state."""

    def __call__(
        self,
        name: str,
        value: Tensor,
        shape: torch.Size,
        /,
        *,
        state: Mapping[str, Tensor],
        source_grid: tuple[int, int] | None,
    ) -> Fitted | None:
        """Return the parameter in a shape, or None where no rule applies.

        Args:
            name: the parameter's name in the model.
            value: as it was published.
            shape: the shape to reach.
            state: the published state with its own names.
            source_grid: (rows, columns) of its patches, where the user knows them.
        """
        ...


def _rename_nothing(state: Mapping[str, Tensor], /) -> None:
    return None


def _fit_nothing(name: str, value: Tensor, shape: torch.Size, /, **_: object) -> None:
    return None


def built_as(part: Any) -> Mapping[str, Any] | None:
    """Return the `name` and complete `arguments` that a part was built by; None if by hand."""
    return getattr(part, "built_as", None)


def _stated(kind: type[Any], part: Any) -> dict[str, Any]:
    """Read those of a record's fields that a part has as attributes."""
    names = [one.name for one in fields(kind)]
    return {name: getattr(part, name) for name in names if hasattr(part, name)}


@dataclass(frozen=True, kw_only=True)
class Frontend:
    """What a front end says of itself.

    Attributes:
        num_channels: of its output; a front end must say it.
        output_size: (rows, frames) of its output, frames 0 where they depend on the clip; a front
            end must say it.
        padding_value: of the rows that it appends to a short clip, in its units.
        hop_length: samples between two frames; 0 where they have no known place.
        rows_arguments: arguments that set the rows, for messages.
        frames_arguments: arguments that set the frames, for messages.
    """

    num_channels: int
    output_size: tuple[int, int]
    padding_value: float = 0.0
    hop_length: int = 0
    rows_arguments: tuple[str, ...] = ()
    frames_arguments: tuple[str, ...] = ()

    @classmethod
    def of(cls, part: Any) -> Self:
        """Read what a front end says of itself.

        Raises:
            ModelError: it does not say its channels or its size.
        """
        stated = _stated(cls, part)
        match stated:
            case {"num_channels": _, "output_size": (_, _)}:
                return cls(**stated)
        raise ModelError(
            f"front end {type(part).__name__} does not say what it makes: num_channels, and "
            "output_size, (rows, frames), frames 0 where they depend on the clip"
        )


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """What a model says of itself.

    Attributes:
        normalizes_input: whether a batch norm stands in front, so that the front end's output goes
            in as it is.
        head_parameters: names of the parameters whose size is the number of classes.
        head_arguments: arguments of the head alone; weights of the rest mean the same with others.
        heads_split: classes of each head, where there are several.
        input_size: (rows, frames) that it was built for.
        rename_published: gives a published state the model's own names.
        fit_parameter: resizes a parameter of a published state.
        unused_published: beginnings of published names that are skipped -> why.
        grid_parameters: parameters that are fitted in any case, because equal shapes may be other
            grids.
        support_buffers: names, in the state dict, of the clips that the model classifies by.
        set_support: takes those clips, (clips, dim) embeddings of the model and (clips,) int64
            labels; None for a model that classifies without.
        check_support: takes the values of `support_buffers`, None where one is missing, and raises
            a `ModelError` where they cannot be the model's.
    """

    normalizes_input: bool = False
    head_parameters: tuple[str, ...] = ()
    head_arguments: tuple[str, ...] = ()
    heads_split: tuple[int, ...] = ()
    input_size: tuple[int, ...] = ()
    rename_published: RenamePublished = _rename_nothing
    fit_parameter: FitParameter = _fit_nothing
    unused_published: Mapping[str, str] = field(default_factory=dict)
    grid_parameters: tuple[str, ...] = ()
    support_buffers: tuple[str, ...] = ()
    set_support: Callable[[Tensor, Tensor], None] | None = None
    check_support: Callable[..., object] | None = None

    @classmethod
    def of(cls, part: Any) -> Self:
        """Read what a model says of itself."""
        return cls(**_stated(cls, part))
