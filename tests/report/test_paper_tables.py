"""A study in a paper's table: which one, whose rows, which numbers."""

import csv
import dataclasses
import io

import numpy as np
import pytest
from report_examples import CLASSES, make_plan, make_predictions, make_records, write_scored
from scipy.special import softmax
from sklearn.metrics import average_precision_score, f1_score

from models.zoo.paper_tables import PRINTED
from orchestrator.analysis.datasets import ESC10_CLASSES, ESC50_CLASSES
from orchestrator.analysis.paper_cells import ensemble_map
from orchestrator.analysis.summary import summarize
from orchestrator.errors import ConfigError
from orchestrator.metrics.predictions import Predictions
from orchestrator.metrics.targets import Targets
from orchestrator.records import ArmRecord, EpochRecord
from orchestrator.report.__main__ import main
from orchestrator.report.files import write_report
from orchestrator.report.tables.paper import Study, paper_table, paper_table_key
from orchestrator.store import Store

ESC10 = {"name": "esc", "class_names": sorted(ESC10_CLASSES)}
HTSAT_1 = PRINTED["htsat-1"].source


def arms_of(source, key="val/top1"):
    names = "plain", "full"
    return tuple(ArmRecord(name=n, published={key: 70.0}, source=source) for n in names)


def study(arms=("plain", "full"), *, predictions=make_predictions, **options):
    plan = make_plan(arms, **{"dataset": ESC10, **options})
    return Study(summary=summarize(plan, make_records(plan)), predictions=predictions)


def column(table, key):
    place = [c.key for c in table.columns].index(key)
    return {row[0]: row[place].strip() for row in table.rows}


def test_paper_table_is_that_of_the_published_numbers():
    assert paper_table_key(make_plan(arms_of(HTSAT_1))) == "htsat-1"
    assert paper_table_key(make_plan(arms_of(""), source=PRINTED["datar-4"].source)) == "datar-4"
    assert paper_table_key(make_plan(arms_of("AST, arXiv 2104.01778, Section 3.2"))) == ""
    assert paper_table_key(make_plan()) == ""
    mixed = (*arms_of(HTSAT_1), ArmRecord(name="x", published={"val/map": 1}, source="elsewhere"))
    assert paper_table_key(make_plan(mixed)) == "htsat-1"


@pytest.mark.parametrize("key", PRINTED)
def test_every_paper_table_has_printed_rows_and_ours_each_under_its_heading(key):
    table = paper_table(key, [study()])
    names = [row[0] for row in table.rows]
    assert names[-2:] == ["plain", "full"] and table.baseline == len(names) - 2
    assert table.headings[len(names) - 2] == "This study: esc10, 8 seeds"
    assert all(len(row) == len(table.columns) for row in table.rows)
    if key != "htsat-3":
        assert names[:-2] == [model for model, _ in PRINTED[key].rows]
        assert table.headings[0].startswith(f"As printed in {PRINTED[key].source}")
        assert any("not comparable" in note and "esc10 here" in note for note in table.notes)


def test_accuracies_are_those_of_the_measures():
    one = study()
    found = column(paper_table("datar-4", [one]), "val/top5")
    mean = one.summary.arms[1].measures["val/top5"].interval
    assert float(found["full"].split("±")[0]) == pytest.approx(mean.mean, abs=mean.half_width)
    assert found["with deformable"] == "89.9"


def test_metrics_that_trials_do_not_have_are_named():
    table = paper_table("datar-3", [study()])
    assert set(column(table, "val/noun_top1").values()) == {"22.4", "21.5", "22.8", "22.9", "—"}
    assert "Not recorded by these trials: verb, noun, action." in table.notes


def test_audioset_table_has_start_size_map_and_ensemble():
    arms = (
        ArmRecord(name="plain"),
        ArmRecord(name="full", changes={"initial": "checkpoint"}),
    )
    plan = make_plan(arms, dataset=ESC10)
    records = {}
    for key, record in make_records(plan).items():
        epochs = [{**e.metrics, "val/map": 0.5 + 0.01 * (key[3] == "1")} for e in record.epochs]
        epochs = tuple(EpochRecord(epoch=i + 1, metrics=m) for i, m in enumerate(epochs))
        records[key] = dataclasses.replace(record, epochs=epochs)
    one = Study(summary=summarize(plan, records), predictions=make_predictions)
    table = paper_table("htsat-1", [one])
    assert column(table, "pretrain")["plain"] == "no"
    assert column(table, "pretrain")["full"] == "yes"
    assert column(table, "params")["full"] == "2.24 M"
    assert column(table, "val/map")["full"].startswith("0.5")
    ids = [key.id for key in plan.trials if key.arm == "full"]
    mean = np.mean([softmax(make_predictions(i).logits.astype(float), axis=1) for i in ids], axis=0)
    labels = np.eye(8)[make_predictions(ids[0]).labels]
    expected = np.mean([average_precision_score(labels[:, c], mean[:, c]) for c in range(8)])
    assert float(column(table, "ensemble/map")["full"]) == pytest.approx(expected, abs=0.0005)
    said = " ".join(table.notes)
    assert "of an arm's 8 seeds" in said and "one number without an interval" in said


def test_ensemble_is_the_mean_over_folds_of_seeds_on_the_same_clips():
    def load(trial):
        fold = trial.split("-")[2]
        made = make_predictions(trial)
        return dataclasses.replace(made, clip_ids=tuple(f"{fold}-{c}" for c in made.clip_ids))

    arm = study(seeds=3, folds=(1, 2)).summary.arms[0]
    alone = [
        ensemble_map(
            dataclasses.replace(arm, cells=tuple(c for c in arm.cells if c.fold == fold)), load
        ).value
        for fold in (1, 2)
    ]
    found = ensemble_map(arm, load)
    assert found.value == pytest.approx(np.mean(alone)) and found.num_models == 3
    first = dataclasses.replace(arm, cells=arm.cells[:1])
    assert ensemble_map(first, load) is None
    assert ensemble_map(arm, lambda trial: None) is None


def test_ensemble_of_other_clips_is_none():
    def load(trial):
        made = make_predictions(trial)
        return dataclasses.replace(made, clip_ids=tuple(f"{trial}-{c}" for c in made.clip_ids))

    assert ensemble_map(study().summary.arms[0], load) is None


def test_accuracy_over_runs_is_the_mean_over_folds_with_the_deviation_over_seeds():
    esc50 = {"name": "esc", "class_names": sorted(ESC50_CLASSES)}
    one = study(seeds=3, folds=(1, 2, 3, 4, 5), dataset=esc50)
    table = paper_table("htsat-2", [one])
    values = one.summary.arms[1].measures["val/top1"].values
    means = [np.mean([values[seed, fold] for fold in range(1, 6)]) for seed in range(3)]
    mean, std = map(float, column(table, "esc50")["full"].split(" ±"))
    assert mean == pytest.approx(np.mean(means), abs=0.05)
    assert std == pytest.approx(np.std(means, ddof=1), abs=0.05)
    assert column(table, "esc50")["HTS-AT"] == "97.0 ±0.2"
    assert "over 3 runs (seeds), each the mean over 5 folds" in table.notes[0]
    assert "by name; other conditions were not checked" in table.notes[-1]
    assert len(table.columns) == 3


@pytest.mark.parametrize(
    ("names", "clips"),
    [([f"bird {i}" for i in range(50)], 2000), (sorted(ESC50_CLASSES), 500)],
    ids=["other classes", "fewer clips"],
)
def test_folder_of_fifty_classes_that_is_not_esc50_has_a_column_of_its_own(names, clips):
    mine = {"name": "esc", "class_names": names, "num_clips": clips}
    table = paper_table("htsat-2", [study(dataset=mine)])
    assert column(table, "esc50")["full"] == "—"
    assert "±" in column(table, "esc layout with 50 classes")["full"]
    assert any("esc layout with 50 classes here" in note for note in table.notes)


def test_seed_without_one_of_its_folds_is_no_run():
    one = study(seeds=3, folds=(1, 2))
    arm = one.summary.arms[0]
    measure = arm.measures["val/top1"]
    some = {block: value for block, value in measure.values.items() if block != (1, 2)}
    less = {**arm.measures, "val/top1": dataclasses.replace(measure, values=some)}
    arms = (dataclasses.replace(arm, measures=less), one.summary.arms[1])
    one = dataclasses.replace(one, summary=dataclasses.replace(one.summary, arms=arms))
    table = paper_table("htsat-2", [one])
    assert any("over 2 runs" in note for note in table.notes)
    assert any("over 3 runs" in note for note in table.notes)


def test_several_studies_have_a_column_per_data_set_and_share_their_arms():
    speech = {"name": "speech_commands_v2", "class_names": [f"w{i}" for i in range(35)]}
    table = paper_table("htsat-2", [study(), study(("full", "third"), dataset=speech)])
    assert [c.key for c in table.columns[1:]] == ["esc50", "speech_commands_v2", "esc10"]
    assert [row[0] for row in table.rows[-3:]] == ["plain", "full", "third"]
    full = table.rows[-2]
    assert full[1].strip() == "—" and "±" in full[2] and "±" in full[3]
    with pytest.raises(ConfigError, match=r"shows one study, 2 were given.*htsat-2"):
        paper_table("htsat-1", [study(), study()])


def test_one_arm_with_two_numbers_on_one_data_set_is_refused():
    plan = make_plan(("plain", "full"), dataset=ESC10)
    other = Study(summary=summarize(plan, make_records(plan, (0.1,), seed=1)))
    assert paper_table("htsat-2", [study(), study()]).rows == paper_table("htsat-2", [study()]).rows
    with pytest.raises(ConfigError, match="'plain' is in two sweeps of esc10"):
        paper_table("htsat-2", [study(), other])


def test_f1_by_class_is_scikit_learns_and_says_what_is_not_recorded():
    one = study(dataset={"name": "sounds", "class_names": CLASSES})
    table = paper_table("htsat-3", [one])
    assert [c.key for c in table.columns] == ["arm", *CLASSES, ""]
    ids = [key.id for key in one.summary.plan.trials if key.arm == "full"]
    made = [make_predictions(trial) for trial in ids]
    scores = [f1_score(m.labels, m.logits.argmax(axis=1), average=None) for m in made]
    shown = [float(cell.split("±")[0]) for cell in table.rows[-1][1:]]
    assert shown[:-1] == pytest.approx(100 * np.mean(scores, axis=0), abs=0.051)
    assert shown[-1] == pytest.approx(100 * np.mean(scores), abs=0.5)
    said = " ".join(table.notes)
    assert "record no onsets and offsets" in said and "other classes and left out" in said
    assert [row[0] for row in table.rows] == ["plain", "full"]


def test_classes_of_desed_stand_below_the_printed_ones():
    names = [c.key for c in PRINTED["htsat-3"].columns if c.key]

    def load(trial):
        labels = np.arange(40) % 10
        logits = np.eye(10, dtype=np.float32)[labels]
        targets = Targets.of_labels(labels, num_classes=10)
        return Predictions(epoch=1, clip_ids=("a",) * 40, targets=targets, logits=logits)

    one = study(dataset={"name": "desed", "class_names": names}, predictions=load)
    table = paper_table("htsat-3", [one])
    assert [c.title for c in table.columns[1:4]] == ["Alarm", "Blender", "Cat"]
    assert column(table, "speech")["PANN"] == "69.7"
    assert column(table, "speech")["full"] == "100.0"
    assert "F1 of this study, in percent, is of clips" in table.notes[0]


def test_many_classes_stand_below_one_another():
    many = {"name": "sounds", "class_names": [f"class {i}" for i in range(20)]}

    def load(trial):
        labels = np.arange(40) % 20
        logits = np.eye(20, dtype=np.float32)[labels]
        targets = Targets.of_labels(labels, num_classes=20)
        return Predictions(epoch=1, clip_ids=("a",) * 40, targets=targets, logits=logits)

    table = paper_table("htsat-3", [study(dataset=many, predictions=load)])
    assert [c.title for c in table.columns] == ["class", "plain", "full"]
    assert [row[0] for row in table.rows] == [*many["class_names"], "average"]


def test_without_predictions_classes_are_said_to_be_missing():
    table = paper_table("htsat-3", [study(predictions=lambda trial: None)])
    assert "No predictions are at hand, so that no class can be scored." in table.notes


def test_study_that_has_not_run_has_a_table():
    plan = make_plan(("plain", "full"), dataset=ESC10)
    for key in PRINTED:
        table = paper_table(key, [Study(summary=summarize(plan, {}))])
        assert [row[0] for row in table.rows[-2:]] == ["plain", "full"]


@pytest.fixture
def store(tmp_path):
    made = Store.open(tmp_path / "store")
    plan = make_plan(arms_of(HTSAT_1, "val/map"), sweep="zoo", dataset=ESC10)
    made.write_plan(plan)
    other = {"name": "speech_commands_v2", "class_names": ["w"]}
    made.write_plan(make_plan(arms_of(""), sweep="words", dataset=other))
    for record in make_records(plan).values():
        write_scored(made, record)
    return tmp_path / "store"


def run(*arguments):
    out = io.StringIO()
    return main([str(a) for a in arguments], out=out), out.getvalue()


def test_papers_table_is_written_besides_and_shown_on_the_page(store):
    assert run("zoo", "--store", store)[0] == 0
    folder = store / "sweeps" / "zoo" / "report"
    rows = list(csv.reader((folder / "paper.csv").read_text().splitlines()))
    assert rows[0][:2] == ["rows", "model"] and rows[-1][:2] == [
        "This study: esc10, 8 seeds",
        "full",
    ]
    assert "HTS-AT (HCP) & yes & 31~M" in (folder / "paper.tex").read_text()
    assert "| HTS-AT (HCP) | yes | 31 M | 0.471 | 0.487 |" in (folder / "paper.md").read_text()
    page = (folder / "report.html").read_text()
    assert "In the shape of HTS-AT&#39;s Table 1" in page and "As printed in HTS-AT" in page


def test_sweep_without_a_papers_numbers_has_no_such_files(tmp_path):
    plan = make_plan()
    records = make_records(plan)
    paths = write_report(summarize(plan, records), records, tmp_path)
    assert paths.paper == () and not list(tmp_path.glob("paper*"))
    assert len(paths.every) == len(list(tmp_path.iterdir()))


def test_paper_table_is_chosen_on_the_command_line(store):
    code, said = run("zoo", "--store", store, "--paper-table", "htsat-2", "--format", "markdown")
    assert code == 0 and "| ERANN | 96.1 | — | — |" in said
    both = run(
        "zoo", "--store", store, "--paper-table", "htsat-2", "--beside", "words", "--format", "csv"
    )
    assert "This study: esc10, 8 seeds; speech_commands_v2, 8 seeds" in both[1]


def test_paper_table_that_is_asked_for_is_printed_and_its_files_named(store, tmp_path):
    asked = ("zoo", "--store", store, "--paper-table", "htsat-2", "--width", 80)
    code, said = run(*asked, "--out", tmp_path)
    table, *written = said.split("Wrote ")
    assert code == 0 and "ERANN" in table and "This study: esc10" in table
    assert "Difference from" not in table
    names = [str(tmp_path / f"paper.{form}") for form in ("tex", "md", "csv")]
    assert [text.splitlines()[0] for text in written] == names
    assert run(*asked, "--format", "text") == (0, table.removesuffix("\n"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--paper-table", "htsat-4"], "unknown paper table 'htsat-4'; did you mean 'htsat-"),
        (
            ["--paper-table", "htsat-1", "--format", "json"],
            "has no form 'json'; --paper-table goes with",
        ),
        (["--beside", "words"], "say which by --paper-table"),
        (["--paper-table", "htsat-1", "--beside", "words"], "shows one study, 2 were given"),
    ],
)
def test_mistaken_paper_table_is_one_message(store, capsys, arguments, said):
    assert run("zoo", "--store", store, *arguments) == (2, "")
    assert said in capsys.readouterr().err
