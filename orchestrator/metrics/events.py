"""Scores of detected sound events against reference events, in numpy.

The definitions are those of sed_eval 0.2.1 and psds_eval 0.5.3, written anew here because neither
runs beside this project's packages: sed_eval needs `pkg_resources`, which setuptools dropped, and
psds_eval calls what pandas 3 lacks. `tests/metrics/event_oracles.py` compares with both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Events = NDArray[np.float64]
"""(events, 4): clip, class, onset in seconds, offset in seconds, after the onset."""

LeftOut = Literal["", "undetected", "unmatched"]
"""Classes that a mean leaves out although they have reference events: none; those without any
detection, as sed_eval does; or those without a true positive, as psds_eval does."""

NUM_THRESHOLDS = 50
"""Operating points of PSDS in DCASE 2021 to 2023, task 4."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Counts:
    """Events, or segments, of every class.

    Attributes:
        references: (classes,) number of reference events.
        detections: (classes,) number of detections that count as right or wrong.
        hits: (classes,) number of reference events that were found.
    """

    references: NDArray[np.int64]
    detections: NDArray[np.int64]
    hits: NDArray[np.int64]

    def f1(self) -> NDArray[np.float64]:
        """Return (classes,) F1, 2 TP / (2 TP + FP + FN); NaN without a reference event."""
        total = self.references + self.detections
        value = 2 * self.hits / np.maximum(total, 1)
        return np.where(self.references > 0, value, np.nan)

    def macro_f1(self, *, leave_out: LeftOut = "") -> float:
        """Return the mean F1 over the classes with reference events; NaN without one.

        Args:
            leave_out: Classes that are left out, too, which raises the mean: a quirk of published
                numbers.
        """
        values = self.f1()
        if leave_out == "undetected":
            values = values[self.detections > 0]
        elif leave_out == "unmatched":
            values = values[self.hits > 0]
        values = values[~np.isnan(values)]
        return float(values.mean()) if len(values) else float("nan")

    def micro_f1(self) -> float:
        """Return F1 over the events of all classes together; NaN without a reference event."""
        if not self.references.sum():
            return float("nan")
        return float(2 * self.hits.sum() / (self.references.sum() + self.detections.sum()))


def detect(
    scores: NDArray[np.floating[Any]],
    *,
    row_s: float,
    threshold: float | Sequence[float] = 0.5,
    median_rows: int = 1,
    gap_s: float = 0.0,
    clip_s: NDArray[np.float64] | None = None,
) -> Events:
    """Return the events that scores over time say.

    A class is active in a row whose score is above its threshold; NaN is not. A median filter then
    turns the state of a row to that of most of the rows around it (mirrored at both ends, as in the
    baseline of DCASE's task 4). A run of active rows is an event, from the start of its first to
    the end of its last; runs that are at most `gap_s` apart are one. The end of a clip ends an
    event.

    Args:
        scores: Probabilities (clips, rows, classes).
        row_s: Length of a row in seconds; the first starts with the clip.
        threshold: One for all classes, or one per class. The published ones of HTS-AT and PANNs on
            DESED differ by class and look tuned on the test clips.
        median_rows: Length of the median filter, odd; 1 filters nothing.
        gap_s: Longest gap in seconds that is closed.
        clip_s: (clips,) lengths in seconds; what lies beyond is cut.

    Raises:
        ValueError: `median_rows` is even, or thresholds do not fit the classes.
    """
    clips, rows, classes = scores.shape
    limits = np.asarray(threshold, np.float64)
    if limits.shape not in ((), (classes,)):
        raise ValueError(f"{limits.size} thresholds do not fit {classes} classes; give one or each")
    if median_rows < 1 or median_rows % 2 == 0:
        raise ValueError(f"a median filter of {median_rows} rows has no middle; give an odd number")
    active = np.swapaxes(scores > limits, 1, 2).astype(np.int8)
    if median_rows > 1:
        # Imported here, since it takes 0.1 s.
        from scipy.ndimage import median_filter  # pyright: ignore

        active: NDArray[np.int8] = median_filter(  # pyright: ignore
            active, size=(1, 1, median_rows)
        )
    edges = np.zeros((clips, classes, rows + 1), np.int8)
    edges[:, :, :rows] = active
    edges[:, :, 1:] -= active
    clip, label, first = np.nonzero(edges > 0)
    end = np.nonzero(edges < 0)[2]
    onset, offset = first * row_s, end * row_s
    same = (clip[1:] == clip[:-1]) & (label[1:] == label[:-1])
    near = same & (onset[1:] - offset[:-1] <= gap_s + 1e-9 * row_s)
    starts, ends = np.append(True, ~near)[: len(clip)], np.append(~near, True)[: len(clip)]
    events = np.stack([clip[starts], label[starts], onset[starts], offset[ends]], axis=1)
    if clip_s is not None:
        events[:, 3] = np.minimum(events[:, 3], clip_s[events[:, 0].astype(int)])
        events = events[events[:, 2] < events[:, 3]]
    return events.astype(np.float64)


def median_filtered(
    scores: NDArray[np.floating[Any]], median_rows: Sequence[int]
) -> NDArray[np.float32]:
    """Return scores over time after a median filter of each class, mirrored at both ends.

    A threshold then gives what `detect` makes of the unfiltered scores with that filter, whatever
    the threshold. NaN counts as the lowest score.

    Args:
        scores: Scores (clips, rows, classes).
        median_rows: (classes,) lengths of the filters, odd; 1 filters nothing.
    """
    from scipy.ndimage import median_filter  # pyright: ignore

    filtered = np.where(np.isnan(scores), -np.inf, scores).astype(np.float32)
    lengths = np.asarray(median_rows)
    for length in np.unique(lengths[lengths > 1]).tolist():
        own, half = lengths == length, length // 2
        # All in one line, mirrored on either side: scipy filters one dimension 10 times as fast.
        padded = np.pad(filtered[:, :, own], ((0, 0), (half, half), (0, 0)), mode="symmetric")
        lines = np.ascontiguousarray(padded.transpose(0, 2, 1))
        flat: NDArray[np.float32] = np.asarray(
            median_filter(lines.reshape(-1), size=length),  # pyright: ignore
            np.float32,
        )
        inner = flat.reshape(lines.shape)[:, :, half : half + filtered.shape[1]]
        filtered[:, :, own] = inner.transpose(0, 2, 1)
    return filtered


def without_overlaps(events: Events) -> Events:
    """Return events in which those of one class that overlap in a clip are one."""
    merged: list[list[float]] = []
    order = np.lexsort((events[:, 2], events[:, 1], events[:, 0]))
    for clip, label, onset, offset in events[order].tolist():
        if merged and merged[-1][:2] == [clip, label] and onset < merged[-1][3]:
            merged[-1][3] = max(merged[-1][3], offset)
        else:
            merged.append([clip, label, onset, offset])
    return np.array(merged, np.float64).reshape(-1, 4)


def collar_counts(
    reference: Events,
    detected: Events,
    *,
    num_classes: int,
    collar_s: float = 0.2,
    offset_share: float = 0.2,
) -> Counts:
    """Match events by their onsets and offsets.

    A detection may match a reference event of its clip and class if the onsets are at most
    `collar_s` apart, and the offsets at most the larger of `collar_s` and `offset_share` of the
    reference event's length. As many pairs are made as possible, each event in one at most.

    Args:
        reference: Reference events.
        detected: Detected events.
        num_classes: Number of classes.
        collar_s: Tolerance in seconds.
        offset_share: Tolerance of the offset as a share; sed_eval's own default is 0.5, DCASE takes
            0.2.

    Source: sed_eval's `EventBasedMetrics` (doi 10.3390/app6060162).
    """
    from scipy.sparse import csr_array  # pyright: ignore
    from scipy.sparse.csgraph import maximum_bipartite_matching  # pyright: ignore

    one, other = reference[:, None], detected[None]
    tolerance = np.maximum(collar_s, offset_share * (one[..., 3] - one[..., 2]))
    hits = np.zeros(num_classes, np.int64)
    for own, found in _groups(reference, detected):
        near = np.abs(one[own, 0, 2][:, None] - other[0, found, 2]) <= collar_s
        ends = np.abs(one[own, 0, 3][:, None] - other[0, found, 3])
        near &= ends <= tolerance[own]
        if near.any():
            matched: NDArray[np.int32] = np.asarray(
                maximum_bipartite_matching(csr_array(near), perm_type="column"), np.int32
            )
            hits[int(reference[own[0], 1])] += int((matched >= 0).sum())
    return Counts(
        references=_per_class(reference, num_classes),
        detections=_per_class(detected, num_classes),
        hits=hits,
    )


def segment_counts(
    reference: Events, detected: Events, *, num_classes: int, segment_s: float = 1.0
) -> Counts:
    """Compare which classes sound in segments of equal length.

    A class sounds in every segment that an event of it touches: the onset is rounded down and the
    offset up.

    Args:
        reference: Reference events.
        detected: Detected events.
        num_classes: Number of classes.
        segment_s: Length of a segment in seconds.

    Source: sed_eval's `SegmentBasedMetrics`.
    """
    own, found = (_segments(events, segment_s) for events in (reference, detected))
    both = own & found
    return Counts(
        references=_class_counts(own, num_classes),
        detections=_class_counts(found, num_classes),
        hits=_class_counts(both, num_classes),
    )


def intersection_counts(
    reference: Events, detected: Events, *, num_classes: int, dtc: float = 0.5, gtc: float = 0.5
) -> Counts:
    """Match events by the share of their lengths that overlaps.

    A detection is valid if reference events of its clip and class cover `dtc` of its length at
    least. A reference event is found if valid detections cover `gtc` of its length. Detections
    that are not valid are false positives; valid ones that find nothing are neither.

    Args:
        reference: Reference events; those of one class in a clip do not overlap.
        detected: Detected events; likewise.
        num_classes: Number of classes.
        dtc: Detection tolerance criterion.
        gtc: Ground truth intersection criterion.

    Raises:
        ValueError: Events of one class in a clip overlap.

    Source: psds_eval's `compute_macro_f_score` (arXiv 1910.08440).
    """
    hits, false, _ = _intersections(reference, detected, num_classes, dtc=dtc, gtc=gtc, cttc=None)
    return Counts(references=_per_class(reference, num_classes), detections=hits + false, hits=hits)


@dataclass(frozen=True, kw_only=True)
class Psds:
    """The settings of a polyphonic sound detection score.

    Attributes:
        dtc: Detection tolerance criterion.
        gtc: Ground truth intersection criterion.
        cttc: Cross-trigger tolerance criterion.
        cross_trigger_weight: Weight of cross triggers in the false positive rate.
        instability_weight: Weight of the standard deviation over classes.
        max_rate: Largest false positive rate per hour.
    """

    dtc: float
    gtc: float
    cttc: float = 0.3
    cross_trigger_weight: float = 0.0
    instability_weight: float = 1.0
    max_rate: float = 100.0


SCENARIO_1 = Psds(dtc=0.7, gtc=0.7)
"""DCASE 2021 to 2023, task 4: react fast, so localization counts."""

SCENARIO_2 = Psds(dtc=0.1, gtc=0.1, cross_trigger_weight=0.5)
"""DCASE 2021 to 2023, task 4: tell classes apart, so cross triggers count."""


def thresholds(count: int = NUM_THRESHOLDS) -> NDArray[np.float64]:
    """Return the thresholds of the operating points: the middles of equal parts of 0 to 1."""
    return (np.arange(count) + 0.5) / count


def psds(
    reference: Events,
    operating_points: Iterable[Events],
    *,
    num_classes: int,
    total_s: float,
    settings: Psds,
) -> float:
    """Return the polyphonic sound detection score, from 0 to 1; NaN without reference events.

    Every operating point gives each class a true positive rate and an effective false positive
    rate per hour: false positives, and weighted cross triggers, which are false positives that
    other classes' events cover to `cttc`, per hour of each such class. The score is the area up to
    `max_rate` under the stepwise curve of the mean true positive rate over classes, less the
    weighted standard deviation. Classes without reference events are left out.

    Args:
        reference: Reference events; those of one class in a clip do not overlap.
        operating_points: Detected events at each threshold.
        num_classes: Number of classes.
        total_s: Length of all clips together in seconds.
        settings: `SCENARIO_1`, `SCENARIO_2` or others.

    Raises:
        ValueError: Events of one class in a clip overlap.

    Source: psds_eval's `psds` (arXiv 1910.08440).
    """
    references = _per_class(reference, num_classes)
    kept = np.flatnonzero(references)
    if not len(kept):
        return float("nan")
    class_s = np.bincount(
        reference[:, 1].astype(int), reference[:, 3] - reference[:, 2], minlength=num_classes
    )
    rates, shares = [np.zeros(len(kept))], [np.zeros(len(kept))]
    for detected in operating_points:
        hits, false, crossed = _intersections(
            reference,
            detected[np.isin(detected[:, 1], kept)],
            num_classes,
            dtc=settings.dtc,
            gtc=settings.gtc,
            cttc=settings.cttc,
        )
        rate = false[kept] * 3600 / total_s
        if len(kept) > 1:
            per_hour = crossed[np.ix_(kept, kept)] * 3600 / class_s[kept]
            rate = rate + settings.cross_trigger_weight * per_hour.sum(axis=1) / (len(kept) - 1)
        rates.append(rate)
        shares.append(hits[kept] / references[kept])
    return _area(np.stack(rates), np.stack(shares), settings)


def _area(rates: NDArray[np.float64], shares: NDArray[np.float64], settings: Psds) -> float:
    """Return the normalized area under the curve of (points, classes) rates."""
    limit = settings.max_rate
    x = np.unique(np.append(rates, limit))
    x = x[x <= limit]
    curves = np.empty((rates.shape[1], len(x)))
    for own in range(rates.shape[1]):
        order = np.argsort(rates[:, own], kind="stable")
        best = np.maximum.accumulate(shares[order, own])
        curves[own] = best[np.searchsorted(rates[order, own], x, side="right") - 1]
    y = curves.mean(axis=0) - settings.instability_weight * curves.std(axis=0)
    return float((np.diff(x) * np.maximum(y, 0)[:-1]).sum() / limit)


def _intersections(
    reference: Events,
    detected: Events,
    num_classes: int,
    *,
    dtc: float,
    gtc: float,
    cttc: float | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return hits and false positives per class, and (classes, classes) cross triggers."""
    _refuse_overlaps(reference)
    _refuse_overlaps(detected)
    hits, false = np.zeros(num_classes, np.int64), np.zeros(num_classes, np.int64)
    crossed = np.zeros((num_classes, num_classes), np.int64)
    for own, found in _clips(reference, detected):
        one, other = reference[own], detected[found]
        overlap = np.minimum(one[:, None, 3], other[:, 3]) - np.maximum(
            one[:, None, 2], other[:, 2]
        )
        overlap = np.maximum(overlap, 0.0)
        length, lengths = one[:, 3] - one[:, 2], other[:, 3] - other[:, 2]
        same = one[:, None, 1] == other[:, 1]
        precision = overlap / lengths
        covered = np.where(same, precision, 0.0).sum(axis=0)
        valid = (covered >= dtc) & (same & (overlap > 0)).any(axis=0)
        counted = same & valid & (overlap > 0)
        coverage = np.where(counted, overlap / length[:, None], 0.0).sum(axis=1)
        is_hit = (coverage >= gtc) & counted.any(axis=1)
        np.add.at(hits, one[is_hit, 1].astype(int), 1)
        np.add.at(false, other[~valid, 1].astype(int), 1)
        if cttc is None:
            continue
        for label in np.unique(one[:, 1]):
            share = precision[one[:, 1] == label].sum(axis=0)
            wrong = ~valid & (share >= cttc) & (share > 0) & (other[:, 1] != label)
            np.add.at(crossed, (other[wrong, 1].astype(int), int(label)), 1)
    return hits, false, crossed


def _refuse_overlaps(events: Events) -> None:
    order = np.lexsort((events[:, 2], events[:, 1], events[:, 0]))
    ranked = events[order]
    same = (ranked[1:, :2] == ranked[:-1, :2]).all(axis=1)
    overlaps = same & (ranked[1:, 2] < ranked[:-1, 3])
    if overlaps.any():
        clip, label, onset, _ = ranked[1:][overlaps][0]
        raise ValueError(
            f"two events of class {label:.0f} in clip {clip:.0f} overlap at {onset:g} s; scores by "
            "intersection are not defined for them, so merge them (see without_overlaps)"
        )


def _clips(
    reference: Events, detected: Events
) -> Iterable[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield the positions of the events of every clip that has detections."""
    own, found = _by_key(reference[:, 0]), _by_key(detected[:, 0])
    none = np.zeros(0, np.intp)
    return [(own.get(clip, none), events) for clip, events in found.items()]


def _groups(
    reference: Events, detected: Events
) -> Iterable[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield the positions of the events of every clip and class that has both."""
    size = 1 + max((float(e[:, 1].max()) for e in (reference, detected) if len(e)), default=0.0)
    own = _by_key(reference[:, 0] * size + reference[:, 1])
    found = _by_key(detected[:, 0] * size + detected[:, 1])
    return [(own[key], found[key]) for key in own.keys() & found.keys()]


def _by_key(keys: NDArray[np.float64]) -> dict[float, NDArray[np.intp]]:
    order = np.argsort(keys, kind="stable")
    values, starts = np.unique(keys[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, starts[1:]), strict=False))


def _per_class(events: Events, num_classes: int) -> NDArray[np.int64]:
    return np.bincount(events[:, 1].astype(int), minlength=num_classes).astype(np.int64)


def _segments(events: Events, segment_s: float) -> set[tuple[int, int, int]]:
    """Return (clip, class, segment) of all segments in which a class sounds."""
    first = np.floor(events[:, 2] / segment_s).astype(int)
    end = np.ceil(events[:, 3] / segment_s).astype(int)
    rows = zip(*(a.astype(int).tolist() for a in (*events[:, :2].T, first, end)), strict=True)
    return {(clip, label, at) for clip, label, start, stop in rows for at in range(start, stop)}


def _class_counts(segments: set[tuple[int, int, int]], num_classes: int) -> NDArray[np.int64]:
    labels = np.array([label for _, label, _ in segments], np.int64)
    return np.bincount(labels, minlength=num_classes).astype(np.int64)
