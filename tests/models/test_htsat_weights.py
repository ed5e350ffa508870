"""Files in the published formats, made from formula weights."""

from functools import partial

import pytest
import torch
from safetensors.torch import save_file

import models
from models.errors import CheckpointError
from models.htsat.checkpoint import UNUSED
from models.registry import create
from tests.models.htsat_files import SMALL, TINY, formula_state, htsat_shapes, swin_shapes

htsat_laptop = partial(create, "model", "htsat_laptop")
htsat_tiny = partial(create, "model", "htsat_tiny")

HEAD = {"token_head.weight", "token_head.bias"}


def laptop(num_classes=5, *, token_semantic=True, **changes):
    return htsat_laptop(1, (64, 0), num_classes, token_semantic=token_semantic, **changes)


def htsat_file(path, *, token_semantic, num_classes=5):
    """A file as Lightning writes it."""
    shapes = htsat_shapes(token_semantic=token_semantic, num_classes=num_classes, **SMALL)
    state = formula_state(shapes)
    content = {"epoch": 11, "state_dict": {f"sed_model.{name}": v for name, v in state.items()}}
    torch.save(content | {"optimizer_states": [{}], "callbacks": {}}, path)
    return state


@pytest.mark.parametrize("token_semantic", [True, False], ids=["HC", "H"])
def test_htsat_file_sets_every_parameter(token_semantic, tmp_path):
    state = htsat_file(tmp_path / "htsat.ckpt", token_semantic=token_semantic)
    model = laptop(token_semantic=token_semantic)
    report = models.load_pretrained(model, tmp_path / "htsat.ckpt")
    assert report.missing == ()
    assert report.resized == {}
    assert set(report.taken) == set(model.state_dict())
    front_end = {"logmel_extractor.melW"} | {
        f"spectrogram_extractor.stft.conv_{x}.weight" for x in ("real", "imag")
    }
    assert all(report.skipped[name].startswith("computed by") for name in front_end)
    unused = {"swin.head.weight", "swin.head.bias"} if token_semantic else set()
    assert set(report.skipped) == front_end | unused
    assert all("no use" in report.skipped[name] for name in unused)
    swin = model.swin
    assert torch.equal(
        swin.layers[1].downsample.reduction.weight, state["layers.0.downsample.reduction.weight"]
    )
    assert torch.equal(model.bn0.running_var, state["bn0.running_var"])
    own, theirs = ("token_head", "tscam_conv") if token_semantic else ("head", "head")
    assert torch.equal(model.get_parameter(f"{own}.weight"), state[f"{theirs}.weight"])


def test_htsat_file_of_other_classes_leaves_the_head(tmp_path):
    htsat_file(tmp_path / "htsat.ckpt", token_semantic=True, num_classes=7)
    chain = models.create_model("htsat_laptop", num_classes=5)
    head = chain.model.token_head.weight.clone()
    report = models.load_pretrained(chain, tmp_path / "htsat.ckpt")
    assert set(report.missing) == HEAD
    assert report.skipped["token_head.weight"] == "for 7 classes, the model has 5"
    assert torch.equal(chain.model.token_head.weight, head)
    assert (chain.mean, chain.std) == (0.0, 0.5)


@pytest.mark.parametrize(
    ("of_file", "left"),
    [(True, {"tscam_conv.weight", "swin.head.weight"}), (False, {"head.weight"})],
    ids=["HC to H", "H to HC"],
)
def test_htsat_file_of_the_other_form_leaves_the_head(of_file, left, tmp_path):
    htsat_file(tmp_path / "htsat.ckpt", token_semantic=of_file)
    model = laptop(token_semantic=not of_file)
    report = models.load_pretrained(model, tmp_path / "htsat.ckpt")
    assert report.missing == model.head_parameters
    assert left < set(report.skipped)
    assert all(report.skipped[name] in UNUSED.values() for name in left)


def test_swin_file_sets_188_of_the_200_entries(tmp_path):
    shapes = swin_shapes(num_channels=3, num_classes=1000, **TINY)
    state = formula_state(shapes)
    torch.save({"model": state}, tmp_path / "swin_tiny_c24_patch4_window8_256.pth")
    model = htsat_tiny(1, (64, 0), 527)
    report = models.load_pretrained(model, tmp_path / "swin_tiny_c24_patch4_window8_256.pth")
    # The authors' model stores masks and indices that are computed here.
    computed = [n for n in shapes if n.endswith(("attn_mask", "relative_position_index"))]
    assert len(htsat_shapes(token_semantic=True, num_classes=527, **TINY)) == 200
    assert len(report.taken) + len(computed) == 188
    assert all(name.startswith("swin.") for name in report.taken)
    assert set(report.skipped) == {"swin.head.weight", "swin.head.bias"}
    assert set(report.skipped.values()) == {"a head that HTS-AT has no use for"}
    assert set(report.missing) == HEAD | {n for n in model.state_dict() if n.startswith("bn0.")}
    torch.testing.assert_close(
        model.swin.patch_embed.proj.weight,
        state["patch_embed.proj.weight"].mean(dim=1, keepdim=True),
    )
    assert torch.equal(
        model.swin.layers[3].blocks[1].mlp.fc1.weight, state["layers.3.blocks.1.mlp.fc1.weight"]
    )


def test_swin_state_with_timm_names_is_taken_too(tmp_path):
    state = {f"swin.{n}": v for n, v in laptop().swin.state_dict().items()}
    torch.save({n.removeprefix("swin."): v for n, v in state.items()}, tmp_path / "swin.pth")
    model = laptop()
    models.load_pretrained(model, tmp_path / "swin.pth")
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())


def test_file_of_another_window_is_refused(tmp_path):
    htsat_file(tmp_path / "htsat.ckpt", token_semantic=True)
    with pytest.raises(CheckpointError, match=r"bias_table 49x1 -> 225x1"):
        models.load_pretrained(laptop(window_size=8), tmp_path / "htsat.ckpt")


def test_own_checkpoint_goes_from_a_chain_to_a_model_and_back(tmp_path):
    chain, model = models.create_model("htsat_laptop", num_classes=5), laptop()
    save_file(chain.state_dict(), tmp_path / "chain")
    assert models.load_pretrained(model, tmp_path / "chain").missing == ()
    save_file(model.state_dict(), tmp_path / "model")
    assert models.load_pretrained(chain, tmp_path / "model").missing == ()
    assert torch.equal(chain.model.token_head.weight, model.token_head.weight)
