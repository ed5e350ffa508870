"""A report from MLflow alone, its store deleted, is the report from the store."""

import dataclasses
import io
import json
import re
import shutil

import pytest
from tracking_cases import make_plan, make_record, trial_id, write_all, write_predictions

from orchestrator.errors import StoreError, TrackingError
from orchestrator.predict.figures.shelf import INDEX, Picture, write_index
from orchestrator.records import Status
from orchestrator.report.__main__ import main
from orchestrator.report.files import NAMES
from orchestrator.store import Store
from orchestrator.tracking.live import SweepSync
from orchestrator.tracking.places import default_uri
from orchestrator.tracking.reader import Reader
from orchestrator.tracking.sweep_views import PLAN, RECORD
from orchestrator.tracking.tracker import Tracker
from orchestrator.tracking.uploads import PREDICTIONS, STATE_TAG

TABLES = [*(form for form in NAMES if form != "html"), "text"]


@pytest.fixture
def elsewhere(tmp_path, empty_database) -> str:
    """A tracking database that is not in the store."""
    (tmp_path / "view").mkdir()
    (tmp_path / "view" / "mlflow.db").write_bytes(empty_database.read_bytes())
    return f"sqlite:///{tmp_path}/view/mlflow.db"


def some_failed_some_running(store, plan):
    """Five finished with noise, one failed, one running, one not begun."""
    store.write_plan(plan)
    statuses = [*[Status.FINISHED] * 5, Status.FAILED, Status.RUNNING]
    records = {}
    for i, (trial, status) in enumerate(zip(plan.trials, statuses, strict=False)):
        record = make_record(trial.id, epochs=3 if status is Status.FINISHED else 2, status=status)
        cost = dataclasses.replace(record.cost, seconds=100 / 3 + i, clips_per_s=0.1 + i)
        records[trial.id] = dataclasses.replace(record, cost=cost)
        store.write_record(records[trial.id])
    return records


def command(*arguments) -> tuple[int, str]:
    out = io.StringIO()
    return main([*map(str, arguments)], out=out), out.getvalue()


def reports(*place) -> dict[str, str]:
    """Every form but the page, printed."""
    found = {}
    for form in TABLES:
        code, found[form] = command("lambda", *place, "--format", form)
        assert code == 0 and "base" in found[form]
    return found


def test_tables_from_mlflow_alone_are_those_of_the_store_byte_for_byte(tmp_path, elsewhere):
    store = Store.open(tmp_path / "store")
    plan = make_plan(arms=("base", "λ=0.1"), seeds=(0, 1, 2, 3))
    records = some_failed_some_running(store, plan)
    Tracker(elsewhere, store=store).reconcile(plan, records, final=True)
    wanted = reports("--store", store.uri)
    assert "1 running, 1 failed, 1 missing" in wanted["text"]
    shutil.rmtree(store.local_path)
    assert reports("--from-mlflow", elsewhere) == wanted


def test_tables_of_a_sweep_that_goes_on_are_those_of_the_store(tmp_path, elsewhere):
    store = Store.open(tmp_path / "store")
    plan = make_plan(arms=("base", "λ=0.1"), seeds=(0, 1, 2, 3))
    records = some_failed_some_running(store, plan)
    Tracker(elsewhere, store=store).reconcile(plan, records, final=False)
    wanted, found = reports("--store", store.uri), reports("--from-mlflow", elsewhere)
    # The seconds that a running trial has taken so far are in JSON alone, and in its store alone.
    del wanted["json"], found["json"]
    assert found == wanted


def test_all_forms_are_written_without_a_store(tmp_path, elsewhere):
    store = Store.open(tmp_path / "store")
    plan = make_plan()
    Tracker(elsewhere, store=store).reconcile(plan, write_all(store, plan), final=True)
    shutil.rmtree(store.local_path)
    code, said = command("lambda", "--from-mlflow", elsewhere, "--out", tmp_path / "out")
    assert code == 0 and "Page: " in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(NAMES.values())
    assert not store.local_path.exists()
    shutil.rmtree(tmp_path / "view")
    assert command("lambda", "--from-mlflow", elsewhere)[0] == 2


def test_page_and_papers_table_from_mlflow_alone_are_those_of_the_store(tmp_path, elsewhere):
    store = Store.open(tmp_path / "store")
    plan = make_plan(seeds=range(4))
    records = write_all(store, plan)
    for record in records.values():
        write_predictions(store, record)
    pictures = tmp_path / "store" / "sweeps" / "lambda" / "report" / "pictures"
    pictures.mkdir(parents=True)
    (pictures / "a.png").write_bytes(b"picture")
    picture = Picture(kind="keys", arm="more", trial="t", clips=("c",), caption=".", file="a.png")
    write_index(pictures, ["t"], {}, [picture])
    tracker = Tracker(elsewhere, store=store)
    SweepSync(plan=plan, store=store, tracker=tracker).once(final=True)
    tracker.log_report(plan, [*pictures.iterdir()])
    asked = [("--format", "html"), ("--paper-table", "htsat-3", "--format", "csv")]
    asked.append(("--paper-table", "htsat-1", "--format", "latex"))
    wanted = [command("lambda", "--store", store.uri, *more) for more in asked]
    assert 'id="classes"' in wanted[0][1] and "Clips that changed sides" in wanted[0][1]
    assert "data:image/png;base64" in wanted[0][1]
    shutil.rmtree(store.local_path)
    assert [command("lambda", "--from-mlflow", elsewhere, *more) for more in asked] == wanted


def test_page_says_why_it_has_no_classes(store):
    plan = make_plan()
    Tracker(default_uri(store), store=store).reconcile(plan, write_all(store, plan), final=True)
    _, page = command("lambda", "--from-mlflow", default_uri(store), "--format", "html")
    assert "no per-clip predictions of two arms in one block are at hand" in page
    assert "python -m orchestrator.sync lambda" in page


def test_predictions_are_uploaded_once_and_again_when_they_change(store):
    plan = make_plan(arms=("base",), seeds=(0,))
    records = write_all(store, plan)
    uri, (trial,) = default_uri(store), records
    assert Tracker(uri, store=store).reconcile(plan, records, final=True).uploaded == 3
    records = {trial: write_predictions(store, records[trial])}
    assert Tracker(uri, store=store).reconcile(plan, records, final=True).uploaded == 2
    assert Tracker(uri, store=store).reconcile(plan, records, final=True).uploaded == 0
    assert Reader(uri).study("lambda").predictions(trial).logits.shape == (12, 3)
    records = {trial: write_predictions(store, records[trial], clips=6)}
    assert Tracker(uri, store=store).reconcile(plan, records, final=True).uploaded == 2
    assert Reader(uri).study("lambda").predictions(trial).logits.shape == (6, 3)


def test_predictions_of_a_running_trial_are_not_uploaded(store):
    plan = make_plan(arms=("base",), seeds=(0,))
    records = write_all(store, plan, status=Status.RUNNING)
    (trial,) = records
    records = {trial: write_predictions(store, records[trial])}
    Tracker(default_uri(store), store=store).reconcile(plan, records, final=False)
    study = Reader(default_uri(store)).study("lambda")
    assert study.predictions(trial) is None and study.predictions("nobody") is None


def test_records_come_back_whole_and_the_plan_as_declared(store):
    plan = make_plan()
    records = write_all(store, plan)
    tracker = Tracker(default_uri(store), store=store)
    tracker.reconcile(plan, records, final=True)
    study = Reader(default_uri(store)).study("lambda")
    assert study.records == store.read_records(records)
    assert study.plan == store.require_plan("lambda")
    assert study.links == tracker.links(plan) and set(study.links) == set(records)


def test_trial_that_two_arms_share_is_read_for_both(store):
    plan = make_plan(seeds=(0,))
    shared = dataclasses.replace(plan.trials[1], id=plan.trials[0].id)
    plan = dataclasses.replace(plan, trials=(plan.trials[0], shared))
    records = write_all(store, plan)
    Tracker(default_uri(store), store=store).reconcile(plan, records, final=True)
    assert Reader(default_uri(store)).study("lambda").records == records


def test_resumed_trial_counts_as_running_and_not_as_it_failed(store):
    plan = make_plan(arms=("base",), seeds=(0,))
    one = trial_id("base", 0)
    tracker = Tracker(default_uri(store), store=store)
    failed = make_record(one, epochs=1, status=Status.FAILED)
    tracker.reconcile(plan, {one: failed}, final=False)
    running = make_record(one, epochs=2, status=Status.RUNNING)
    tracker.reconcile(plan, {one: running}, final=False)
    found = Reader(default_uri(store)).study("lambda").records[one]
    assert (found.status, len(found.epochs)) == (Status.RUNNING, 2)
    done = make_record(one)
    tracker.reconcile(plan, {one: done}, final=True)
    assert Reader(default_uri(store)).study("lambda").records[one] == done


def test_list_names_the_sweeps_and_no_experiment_of_others(store, capsys):
    uri = default_uri(store)
    for name, pack in (("b", {}), ("a", {"name": "esc", "fingerprint": "ab" * 32})):
        plan = dataclasses.replace(make_plan(name), dataset=pack)
        Tracker(uri, store=store).reconcile(plan, {}, final=False)
    Reader(uri).experiment("not a sweep")
    code, said = command("--list", "--from-mlflow", uri)
    assert code == 0
    assert [line.split() for line in said.splitlines()[1:]] == [
        ["a", "2026-01-01", "0", "of", "6", "not", "tested", "esc", "ab" * 6],
        ["b", "2026-01-01", "0", "of", "6", "not", "tested"],
    ]
    assert command("c", "--from-mlflow", uri)[0] == 2
    assert "unknown sweep 'c'" in capsys.readouterr().err


def test_run_of_an_older_version_says_how_to_bring_it_up_to_date(store):
    plan = make_plan(arms=("base",), seeds=(0,))
    uri = default_uri(store)
    Tracker(uri, store=store).reconcile(plan, write_all(store, plan), final=True)
    reader = Reader(uri)
    (run,) = (
        run for run in reader.runs(reader.experiment("lambda")) if "replicate" in run.tags.values()
    )
    state = json.loads(run.tags[STATE_TAG])
    del state["texts"][RECORD]
    reader.log(run, points=(), params={}, tags={STATE_TAG: json.dumps(state)})
    with pytest.raises(TrackingError, match=r"orchestrator\.sync lambda .* uploads it"):
        Reader(uri).study("lambda")


def test_damaged_record_is_named(store):
    plan = make_plan(arms=("base",), seeds=(0,))
    uri = default_uri(store)
    Tracker(uri, store=store).reconcile(plan, write_all(store, plan), final=True)
    (path,) = store.local_path.glob(f"mlartifacts/*/artifacts/{RECORD}")
    path.write_text("{")
    with pytest.raises(StoreError, match=f"{RECORD} of trial {plan.trials[0].id}"):
        Reader(uri).study("lambda")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (RECORD, "the record of trial {trial} was edited or damaged"),
        (PLAN, "the plan was edited or damaged"),
        (PREDICTIONS, "{trial}.* is not the file that its trial's record was written with"),
    ],
)
def test_artifact_that_was_edited_is_refused_by_name(store, capsys, name, words):
    plan = make_plan(arms=("base",), seeds=(0,))
    uri = default_uri(store)
    records = {t: write_predictions(store, r) for t, r in write_all(store, plan).items()}
    Tracker(uri, store=store).reconcile(plan, records, final=True)
    (path,) = store.local_path.glob(f"mlartifacts/*/artifacts/{name}")
    data = path.read_bytes()
    changed = data.replace(b"1", b"2") if name != PREDICTIONS else data[:-1]
    path.write_bytes(changed)
    assert command("lambda", "--from-mlflow", uri, "--format", "csv") == (2, "")
    assert re.search(words.format(trial=plan.trials[0].id), capsys.readouterr().err)


def test_picture_that_was_edited_is_refused_by_name(store, tmp_path, capsys):
    plan = make_plan(arms=("base",), seeds=(0,))
    tracker = Tracker(default_uri(store), store=store)
    tracker.reconcile(plan, write_all(store, plan), final=True)
    (tmp_path / "a.png").write_bytes(b"picture")
    picture = Picture(kind="keys", arm="base", trial="t", clips=("c",), caption=".", file="a.png")
    write_index(tmp_path, ["t"], {}, [picture])
    tracker.log_report(plan, [tmp_path / "a.png", tmp_path / INDEX])
    assert command("lambda", "--from-mlflow", default_uri(store), "--format", "csv")[0] == 0
    (path,) = store.local_path.glob("mlartifacts/*/artifacts/report/a.png")
    path.write_bytes(b"another")
    assert command("lambda", "--from-mlflow", default_uri(store), "--format", "csv") == (2, "")
    assert "report/a.png on" in capsys.readouterr().err


@pytest.mark.parametrize("state", ["{", "[1]", '{"epochs": "x", "texts": 3}'])
def test_state_of_a_run_that_was_edited_is_refused(store, capsys, state):
    plan = make_plan(arms=("base",), seeds=(0,))
    uri = default_uri(store)
    Tracker(uri, store=store).reconcile(plan, write_all(store, plan), final=True)
    reader = Reader(uri)
    (run,) = (
        run for run in reader.runs(reader.experiment("lambda")) if "replicate" in run.tags.values()
    )
    reader.log(run, points=(), params={}, tags={STATE_TAG: state})
    assert command("lambda", "--from-mlflow", uri) == (2, "")
    assert plan.trials[0].id in capsys.readouterr().err


def test_report_from_a_server_links_to_its_runs(server, store):
    plan = make_plan("linked", arms=("base",), seeds=(0, 1))
    tracker = Tracker(server.uri, store=store)
    tracker.reconcile(plan, write_all(store, plan), final=True)
    study = Reader(server.uri).study("linked")
    assert study.links == tracker.links(plan) and len(study.links) == 2
    code, page = command("linked", "--from-mlflow", server.uri, "--format", "html")
    assert code == 0 and all(link in page for link in study.links.values())


def test_mistaken_addresses_are_one_message(tmp_path, capsys):
    for uri, part in (
        (f"sqlite:///{tmp_path}/none.db", "no database"),
        ("localhost:5000", "lacks its scheme"),
        (str(tmp_path), "is a folder"),
    ):
        assert command("lambda", "--from-mlflow", uri) == (2, "")
        assert part in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()
