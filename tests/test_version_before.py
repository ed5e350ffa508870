"""What the version before stored is read as it was: same tables, same numbers, same model.

`fixtures/version_before.tar.xz` was written by commit fea74c5, the last before every file moved
into its room: 32 trials of a 2 x 2 study of two epochs' lengths and noise on made-up sounds, with
predictions, one checkpoint and MLflow's database. `STORE` stands in the database where the store
was. `fixtures/version_before/` is the report of that day, with the differences' intervals, their
adjusted p values and what is said of them as of now.
"""

import io
import json
import sqlite3
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

import orchestrator
from orchestrator.data import open_pack, prepare
from orchestrator.execution.prepare import packs_of
from orchestrator.experiment.overrides import from_canonical
from orchestrator.report.__main__ import main
from orchestrator.store import Store
from orchestrator.training.data_parallel import Group
from orchestrator.training.evaluate import evaluate
from orchestrator.training.inputs import Inputs

FIXTURES = Path(__file__).parent / "fixtures"
ARCHIVE = FIXTURES / "version_before.tar.xz"
REPORTS = FIXTURES / "version_before"
NAMES = {
    "csv": "table.csv",
    "markdown": "table.md",
    "numbers": "numbers.tex",
    "text": "text.txt",  # at 120 columns
}


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Path:
    """The archive, unpacked, with the database's addresses set to where it is now."""
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    store = folder / "store"
    with sqlite3.connect(store / "mlflow.db") as database:
        for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
            database.execute(
                f"UPDATE {table} SET {column} = replace({column}, 'STORE', ?)", (str(store),)
            )
    return folder


def report(before: Path, form: str, *, source: str) -> str:
    address = {
        "store": ["--store", str(before / "store")],
        "mlflow": ["--from-mlflow", f"sqlite:///{before}/store/mlflow.db"],
    }[source]
    out = io.StringIO()
    assert main(["kept", *address, "--format", form, "--width", "120"], out=out) == 0
    return out.getvalue()


def known_then(now: object, then: object) -> object:
    """What is said now, without the keys that came since, such as the bounds of a metric."""
    match now, then:
        case dict(), dict():
            return {key: known_then(now.get(key), value) for key, value in then.items()}
        case list(), list() if len(now) == len(then):
            return [known_then(one, other) for one, other in zip(now, then, strict=True)]
    return now


@pytest.mark.parametrize("source", ["store", "mlflow"])
@pytest.mark.parametrize("form", NAMES)
def test_report_of_the_version_before_is_the_same_bytes(before, form, source):
    expected = (REPORTS / NAMES[form]).read_text()
    assert report(before, form, source=source).rstrip("\n") == expected.rstrip("\n")


def test_numbers_of_the_version_before_are_the_same(before):
    expected = json.loads((REPORTS / "report.json").read_text())
    now = json.loads(report(before, "json", source="store"))
    assert known_then(now, expected) == expected


def test_trained_model_of_the_version_before_says_what_it_said(before):
    """On the clips that it was held to, from a checkpoint and predictions of then."""
    store = Store.open(before / "store")
    trial = next(path.parent.parent.name for path in before.rglob("checkpoints/last.json"))
    chain = orchestrator.load_model(store.uri, trial)
    experiment = from_canonical(store.read_records([trial])[trial].experiment)
    prepare(
        experiment.dataset.name,
        experiment.dataset.arguments,
        root=None,
        packs=packs_of(store.uri),
    )
    pack = open_pack(experiment.dataset.arguments["fingerprint"], packs=store.packs_uri)
    _, held_out = pack.split(experiment.fold)
    now = evaluate(
        chain,
        Inputs(pack, torch.device("cpu")),
        held_out,
        batch_size=experiment.batch_size,
        epoch=experiment.epochs,
        precision=experiment.precision,
        group=Group(),
    ).predictions
    then = store.read_predictions(trial, "last")
    assert then is not None and now.clip_ids == then.clip_ids
    np.testing.assert_allclose(now.logits, then.logits, rtol=1e-4, atol=1e-5)
