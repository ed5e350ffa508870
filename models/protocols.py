"""What front ends and models declare about themselves.

A front end or a model can be any `nn.Module`, including one that knows nothing of this project. Its
declarations are read once, when a chain is put together or weights are loaded. The fields of the
records below are the attributes that are read, with the defaults of those that a part lacks.
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
        value: The given tensor itself if nothing had to change.
        how: How its grid was read, for the load report; empty if the shapes tell.
    """

    value: Tensor
    how: str = ""


class RenamePublished(Protocol):
    """Renames a published state to the names of a model."""

    def __call__(self, state: Mapping[str, Tensor], /) -> Mapping[str, Tensor] | None:
        """Return name -> tensor, or None if the state does not belong to the family.

        Raises:
            CheckpointError: The state belongs to another model, which the message names.
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
        """Return the parameter in another shape, or None if no rule applies.

        Args:
            name: Name of the parameter in the model.
            value: Published value.
            shape: Shape to return.
            state: Published state under its original names.
            source_grid: (rows, columns) of the published patches, if the user states them.
        """
        ...


def _rename_nothing(state: Mapping[str, Tensor], /) -> None:
    return None


def _fit_nothing(name: str, value: Tensor, shape: torch.Size, /, **_: object) -> None:
    return None


def built_as(part: Any) -> Mapping[str, Any] | None:
    """Return the `name` and complete `arguments` of a part that was built by name, or None."""
    return getattr(part, "built_as", None)


def _stated(kind: type[Any], part: Any) -> dict[str, Any]:
    """Return the fields of a record that a part has as attributes."""
    names = [one.name for one in fields(kind)]
    return {name: getattr(part, name) for name in names if hasattr(part, name)}


@dataclass(frozen=True, kw_only=True)
class Frontend:
    """What a front end declares; channels and size are required.

    Attributes:
        num_channels: Channels of the output.
        output_size: (rows, frames) of the output; 0 frames if they depend on the clip.
        padding_value: Value of the frames that pad a short clip, in the units of the output.
        hop_length: Samples between two frames; 0 if unknown.
        rows_arguments: Arguments that set the rows, for error messages.
        frames_arguments: Arguments that set the frames, for error messages.
    """

    num_channels: int
    output_size: tuple[int, int]
    padding_value: float = 0.0
    hop_length: int = 0
    rows_arguments: tuple[str, ...] = ()
    frames_arguments: tuple[str, ...] = ()

    @classmethod
    def of(cls, part: Any) -> Self:
        """Read the declarations of a front end.

        Raises:
            ModelError: It does not declare its channels or its size.
        """
        stated = _stated(cls, part)
        match stated:
            case {"num_channels": _, "output_size": (_, _)}:
                return cls(**stated)
        raise ModelError(
            f"front end {type(part).__name__} must declare its output: num_channels, and "
            "output_size, (rows, frames), with 0 frames if they depend on the clip"
        )


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """What a model declares; nothing is required.

    Attributes:
        normalizes_input: Whether the model starts with a batch norm and takes the front end's
            output without normalization.
        head_parameters: Names of the parameters whose size is the number of classes.
        head_arguments: Arguments that change the head alone, not the rest of the model.
        heads_split: Classes of each head, if there are several.
        input_size: (rows, frames) that the model was built for.
        rename_published: Renames a published state to the model's names.
        fit_parameter: Resizes a parameter of a published state.
        unused_published: Prefix of published names to skip -> reason.
        grid_parameters: Parameters that are always fitted, because equal shapes can be different
            grids.
        support_buffers: Names, in the state dict, of the clips that the model classifies by.
        set_support: Stores those clips, given (clips, dim) embeddings and (clips,) int64 labels;
            None for a model that does not classify by clips.
        check_support: Takes the values of `support_buffers`, None for a missing one, and raises a
            `ModelError` if they do not fit the model.
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
        """Read the declarations of a model."""
        return cls(**_stated(cls, part))
