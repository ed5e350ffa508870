"""The embedded dataset: synthetic sound events in background noise, for a first run without files.

A clip is a function of (seed, kind of sound, index) and the settings, never of the other clips, so
a larger set contains the smaller one. The pack's fingerprint is a hash of the arguments and
`GENERATOR_REVISION`, known before a sample is made. `content_digest` in `pack.json` hashes the
samples themselves, which may differ in the last bit between processors.
"""

from __future__ import annotations

import functools

import numpy as np

from models.registry import register
from orchestrator.data.source import Clip, Decoded, Source, check_arguments, digest
from orchestrator.errors import DataError

# Increment when a change of the generators changes a sample: it makes other packs, other trials.
GENERATOR_REVISION = 1
NUM_SOUNDS = 25
PEAK_DBFS = (-24.0, -3.0)
_FADE_S = 0.005


@register("dataset")
def synthetic(
    root: str | None = None,
    *,
    num_classes: int = 10,
    first_class: int = 0,
    clips_per_class: int = 40,
    num_folds: int = 5,
    seconds: float = 4.0,
    sample_rate: int = 16000,
    min_snr_db: float = 10.0,
    max_snr_db: float = 30.0,
    seed: int = 0,
    fingerprint: str = "",
) -> Source:
    """Describe a set of made-up sound events; nothing is made before it is packed.

    Args:
        root: Not used, since there are no files.
        num_classes: Number of the 25 kinds of sound to tell apart.
        first_class: First kind used; a set to pretrain on takes kinds that the sweep does not.
        clips_per_class: Clips of each kind, dealt to the folds in turn.
        num_folds: Number of folds, numbered from 1.
        seconds: Length of a clip.
        sample_rate: Rate in Hz; at least 16,000, since the sounds reach 7.5 kHz.
        min_snr_db: Lowest level of the event above the background noise, in dB.
        max_snr_db: Highest such level in dB; each clip draws between the two, and lower is harder.
        seed: Another seed gives another dataset of the same kind.
        fingerprint: Pack that an experiment was made with; any other is refused.

    Returns:
        The source; its fingerprint is known beforehand.

    Raises:
        DataError: The arguments contradict each other; names every mistake.
    """
    check_arguments("synthetic", sample_rate=sample_rate)
    mistakes = [
        text
        for wrong, text in (
            (num_classes < 2, f"num_classes is {num_classes}; give 2 or more"),
            (
                first_class < 0 or first_class + num_classes > NUM_SOUNDS,
                f"first_class {first_class} and num_classes {num_classes} reach beyond the "
                f"{NUM_SOUNDS} kinds of sound",
            ),
            (num_folds < 2, f"num_folds is {num_folds}; give 2 or more"),
            (
                clips_per_class < num_folds,
                f"clips_per_class {clips_per_class} does not fill {num_folds} folds",
            ),
            (
                clips_per_class > 100_000,
                f"clips_per_class is {clips_per_class}; give 100000 at most",
            ),
            (not 0.25 <= seconds <= 60, f"seconds is {seconds}; give 0.25 to 60"),
            (sample_rate < 16000, f"sample_rate is {sample_rate}; give 16000 Hz or more"),
            (
                min_snr_db > max_snr_db,
                f"min_snr_db {min_snr_db} is above max_snr_db {max_snr_db}",
            ),
            (seed < 0, f"seed is {seed}; give 0 or more"),
        )
        if wrong
    ]
    if mistakes:
        raise DataError("dataset 'synthetic': " + "; ".join(mistakes))

    from orchestrator.data.sounds import SOUNDS

    names = [sound.__name__ for sound in SOUNDS[first_class : first_class + num_classes]]
    clips = tuple(
        Clip(clip_id, label, 1 + index % num_folds, clip_id, f"{first_class + label}/{index}")
        for label, name in enumerate(names)
        for index in range(clips_per_class)
        for clip_id in [f"{name}-{index:04d}"]
    )
    settings = {
        "revision": GENERATOR_REVISION,
        "num_classes": num_classes,
        "first_class": first_class,
        "clips_per_class": clips_per_class,
        "num_folds": num_folds,
        "seconds": float(seconds),
        "sample_rate": sample_rate,
        "snr_db": [float(min_snr_db), float(max_snr_db)],
        "seed": seed,
    }
    known = digest(["synthetic", settings])
    make = functools.partial(
        _make,
        seconds=seconds,
        sample_rate=sample_rate,
        min_snr_db=min_snr_db,
        max_snr_db=max_snr_db,
        seed=seed,
    )
    return Source(
        name="synthetic",
        sample_rate=sample_rate,
        class_names=tuple(names),
        fold_names={fold: str(fold) for fold in range(1, num_folds + 1)},
        clips=clips,
        read=make,
        signature=known,
        seconds=seconds,
        fingerprint=known,
        license="made by this program; no rights reserved",
    )


def _make(
    clip: Clip,
    *,
    seconds: float,
    sample_rate: int,
    min_snr_db: float,
    max_snr_db: float,
    seed: int,
) -> Decoded:
    kind, index = (int(part) for part in clip.path.split("/"))
    rng = np.random.default_rng([seed, kind, index])
    samples = make_clip(
        rng,
        kind,
        num_samples=round(seconds * sample_rate),
        sample_rate=sample_rate,
        snr_db=rng.uniform(min_snr_db, max_snr_db),
    )
    return Decoded(samples, sample_rate, 1)


def make_clip(
    rng: np.random.Generator, kind: int, *, num_samples: int, sample_rate: int, snr_db: float
) -> np.ndarray:
    """Make one event of random length and onset in noise of random color and level.

    Args:
        rng: Source of all randomness.
        kind: Position in `sounds.SOUNDS`.
        num_samples: Length of the clip.
        sample_rate: Rate in Hz.
        snr_db: Power of the event while it sounds over that of the noise.

    Returns:
        `(num_samples,)` float32 in [-1, 1].
    """
    from orchestrator.data.sounds import SOUNDS, colored_noise

    time_s = np.arange(num_samples) / sample_rate
    length = round(num_samples * rng.uniform(0.35, 0.9))
    start = int(rng.integers(0, num_samples - length + 1))
    event = _faded(SOUNDS[kind](rng, time_s[:length]), time_s[:length])
    noise = colored_noise(rng, time_s, slope=rng.choice([0.0, 1.0, 2.0]))
    event *= 10 ** (snr_db / 20) * _rms(noise) / max(_rms(event), 1e-12)
    noise[start : start + length] += event
    peak_dbfs = rng.uniform(*PEAK_DBFS)
    return (noise * (10 ** (peak_dbfs / 20) / np.abs(noise).max())).astype(np.float32)


def make_event(
    rng: np.random.Generator, kind: int, time_s: np.ndarray, noise: np.ndarray, *, snr_db: float
) -> np.ndarray:
    """Make one event that fills its time, faded in and out.

    Args:
        rng: Source of all randomness.
        kind: Position in `sounds.SOUNDS`.
        time_s: `(samples,)` times from 0.
        noise: Background noise.
        snr_db: Power of the event over that of the noise.

    Returns:
        `(samples,)` float64.
    """
    from orchestrator.data.sounds import SOUNDS

    return faded_to(SOUNDS[kind](rng, time_s), time_s, noise, snr_db=snr_db)


def faded_to(
    event: np.ndarray, time_s: np.ndarray, noise: np.ndarray, *, snr_db: float
) -> np.ndarray:
    """Fade an event in and out and scale it to a level above noise.

    Args:
        event: `(samples,)`.
        time_s: `(samples,)` times from 0.
        noise: Background noise.
        snr_db: Power of the event over that of the noise.
    """
    faded = _faded(event, time_s)
    return faded * (10 ** (snr_db / 20) * _rms(noise) / max(_rms(faded), 1e-12))


def _faded(event: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    ramp = np.minimum(time_s / _FADE_S, 1.0)
    return event * (ramp * ramp[::-1])


def _rms(wave: np.ndarray) -> float:
    return float(np.sqrt(np.square(wave).mean()))
