"""Files that are wrong, damaged or malicious, against every family: one error, nothing else.

The good file of each family is in its authors' format at a small size, and does load.
"""

import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import conftest
import htsat_files
import keyword_weights
import psla_files
import published_weights
import pytest
import slowfast_files
import torch
import vggsound_files
from torch import nn

from models.checkpoints.load import load_pretrained
from models.errors import CheckpointError
from models.panns.model import resnet38
from models.registry import create

ast_laptop = partial(create, "model", "ast_laptop")
datar_tiny = partial(create, "model", "datar_tiny")
htsat_laptop = partial(create, "model", "htsat_laptop")
cnn14_decision_level_att = partial(create, "model", "cnn14_decision_level_att")
cnn6 = partial(create, "model", "cnn6")
psla_laptop = partial(create, "model", "psla_laptop")
res15 = partial(create, "model", "res15")
slowfast_laptop = partial(create, "model", "slowfast_laptop")
talnet = partial(create, "model", "talnet")
vggsound_resnet_laptop = partial(create, "model", "vggsound_resnet_laptop")

WIDTHS = (4, 8, 16, 32, 64, 128)
TALNET = (2, 4, 8, 16, 32)
DAT = dict(dims=(16, 32, 64, 128), depths=(2, 2, 2, 1), head_dim=16, groups=(2, 4))


@dataclass(frozen=True)
class Family:
    """A small model, the same one in another size, and its published file's content."""

    build: Callable[[], nn.Module]
    build_other: Callable[[], nn.Module]
    content: Callable[[], dict]


def dat_content():
    shapes = conftest.published_shapes((64, 64), **DAT, window=2, num_classes=5)
    return {"model": conftest.formula_state(shapes)}


def ast_content():
    shapes = published_weights.ast_shapes(dim=24, depth=2, num_patches=1212, num_classes=5)
    state = published_weights.formula_state(shapes)
    return {f"module.{name}": value for name, value in state.items()}


def htsat_content():
    shapes = htsat_files.htsat_shapes(token_semantic=True, num_classes=5, **htsat_files.SMALL)
    state = htsat_files.formula_state(shapes)
    return {"epoch": 3, "state_dict": {f"sed_model.{name}": v for name, v in state.items()}}


def swin_content():
    shapes = htsat_files.swin_shapes(num_channels=3, num_classes=7, **htsat_files.SMALL)
    return {"model": htsat_files.formula_state(shapes)}


def panns_content(**shapes):
    state = published_weights.formula_state(published_weights.panns_shapes(num_classes=5, **shapes))
    return {"iteration": 600000, "model": state}


def psla_content():
    state = psla_files.formula_state(psla_files.psla_shapes(num_heads=4, num_classes=5))
    return {f"module.{name}": value for name, value in state.items()}


def blocks(widths, *, kernel, convs):
    pairs = zip((1, *widths), widths, strict=False)
    return [(f"conv_block{i + 1}", *pair, kernel, convs) for i, pair in enumerate(pairs)]


def dat(**changes):
    return datar_tiny(1, (64, 64), 5, **(DAT | {"window_size": 2} | changes))


def ast(dim):
    return ast_laptop(1, (128, 1024), 5, dim=dim, depth=2)


FAMILIES = {
    "DAT": Family(dat, lambda: dat(dims=(32, 64, 128, 256)), dat_content),
    "AST": Family(lambda: ast(24), lambda: ast(48), ast_content),
    "HTS-AT": Family(
        lambda: htsat_laptop(1, (64, 0), 5),
        lambda: htsat_laptop(1, (64, 0), 5, embed_dim=32),
        htsat_content,
    ),
    "Swin": Family(
        lambda: htsat_laptop(1, (64, 0), 5, token_semantic=False),
        lambda: htsat_laptop(1, (64, 0), 5, embed_dim=32),
        swin_content,
    ),
    "CNN6": Family(
        lambda: cnn6(1, (64, 64), 5, dims=WIDTHS[:4]),
        lambda: cnn6(1, (64, 64), 5, dims=(8, 16, 32, 64)),
        lambda: panns_content(blocks=blocks(WIDTHS[:4], kernel=5, convs=1), dim=32),
    ),
    "CNN14 att": Family(
        lambda: cnn14_decision_level_att(1, (64, 64), 5, dims=WIDTHS),
        lambda: cnn14_decision_level_att(1, (64, 64), 5, dims=(8, *WIDTHS[1:])),
        lambda: panns_content(blocks=blocks(WIDTHS, kernel=3, convs=2), dim=128, attention=True),
    ),
    "ResNet38": Family(
        lambda: resnet38(1, (64, 64), 5, dims=(4, 8, 16, 32, 64), depths=(1, 1, 1, 1)),
        lambda: resnet38(1, (64, 64), 5, dims=(8, 16, 32, 64, 128), depths=(1, 1, 1, 1)),
        lambda: panns_content(
            blocks=[("conv_block1", 1, 4, 3, 2), ("conv_block_after1", 32, 64, 3, 2)],
            dim=64,
            resnet=[(4, 1), (8, 1), (16, 1), (32, 1)],
        ),
    ),
    "PSLA": Family(
        lambda: psla_laptop(1, (64, 0), 5),
        lambda: psla_laptop(1, (64, 0), 5, width=0.75),
        psla_content,
    ),
    "SlowFast": Family(
        lambda: slowfast_laptop(1, (64, 0), 5),
        lambda: slowfast_laptop(1, (64, 0), 5, width=8),
        slowfast_files.slowfast_content,
    ),
    "VGGSound": Family(
        lambda: vggsound_resnet_laptop(1, (129, 0), 5, pooling="netvlad"),
        lambda: vggsound_resnet_laptop(1, (129, 0), 5, channels=(8, 16, 32, 64)),
        lambda: vggsound_files.vggsound_content(netvlad=True, **vggsound_files.SMALL),
    ),
    "TALNet": Family(
        lambda: talnet(1, (64, 0), 5, dims=TALNET, hidden_dim=32),
        lambda: talnet(1, (64, 0), 5, dims=(4, *TALNET[1:]), hidden_dim=32),
        lambda: {
            "model": published_weights.formula_state(
                keyword_weights.talnet_shapes(dims=TALNET, num_classes=5)
            )
        },
    ),
    "Res-15": Family(
        lambda: res15(1, (40, 0), 5, dim=6, depth=7),
        lambda: res15(1, (40, 0), 5, dim=8, depth=7),
        lambda: published_weights.formula_state(
            keyword_weights.res15_shapes(dim=6, depth=7, num_classes=5)
        ),
    ),
}
NAMES = list(FAMILIES)
# The trunk of HTS-AT is Swin's, and its file is known by the same names.
KIN = {frozenset({"HTS-AT", "Swin"})}


class Trap:
    """Leaves a file behind if it is ever unpickled as Python would."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def refuse(model, path, tmp_path):
    """Check that a file is refused by one error, and that nothing happened."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_pretrained(model, path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert not re.search("weights_only|can still be loaded|two options", str(caught.value))
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", NAMES)
def test_good_file_loads(name, tmp_path):
    torch.save(FAMILIES[name].content(), tmp_path / "file.pth")
    report = load_pretrained(FAMILIES[name].build(), tmp_path / "file.pth")
    assert len(report.taken) > len(report.missing)


@pytest.mark.parametrize("other", NAMES)
@pytest.mark.parametrize("name", NAMES)
def test_file_of_another_family_is_refused(name, other, tmp_path):
    if name == other or frozenset({name, other}) in KIN:
        return
    torch.save(FAMILIES[other].content(), tmp_path / "file.pth")
    refuse(FAMILIES[name].build(), tmp_path / "file.pth", tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_file_of_another_size_is_refused(name, tmp_path):
    torch.save(FAMILIES[name].content(), tmp_path / "file.pth")
    refuse(FAMILIES[name].build_other(), tmp_path / "file.pth", tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", NAMES)
def test_file_that_is_cut_off_is_refused(name, zipped, share, tmp_path):
    path = tmp_path / "file.pth"
    torch.save(FAMILIES[name].content(), path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refuse(FAMILIES[name].build(), path, tmp_path)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>quota</html>", b"\x00" * 64])
@pytest.mark.parametrize("name", NAMES)
def test_file_of_another_kind_is_refused(name, content, tmp_path):
    (tmp_path / "file.pth").write_bytes(content)
    refuse(FAMILIES[name].build(), tmp_path / "file.pth", tmp_path)


@pytest.mark.parametrize("place", ["beside", "inside", "pickle"])
@pytest.mark.parametrize("name", NAMES)
def test_good_file_with_code_in_it_is_refused_and_runs_nothing(name, place, tmp_path):
    content, trap = FAMILIES[name].content(), Trap(tmp_path / "sprung")
    if place == "inside":
        keys = ("model", "state_dict", "model_state", "model_state_dict")
        inner = next((content[key] for key in keys if key in content), content)
        inner[next(iter(inner))] = trap
    else:
        content["callbacks"] = trap
    if place == "pickle":
        (tmp_path / "file.pth").write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, tmp_path / "file.pth")
    refuse(FAMILIES[name].build(), tmp_path / "file.pth", tmp_path)
