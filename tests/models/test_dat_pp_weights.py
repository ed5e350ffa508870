from functools import partial

import pytest
import torch
from torch.nn import functional

from models.checkpoints.load import load_pretrained
from models.errors import CheckpointError
from models.registry import create
from tests.models.dat_pp_files import SMALL, dat_pp_shapes

datar_tiny = partial(create, "model", "datar_tiny")
datar_pp_tiny = partial(create, "model", "datar_pp_tiny")

DAT = dict(dims=SMALL["dims"], depths=(2, 2, 2, 2), head_dim=16, groups=(2, 4))


def model(*, num_channels=1, input_size=(64, 128), num_classes=5, **changes):
    return datar_pp_tiny(num_channels, input_size, num_classes, **(SMALL | changes))


@pytest.fixture
def published(dat_files, tmp_path):
    """A file as published: square images of three channels, seven classes."""
    state = dat_files.formula_state(dat_pp_shapes(96, **SMALL, num_classes=7))
    path = tmp_path / "dat_pp_tiny_in1k_224.pth"
    torch.save({"model": state}, path)
    return path, state


def test_published_file_is_adapted_to_a_spectrogram(published):
    path, state = published
    target = model()
    report = load_pretrained(target, path)
    stem = state["patch_proj.0.weight"].sum(dim=1, keepdim=True)
    assert torch.equal(target.stem.first.conv.weight, stem)
    table = state["stages.1.attns.1.rpe_table"]
    expected = functional.interpolate(table[None], (15, 31), mode="bicubic")[0]
    torch.testing.assert_close(target.stages[1][1].attention.bias_table.data, expected)
    joined = torch.cat([state[f"stages.0.attns.1.proj_{x}.weight"][:, :, 0, 0] for x in "kv"])
    assert torch.equal(target.stages[0][1].attention.key_value.weight, joined)
    kernel = state["stages.2.mlps.0.dwc.weight"]
    assert torch.equal(target.stages[2][0].mlp.depthwise.weight, kernel)
    assert report.missing == ("head.weight", "head.bias")
    assert set(report.skipped) == {"head.weight", "head.bias"}
    assert len(report.resized) == 5
    assert len(report.taken) + 2 == len(target.state_dict())


def test_published_tables_are_taken_as_they_are_at_their_own_size(published):
    path, state = published
    target = model(table_size=(96, 96))
    report = load_pretrained(target, path)
    assert not report.resized
    table = target.stages[0][1].attention.bias_table
    assert torch.equal(table, state["stages.0.attns.1.rpe_table"])


def test_published_tables_of_a_neighborhood_are_stretched_to_another(published):
    path, state = published
    target = model(neighbourhood_size=5, table_size=(96, 96))
    report = load_pretrained(target, path)
    name = "stages.2.0.attention.bias_table"
    assert report.resized[name] == "4x13x13 -> 4x9x9"
    expected = functional.interpolate(state["stages.2.attns.0.rpb"][None], (9, 9), mode="bicubic")[
        0
    ]
    assert torch.equal(target.get_parameter(name), expected)


def test_published_names_are_those_of_the_published_sizes():
    with torch.device("meta"):
        target = datar_pp_tiny(3, (224, 224), 1000)
        tiny = dict(
            dims=(64, 128, 256, 512), depths=(2, 4, 18, 2), head_dim=32, groups=(1, 2, 4, 8)
        )
        shapes = dat_pp_shapes(224, **tiny, num_classes=1000)
        renamed = target.rename_published({name: torch.empty(s) for name, s in shapes.items()})
    assert {n: v.shape for n, v in renamed.items()} == {
        n: v.shape for n, v in target.state_dict().items()
    }


def test_published_offsets_are_skipped_by_a_model_without_them(published):
    report = load_pretrained(model(deformable=False), published[0])
    assert len([name for name in report.skipped if ".offset." in name]) == 5 * 5


def test_file_of_dat_is_refused_by_a_model_on_dat_pp(dat_files, tmp_path):
    shapes = dat_files.published_shapes((64, 64), **DAT, window=2, num_classes=7)
    path = tmp_path / "dat_tiny_in1k_224.pth"
    torch.save({"model": dat_files.formula_state(shapes)}, path)
    target = model()
    before = target.norm.weight.clone()
    with pytest.raises(
        CheckpointError, match=r"tiny_in1k_224.*holds DAT weights.*build datar_tiny"
    ):
        load_pretrained(target, path)
    assert torch.equal(target.norm.weight, before)


def test_file_of_dat_pp_is_refused_by_a_model_on_dat(published):
    with pytest.raises(CheckpointError, match=r"holds DAT\+\+ weights.*build datar_pp_tiny"):
        load_pretrained(datar_tiny(1, (64, 128), 5, **DAT), published[0])


def test_own_checkpoints_do_not_cross_from_one_form_to_the_other(tmp_path):
    one, other = datar_tiny(1, (64, 128), 5, **DAT), model()
    for source, target in ((one, other), (other, one)):
        torch.save(source.state_dict(), tmp_path / "own.pth")
        with pytest.raises(CheckpointError, match="does not belong"):
            load_pretrained(target, tmp_path / "own.pth")
