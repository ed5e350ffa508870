"""A model on a tracking server gives the numbers of the trained one, loaded or served."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch

from orchestrator.execution.trial import TrialRun
from orchestrator.experiment.config import Component
from orchestrator.export import main as export
from orchestrator.predict.loading import load_model
from orchestrator.records import ArmRecord, PlanRecord, TrialKey
from orchestrator.tracking.__main__ import main as sync
from tests import tiny

RES15 = tiny.experiment(
    epochs=1,
    model=Component("res15_laptop"),
    frontend=Component("honk_mfcc", win_length=800, hop_length=640),
)

LOAD = """
import sys
sys.modules["orchestrator"] = sys.modules["models"] = None  # not installed here
import mlflow, numpy, torch
model = mlflow.pytorch.load_model(sys.argv[1])
numpy.save(sys.argv[3], model(torch.from_numpy(numpy.load(sys.argv[2]))).detach().numpy())
"""


@pytest.fixture
def sweep(store):
    """A store with one trained trial, and the words of a command that name it."""
    from orchestrator.data import prepare
    from orchestrator.execution.prepare import packs_of

    dataset = RES15.dataset
    prepare(dataset.name, dataset.arguments, root=None, packs=packs_of(store.uri))
    assert not TrialRun(store=store, trial_id=RES15.id, experiment=RES15).run().error
    store.write_plan(
        PlanRecord(
            sweep="models",
            question="Is it there?",
            metric="val/top1",
            selection="last",
            baseline="res15",
            arms=(ArmRecord(name="res15"),),
            contrasts=(),
            trials=(TrialKey(id=RES15.id, arm="res15", seed=0, fold=1),),
        )
    )
    return store


@pytest.mark.slow
def test_a_model_is_logged_registered_loaded_elsewhere_and_served(sweep, server, tmp_path, capsys):
    words = ["--store", sweep.uri, "--tracking-uri", server.uri]
    log = ["models/res15", "--format", "mlflow", "--register", "listener", *words]
    assert export(log) == 2
    assert "orchestrator.sync models" in capsys.readouterr().err
    assert sync(["models", *words]) == 0
    assert export(log) == 0
    assert "models:/listener/1" in capsys.readouterr().out

    waveform = torch.randn(3, 8000, generator=torch.Generator().manual_seed(1)) * 0.1
    with torch.no_grad():
        wanted = load_model(sweep, RES15.id)(waveform).clip_logits.softmax(dim=1).numpy()
    np.save(tmp_path / "in.npy", waveform.numpy())
    (tmp_path / "load.py").write_text(LOAD)
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": server.uri,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # `serve` calls uvicorn
    }
    command = [sys.executable, "load.py", "models:/listener/1", "in.npy", "out.npy"]
    subprocess.run(command, check=True, cwd=tmp_path, env=environment)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), wanted, atol=1e-4)

    answer = served(tmp_path, environment, "models:/listener/1", waveform.tolist())
    np.testing.assert_allclose(answer["predictions"], wanted, atol=1e-4)


def served(folder, environment, model, inputs):
    """What `mlflow models serve` answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "mlflow", "models", "serve", "-m", model),
        *("--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]
    with open(folder / "serve.log", "wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 180
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2)
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (
                    folder / "serve.log"
                ).read_text()
                time.sleep(0.2)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations",
            json.dumps({"inputs": inputs}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
