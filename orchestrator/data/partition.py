"""Which clips of a pack train, which choose the epoch, and which are reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from orchestrator.data.layouts.rows import TEST, TRAIN, VALIDATION
from orchestrator.data.samplers import epoch_order
from orchestrator.data.source import Source
from orchestrator.errors import DataError, unknown
from orchestrator.experiment.config import Experiment
from orchestrator.metrics.targets import Targets

SHARE = 0.1
"""Share of each class's training clips that choose where the data set holds out none for it."""


DRAWN = "some of the training recordings"
"""Name of validation clips that the seed draws from those to train on."""


class Divided(Protocol):
    """The part of a pack that says what its clips are for; see `orchestrator.data.pack.Pack`."""

    targets: Targets
    folds: np.ndarray
    fold_names: dict[int, str]

    @property
    def source_ids(self) -> Sequence[str]:
        """The recording that each clip was cut from."""
        ...

    def split(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of the clips to train on and of those to hold out."""
        ...


@dataclass(kw_only=True)
class ListedClips:
    """The clips of a dataset's list, divided as the pack that it becomes; see `Divided`."""

    targets: Targets
    folds: np.ndarray
    fold_names: dict[int, str]
    source_ids: Sequence[str]

    @classmethod
    def of(cls, source: Source) -> ListedClips:
        """Return what a source lists."""
        clips = source.clips
        return cls(
            targets=Targets.of(
                [clip.label for clip in clips],
                num_classes=len(source.class_names),
                heads=source.heads,
            ),
            folds=np.array([clip.fold for clip in clips], np.int64),
            fold_names=dict(source.fold_names),
            source_ids=[clip.source_id for clip in clips],
        )

    def split(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Divide the clips into those of a fold and the rest; see `split_folds`."""
        return split_folds(self.folds, self.fold_names, fold)


@dataclass(frozen=True, kw_only=True)
class Partition:
    """The clips of an experiment by purpose; no clip has two.

    Attributes:
        train: (training clips,) int64 positions in the pack.
        validation: (validation clips,) positions of those that choose the epoch; empty unless the
            experiment's selection is `best_on_validation`.
        test: (test clips,) positions of those that are reported.
        reported: Name of the test clips, for example `fold 1`.
        chosen_on: Name of the validation clips, for example `fold 2`; empty without any.
        rule: How they were taken, in words.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    reported: str
    chosen_on: str = ""
    rule: str = ""

    def __str__(self) -> str:
        choose = ""
        if len(self.validation):
            choose = f"{len(self.validation)} choose the epoch ({self.chosen_on}: {self.rule}), "
        return (
            f"{len(self.train)} clips train, {choose}{len(self.test)} are reported "
            f"({self.reported})"
        )


def split_folds(
    folds: np.ndarray, fold_names: Mapping[int, str], fold: int | str
) -> tuple[np.ndarray, np.ndarray]:
    """Divide clips into those to train on and those to hold out.

    Args:
        folds: (clips,) fold numbers.
        fold_names: Fold number -> name.
        fold: Number or name of the fold to hold out.

    Returns:
        (train,) and (held out,) int64 positions. Training takes all other folds, or only the one
        named "train" if the dataset has an official split.

    Raises:
        DataError: There is no such fold, or it is the whole dataset.
    """
    found = [number for number, name in fold_names.items() if fold in (number, name)]
    if not found:
        raise DataError(unknown("fold", fold, fold_names.values()))
    if fold_names[found[0]] == TRAIN:
        raise DataError(
            f"fold {TRAIN!r} is what is trained on; hold out one of "
            + ", ".join(name for name in fold_names.values() if name != TRAIN)
        )
    held_out = folds == found[0]
    official = [number for number, name in fold_names.items() if name == TRAIN]
    train = folds == official[0] if official else ~held_out
    if not train.any():
        raise DataError("the data set has one fold only: nothing to train on")
    return np.flatnonzero(train), np.flatnonzero(held_out)


def held_out_folds(fold_names: Mapping[int, str]) -> list[int]:
    """Return the folds that are reported in turn where all are asked for.

    They are all but the training split, and but the validation split where there is one to test on.
    """
    names = set(fold_names.values())
    kept_back = {TRAIN, VALIDATION} if TEST in names else {TRAIN}
    return [number for number, name in fold_names.items() if name not in kept_back]


def partition(clips: Divided, experiment: Experiment) -> Partition:
    """Divide a pack's clips for an experiment.

    With the selection `best_on_validation`, the validation clips are the split named "validation",
    unless that one is reported. Of three or more folds, they are the fold after the reported one
    (f mod k + 1, the rotation of ESC-50), and the other k - 2 train. Otherwise they are `SHARE` of
    the training recordings, drawn by the experiment's seed, hence the same for all arms of a block.

    Args:
        clips: The pack.
        experiment: Experiment whose `fold` is reported.

    Raises:
        DataError: There is no such fold, or no recording can be spared to choose by.
    """
    rest, test = clips.split(experiment.fold)
    reported = _named(clips.fold_names[experiment.fold])
    if experiment.selection not in ("best", "best_on_validation"):
        return Partition(train=rest, validation=np.empty(0, np.int64), test=test, reported=reported)
    place, rule = _official(clips.fold_names, experiment.fold)
    if place is not None:
        mask = clips.folds == place
        chosen_on = _named(clips.fold_names[place])
        validation = np.flatnonzero(mask)
    else:
        mask = np.zeros(len(clips.folds), bool)
        mask[rest] = _share(clips, rest, seed=experiment.seed)
        validation = np.flatnonzero(mask)
        chosen_on = DRAWN
        rule = f"{100 * SHARE:g} % of each class by recording, drawn by the seed"
        if not len(validation):
            raise DataError(
                "no validation clips can be taken from the training clips: every class has one "
                "recording only. Give the data set a split named validation, or take the last "
                "epoch: selection='last'"
            )
    return Partition(
        train=rest[~mask[rest]],
        validation=validation,
        test=test,
        reported=reported,
        chosen_on=chosen_on,
        rule=rule,
    )


def _named(fold_name: str) -> str:
    return f"the {fold_name} split" if fold_name in (VALIDATION, TEST) else f"fold {fold_name}"


def _official(fold_names: Mapping[int, str], fold: int) -> tuple[int | None, str]:
    """Return the fold that the data set holds out to choose by, and the rule; None without one."""
    for number, name in fold_names.items():
        if name == VALIDATION and number != fold:
            return number, "as the data set divides its clips"
    numbers = sorted(fold_names)
    if TRAIN in fold_names.values() or len(numbers) < 3:
        return None, ""
    k = len(numbers)
    rule = f"the fold after the reported one (f mod {k} + 1), trained on the other {k - 2}"
    return numbers[(numbers.index(fold) + 1) % k], rule


def _share(clips: Divided, indices: np.ndarray, *, seed: int) -> np.ndarray:
    """Take whole recordings until every class has its share.

    A class keeps a recording to train on, so one that has a single recording gives none. Of clips
    with any number of classes, a recording is taken for the one that lacks it.

    Args:
        clips: The pack.
        indices: (training clips,) positions.
        seed: Seed of the order in which recordings are asked.

    Returns:
        (training clips,) whether a clip is taken.
    """
    names, recording = np.unique([clips.source_ids[i] for i in indices], return_inverse=True)
    of: list[Counter[int]] = [Counter() for _ in names]
    targets = clips.targets.take(indices)
    entries = np.repeat(recording, np.diff(targets.starts))
    for place, label in zip(entries.tolist(), targets.classes.tolist(), strict=True):
        of[place][label] += 1
    total: Counter[int] = Counter()
    left: Counter[int] = Counter()
    for counts in of:
        total.update(counts)
        left.update(counts.keys())
    lacking = {
        label: max(1, round(SHARE * count)) for label, count in total.items() if left[label] > 1
    }
    taken = np.zeros(len(names), bool)
    for place in epoch_order(len(names), seed=seed, epoch=0).tolist():
        counts = of[place]
        if not lacking:
            break
        if lacking.keys() & counts.keys() and all(left[label] > 1 for label in counts):
            taken[place] = True
            left.subtract(counts.keys())
            for label in lacking.keys() & counts.keys():
                lacking[label] -= counts[label]
                if lacking[label] <= 0:
                    del lacking[label]
    return taken[recording]
