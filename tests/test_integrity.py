"""One damaged file, whichever: the id changes, the run refuses, or the numbers are the recorded.

Every file that a trial depends on takes its turn: the pack, the user's module and a helper that it
imports, the weights that the trial starts from, its record, predictions, plan and checkpoints.
"""

import contextlib
import dataclasses
import io
import shutil
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from models.errors import ModelError
from orchestrator.data import open_pack
from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.errors import OrchestratorError
from orchestrator.execution.trial import TrialRun
from orchestrator.experiment.config import Component, File
from orchestrator.predict.loading import load_model
from orchestrator.records import Status
from orchestrator.report.__main__ import main as report
from orchestrator.training.data_parallel import Group
from orchestrator.training.evaluate import build, evaluate
from orchestrator.training.inputs import Inputs
from orchestrator.training.state import Initial
from tests import tiny

PART = """
import torch

from helper_of_integrity import GAIN


class Louder(torch.nn.Module):
    def __init__(self, num_channels):
        super().__init__()

    def forward(self, features, *, clip_seeds=None):
        return GAIN * features
"""
FILES = (
    *("clips.arrow", "pack.json"),
    *("part_of_integrity.py", "helper_of_integrity.py", "start.safetensors"),
    *("record.json", "predictions-last.arrow", "plan.json"),
    *("last.json", "best.json", "last-", "best-"),
)
PLACE = st.floats(0, 1, exclude_max=True)
CHANGE = st.tuples(
    st.sampled_from(("flip", "cut", "drop", "insert", "swap")), PLACE, st.integers(1, 255)
)
ONCE = settings(
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[*HealthCheck],
)
REFUSAL = (OrchestratorError, ModelError)


class Study:
    """A finished trial, all its files, and what they say while they are whole."""

    def __init__(self, folder):
        (folder / "part_of_integrity.py").write_text(PART)
        (folder / "helper_of_integrity.py").write_text("GAIN = 1.5\n")
        start = build(tiny.experiment(seed=3), num_classes=3)
        save_file(start.model.state_dict(), folder / "start.safetensors")
        self.folder = folder
        self.experiment = self.declared()
        self.store = tiny.store_with_pack(folder / "store", self.experiment)
        self.id = self.experiment.id
        plan = Plan(
            name="whole", question="Is it?", base=self.experiment, arms=(Arm(name="a"),), seeds=(0,)
        )
        self.store.write_plan(plan.record())
        self.record = TrialRun(store=self.store, trial_id=self.id, experiment=self.experiment).run()
        assert self.record.status is Status.FINISHED, self.record.error
        self.logits = self.store.read_predictions(self.id, "last").logits
        self.pack = self.waveforms()
        self.report = self.reported()

    def declared(self):
        """The experiment as a sweep file declares it now."""
        return tiny.experiment(
            transform=Component("part_of_integrity:Louder"),
            initial=Component("checkpoint", file=File.read(self.folder / "start.safetensors")),
            epochs=1,
        )

    def waveforms(self):
        pack = open_pack(self.fingerprint, packs=self.store.packs_uri)
        return (
            pack.class_names,
            pack.labels,
            pack.folds,
            [pack.waveform(i) for i in range(len(pack))],
        )

    def reported(self):
        out = io.StringIO()
        command = ["whole", "--store", self.store.uri, "--format", "json"]
        return report(command, out=out), out.getvalue()

    def predicted(self, which):
        chain = load_model(self.store, self.id, which=which)
        pack = open_pack(self.fingerprint, packs=self.store.packs_uri)
        return evaluate(
            chain,
            Inputs(pack, next(chain.parameters()).device),
            pack.split(1)[1],
            batch_size=5,
            epoch=1,
            precision="fp32",
            group=Group(),
        ).predictions.logits

    @property
    def fingerprint(self):
        return str(self.experiment.dataset.arguments["fingerprint"])

    def find(self, name):
        (found,) = (
            path
            for path in self.folder.rglob(f"{name}*")
            if path.is_file() and "__pycache__" not in path.parts
        )
        return found


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("integrity")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setattr(sys, "dont_write_bytecode", True)
        yield Study(folder)


def changed(data, change):
    kind, share, mask = change
    place = int(share * len(data))
    before, here, after = data[:place], data[place : place + 1], data[place + 1 :]
    return {
        "flip": before + bytes([here[0] ^ mask]) + after,
        "cut": before,
        "drop": before + after,
        "insert": before + bytes([mask]) + here + after,
        "swap": before + after[:1] + here + after[1:],
    }[kind]


@contextlib.contextmanager
def whole_again(study, path, data):
    """Write other data into a file; afterwards every file of the store is what it was."""
    kept = {p: p.read_bytes() for p in study.folder.rglob("*") if p.is_file()}
    path.write_bytes(data)
    try:
        yield
    finally:
        for found in sorted(study.folder.rglob("*"), reverse=True):
            if found.is_file() and found not in kept and "cache" not in found.parts:
                found.unlink()
        for damaged in study.folder.rglob("*.damaged-*"):
            shutil.rmtree(damaged)
        for p, content in kept.items():
            if not p.exists() or p.read_bytes() != content:
                p.parent.mkdir(parents=True, exist_ok=True)
                p.write_bytes(content)


def assert_changes_refuses_or_repeats(study, name, change):
    path = study.find(name)
    data = path.read_bytes()
    other = changed(data, change)
    if other == data:
        return
    with whole_again(study, path, other):
        if name in ("clips.arrow", "pack.json"):
            with contextlib.suppress(*REFUSAL):
                for ours, whole in zip(study.waveforms(), study.pack, strict=True):
                    assert len(ours) == len(whole)
                    assert all(np.array_equal(a, b) for a, b in zip(ours, whole, strict=True))
        elif name.endswith(".py") or name == "start.safetensors":
            with contextlib.suppress(*REFUSAL):
                assert study.declared().id != study.id
            # Under the old id nothing is trained from it.
            with pytest.raises(REFUSAL):
                if name == "start.safetensors":
                    Initial.read(study.experiment.initial.arguments["file"])
                else:
                    dataclasses.replace(study.experiment).id  # noqa: B018, completes it again
        elif name.startswith(("last", "best")):
            with contextlib.suppress(*REFUSAL):
                np.testing.assert_array_equal(study.predicted(name[:4]), study.logits)
        else:
            code, text = study.reported()
            assert code == 2 or (code, text) == study.report


def test_whole_files_repeat_the_recorded_numbers(study):
    assert study.declared().id == study.id
    assert study.report[0] == 0
    for which in ("last", "best"):
        np.testing.assert_array_equal(study.predicted(which), study.logits)


@settings(ONCE, max_examples=48)
@given(name=st.sampled_from(FILES), change=CHANGE)
def test_changed_file_is_another_id_a_refusal_or_the_same_numbers(study, name, change):
    assert_changes_refuses_or_repeats(study, name, change)


@pytest.mark.slow
@settings(ONCE, max_examples=500)
@given(name=st.sampled_from(FILES), change=CHANGE)
def test_500_changed_files_are_other_ids_refusals_or_the_same_numbers(study, name, change):
    assert_changes_refuses_or_repeats(study, name, change)
