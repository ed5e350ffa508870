"""Make a sweep's pictures: the same clips for every arm, from one block's checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import CheckpointError
from orchestrator.metrics import TargetKind
from orchestrator.predict.figures.shelf import CLIP, Picture, are_there, read_pictures, write_index
from orchestrator.records import PlanRecord, Status, TrialKey, TrialRecord, epoch_of

if TYPE_CHECKING:
    import numpy as np

    from models.chain import Chain
    from orchestrator.data.pack import Pack
    from orchestrator.store import Store

NUM_CLIPS = 3
MAX_ARMS = 4
CAPTIONS = {
    "input": "Before and after the input transform, in the model's units, and what it adds, on a "
    "scale of its own.",
    "keys": "Where the deformable blocks sample their keys (points, one color per group) and how "
    "far each was moved (lines from the reference point); keys may leave the picture.",
    "events": "Probability of the classes that are likeliest at some time, from the frame outputs.",
}


def make_pictures(
    plan: PlanRecord,
    records: Mapping[str, TrialRecord],
    store: Store,
    folder: Path,
    *,
    clips: Mapping[str, str] | None = None,
) -> tuple[Picture, ...]:
    """Make the pictures that the sweep's trials allow, unless the folder already holds them.

    They show the first block in which every chosen arm is finished and its checkpoint is whole: the
    baseline and the arms of the contrasts and effects, in this order, at most `MAX_ARMS`. The clips
    are the first held-out clips of `NUM_CLIPS` classes spread over all classes.

    Args:
        plan: Plan of the sweep.
        records: Trial id -> record.
        store: Store that holds the checkpoints and the pack.
        folder: Folder for the pictures and their list.
        clips: Clips to draw one by one: Trial id -> caption.

    Returns:
        All pictures in the folder's list; empty if no trial is finished.

    Raises:
        CheckpointError: Every such block has a damaged checkpoint.
    """
    from orchestrator.data import open_pack

    damaged = None
    for trials in _blocks(plan, records):
        ids = [trial.id for trial in trials]
        if are_there(folder, ids, clips or {}):
            return read_pictures(folder)
        try:
            chains = [_load(records[t.id], plan.selection_of(t.arm), store) for t in trials]
            break
        except CheckpointError as error:
            damaged = damaged or error
    else:
        if damaged is not None:
            raise damaged
        return read_pictures(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made: list[Picture] = []
    alone: list[Picture] = []
    for trial, chain in zip(trials, chains, strict=True):
        pack = open_pack(str(records[trial.id].data["fingerprint"]), packs=store.packs_uri)
        # Frames of a custom front end have no known time.
        frame_s = chain.front.hop_length / pack.sample_rate if chain else 0.0
        if chain is not None and frame_s:
            made += _of_trial(trial, chain, pack, frame_s, folder)
            if trial is trials[0]:
                alone = _of_clips(trial, chain, pack, frame_s, folder, clips or {})
    made += alone
    write_index(folder, ids, clips or {}, made)
    return tuple(made)


def _blocks(plan: PlanRecord, records: Mapping[str, TrialRecord]) -> list[list[TrialKey]]:
    names = [plan.baseline, *(name for c in plan.contrasts for name in (c.arm, c.reference))]
    names += [name for effect in plan.effects for name in effect.weights]
    arms = list(dict.fromkeys(names))[:MAX_ARMS]
    blocks: dict[tuple[int, int], dict[str, TrialKey]] = {}
    for trial in plan.trials:
        record = records.get(trial.id)
        if trial.arm in arms and record is not None and record.status is Status.FINISHED:
            blocks.setdefault((trial.seed, trial.fold), {})[trial.arm] = trial
    whole = (block for block in blocks.values() if len(block) == len(arms))
    return [[block[arm] for arm in arms] for block in whole]


def _of_trial(
    trial: TrialKey, chain: Chain, pack: Pack, frame_s: float, folder: Path
) -> list[Picture]:
    from models.introspection import event_map, input_change, moved_keys
    from orchestrator.predict.figures import draw

    clips = _clips(pack, trial.fold)
    waveform = pack.batch(clips, int(pack.num_samples.max()))
    change = input_change(chain, waveform)
    features = change.after[:, 0].float().numpy()
    shown = draw.Shown(
        titles=tuple(f"{_class_text(pack, i)} ({pack.clip_ids[i]})" for i in clips),
        frame_s=frame_s,
        seconds=float(pack.num_samples.max()) / pack.sample_rate,
        class_names=pack.class_names,
        rows_hz=_rows_hz(chain, pack),
    )
    found: list[Picture] = []

    def add(kind: str) -> Path:
        name = f"{kind}-{_slug(trial.arm)}-{trial.id}.png"
        found.append(
            Picture(
                kind=kind,
                arm=trial.arm,
                trial=trial.id,
                clips=tuple(str(pack.clip_ids[i]) for i in clips),
                caption=CAPTIONS[kind],
                file=name,
            )
        )
        return folder / name

    if bool((change.after != change.before).any()):
        draw.draw_input(change, shown, add("input"))
    if blocks := moved_keys(chain, waveform):
        draw.draw_keys(blocks[-2:], features, shown, add("keys"))
    single = pack.targets.kind is TargetKind.SINGLE_LABEL
    if (events := event_map(chain, waveform, single_label=single)) is not None:
        draw.draw_events(events.numpy(), features, shown, add("events"))
    return found


def _of_clips(
    trial: TrialKey,
    chain: Chain,
    pack: Pack,
    frame_s: float,
    folder: Path,
    clips: Mapping[str, str],
) -> list[Picture]:
    """Draw clips one by one, as a trial's front end passes them to its model."""
    from models.introspection import input_change
    from orchestrator.predict.figures import draw

    places = {clip: index for index, clip in enumerate(pack.clip_ids)}
    if not clips.keys() <= places.keys():
        return []
    made = []
    for number, (clip, caption) in enumerate(clips.items()):
        index = places[clip]
        waveform = pack.batch([index], int(pack.num_samples.max()))
        shown = draw.Shown(
            titles=("",),
            frame_s=frame_s,
            seconds=float(pack.num_samples[index]) / pack.sample_rate,
            class_names=pack.class_names,
            rows_hz=_rows_hz(chain, pack),
        )
        name = f"{CLIP}-{number}-{_slug(clip)}.png"
        features = input_change(chain, waveform).before[0, 0].float().numpy()
        draw.draw_clip(features, shown, folder / name)
        made.append(
            Picture(
                kind=CLIP, arm=trial.arm, trial=trial.id, clips=(clip,), caption=caption, file=name
            )
        )
    return made


def _load(record: TrialRecord, selection: str, store: Store) -> Chain | None:
    from orchestrator.predict.loading import load_model

    which = epoch_of(selection)
    if f"{which}.json" not in store.checkpoint_files(record.id):
        return None
    return load_model(store, record.id, which=which)


def _rows_hz(chain: Chain, pack: Pack) -> tuple[float, ...]:
    """Return the frequency of each row of a chain's features; empty if unknown."""
    from models.frontends.base import AudioFrontend

    frontend = chain.frontend
    if not isinstance(frontend, AudioFrontend) or (hertz := frontend.rows_hz()) is None:
        return ()
    # A front end may call the pack's rate by another, to fill a number of frames.
    return tuple((hertz * (pack.sample_rate / frontend.sample_rate)).tolist())


def _clips(pack: Any, fold: int) -> np.ndarray:
    import numpy as np

    _, held_out = pack.split(fold)
    there = pack.targets.take(held_out).multi_hot()
    classes = np.flatnonzero(there.any(axis=0))
    spread = np.unique(np.linspace(0, len(classes) - 1, NUM_CLIPS).round().astype(int))
    chosen = [held_out[np.flatnonzero(there[:, classes[i]])[0]] for i in spread]
    return np.array(list(dict.fromkeys(chosen)))  # one clip may have several of the classes


def _class_text(pack: Pack, clip: int) -> str:
    import numpy as np

    (there,) = pack.targets.take([clip]).multi_hot()
    return ", ".join(pack.class_names[label] for label in np.flatnonzero(there)) or "background"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]
