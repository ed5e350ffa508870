"""Models by name, for use outside an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.registry import names
from models.zoo.cards import default_parts

if TYPE_CHECKING:
    from models.chain import Chain


def list_models() -> list[str]:
    """Return the names of all models, sorted; imports none of them."""
    return names("model")


def create_model(
    name: str,
    *,
    num_classes: int,
    seed: int = 0,
    frontend: str | tuple[str, dict[str, Any]] | None = None,
    transform: str | tuple[str, dict[str, Any]] | None = None,
    augmentation: str | tuple[str, dict[str, Any]] = "none",
    **changes: Any,
) -> Chain:
    """Build a model behind its family's front end and input transform.

    `create_model("datar_tiny", num_classes=309)(waveform).clip_logits` takes clips at 44100 Hz
    through the 43000-Hz filterbank of the paper and the adaptor.

    Args:
        name: one of `list_models()`.
        num_classes: size of the clip logits.
        seed: of the initial weights.
        frontend: a name, or a pair (name, arguments), in place of the family's. With
            ("features", {"num_channels": 3, "n_mels": 224, "num_frames": 224}) the chain takes
            features (batch, 3, 224, 224) in place of waveforms.
        transform: a name, or a pair (name, arguments), in place of the family's.
        augmentation: a name, or a pair (name, arguments); acts in training only.
        **changes: the model's own arguments.

    Returns:
        A chain, from what the front end takes to `Output`: a waveform (batch, time) in [-1, 1]
        of a front end for audio, features of `features`. Its normalization changes
        nothing until `Chain.set_normalization`.

    Raises:
        RegistryError: a name or an argument is unknown.
        ModelError: the arguments do not fit together.
    """
    from models.chain import build_chain

    usual = default_parts(name)
    return build_chain(
        frontend=_link(frontend, usual[0]),
        augmentation=_link(augmentation, ("none", {})),
        transform=_link(transform, usual[1]),
        model=(name, changes),
        num_classes=num_classes,
        seed=seed,
    )


def _link(given: Any, usual: tuple[str, dict[str, Any]]) -> Any:
    if given is None:
        return usual
    return (given, {}) if isinstance(given, str) else given
