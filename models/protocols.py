"""Declarations of front ends and models.

A front end or model can be any `nn.Module`, including one written without this project in mind. Its
attributes named like the fields of the records below are read once, when a chain is built or
weights are loaded; the records hold the defaults of missing ones.
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
        value: The tensor, returned as given if it already fits.
        how: How its grid was interpreted, for the load report; empty if the shapes determine it.
    """

    value: Tensor
    how: str = ""


class RenamePublished(Protocol):
    """Renames a published state to the names of a model."""

    def __call__(self, state: Mapping[str, Tensor], /) -> Mapping[str, Tensor] | None:
        """Return name -> tensor, or None for a state of another family.

        Raises:
            CheckpointError: The state belongs to another model.
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
    """Return the `name` and complete `arguments` of a part built by name, or None."""
    return getattr(part, "built_as", None)


def _stated(kind: type[Any], part: Any) -> dict[str, Any]:
    """Return a part's attributes that are fields of a record."""
    names = [one.name for one in fields(kind)]
    return {name: getattr(part, name) for name in names if hasattr(part, name)}


@dataclass(frozen=True, kw_only=True)
class Frontend:
    """Declarations of a front end; channels and size are required.

    Attributes:
        num_channels: Channels of the output.
        output_size: (rows, frames) of the output; 0 frames if they depend on the clip.
        padding_value: Value of padding frames, in the units of the output.
        hop_length: Hop between frames in samples; 0 if unknown.
        is_pure: Whether the output depends on the clip alone, not on its batch, chance or weights;
            training then computes it once per clip. The class must state it itself, because a
            subclass may add noise; a front end that learns is never taken as pure.
        rows_arguments: Arguments that set the number of rows, for error messages.
        frames_arguments: Arguments that set the number of frames, for error messages.
    """

    num_channels: int
    output_size: tuple[int, int]
    padding_value: float = 0.0
    hop_length: int = 0
    is_pure: bool = False
    rows_arguments: tuple[str, ...] = ()
    frames_arguments: tuple[str, ...] = ()

    @classmethod
    def of(cls, part: Any) -> Self:
        """Read the declarations of a front end.

        Raises:
            ModelError: Channels or size are not declared.
        """
        stated = _stated(cls, part)
        stated["is_pure"] = vars(type(part)).get("is_pure", False)  # never inherited
        match stated:
            case {"num_channels": _, "output_size": (_, _)}:
                return cls(**stated)
        raise ModelError(
            f"front end {type(part).__name__} must declare its output: num_channels, and "
            "output_size, (rows, frames), with 0 frames if they depend on the clip"
        )


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """Declarations of a model; all are optional.

    Attributes:
        normalizes_input: Whether the model starts with a batch norm and takes unnormalized
            features.
        head_parameters: Names of the parameters sized by the number of classes.
        head_arguments: Arguments that change only the head.
        heads_split: Number of classes of each head, if there are several.
        input_size: (rows, frames) of the input.
        max_frames_in_place: Number of frames of a clip beyond which rows of the frame logits are
            not at their place in the clip: the model trains on crops and averages those of
            evaluation. 0 for none.
        rename_published: Renames a published state to the model's names.
        fit_parameter: Resizes a parameter of a published state.
        unused_published: Prefix of skipped published names -> reason.
        grid_parameters: Parameters that are always fitted, since equal shapes can hold different
            grids.
        support_buffers: Names of the support set's buffers in the state dict.
        set_support: Stores the support set, given (clips, dim) embeddings and (clips,) int64
            labels; None for a model without one.
        check_support: Takes the values of `support_buffers` (None if missing) and raises a
            `ModelError` if they do not fit the model.
    """

    normalizes_input: bool = False
    head_parameters: tuple[str, ...] = ()
    head_arguments: tuple[str, ...] = ()
    heads_split: tuple[int, ...] = ()
    input_size: tuple[int, ...] = ()
    max_frames_in_place: int = 0
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
