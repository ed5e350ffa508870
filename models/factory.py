"""Models by name, for use outside an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.registry import names

if TYPE_CHECKING:
    from models.chain import Chain

_LAPTOP_FBANK: tuple[str, dict[str, Any]] = (
    "kaldi_fbank",
    {"n_mels": 64, "num_frames": 128, "frame_length_ms": 50.0, "frame_shift_ms": 40.0},
)
# The front end and transform of a family, by the beginning of the model's name; the longest
# beginning counts. An experiment states them itself.
_FRONTENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "": ("kaldi_fbank", {}),
    "ast_laptop": _LAPTOP_FBANK,
    "audioset_baseline": (
        "log_mel",
        {
            "sample_rate": 16000,
            "n_fft": 512,
            "win_length": 400,
            "hop_length": 160,
            "f_min": 125.0,
            "f_max": 7500.0,
        },
    ),
    "audioset_baseline_laptop": ("log_mel", {"hop_length": 1280, "n_mels": 32}),
    "cnn": ("log_mel", {}),
    "cnn6_laptop": ("log_mel", {"hop_length": 640}),
    "resnet38": ("log_mel", {}),
    "datar": ("kaldi_fbank", {"sample_rate": 43000}),
    "datar_laptop": _LAPTOP_FBANK,
    "datar_pp_laptop": _LAPTOP_FBANK,
    "deepres_laptop": _LAPTOP_FBANK,
    "erann": (
        "log_mel",
        {
            "sample_rate": 44100,
            "n_fft": 2048,
            "win_length": 1380,
            "hop_length": 345,
            "n_mels": 128,
            "f_max": 22050.0,
        },
    ),
    "erann_laptop": ("log_mel", {"hop_length": 640}),
    "htsat": ("log_mel", {}),
    "htsat_laptop": ("log_mel", {"hop_length": 640}),
    "psla": ("kaldi_fbank", {"num_frames": 1056}),
    "psla_laptop": _LAPTOP_FBANK,
    "slowfast": ("htk_log_mel", {}),
    "slowfast_laptop": (
        "htk_log_mel",
        {"n_fft": 1024, "win_length": 800, "hop_length": 640, "n_mels": 64},
    ),
    "vggsound_resnet": ("log_spectrogram", {}),
    "vggsound_resnet_laptop": (
        "log_spectrogram",
        {"seconds": 5.0, "n_fft": 256, "hop_length": 640},
    ),
    "kwt": ("mfcc", {}),
    "kwt_laptop": ("mfcc", {"win_length": 800, "hop_length": 640, "num_frames": 128}),
    "res15": ("honk_mfcc", {}),
    "res15_laptop": ("honk_mfcc", {"win_length": 800, "hop_length": 640}),
    "talnet": ("talnet_fbank", {}),
    "talnet_laptop": ("talnet_fbank", {"n_fft": 1024, "hop_length": 800, "n_mels": 32}),
}
_TRANSFORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "": ("identity", {}),
    "datar": ("adaptor", {}),
}


def list_models() -> list[str]:
    """Return the names of all models, sorted; imports none of them."""
    return names("model")


def default_parts(name: str) -> tuple[tuple[str, dict[str, Any]], tuple[str, dict[str, Any]]]:
    """Return the front end and the input transform that `create_model` puts before a model.

    Args:
        name: a registered model.

    Returns:
        Two pairs (name, arguments).
    """
    return _of_family(name, _FRONTENDS), _of_family(name, _TRANSFORMS)


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
            features (batch, 3, 224, 224) instead of waveforms.
        transform: a name, or a pair (name, arguments), in place of the family's.
        augmentation: a name, or a pair (name, arguments); acts in training only.
        **changes: the model's own arguments.

    Returns:
        A chain that maps waveforms (batch, time) in [-1, 1], or features for the front end
        `features`, to `Output`. Its normalization has no effect until
        `Chain.set_normalization`.

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


def _of_family(name: str, table: dict[str, Any]) -> Any:
    return table[max((start for start in table if name.startswith(start)), key=len)]
