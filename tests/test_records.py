"""What a record says of its epochs, by enumeration."""

import math

import pytest

from orchestrator.errors import ConfigError
from orchestrator.records import EpochRecord, Status, TrialRecord, best_epoch

NAN = math.nan


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("val/top1", [0.1, 0.3, 0.2], 2),
        ("val/top1", [0.3, 0.1, 0.3], 1),
        ("val/loss", [3.0, 1.0, 2.0], 2),
        ("val/loss", [1.0, 2.0, 1.0], 1),
        ("val/map", [NAN, 0.2, 0.4], 3),
        ("val/map", [NAN, NAN], 1),
        ("val/loss", [math.inf, NAN, 5.0], 3),
        ("val/top1", [0.0, -0.0], 1),
        ("val/top1", [], 0),
    ],
)
def test_best_epoch_is_the_earliest_best_in_the_direction_of_the_metric(key, values, expected):
    epochs = [EpochRecord(epoch=i, metrics={key: v}) for i, v in enumerate(values, start=1)]
    assert best_epoch(epochs, key) == expected


def test_best_epoch_by_a_metric_that_no_epoch_has_is_the_first():
    assert best_epoch([EpochRecord(epoch=1, metrics={})], "val/map") == 1
    with pytest.raises(ConfigError, match="unknown metric 'val/mpa'"):
        best_epoch([], "val/mpa")


def test_best_epoch_that_a_record_does_not_have_gives_no_metrics():
    record = TrialRecord(
        id="x",
        status=Status.FINISHED,
        experiment={},
        epochs=(EpochRecord(epoch=1, metrics={"val/top1": 0.5}),),
    )
    assert record.metrics_at("best") == {} and record.chosen_by == "val/top1"
