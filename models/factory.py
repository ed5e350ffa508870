"""Create models by name outside an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.registry import names
from models.zoo.cards import default_parts

if TYPE_CHECKING:
    from models.chain import Chain


def list_models() -> list[str]:
    """Return all model names, sorted, without importing the models."""
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
    """Build a model with its family's front end and input transform.

    `create_model("datar_tiny", num_classes=309)(waveform).clip_logits` runs 44100-Hz clips through
    the paper's 43000-Hz filterbank and the adaptor.

    Args:
        name: A name from `list_models()`.
        num_classes: Number of classes.
        seed: Seed of the initial weights.
        frontend: A name or (name, arguments) to replace the family's. ("features", {"num_channels":
            3, "n_mels": 224, "num_frames": 224}) makes a chain for features (batch, 3, 224, 224)
            instead of waveforms.
        transform: A name or (name, arguments) to replace the family's.
        augmentation: A name or (name, arguments), applied in training only.
        **changes: Arguments of the model.

    Returns:
        A chain that maps waveforms (batch, time) in [-1, 1], or features for the front end
        `features`, to `Output`. It is unnormalized until `Chain.set_normalization`.

    Raises:
        RegistryError: A name or an argument is unknown.
        ModelError: The arguments do not fit together.
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
