"""Clips with several sound events each, mixed from a data set of clips with one class each.

A mixture is background noise into which parts of clips are mixed, some at once, each at a known
time. What sounds when, and from which clip, is drawn when the mixtures are listed, from (seed,
fold, mixture); the samples are made when a mixture is packed.

The mixtures of a fold are made of that fold's clips alone. Within a fold, recordings are dealt to
pools, and a mixture takes its clips from one of them: its recording is the pool, so that no
recording is in two folds, nor among the clips that train and those that choose an epoch.
"""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from models.registry import register
from orchestrator.data.decode import resampled
from orchestrator.data.entry import open_source
from orchestrator.data.overview import recognized
from orchestrator.data.source import Clip, ClipFault, Decoded, Source, check_arguments, digest
from orchestrator.data.synthetic import PEAK_DBFS, faded_to
from orchestrator.data.synthetic_events import draw_events
from orchestrator.errors import DataError
from orchestrator.metrics.labels import TargetKind

# Increment when a change of this file changes a sample: it makes other packs, other trials.
_REVISION = 1
_LISTED, _SAMPLED = 0, 1
_BLOCK_S = 0.01
_SILENT_DB = -40.0
"""Level below that of a clip's loudest block at which a block counts as silence."""

Pool = Mapping[int, Sequence[int]]
"""Class -> positions of its clips."""


@register("dataset")
def mixtures(
    root: str | None = None,
    *,
    num_clips: int = 400,
    max_events: int = 3,
    seconds: float = 5.0,
    num_pools: int = 4,
    sample_rate: int = 16000,
    min_snr_db: float = 10.0,
    max_snr_db: float = 30.0,
    seed: int = 0,
    fingerprint: str = "",
) -> Source:
    """Describe mixtures of the clips in a folder, or of made-up sounds without one.

    Args:
        root: Folder of clips with one class each, in a layout that is recognized; None mixes the
            clips of `synthetic`.
        num_clips: Number of mixtures, dealt to the folds by the number of their clips.
        max_events: Most events of a mixture; each draws 0 to this many, but for the first mixtures
            of a fold, by which it has every class.
        seconds: Length of a mixture; an event lasts 10 to 50 % of it.
        num_pools: Number of pools into which the recordings of a fold are dealt, class by class.
        sample_rate: Rate of the mixtures in Hz.
        min_snr_db: Lowest level of an event above the background noise, in dB.
        max_snr_db: Highest such level in dB; each event draws between the two.
        seed: Another seed gives other mixtures of the same clips.
        fingerprint: Pack that an experiment was made with; any other is refused.

    Returns:
        The source. An event is the loudest part of its clip of the drawn length, without the
        silence at the ends; a clip that sounds for a shorter time is repeated.

    Raises:
        DataError: The arguments contradict each other, or the folder's clips cannot be mixed.
    """
    check_arguments("mixtures", sample_rate=sample_rate)
    mistakes = [
        text
        for wrong, text in (
            (not 1 <= num_clips <= 1_000_000, f"num_clips is {num_clips}; give 1 to 1000000"),
            (not 1 <= max_events <= 20, f"max_events is {max_events}; give 1 to 20"),
            (not 0.25 <= seconds <= 60, f"seconds is {seconds}; give 0.25 to 60"),
            (not 1 <= num_pools <= 1000, f"num_pools is {num_pools}; give 1 to 1000"),
            (min_snr_db > max_snr_db, f"min_snr_db {min_snr_db} is above max_snr_db {max_snr_db}"),
            (seed < 0, f"seed is {seed}; give 0 or more"),
        )
        if wrong
    ]
    if mistakes:
        raise DataError("dataset 'mixtures': " + "; ".join(mistakes))
    single = _source(root, sample_rate=sample_rate)
    kept, notes = _of_one_fold(single)
    clips: list[Clip] = []
    for fold, count in _dealt(kept, single, num_clips).items():
        pools = _pools(kept[fold], single, num_pools)
        labels = sorted({label for pool in pools for label in pool})
        if count < len(labels):
            raise DataError(
                f"dataset 'mixtures': {count} of {num_clips} mixtures are for fold "
                f"{single.fold_names[fold]}, which has clips of {len(labels)} classes; give "
                f"num_clips={-(-num_clips * len(labels) // count) if count else 10 * num_clips} or "
                "more, so that each class is in one"
            )
        for index in range(count):
            first = labels[index] if index < len(labels) else None
            fitting = [place for place, pool in enumerate(pools) if first is None or first in pool]
            place = fitting[index % len(fitting)]
            rng = np.random.default_rng([seed, fold, index, _LISTED])
            events = draw_events(
                rng,
                first=first,
                labels=sorted(pools[place]),
                max_events=max_events,
                seconds=seconds,
            )
            chosen = [int(rng.choice(pools[place][event.label])) for event in events]
            path = json.dumps(
                [
                    [fold, index],
                    [
                        [clip, event.onset_s, event.offset_s]
                        for clip, event in zip(chosen, events, strict=True)
                    ],
                ]
            )
            name = single.fold_names[fold]
            clips.append(Clip(f"{name}-{index:05d}", events, fold, f"{name}/pool {place}", path))
    settings = {
        "revision": _REVISION,
        "num_clips": num_clips,
        "max_events": max_events,
        "seconds": float(seconds),
        "num_pools": num_pools,
        "sample_rate": sample_rate,
        "snr_db": [float(min_snr_db), float(max_snr_db)],
        "seed": seed,
    }
    known = digest(["mixtures", settings, single.fingerprint]) if single.fingerprint else ""
    mixed = sum(len(clip.label) for clip in clips if isinstance(clip.label, tuple))
    return Source(
        name="mixtures",
        sample_rate=sample_rate,
        class_names=single.class_names,
        fold_names=single.fold_names,
        clips=tuple(clips),
        read=functools.partial(
            _make,
            single=single,
            num_samples=round(seconds * sample_rate),
            sample_rate=sample_rate,
            snr_db=(min_snr_db, max_snr_db),
            seed=seed,
        ),
        signature=digest(["mixtures", settings, single.signature]),
        seconds=seconds,
        fingerprint=known,
        root=single.root,
        license=single.license,
        notes=notes,
        facts=(
            ("mixed from", f"{sum(map(len, kept.values()))} clips, read as {single.name}"),
            ("events", f"{mixed}, up to {max_events} in a clip"),
            ("recordings", f"in {num_pools} pools per fold; a mixture is of one pool"),
        ),
    )


def _source(root: str | None, *, sample_rate: int) -> Source:
    """Open the clips to mix; a `DataError` unless each has one class."""
    if root:
        name, arguments = recognized(root, {"sample_rate": sample_rate})
    else:
        # Their own noise is faint beside that of the mixture.
        quiet = {"min_snr_db": 40.0, "max_snr_db": 40.0}
        name, arguments = "synthetic", {"sample_rate": sample_rate, **quiet}
    single = open_source(name, arguments, root=root)
    if single.kind is not TargetKind.SINGLE_LABEL:
        raise DataError(
            f"dataset 'mixtures' mixes clips with one class each, and those of {root} are of kind "
            f"{single.kind}; train on them as they are: --dataset {name}"
        )
    return single


def _of_one_fold(single: Source) -> tuple[dict[int, list[int]], tuple[str, ...]]:
    """Return fold -> positions of clips whose recording is in no earlier fold, and remarks."""
    home: dict[str, int] = {}
    for clip in sorted(single.clips, key=lambda clip: clip.fold):
        home.setdefault(clip.source_id, clip.fold)
    kept: dict[int, list[int]] = {fold: [] for fold in single.fold_names}
    for place, clip in enumerate(single.clips):
        if home[clip.source_id] == clip.fold:
            kept[clip.fold].append(place)
    left_out = len(single.clips) - sum(map(len, kept.values()))
    note = f"{left_out} clips whose recording is in an earlier fold too are not mixed"
    return kept, (note,) if left_out else ()


def _dealt(kept: Mapping[int, Sequence[int]], single: Source, num_clips: int) -> dict[int, int]:
    """Return fold -> number of its mixtures, in proportion to its clips."""
    total = sum(map(len, kept.values()))
    ends = np.cumsum([len(kept[fold]) for fold in single.fold_names]) * num_clips // total
    return dict(zip(single.fold_names, np.diff(ends, prepend=0).tolist(), strict=True))


def _pools(places: Sequence[int], single: Source, num_pools: int) -> list[Pool]:
    """Deal the recordings of a fold to pools, those of each class in turn."""
    pools: list[defaultdict[int, list[int]]] = [defaultdict(list) for _ in range(num_pools)]
    pool_of: dict[str, int] = {}
    dealt: defaultdict[int, int] = defaultdict(int)
    for place in places:
        clip = single.clips[place]
        label = clip.classes[0]
        if clip.source_id not in pool_of:
            pool_of[clip.source_id] = dealt[label] % num_pools
            dealt[label] += 1
        pools[pool_of[clip.source_id]][label].append(place)
    return [dict(pool) for pool in pools if pool]


def _make(
    clip: Clip,
    *,
    single: Source,
    num_samples: int,
    sample_rate: int,
    snr_db: tuple[float, float],
    seed: int,
) -> Decoded:
    from orchestrator.data.sounds import colored_noise

    (fold, index), events = json.loads(clip.path)
    rng = np.random.default_rng([seed, fold, index, _SAMPLED])
    time_s = np.arange(num_samples) / sample_rate
    noise = colored_noise(rng, time_s, slope=rng.choice([0.0, 1.0, 2.0]))
    mixture = noise.copy()
    for place, onset_s, offset_s in events:
        start, stop = (min(round(s * sample_rate), num_samples) for s in (onset_s, offset_s))
        own = single.clips[place]
        try:
            samples = resampled(single.read(own), sample_rate=sample_rate)
        except ClipFault as fault:
            raise ClipFault(
                fault.problem, f"{own.clip_id}, mixed into it: {fault.reason}"
            ) from None
        event = loudest(samples.astype(np.float64), stop - start, sample_rate=sample_rate)
        level_db = rng.uniform(*snr_db)
        mixture[start:stop] += faded_to(event, time_s[: stop - start], noise, snr_db=level_db)
    peak_dbfs = rng.uniform(*PEAK_DBFS)
    scaled = mixture * (10 ** (peak_dbfs / 20) / np.abs(mixture).max())
    return Decoded(scaled.astype(np.float32), sample_rate, 1)


def loudest(samples: np.ndarray, length: int, *, sample_rate: int) -> np.ndarray:
    """Return the loudest part of a clip, without the silence at its ends.

    Args:
        samples: `(time,)`.
        length: Samples of the part; a clip that sounds for a shorter time is repeated.
        sample_rate: Rate in Hz.

    Returns:
        `(length,)`.

    Raises:
        ClipFault: The clip is silent.
    """
    block = max(1, round(_BLOCK_S * sample_rate))
    padded = np.pad(samples, (0, -len(samples) % block))
    power = np.square(padded).reshape(-1, block).mean(axis=1)
    if not power.max() > 0:
        raise ClipFault("silent", "every sample is zero")
    sounding = np.flatnonzero(power > power.max() * 10 ** (_SILENT_DB / 10))
    part = samples[sounding[0] * block : (sounding[-1] + 1) * block]
    if len(part) <= length:
        return np.resize(part, length)
    energy = np.concatenate([[0.0], np.cumsum(np.square(part))])
    start = int(np.argmax(energy[length:] - energy[:-length]))
    return part[start : start + length]
