import os
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

import models
from models.chain import build_chain
from models.checkpoints.load import load_pretrained, load_state
from models.errors import CheckpointError
from models.registry import create

datar_tiny = partial(create, "model", "datar_tiny")

SHARED = dict(dims=(16, 32, 64, 128), depths=(2, 2, 2, 1), head_dim=16, groups=(2, 4))


def model(*, num_channels=1, input_size=(64, 128), num_classes=5, **changes):
    arguments = SHARED | {"window_size": 3} | changes
    return datar_tiny(num_channels, input_size, num_classes, **arguments)


def chain(*, transform="adaptor", num_classes=5):
    return build_chain(
        frontend=("kaldi_fbank", {"n_mels": 64, "num_frames": 128}),
        augmentation=("none", {}),
        transform=(transform, {}),
        model=("datar_tiny", SHARED | {"window_size": 3}),
        num_classes=num_classes,
        seed=0,
    )


@pytest.fixture
def published(dat_files, tmp_path):
    """A file as published: square images of three channels, windows of 2, seven classes."""
    shapes = dat_files.published_shapes((64, 64), **SHARED, window=2, num_classes=7)
    state = dat_files.formula_state(shapes)
    path = tmp_path / "dat_tiny_in1k_224.pth"
    torch.save({"model": state}, path)
    return path, state


def test_published_file_is_adapted_to_a_spectrogram(published):
    path, state = published
    target = model()
    head = target.head.weight.clone()
    report = load_pretrained(target, path)
    assert torch.equal(
        target.stem.conv.weight, state["patch_proj.0.weight"].sum(dim=1, keepdim=True)
    )
    table = state["stages.2.attns.1.rpe_table"]
    expected = functional.interpolate(table[None], (7, 15), mode="bicubic")[0]
    torch.testing.assert_close(target.stages[2][1].attention.bias_table.data, expected)
    table = state["stages.0.attns.0.relative_position_bias_table"].reshape(1, 3, 3, 1)
    expected = functional.interpolate(table.permute(0, 3, 1, 2), (5, 5), mode="bicubic")
    expected = expected.reshape(1, 25).permute(1, 0)
    torch.testing.assert_close(target.stages[0][0].attention.bias_table.data, expected)
    joined = torch.cat([state[f"stages.3.attns.0.proj_{x}.weight"][:, :, 0, 0] for x in "kv"])
    assert torch.equal(target.stages[3][0].attention.key_value.weight, joined)
    assert torch.equal(target.head.weight, head)
    assert report.missing == ("head.weight", "head.bias")
    assert set(report.skipped) == {"head.weight", "head.bias"}
    assert len(report.resized) == 7
    assert report.resized["stages.2.1.attention.bias_table"] == "4x7x7 -> 4x7x15"
    windows = "9x1 -> 25x1 (a window of 2, fitted to 3)"
    assert report.resized["stages.0.0.attention.bias_table"] == windows
    assert len(report.taken) + 2 == len(target.state_dict())
    summary = report.summary()
    assert "7 of them resized" in summary
    assert "skipped: head.weight: for 7 classes, the model has 5" in summary


def test_one_channel_after_loading_equals_the_channel_repeated_three_times(published):
    path, _ = published
    single = model(input_size=(64, 64), window_size=2, num_classes=7).eval()
    triple = model(num_channels=3, input_size=(64, 64), window_size=2, num_classes=7).eval()
    for target in (single, triple):
        report = load_pretrained(target, path)
        assert not report.missing
        assert not report.resized
    image = torch.randn(2, 1, 64, 64)
    torch.testing.assert_close(
        single(image)[0], triple(image.expand(-1, 3, -1, -1))[0], atol=1e-4, rtol=1e-4
    )


def test_published_offsets_are_skipped_by_a_model_without_them(published):
    report = load_pretrained(model(deformable=False), published[0])
    offsets = [name for name in report.skipped if ".offset." in name]
    assert len(offsets) == 5 * 2
    assert all("no such parameter" in report.skipped[name] for name in offsets)


def test_published_file_goes_to_the_model_of_a_chain(published):
    built = chain()
    adaptor = built.transform.conv.weight.clone()
    report = load_pretrained(built, published[0])
    assert torch.equal(built.transform.conv.weight, adaptor)
    assert "stages.0.0.norm1.weight" in report.taken


def test_published_file_of_another_size_is_refused_and_changes_nothing(published):
    target = model(dims=(32, 64, 128, 256), head_dim=32)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"shapes differ.*16x1x4x4 -> 32x1x4x4"):
        load_pretrained(target, published[0])
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


@pytest.mark.parametrize("form", ["safetensors", "torch", "wrapped"])
def test_own_checkpoint_of_a_chain_is_restored_whole(form, tmp_path):
    one, other, path = chain(), chain(), tmp_path / "checkpoint"
    one.set_normalization(-3.0, 2.0)
    nn.init.ones_(one.transform.conv.weight)
    if form == "safetensors":
        save_file(one.state_dict(), path)
    else:
        state = one.state_dict()
        if form == "wrapped":
            state = {"state_dict": {f"module.{name}": value for name, value in state.items()}}
        torch.save(state, path)
    report = load_pretrained(other, path)
    assert (report.missing, report.skipped, report.resized) == ((), {}, {})
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


WRAPPERS = {
    "module": lambda m: nn.DataParallel(m).state_dict(),
    "compiled": lambda m: torch.compile(m).state_dict(),
    "compiled in module": lambda m: nn.DataParallel(torch.compile(m)).state_dict(),
    "module in compiled": lambda m: torch.compile(nn.DataParallel(m)).state_dict(),
    "model": lambda m: nn.ModuleDict({"model": m}).state_dict(),
    "backbone": lambda m: nn.ModuleDict({"backbone": m}).state_dict(),
    "model in module": lambda m: nn.DataParallel(nn.ModuleDict({"model": m})).state_dict(),
    "backbone in model": lambda m: nn.ModuleDict(
        {"model": nn.ModuleDict({"backbone": m})}
    ).state_dict(),
    "compiled within": lambda m: {
        name.replace("stages.", "stages._orig_mod."): value
        for name, value in m.state_dict().items()
    },
}
# A chain has a part `model` of its own, so nothing that is called so can hold it.
OF_CHAIN = ("module", "compiled", "compiled in module", "module in compiled", "compiled within")


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_prefixes_of_wrappers_are_taken_off_a_model(wrapper, tmp_path):
    one, state_of, in_file = model(), model(), model()
    state = WRAPPERS[wrapper](one)
    assert state.keys() != one.state_dict().keys()
    torch.save(state, tmp_path / "wrapped")
    for target, report in (
        (state_of, load_state(state_of, state, source="a wrapper")),
        (in_file, load_pretrained(in_file, tmp_path / "wrapped")),
    ):
        assert (report.missing, report.skipped) == ((), {})
        for name, value in one.state_dict().items():
            assert torch.equal(value, target.state_dict()[name]), name


@pytest.mark.parametrize("wrapper", OF_CHAIN)
def test_prefixes_of_wrappers_are_taken_off_a_chain(wrapper):
    one, target = chain(), chain()
    one.set_normalization(-3.0, 2.0)
    report = load_state(target, WRAPPERS[wrapper](one), source="a wrapper")
    assert (report.missing, report.skipped, target.mean.item()) == ((), {}, -3.0)


def test_prefixes_of_wrappers_are_taken_off_a_published_state(published):
    _, state = published
    target = model(input_size=(64, 64), window_size=2, num_classes=7)
    wrapped = {f"module.model.{name}": value for name, value in state.items()}
    assert not load_state(target, wrapped, source="a wrapper").missing


@pytest.mark.parametrize("holder", ["model", "backbone", "module"])
def test_prefix_that_is_the_models_own_stays(holder):
    one, other = (nn.ModuleDict({holder: nn.Linear(3, 2)}) for _ in range(2))
    assert not load_state(other, one.state_dict(), source="its own").missing
    assert torch.equal(other[holder].weight, one[holder].weight)


def test_parameters_with_and_without_a_prefix_are_refused():
    state = nn.Linear(3, 2).state_dict()
    state["_orig_mod.weight"] = state["weight"] + 1
    with pytest.raises(CheckpointError, match="some parameters twice"):
        load_state(nn.Linear(3, 2), state, source="both")


def test_models_exports_both_loaders():
    assert (models.load_state, models.load_pretrained) == (load_state, load_pretrained)


def test_source_grid_is_refused_where_there_are_no_patches(published):
    with pytest.raises(CheckpointError, match=r"source_grid=.* is for published files of AST"):
        load_pretrained(model(), published[0], source_grid=(2, 2))


def test_own_checkpoint_may_differ_in_classes_and_transform(tmp_path):
    save_file(chain().state_dict(), tmp_path / "checkpoint")
    target = chain(transform="identity", num_classes=9)
    report = load_pretrained(target, tmp_path / "checkpoint")
    assert set(report.missing) == {"model.head.weight", "model.head.bias"}
    assert set(report.skipped) == {
        "model.head.weight",
        "model.head.bias",
        "transform.conv.weight",
        "transform.conv.bias",
    }


def test_own_checkpoint_of_a_chain_goes_to_a_model_and_back(tmp_path):
    save_file(chain().state_dict(), tmp_path / "chain")
    bare = model()
    report = load_pretrained(bare, tmp_path / "chain")
    assert report.missing == ()
    assert report.skipped["mean"] == "belongs to the chain around the model"
    save_file(bare.state_dict(), tmp_path / "bare")
    assert load_pretrained(chain(), tmp_path / "bare").missing == ()


def test_own_checkpoint_of_another_shape_is_refused(tmp_path):
    save_file(model().state_dict(), tmp_path / "checkpoint")
    with pytest.raises(CheckpointError, match=r"bias_table 25x1 -> 49x1"):
        load_pretrained(model(window_size=4), tmp_path / "checkpoint")


def test_any_module_loads_its_own_checkpoint(tmp_path):
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    save_file(one.state_dict(), tmp_path / "checkpoint")
    load_pretrained(other, tmp_path / "checkpoint")
    assert torch.equal(one.weight, other.weight)


def test_file_that_matches_nothing_is_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "checkpoint")
    with pytest.raises(CheckpointError, match="none of its 1 names is known"):
        load_pretrained(model(), tmp_path / "checkpoint")


def test_arrays_beside_the_weights_are_read_over(tmp_path):
    sampler = {"indexes": np.arange(5), "mAP": np.float64(0.4), "flags": np.array([True])}
    torch.save({"model": model().state_dict(), "sampler": sampler}, tmp_path / "checkpoint")
    assert load_pretrained(model(), tmp_path / "checkpoint").missing == ()


def test_code_inside_an_array_is_refused_and_not_run(tmp_path):
    sampler = np.array([_Trap(tmp_path / "sprung")], object)
    torch.save({"model": model().state_dict(), "sampler": sampler}, tmp_path / "checkpoint")
    with pytest.raises(CheckpointError, match="nothing in it was run"):
        load_pretrained(model(), tmp_path / "checkpoint")
    assert not (tmp_path / "sprung").exists()


class _Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("writer", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))])
def test_file_with_code_is_refused_and_runs_nothing(writer, tmp_path):
    sprung = tmp_path / "sprung"
    writer({"model": {"a": _Trap(sprung)}}, tmp_path / "checkpoint")
    with pytest.raises(CheckpointError, match="nothing in it was run"):
        load_pretrained(model(), tmp_path / "checkpoint")
    assert not sprung.exists()


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("form", ["torch", "legacy", "safetensors"])
def test_file_that_is_cut_off_is_refused(form, share, tmp_path):
    path = tmp_path / "checkpoint"
    if form == "safetensors":
        save_file(model().state_dict(), path)
    else:
        torch.save(
            {"model": model().state_dict()}, path, _use_new_zipfile_serialization=form == "torch"
        )
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match="checkpoint"):
        load_pretrained(model(), path)


@pytest.mark.parametrize("content", [b"not a checkpoint", b"<html>quota exceeded</html>", b"PK"])
def test_file_of_another_kind_is_refused(content, tmp_path):
    path = tmp_path / "checkpoint"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="checkpoint"):
        load_pretrained(model(), path)


@pytest.mark.parametrize("content", [{}, [torch.zeros(1)], {"epoch": 3}, torch.zeros(2)])
def test_file_without_a_state_dict_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "checkpoint")
    with pytest.raises(CheckpointError, match="state dict"):
        load_pretrained(model(), tmp_path / "checkpoint")


def test_absent_file_and_directory_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_pretrained(model(), tmp_path / "absent")
    with pytest.raises(CheckpointError, match="a folder or no plain file"):
        load_pretrained(model(), tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "fifo")
    for name in ("loop", "fifo", "a\0b", "~nosuchuser/x"):
        with pytest.raises(CheckpointError):
            load_pretrained(model(), str(tmp_path / name) if name[0] != "~" else name)


ODD = {
    "sparse": lambda t: t.to_sparse(),
    "meta": lambda t: t.to("meta"),
    "quantised": lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8),
    "complex": lambda t: t.to(torch.complex64),
    "fp8": lambda t: t.to(torch.float8_e4m3fn),
    "not a number": lambda t: torch.full_like(t, float("nan")),
    "scalar": lambda t: t.sum(),
}


@pytest.mark.parametrize("kind", ODD)
def test_one_odd_tensor_changes_nothing_and_is_named(kind, tmp_path):
    target = model()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    state = {name: value + 1 for name, value in target.state_dict().items()}
    state["head.weight"] = ODD[kind](state["head.weight"])
    if kind == "fp8":
        torch.save(state, tmp_path / "odd")
        with pytest.raises(CheckpointError):
            load_pretrained(target, tmp_path / "odd")
    else:
        with pytest.raises(CheckpointError, match=r"head\.weight"):
            load_state(target, state, source="odd")
    assert all(torch.equal(value, before[n]) for n, value in target.state_dict().items())


def test_keys_that_are_no_names_are_refused(tmp_path):
    torch.save({1: torch.zeros(2)}, tmp_path / "odd")
    with pytest.raises(CheckpointError, match="keys are names"):
        load_pretrained(model(), tmp_path / "odd")


def test_file_of_another_depth_is_refused_in_both_directions():
    small, large = (
        create("model", "datar_laptop", 1, (64, 128), 5, depths=depths)
        for depths in ((1, 1, 2, 2), (1, 1, 6, 2))
    )
    with pytest.raises(CheckpointError, match=r"it sets \d+ of \d+ parameters"):
        load_state(large, small.state_dict(), source="small")
    with pytest.raises(CheckpointError, match=r"the model knows \d+ of its \d+ parameters"):
        load_state(small, large.state_dict(), source="large")
