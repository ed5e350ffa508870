"""What `tests/benchmarks/gpu` measures on a GPU runs, at the smallest size, on a CPU."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.datar import deformable
from tests import tiny
from tests.benchmarks.gpu import attention, compiled, machine, many, right, steps, study

FOLDER = Path(machine.__file__).parent


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_right_equals_to_the_bit_on_a_cpu_in_every_way(tmp_path):
    row = right.measure(tiny.experiment(), tmp_path / "case", "cpu")
    equal = ("repeats with fast", "killed and resumed", "group of one")
    assert {row[key] for key in equal} == {"to the bit"}
    assert row["attempts"] == 2
    assert re.fullmatch(r"[1-9]\d+ on cpu", row["collectives"])
    assert row["exit codes"] == "0 0 0 0 0"


def test_right_says_what_a_way_failed_of(tmp_path):
    broken = tiny.experiment(**{"optimizer.learning_rate": 1e30}, clip_norm=0.0)
    store = tiny.store_with_pack(tmp_path, broken)
    with pytest.raises(RuntimeError):
        machine.train(store.uri, broken, "cpu")
    assert right._result(store, broken.id).startswith("failed orchestrator.errors.DivergedError")


def test_steps_say_where_the_time_goes():
    case = steps.Case(tiny.experiment(batch_size=5), 4, 8000)
    (row,) = steps.measure(case, "fp32", device="cpu", rate=1e12)
    rates = ("held", "file", "waveforms", "ready", "deterministic")
    assert all(row[key] > 0 for key in (*rates, "forward ms", "backward ms", "optimizer ms"))
    shares = [row[f"{part} %"] for part in ("inputs", "evaluation", "checkpoint")]
    assert min(shares) > 0 and sum(shares) < 100


def test_steps_of_a_compiled_model_stand_beside_eager_ones():
    case = steps.Case(tiny.experiment(batch_size=5), 4, 8000)
    (row,) = steps.measure_mode(case, "fp32", "graphs", device="cpu")
    assert row["ready"] / row["eager ready"] == pytest.approx(row["times eager"])


def test_many_trains_in_processes(tmp_path):
    wanted = many.experiments(
        tmp_path / "packs",
        2,
        made_up=tiny.DATASET,
        frontend=tiny.experiment().frontend,
        epochs=1,
    )
    seconds = many.in_processes(wanted, tmp_path / "packs", tmp_path / "store", device="cpu")
    assert seconds > 0
    assert len(list((tmp_path / "store" / "trials").iterdir())) == 4  # with the uncounted ones


def test_stacked_members_equal_single_ones():
    _, row = many.stacked(
        tiny.experiment(batch_size=4, model__drop_path_rate=0.0), members=2, steps=4, device="cpu"
    )
    assert row["apart"] < 1e-5
    assert row["rounding"] < 1e-5


def test_attention_on_the_fly_equals_the_table():
    module = attention.layer((4, 8), dim=32, groups=2, kernel_size=3, head_dim=16)
    module.offset_range_factor = 6.0  # far beyond the edge, where the bias ends
    x = torch.randn(2, 4, 8, 32)
    points = module.positions(module.query(x))
    assert points.abs().max() > 1.5
    for row in attention.measure(module, x, precision="fp32", device="cpu"):
        assert row["values"] < 1e-5 and row["gradients"] < 1e-4, row


def test_attention_on_the_fly_looks_no_bias_up(monkeypatch):
    module = attention.layer((4, 8), dim=32, groups=2, kernel_size=3, head_dim=16)
    monkeypatch.setattr(deformable, "look_up_bias", None)
    with pytest.raises(TypeError):
        module(torch.randn(1, 4, 8, 32))
    with torch.no_grad():
        attention.in_form(module, "on the fly")(torch.randn(1, 4, 8, 32))


def test_compiled_model_computes_the_same():
    row = compiled.measure("kwt_laptop", device="cpu")
    assert row["outputs"] < 1e-5 and row["gradients"] < 1e-5


def test_study_runs_a_sweep_on_a_pack_to_its_table(tmp_path, capsys):
    machine.dataset(tmp_path / "packs", made_up=tiny.DATASET)
    size = ("--demo", "--seeds", "1", "--epochs", "1", "--arms", "with*")
    data = ("--dataset", "synthetic:num_classes=3,clips_per_class=4,num_folds=2,seconds=0.5")
    study.main(
        [
            *(str(FOLDER / "table4.py"), "--device", "cpu", "--processes", "1"),
            *("--out", str(tmp_path / "out"), "--", *size, *data),
        ]
    )
    found = json.loads((tmp_path / "out" / "study.json").read_text())
    assert len(found["rows"]) == 2
    assert found["facts"]["commit"]
    assert "with deformable" in (tmp_path / "out" / "study.txt").read_text()


def test_table_keeps_what_came_before_a_failure(tmp_path):
    def rows():
        yield {"ms": 1.0}
        raise RuntimeError("CUDA error: out of memory\nand more")

    table = machine.Table(tmp_path / "made", "Made up", about="Nothing.", device="cpu")
    table.add_each(rows(), case="one")
    table.add_each([{"ms": 2.0}], case="two")
    failed = {"case": "one", "failed": "RuntimeError: CUDA error: out of memory"}
    expected = [{"case": "one", "ms": 1.0}, failed, {"case": "two", "ms": 2.0}]
    assert json.loads((tmp_path / "made.json").read_text())["rows"] == expected
    assert "| two | 2 |  |" in (tmp_path / "made.md").read_text()


def test_run_script_writes_a_table_per_item(tmp_path):
    made = subprocess.run(
        ["bash", str(FOLDER / "run.sh"), str(tmp_path / "out")],
        env=os.environ | {"DEVICE": "cpu", "ONLY": "attention,nothing", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    summary = (tmp_path / "out" / "summary.txt").read_text()
    assert "exit code 0" in summary and "nothing: no such item" in summary
    rows = json.loads((tmp_path / "out" / "attention.json").read_text())["rows"]
    assert [row["form"] for row in rows] == list(attention.FORMS)


def test_items_of_the_run_script_take_less_than_25_minutes_by_their_limits():
    text = (FOLDER / "run.sh").read_text()
    limits = {name: int(seconds) for name, seconds in re.findall(r"\[(\w+)\]=(\d+)", text)}
    del limits["lane"]
    assert sum(limits.values()) < 25 * 60 - 5 * len(limits)  # some may take 10 s to end
