"""An exported model gives the numbers of the trained one, or is not there."""

import json

import numpy as np
import pytest
import torch

import orchestrator
from orchestrator.errors import CheckpointError
from orchestrator.export import main
from orchestrator.predict import exported
from orchestrator.predict.loading import load_file, load_model
from orchestrator.store import Store
from tests import tiny
from tests.predict.conftest import CLIPS, FRAMES

torch.set_num_threads(1)


def run(capsys, store: Store, *words: str, code: int = 0) -> str:
    assert main([*words, "--store", store.uri]) == code
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return said.err if code else said.out


@pytest.fixture(scope="module")
def folder(store, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "clips"
    words = ("tiny/clips", "--format", "huggingface", "--output", str(path), "--store", store.uri)
    assert main(words) == 0
    return path


def clips() -> torch.Tensor:
    return torch.randn(3, 8000, generator=torch.Generator().manual_seed(1)) * 0.1


def test_a_folder_says_what_it_is_and_loads_by_itself(store, folder, capsys):
    config = json.loads((folder / "config.json").read_text())
    trained = load_model(store, config["trial"])
    chain = orchestrator.load_model(folder)
    assert chain.class_names == trained.class_names == tuple(config["id2label"].values())
    assert (config["model_type"], config["sampling_rate"]) == ("datar_laptop", 16000)
    assert config["chain"]["model"]["arguments"]["depths"] == [1, 1, 1, 1]
    with torch.no_grad():
        assert torch.equal(chain(clips()).clip_logits, trained(clips()).clip_logits)
    card = (folder / "README.md").read_text()
    for fact in (
        config["trial"],
        "sweep | tiny, arm clips",
        "n 2 seeds",
        "orchestrator.load_model",
    ):
        assert fact in card
    assert oct((folder / "README.md").stat().st_mode) == oct(
        (folder / "model.safetensors").stat().st_mode
    )


def test_weights_beside_the_config_of_another_model_are_refused(folder, tmp_path):
    config = json.loads((folder / "config.json").read_text())
    config["chain"]["model"]["arguments"]["depths"] = [1, 1, 2, 1]
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="not of the same model: chain is"):
        load_file(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_file(tmp_path)


def test_a_checkpoint_is_exported_from_its_file_alone(store, tmp_path, capsys):
    file = str(tiny.checkpoint_file(store, FRAMES.id, "last"))
    words = (file, "--format", "huggingface", "--output", str(tmp_path / "a"))
    out = run(capsys, store, *words)
    assert "made-up audio" in out and "held-out" not in out
    assert load_file(tmp_path / "a").trial == FRAMES.id


def test_a_model_with_other_numbers_is_not_left_behind(store, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(exported, "TOLERANCE", -1.0)
    words = (CLIPS.id, "--format", "huggingface", "--output", str(tmp_path / "a"))
    assert "nothing was written" in run(capsys, store, *words, code=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("zz", "--format", "torch"), "there is no trial 'zz'"),
        (("tiny", "--format", "torch", "--output", "a"), "tiny has 3 arms, and --output is one"),
        ((CLIPS.id, "--format", "torch", "--output", "FOLDER"), "a folder that is there already"),
        ((CLIPS.id, "--format", "torch", "--register", "a"), "are of --format mlflow"),
        ((CLIPS.id, "--format", "mlflow", "--output", "a"), "leave --output out"),
        ((CLIPS.id, "--format", "mlflow"), "give SWEEP/ARM"),
        ((CLIPS.id, "--format", "torch", "--window", "0.001"), "cannot be exported: torch.export"),
    ],
)
def test_a_mistake_is_named_in_one_message(store, folder, capsys, words, message):
    said = run(capsys, store, *(str(folder) if w == "FOLDER" else w for w in words), code=2)
    assert message in said and said.startswith("error: ") and said.count("\n") == 1


@pytest.mark.slow
def test_programs_give_the_same_numbers_for_any_batch(store, tmp_path, capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    waveform = clips()

    path = tmp_path / "frames.pt2"
    run(capsys, store, "tiny/frames", "--format", "torch", "--output", str(path))
    facts = {"orchestrator.json": ""}
    program = torch.export.load(path, extra_files=facts).module()
    said = json.loads(facts["orchestrator.json"])
    assert (said["sample_rate"], said["trial"], said["arm"]) == (16000, FRAMES.id, "frames")
    with torch.no_grad():
        wanted = load_model(store, FRAMES.id)(waveform)
        for made, want in zip(program(waveform), wanted[:2], strict=True):
            torch.testing.assert_close(made, want, atol=1e-4, rtol=0)

    # DATAR's front end, attention in five dimensions, and sampling at learned positions.
    path = tmp_path / "clips.onnx"
    run(capsys, store, CLIPS.id, "--format", "onnx", "--output", str(path))
    session = onnxruntime.InferenceSession(path)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["class_names"]) == list(load_model(store, CLIPS.id).class_names)
    (logits,) = session.run(None, {"waveform": waveform.numpy()})
    with torch.no_grad():
        wanted = load_model(store, CLIPS.id)(waveform).clip_logits.numpy()
    np.testing.assert_allclose(logits, wanted, atol=1e-4)
