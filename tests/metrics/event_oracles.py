"""Write `tests/fixtures/event_scores.json`: events, and what sed_eval and psds_eval make of them.

Neither library runs with this project's pandas and setuptools, so this runs in an environment of
its own, from the repository's root::

    uv run --no-project --with 'numpy<2' --with 'pandas<2.2' --with 'setuptools<70' \
        --with sed_eval==0.2.1 --with psds_eval==0.5.3 tests/metrics/event_oracles.py
"""

import json
import warnings
from pathlib import Path

import numpy as np

CLIP_S, NUM_CLASSES = 10.0, 4
COLUMNS = ("filename", "event_label", "onset", "offset")


def made(rng, *, clips, density, grid):
    """Events of random gaps and lengths, without overlaps in a class; rounded to a grid if any."""
    events = []
    for clip in range(clips):
        for label in range(NUM_CLASSES):
            at = 0.0
            while rng.random() < density:
                onset = at + rng.exponential(1.5)
                offset = onset + 0.1 + rng.exponential(1.0)
                if grid:
                    onset, offset = round(onset / grid) * grid, round(offset / grid) * grid
                if offset > CLIP_S or offset <= onset:
                    break
                events.append([clip, label, onset, offset])
                at = offset
    return events


def disturbed(rng, events, amount):
    """Detections near some of the events, without overlaps in a class."""
    kept, last = [], {}
    for clip, label, onset, offset in events:
        if rng.random() < 0.25:
            continue
        start = max(last.get((clip, label), 0.0), onset + rng.normal() * amount)
        end = min(CLIP_S, offset + rng.normal() * amount)
        if end > start:
            kept.append([clip, label, start, end])
            last[clip, label] = end
    return kept


def cases():
    rng = np.random.default_rng(0)
    for grid in (0.0, 0.1, 0.5):
        for clips in (1, 5, 12):
            reference = made(rng, clips=clips, density=0.7, grid=grid)
            points = [disturbed(rng, reference, amount) for amount in (0.05, 0.2, 0.6)]
            points.append(made(rng, clips=clips, density=0.6, grid=grid))
            yield f"random, {clips} clips, grid {grid}", clips, reference, points
    reference = made(rng, clips=6, density=0.7, grid=0.5)
    yield "perfect", 6, reference, [reference]
    yield "no detection", 6, reference, [[]]
    whole = [[c, k, 0.0, CLIP_S] for c in range(6) for k in range(NUM_CLASSES)]
    yield "everything in every clip", 6, reference, [whole]
    yield "a class undetected", 6, reference, [[e for e in reference if e[1]]]
    rare = [e for e in reference if e[1] > 1]
    yield "detections of classes without events", 6, rare, [reference]
    yield "background in most clips", 60, reference, [disturbed(rng, reference, 0.2)]
    half = [[0, 0, 1.0, 2.0], [0, 1, 4.0, 5.0]]
    yield "exactly half", 1, half, [[[0, 0, 1.5, 2.5], [0, 1, 4.0, 4.5]]]
    yield (
        "one detection over two events",
        1,
        [[0, 0, 1.0, 2.0], [0, 0, 2.5, 3.5], [0, 1, 5.0, 6.0]],
        [[[0, 0, 1.0, 3.5], [0, 1, 5.1, 5.5], [0, 1, 5.5, 6.2]]],
    )
    yield (
        "cross triggers",
        2,
        [[0, 0, 1.0, 3.0], [0, 1, 5.0, 7.0], [1, 2, 0.0, 9.0]],
        [[[0, 1, 1.0, 3.0], [0, 2, 5.0, 6.0], [1, 2, 0.0, 8.0], [1, 0, 2.0, 3.0]]],
    )


def table(events):
    import pandas as pd

    rows = [(f"{clip}.wav", f"c{label}", on, off) for clip, label, on, off in events]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.astype({"onset": float, "offset": float})


def psds_eval_scores(clips, reference, points):
    import pandas as pd
    from psds_eval import PSDSEval

    names = [f"{clip}.wav" for clip in range(clips)]
    meta = pd.DataFrame({"filename": names, "duration": [CLIP_S] * clips})
    truth = table(reference)
    settings = {"1": (0.7, 0.7, 0.0), "2": (0.1, 0.1, 0.5)}
    scores = {}
    plain = PSDSEval(0.5, 0.5, 0.3, ground_truth=truth, metadata=meta)
    scores["intersection"] = [float(plain.compute_macro_f_score(table(p))[0]) for p in points]
    for name, (dtc, gtc, cross) in settings.items():
        scored = PSDSEval(dtc, gtc, 0.3, ground_truth=truth, metadata=meta)
        for point in points:
            scored.add_operating_point(table(point))
        scores[f"psds{name}"] = float(scored.psds(cross, 1.0, 100.0).value)
    return scores


def sed_eval_scores(clips, reference, points):
    from sed_eval.sound_event import EventBasedMetrics, SegmentBasedMetrics

    labels = [f"c{label}" for label in range(NUM_CLASSES)]
    scores = {"collar": [], "segment": []}
    for point in points:
        by_event = EventBasedMetrics(labels, t_collar=0.2, percentage_of_length=0.2)
        by_segment = SegmentBasedMetrics(labels, time_resolution=1.0)
        for clip in range(clips):
            own, found = (
                [
                    {"filename": f"{clip}.wav", "event_label": f"c{k}", "onset": a, "offset": b}
                    for c, k, a, b in events
                    if c == clip
                ]
                for events in (reference, point)
            )
            if own or found:
                by_event.evaluate(own, found)
                by_segment.evaluate(own, found, evaluated_length_seconds=CLIP_S)
        for name, scored in (("collar", by_event), ("segment", by_segment)):
            mean = scored.results_class_wise_average_metrics()["f_measure"]["f_measure"]
            overall = scored.results_overall_metrics()["f_measure"]["f_measure"]
            scores[name].append([mean, overall])
    return scores


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    found = [
        {
            "name": name,
            "clips": clips,
            "reference": reference,
            "points": points,
            **psds_eval_scores(clips, reference, points),
            **sed_eval_scores(clips, reference, points),
        }
        for name, clips, reference, points in cases()
    ]
    path = Path(__file__).parents[1] / "fixtures" / "event_scores.json"
    path.write_text("\n".join(["[", ",\n".join(map(json.dumps, found)), "]", ""]))
