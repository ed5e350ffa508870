"""Made-up clips with several sound events each, at known times, for runs without files.

A clip is background noise into which events of the kinds of `sounds` are mixed, some at once. What
sounds when is drawn when the clips are listed, from (seed, clip); the samples are made when a clip
is packed.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence

import numpy as np

from models.registry import register
from orchestrator.data.source import Clip, Decoded, Source, check_arguments, digest
from orchestrator.data.synthetic import NUM_SOUNDS, PEAK_DBFS, make_event
from orchestrator.errors import DataError
from orchestrator.metrics.labels import Event

# Increment when a change of the generators changes a sample: it makes other packs, other trials.
GENERATOR_REVISION = 1
_SHARE_OF_CLIP = (0.1, 0.5)
_LISTED, _SAMPLED = 0, 1


@register("dataset")
def synthetic_events(
    root: str | None = None,
    *,
    num_classes: int = 5,
    num_clips: int = 200,
    num_folds: int = 5,
    max_events: int = 3,
    seconds: float = 4.0,
    times: bool = True,
    sample_rate: int = 16000,
    min_snr_db: float = 10.0,
    max_snr_db: float = 30.0,
    seed: int = 0,
    fingerprint: str = "",
) -> Source:
    """Describe a set of made-up scenes; nothing is made before it is packed.

    Args:
        root: Not used, since there are no files.
        num_classes: Number of the 25 kinds of sound to detect.
        num_clips: Number of clips, dealt to the folds in turn.
        num_folds: Number of folds, numbered from 1.
        max_events: Most events of a clip; each clip draws 0 to this many, but for the first clips,
            by which every fold has every class.
        seconds: Length of a clip; an event lasts 10 to 50 % of it.
        times: Whether onset and offset of every event are listed; otherwise the classes alone are,
            any number of them per clip.
        sample_rate: Rate in Hz; at least 16,000, since the sounds reach 7.5 kHz.
        min_snr_db: Lowest level of an event above the background noise, in dB.
        max_snr_db: Highest such level in dB; each event draws between the two.
        seed: Another seed gives another dataset of the same kind.
        fingerprint: Pack that an experiment was made with; any other is refused.

    Returns:
        The source; its fingerprint is known beforehand.

    Raises:
        DataError: The arguments contradict each other; names every mistake.
    """
    check_arguments("synthetic_events", sample_rate=sample_rate)
    mistakes = [
        text
        for wrong, text in (
            (
                not 2 <= num_classes <= NUM_SOUNDS,
                f"num_classes is {num_classes}; give 2 to {NUM_SOUNDS}",
            ),
            (num_folds < 2, f"num_folds is {num_folds}; give 2 or more"),
            (
                not num_classes * num_folds <= num_clips <= 1_000_000,
                f"num_clips is {num_clips}; give {num_classes * num_folds}, a clip of each class "
                "in each fold, to 1000000",
            ),
            (not 1 <= max_events <= 20, f"max_events is {max_events}; give 1 to 20"),
            (not 0.25 <= seconds <= 60, f"seconds is {seconds}; give 0.25 to 60"),
            (sample_rate < 16000, f"sample_rate is {sample_rate}; give 16000 Hz or more"),
            (min_snr_db > max_snr_db, f"min_snr_db {min_snr_db} is above max_snr_db {max_snr_db}"),
            (seed < 0, f"seed is {seed}; give 0 or more"),
        )
        if wrong
    ]
    if mistakes:
        raise DataError("dataset 'synthetic_events': " + "; ".join(mistakes))

    from orchestrator.data.sounds import SOUNDS

    settings = {
        "revision": GENERATOR_REVISION,
        "num_classes": num_classes,
        "num_clips": num_clips,
        "num_folds": num_folds,
        "max_events": max_events,
        "seconds": float(seconds),
        "times": times,
        "sample_rate": sample_rate,
        "snr_db": [float(min_snr_db), float(max_snr_db)],
        "seed": seed,
    }
    clips = []
    for index in range(num_clips):
        turn = index // num_folds
        events = draw_events(
            np.random.default_rng([seed, index, _LISTED]),
            first=turn if turn < num_classes else None,
            labels=range(num_classes),
            max_events=max_events,
            seconds=seconds,
        )
        name = f"scene-{index:05d}"
        label = events if times else tuple(sorted({event.label for event in events}))
        path = json.dumps([index, [[e.label, e.onset_s, e.offset_s] for e in events]])
        clips.append(Clip(name, label, 1 + index % num_folds, name, path))
    known = digest(["synthetic_events", settings])
    return Source(
        name="synthetic_events",
        sample_rate=sample_rate,
        class_names=tuple(sound.__name__ for sound in SOUNDS[:num_classes]),
        fold_names={fold: str(fold) for fold in range(1, num_folds + 1)},
        clips=tuple(clips),
        read=functools.partial(
            _make,
            num_samples=round(seconds * sample_rate),
            sample_rate=sample_rate,
            snr_db=(min_snr_db, max_snr_db),
            seed=seed,
        ),
        signature=known,
        seconds=seconds,
        fingerprint=known,
        license="made by this program; no rights reserved",
    )


def draw_events(
    rng: np.random.Generator,
    *,
    first: int | None,
    labels: Sequence[int],
    max_events: int,
    seconds: float,
) -> tuple[Event, ...]:
    """Draw what sounds in a clip and when, to the millisecond.

    Args:
        rng: Source of all randomness.
        first: Class that the clip has; None leaves it to chance.
        labels: Classes to draw from.
        max_events: Most events.
        seconds: Length of the clip.

    Returns:
        0 to `max_events` events by onset, each 10 to 50 % of the clip long.
    """
    count = int(rng.integers(0 if first is None else 1, max_events + 1))
    events = []
    for number in range(count):
        label = labels[int(rng.integers(len(labels)))]
        length_s = round(seconds * rng.uniform(*_SHARE_OF_CLIP), 3)
        onset_s = round(rng.uniform(0, seconds - length_s), 3)
        if number == 0 and first is not None:
            label = first
        events.append(Event(label, onset_s, round(onset_s + length_s, 3)))
    return tuple(sorted(events, key=lambda event: (event.onset_s, event.label)))


def _make(
    clip: Clip, *, num_samples: int, sample_rate: int, snr_db: tuple[float, float], seed: int
) -> Decoded:
    from orchestrator.data.sounds import colored_noise

    index, events = json.loads(clip.path)
    rng = np.random.default_rng([seed, index, _SAMPLED])
    time_s = np.arange(num_samples) / sample_rate
    noise = colored_noise(rng, time_s, slope=rng.choice([0.0, 1.0, 2.0]))
    scene = noise.copy()
    for kind, onset_s, offset_s in events:
        start, stop = (min(round(s * sample_rate), num_samples) for s in (onset_s, offset_s))
        level_db = rng.uniform(*snr_db)
        scene[start:stop] += make_event(rng, kind, time_s[: stop - start], noise, snr_db=level_db)
    peak_dbfs = rng.uniform(*PEAK_DBFS)
    scaled = scene * (10 ** (peak_dbfs / 20) / np.abs(scene).max())
    return Decoded(scaled.astype(np.float32), sample_rate, 1)
