"""What a search is told of a point: the clips that choose, not those that are reported."""

import pytest

from orchestrator.execution.searchers import Objective
from orchestrator.records import EpochRecord, Status, TrialRecord


def record(**metrics) -> TrialRecord:
    by_epoch = (
        {key.replace("__", "/"): values[i] for key, values in metrics.items()} for i in (0, 1)
    )
    epochs = tuple(EpochRecord(epoch=i, metrics=made) for i, made in enumerate(by_epoch, start=1))
    return TrialRecord(
        id="a" * 16, status=Status.FINISHED, experiment={}, epochs=epochs, best_epoch=1
    )


RECORD = record(val__loss=(3.0, 4.0), selection__loss=(1.0, 2.0))


@pytest.mark.parametrize(
    ("selection", "value"), [("last", -4.0), ("best_on_test", -3.0), ("best_on_validation", -1.0)]
)
def test_objective_of_a_search_is_of_the_clips_that_choose(selection, value):
    objective = Objective(metric="val/loss", selection=selection)
    assert objective.value([RECORD, RECORD]) == value
    assert objective.value([RECORD, record()]) is None
