"""Trained trials that the tests of the room share."""

import dataclasses

import pytest

from orchestrator.execution.trial import TrialRun
from orchestrator.experiment.config import Component
from orchestrator.records import ArmRecord, PlanRecord, Status, TrialKey
from orchestrator.store import Store
from tests import tiny

CLIPS = tiny.experiment(epochs=1)
FRAMES = tiny.experiment(
    epochs=1, model=Component("htsat_laptop"), loss=Component("binary_cross_entropy")
)
TRIALS = (CLIPS, dataclasses.replace(CLIPS, seed=1), FRAMES)


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Store:
    """A store with the trials, finished, in the sweep `tiny`."""
    made = tiny.store_with_pack(tmp_path_factory.mktemp("store"), CLIPS)
    keys = []
    for arm, experiment in zip(("clips", "clips", "frames"), TRIALS, strict=True):
        done = TrialRun(store=made, trial_id=experiment.id, experiment=experiment).run()
        assert done.status is Status.FINISHED, done.error
        keys.append(TrialKey(id=experiment.id, arm=arm, seed=experiment.seed, fold=1))
    made.write_plan(
        PlanRecord(
            sweep="tiny",
            question="Does it?",
            metric="val/loss",
            selection="last",
            baseline="clips",
            arms=(ArmRecord(name="clips"), ArmRecord(name="frames"), ArmRecord(name="never")),
            contrasts=(),
            trials=tuple(keys),
        )
    )
    return made
