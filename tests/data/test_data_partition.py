"""Which clips train, choose and are reported: no clip twice, and no recording on two sides."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator.data import open_pack
from orchestrator.data.entry import prepare
from orchestrator.data.partition import partition
from orchestrator.errors import DataError
from orchestrator.metrics.targets import Targets
from tests import tiny


def experiment(selection="best", **changes):
    return tiny.experiment(selection=selection, **changes)


BASE = experiment()
OTHER_ARM = experiment(model__depths=(1, 1, 1, 2), selection_metric="val/loss")


@dataclass
class Listed:
    """Clips as lists, divided as a pack divides them."""

    targets: Targets
    folds: np.ndarray
    fold_names: dict[int, str]
    source_ids: tuple[str, ...]

    def split(self, fold):
        test = self.folds == fold
        train = self.folds == 0 if self.fold_names.get(0) == "train" else ~test
        return np.flatnonzero(train), np.flatnonzero(test)


def listed(folds, names, *, labels=None, recordings=None):
    folds = np.asarray(folds)
    return Listed(
        Targets.of([i % 2 for i in range(len(folds))] if labels is None else labels, num_classes=4),
        folds,
        names,
        tuple(recordings or map(str, range(len(folds)))),
    )


@pytest.fixture(scope="module")
def five_folds(tmp_path_factory):
    packs = str(tmp_path_factory.mktemp("packs"))
    arguments = {"num_classes": 3, "clips_per_class": 10, "num_folds": 5, "seconds": 0.25}
    info = prepare("synthetic", arguments, root=None, packs=packs)
    return open_pack(info.fingerprint, packs=packs)


@pytest.mark.parametrize(("reported", "chooses"), [(1, 2), (2, 3), (4, 5), (5, 1)])
def test_folds_rotate_as_esc_does(five_folds, reported, chooses):
    made = partition(five_folds, experiment(fold=reported))
    others = {1, 2, 3, 4, 5} - {reported, chooses}
    assert set(five_folds.folds[made.test]) == {reported}
    assert set(five_folds.folds[made.validation]) == {chooses}
    assert set(five_folds.folds[made.train]) == others
    assert len(made.train) + len(made.validation) + len(made.test) == len(five_folds)
    assert made.chosen_on == f"fold {chooses}"
    assert made.rule == "the fold after the reported one (f mod 5 + 1), trained on the other 3"


@pytest.mark.parametrize("selection", ["last", "best_on_test"])
def test_without_a_choice_all_of_the_rest_trains(five_folds, selection):
    made = partition(five_folds, experiment(selection, fold=2))
    train, test = five_folds.split(2)
    assert np.array_equal(made.train, train) and np.array_equal(made.test, test)
    assert not len(made.validation) and made.chosen_on == made.rule == ""


def test_official_validation_split_chooses_and_test_is_reported():
    clips = listed([0, 0, 0, 0, 1, 1, 2, 2], {0: "train", 1: "validation", 2: "test"})
    made = partition(clips, experiment(fold=2))
    parts = (made.train, made.validation, made.test)
    assert [part.tolist() for part in parts] == [[0, 1, 2, 3], [4, 5], [6, 7]]
    assert (made.chosen_on, made.rule) == ("validation", "the official validation split")


def test_reported_validation_split_does_not_choose():
    clips = listed([0] * 8 + [1] * 2, {0: "train", 1: "validation"})
    made = partition(clips, experiment(fold=1))
    assert made.test.tolist() == [8, 9] and len(made.validation) == 2
    assert set(made.validation) < set(range(8))


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), min_size=30, max_size=120),
    st.integers(0, 2**63 - 1),
)
def test_share_of_the_training_recordings_is_by_class_and_whole(rows, seed):
    # A recording has the class of its first clip, so that classes have several recordings each.
    first: dict[int, int] = {}
    labels = [first.setdefault(recording, label) for recording, label in rows]
    assume(len(first) > len(set(first.values())))
    names = [f"r{recording}" for recording, _ in rows]
    folds = [0] * len(rows) + [1] * 3
    clips = listed(
        folds,
        {0: "train", 1: "test"},
        labels=[*labels, 0, 1, 2],
        recordings=[*names, "a", "b", "c"],
    )
    made = partition(clips, BASE.at(fold=1, seed=seed))
    assert sorted([*made.train, *made.validation]) == list(range(len(rows)))
    assert made.test.tolist() == list(range(len(rows), len(rows) + 3))
    train, chosen = ({names[i] for i in part} for part in (made.train, made.validation))
    assert not train & chosen
    for label in set(labels):
        own = {n for n, other in zip(names, labels, strict=True) if other == label}
        held = [n for i, n in enumerate(names) if labels[i] == label and n in chosen]
        assert own & train
        if len(own) == 1:
            assert not held
            continue
        wanted = max(1, round(0.1 * labels.count(label)))
        largest = max(names.count(n) for n in own)
        assert len(held) < wanted + largest
        # Each recording but one may be needed to fill the share.
        assert len(held) >= wanted or len(own & train) == 1
    again = partition(clips, OTHER_ARM.at(fold=1, seed=seed))
    assert np.array_equal(again.validation, made.validation)


def test_share_differs_between_seeds_and_not_with_the_order_of_clips():
    clips = listed([0] * 60 + [1] * 2, {0: "train", 1: "test"})
    drawn = [partition(clips, experiment(fold=1, seed=seed)).validation for seed in range(4)]
    assert {len(one) for one in drawn} == {6}
    assert len({tuple(one) for one in drawn}) == 4
    order = np.arange(61, -1, -1)
    turned = dataclasses.replace(
        clips,
        targets=clips.targets.take(order),
        folds=clips.folds[order],
        source_ids=tuple(clips.source_ids[i] for i in order),
    )
    other = partition(turned, experiment(fold=1, seed=0)).validation
    assert {turned.source_ids[i] for i in other} == {clips.source_ids[i] for i in drawn[0]}


def test_two_folds_leave_a_share_of_the_other_one():
    clips = listed([1] * 20 + [2] * 20, {1: "1", 2: "2"})
    made = partition(clips, experiment(fold=1))
    assert made.test.tolist() == list(range(20)) and len(made.validation) == 2
    assert made.rule == "10 % of each class by recording, drawn by the seed"


def test_share_of_clips_with_several_classes_has_each_of_them():
    labels = [(0,) if i % 3 else (0, 1) for i in range(60)] + [(2, 0), (2,), (), (1,)]
    clips = listed([0] * 62 + [1] * 2, {0: "train", 1: "test"}, labels=labels)
    for seed in range(5):
        made = partition(clips, BASE.at(fold=1, seed=seed))
        counts, left = (clips.targets.take(p).counts() for p in (made.validation, made.train))
        assert counts[0] >= 6 and counts[1] >= 2 and counts[2] == left[2] == 1


def test_classes_of_one_recording_each_cannot_choose():
    clips = listed([0, 0, 0, 0, 1], {0: "train", 1: "test"}, recordings="abab" + "c")
    with pytest.raises(DataError, match=r"every class has one recording only.*selection='last'"):
        partition(clips, experiment(fold=1))
