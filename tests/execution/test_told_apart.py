"""Two packs in one store: plans of the same name are kept apart, and found again."""

import dataclasses
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from orchestrator import cli, recipes
from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.errors import StoreError
from orchestrator.execution import launch
from orchestrator.execution.options import parse
from orchestrator.execution.prepare import prepare, told_apart
from orchestrator.experiment.identity import canonical
from orchestrator.records import EpochRecord, PlanRecord, Status, TrialRecord
from orchestrator.report.__main__ import main
from orchestrator.store import Store

PLAN = Plan(
    name="asked",
    question="Does it?",
    base=recipes.datar_laptop(),
    arms=(Arm(name="a"), Arm(name="b", changes={"epochs": 2})),
    seeds=(0, 1),
)


def esc(root: Path, *, seed: int) -> Path:
    """Eight clips of a tenth of a second, two classes, two folds."""
    (root / "audio").mkdir(parents=True)
    (root / "meta").mkdir()
    rng = np.random.default_rng(seed)
    rows = ["filename,fold,target,category"]
    for number in range(8):
        noise = rng.normal(0, 0.1, 1600)
        soundfile.write(root / "audio" / f"{number}.flac", noise, 16000, subtype="PCM_16")
        rows.append(f"{number}.flac,{number % 2 + 1},{number // 4},class{number // 4}")
    (root / "meta" / "made.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture
def folders(tmp_path) -> list[Path]:
    """Folders of one name, of three data sets."""
    return [esc(tmp_path / place / "esc", seed=i) for i, place in enumerate("xyz")]


@pytest.fixture
def store(tmp_path) -> Store:
    return Store.open(tmp_path / "store")


def asked(store: Store, *flags: object) -> list[str]:
    short = [] if "--dataset" in flags else ["--dataset", "esc:seconds=0.1"]
    return ["--store", store.uri, *short, *map(str, flags)]


def declare(store: Store, *flags: object) -> PlanRecord:
    """Do what a launch does before it trains."""
    prepared = launch.with_pack(prepare(PLAN, parse(asked(store, *flags), description="")))
    return launch.declare(prepared.plan, prepared, store)


def finish(store: Store, declared: PlanRecord, *flags: object) -> None:
    prepared = prepare(PLAN, parse(asked(store, *flags), description=""))
    for i, trial in enumerate(prepared.plan.trials()):
        store.write_record(
            TrialRecord(
                id=trial.id,
                status=Status.FINISHED,
                experiment=canonical(trial.experiment),
                epochs=(EpochRecord(epoch=1, metrics={"val/top1": 0.7 + i / 100}),),
                data={"fingerprint": declared.dataset["fingerprint"]},
                provenance={"code": "one"},
            )
        )


def listed(*flags: object) -> str:
    out = io.StringIO()
    assert main(["--list", *map(str, flags)], out=out) == 0
    return out.getvalue()


def dry_run(capsys, *flags: object) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main(PLAN, [*map(str, flags), "--dry-run"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_second_pack_of_one_name_gets_its_digits_and_is_found_again(store, folders):
    first, second = (declare(store, "--data-root", folder) for folder in folders[:2])
    digits = second.dataset["fingerprint"][:6]
    assert (first.sweep, second.sweep) == ("asked-esc", f"asked-esc-{digits}")
    assert store.read_plan("asked-esc") == first
    for folder, sweep in zip(folders, (first.sweep, second.sweep), strict=False):
        assert declare(store, "--data-root", folder).sweep == sweep
    assert store.sweeps() == [first.sweep, second.sweep]


def test_second_pack_keeps_its_name_after_the_first_was_deleted(store, folders):
    _, second = (declare(store, "--data-root", folder) for folder in folders[:2])
    shutil.rmtree(store.local_path / "sweeps" / "asked-esc")
    assert declare(store, "--data-root", folders[1]).sweep == second.sweep
    # The plain name is free for whoever comes first.
    assert declare(store, "--data-root", folders[2]).sweep == "asked-esc"
    assert declare(store, "--data-root", folders[0]).sweep.startswith("asked-esc-")


def test_clips_that_changed_in_their_folder_are_another_pack(store, folders):
    first = declare(store, "--data-root", folders[0])
    shutil.rmtree(folders[0])
    esc(folders[0], seed=9)
    assert declare(store, "--data-root", folders[0]).sweep != first.sweep
    assert store.read_plan(first.sweep) == first


def test_data_set_of_another_argument_is_told_apart_too(store):
    one, other = (
        declare(
            store, "--dataset", f"synthetic:num_classes=2,clips_per_class=2,num_folds=2,seed={i}"
        )
        for i in range(2)
    )
    assert one.sweep == "asked" and other.sweep == f"asked-{other.dataset['fingerprint'][:6]}"


def test_packs_whose_digits_agree_get_more_of_them(store):
    prints = ["abcdef" + str(i) * 58 for i in range(3)]
    names = []
    for fingerprint in prints:
        named = told_apart(PLAN, fingerprint, store.uri)
        names.append(named.sweep)
        record = dataclasses.replace(named.record(), dataset={"fingerprint": fingerprint})
        store.write_plan(record)
    assert names == ["asked", "asked-abcdef", "asked-abcdef222222"]
    assert [told_apart(PLAN, print_, store.uri).sweep for print_ in prints] == names


def test_dry_run_and_list_show_the_names_and_their_data(store, folders, capsys):
    flags = asked(store, "--data-root", folders[1])
    declared = [declare(store, "--data-root", folders[0])]
    before = dry_run(capsys, *flags)
    assert "the store has asked-esc of esc " in before and "stored as asked-esc-XXXXXX" in before
    declared.append(declare(store, "--data-root", folders[1]))
    after = dry_run(capsys, *flags)
    assert after.startswith(f"{declared[1].sweep}: ")
    assert f"asked-esc is kept for another pack, so that this one, {declared[1].pack}" in after
    said = listed("--store", store.uri).splitlines()
    shown = [(words[0], *words[-2:]) for words in map(str.split, said[1:])]
    assert shown == [(p.sweep, *p.pack.split()) for p in declared]
    (store.local_path / "sweeps" / "asked-esc" / "plan.json").write_text("{")
    assert declared[1].sweep in listed("--store", store.uri)


def test_packs_of_one_name_are_aggregated(store, folders):
    for folder in folders[:2]:
        declared = declare(store, "--data-root", folder, "--seeds", 3)
        finish(store, declared, "--data-root", folder, "--seeds", 3)
    out = io.StringIO()
    flags = ["--aggregate", "--store", store.uri]
    assert main([*store.sweeps(), *flags], out=out) == 0
    assert all(f"({sweep})" in out.getvalue() for sweep in store.sweeps())


def test_plan_of_another_pack_is_never_overwritten(store):
    record = dataclasses.replace(PLAN.record(), dataset={"name": "esc", "fingerprint": "aa" * 32})
    store.write_plan(record)
    other = dataclasses.replace(record, dataset={"name": "esc", "fingerprint": "bb" * 32})
    with pytest.raises(StoreError, match="is of esc aaaaaaaaaaaa, and this plan of esc bbbb"):
        store.write_plan(other)
    assert store.read_plan(record.sweep).dataset["fingerprint"] == "aa" * 32
