"""A checkpoint gives the stored predictions again, or is said not to."""

import json
import shutil

import pytest

from orchestrator.predict import scored_again
from orchestrator.store import Store
from orchestrator.store.__main__ import main as store_main
from tests.predict.conftest import CLIPS, FRAMES, TRIALS


@pytest.fixture
def copied(store, tmp_path) -> Store:
    shutil.copytree(store.uri, tmp_path / "store")
    return Store.open(tmp_path / "store")


def spoil(store: Store, trial: str) -> None:
    """Write weights that the trial did not score, in a file that is whole."""
    tensors, facts = store.load_checkpoint(trial, "best")
    name = next(name for name, value in tensors.items() if name.endswith("head.weight"))
    store.save_checkpoint(trial, "best", {**tensors, name: tensors[name] * 1.1}, facts)


def test_every_checkpoint_is_scored_again_and_the_record_says_so(copied, capsys):
    spoil(copied, FRAMES.id)
    shutil.rmtree(copied.local_path / "trials" / TRIALS[1].id / "checkpoints")
    ids = [trial.id for trial in TRIALS]
    assert scored_again.main(["--store", copied.uri, *ids]) == 0
    clips, without, frames = map(json.loads, capsys.readouterr().out.splitlines())
    assert clips == {"trial": CLIPS.id, "difference": "0.0"}
    assert without == {"trial": ids[1], "left_out": "it has no checkpoint"}
    assert "gives other logits than its stored predictions, by last 0, best 0." in frames["mistake"]
    note = copied.read_record(CLIPS.id).provenance[scored_again.SCORED_AGAIN]
    assert note.endswith("largest difference last 0, best 0")
    assert scored_again.SCORED_AGAIN not in copied.read_record(ids[1]).provenance


@pytest.mark.slow
def test_verify_scores_again_in_a_process_of_its_own(copied, capsys):
    spoil(copied, CLIPS.id)
    assert store_main(["verify", "--scores", "tiny", "--store", copied.uri]) == 1
    out = capsys.readouterr().out
    assert "tiny: 1 damaged; 2 of 3 trials scored again" in out and CLIPS.id in out
