"""Open and measure every clip before anything is trained on it; see `findings`."""

from __future__ import annotations

import hashlib
import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from models.errors import failure
from orchestrator.data.decode import to_pcm
from orchestrator.data.findings import BROKEN, ClipRecord, Problem
from orchestrator.data.source import Clip, ClipFault, Source, check_decoded
from orchestrator.errors import DataError, unknown
from orchestrator.metrics.labels import Event

_CLOSE_S = 0.0005
"""An event that ends this little after the clip is listed in rounded milliseconds."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Examined:
    """A clip's record, with its samples if they were requested and are usable.

    Attributes:
        record: The clip's measures and problems.
        pcm: `(time,)` int16 at the source's sample rate, or None.
    """

    record: ClipRecord
    pcm: np.ndarray | None = None


def examine(
    source: Source,
    *,
    resample: bool = True,
    progress: Progress | None = None,
    num_threads: int | None = None,
    done: Sequence[ClipRecord] = (),
) -> Iterator[Examined]:
    """Open every clip of a source, in list order, on several threads.

    Args:
        source: The dataset.
        resample: Also make the pack's samples; False only measures, which is faster.
        progress: Called with (clips done, clips in total) after every clip.
        num_threads: Decoding threads; by default the host's cores, at most eight.
        done: Records of the first clips, which are not opened again.

    Yields:
        One `Examined` per other clip. Only a few clips are in memory at a time.

    Raises:
        DataError: The source's `read` fails, or does not return a `Decoded`.
    """
    workers = num_threads or min(8, os.cpu_count() or 1)
    first_with: dict[str, Clip] = {}
    for record in done:
        if record.sha256 is not None and not record.broken:
            first_with.setdefault(record.sha256, record.clip)
    waiting: deque[Future[Examined]] = deque()
    clips = iter(source.clips[len(done) :])
    count = len(done)
    with ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                while len(waiting) < 4 * workers:
                    clip = next(clips, None)
                    if clip is None:
                        break
                    waiting.append(pool.submit(_examine_one, source, clip, resample))
                if not waiting:
                    return
                seen = _compare(waiting.popleft().result(), first_with)
                count += 1
                if progress:
                    progress(count, len(source.clips))
                yield seen
        finally:
            for future in waiting:
                future.cancel()


def _examine_one(source: Source, clip: Clip, resample: bool) -> Examined:
    try:
        decoded = check_decoded(source.read(clip))
    except ClipFault as fault:
        if fault.problem not in BROKEN:
            raise DataError(
                f"dataset {source.name!r}: "
                + unknown("problem of a ClipFault", fault.problem, BROKEN)
            ) from fault
        return Examined(ClipRecord(clip, problems=(Problem(fault.problem, fault.reason),)))
    except DataError as error:
        raise DataError(
            f"dataset {source.name!r}: what read returned for clip {clip.clip_id!r} cannot be "
            f"used: {error}"
        ) from error
    except Exception as error:
        raise DataError(
            f"dataset {source.name!r}: read failed for clip {clip.clip_id!r} with "
            f"{failure(error)}; for a clip that cannot be used, it raises a ClipFault"
        ) from error
    samples, rate_hz = decoded.samples, decoded.rate_hz
    problems = []
    peak = float(np.abs(samples).max())
    power = float(np.square(samples, dtype=np.float64).mean())
    tail = len(samples) if peak == 0 else int(np.argmax(samples[::-1] != 0))
    pcm = None
    if peak == 0:
        problems.append(Problem("silent", f"all {len(samples)} samples are zero"))
    elif resample:
        try:
            pcm, over = to_pcm(decoded, sample_rate=source.sample_rate)
        except ClipFault as fault:
            problems.append(Problem(fault.problem, fault.reason))
        else:
            if over:
                problems.append(Problem("over_full_scale", f"{over} samples"))
    if rate_hz != source.sample_rate:
        problems.append(Problem("wrong_rate", f"{rate_hz} Hz, not {source.sample_rate}"))
    if decoded.channels > 1:
        problems.append(Problem("stereo", f"{decoded.channels} channels"))
    seconds = len(samples) / rate_hz
    label = clip.label if isinstance(clip.label, tuple) else ()
    ends = [entry.offset_s for entry in label if isinstance(entry, Event)]
    if beyond := [end for end in ends if end > seconds + _CLOSE_S]:
        problems.append(
            Problem("beyond_end", f"an event to {max(beyond):g} s in {seconds:.3f} s of audio")
        )
    expected = round(source.seconds * rate_hz)
    if source.seconds and len(samples) > expected:
        problems.append(Problem("long", f"{len(samples)} samples, {expected} expected"))
    record = ClipRecord(
        clip=clip,
        rate_hz=rate_hz,
        channels=decoded.channels,
        frames=len(samples),
        seconds=seconds,
        peak=peak,
        rms_dbfs=10 * math.log10(power) if power > 0 else None,
        zero_tail_s=tail / rate_hz,
        sha256=hashlib.sha256(b"%d:" % rate_hz + samples.tobytes()).hexdigest(),
        problems=tuple(problems),
    )
    return Examined(record, pcm)


def _compare(seen: Examined, first_with: dict[str, Clip]) -> Examined:
    """Add a problem to a clip if an earlier one, which is kept, had the same samples."""
    record = seen.record
    if record.sha256 is None or record.broken:
        return seen
    first = first_with.setdefault(record.sha256, record.clip)
    if first is record.clip:
        return seen
    apart = [
        f"{what} {mine!r} here, {theirs!r} there"
        for what, mine, theirs in (
            ("fold", record.clip.fold, first.fold),
            ("label", record.clip.label, first.label),
        )
        if mine != theirs
    ]
    reason = f"same audio as {first.clip_id}" + "".join(f", {text}" for text in apart)
    problem = Problem("leak" if apart else "duplicate", reason)
    record = replace(record, problems=(problem, *record.problems))
    return Examined(record, None if record.broken else seen.pcm)
