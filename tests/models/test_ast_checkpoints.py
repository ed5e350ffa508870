"""AST's three published formats, fitted to models of other sizes."""

from functools import partial

import pytest
import torch
from published_weights import ast_shapes, formula_state
from torch.nn import functional

from models.checkpoints.load import load_pretrained
from models.errors import CheckpointError
from models.registry import create

ast_laptop = partial(create, "model", "ast_laptop")


def small(*, input_size=(64, 128), num_classes=5, **changes):
    torch.manual_seed(0)
    return ast_laptop(1, input_size, num_classes, **({"dim": 24, "depth": 2} | changes))


def published(*, num_patches, num_classes=5):
    """A state in the authors' format, as wide and deep as `small()`."""
    return formula_state(
        ast_shapes(dim=24, depth=2, num_patches=num_patches, num_classes=num_classes)
    )


def saved(state, folder, *, prefix="module."):
    torch.save({prefix + name: value for name, value in state.items()}, folder / "file.pth")
    return folder / "file.pth"


def test_longer_and_shorter_axes_are_cut_and_interpolated_as_the_authors_do(tmp_path):
    state = published(num_patches=1212)
    image = state["v.pos_embed"][:, 2:].transpose(1, 2).reshape(1, 24, 12, 101)
    shorter = image[:, :, 4:9, 44:56]
    longer = functional.interpolate(image, (12, 120), mode="bilinear")
    longer = functional.interpolate(longer, (14, 120), mode="bilinear")
    for size, expected in (((64, 128), shorter), ((146, 1206), longer)):
        model = small(input_size=size)
        report = load_pretrained(model, saved(state, tmp_path))
        assert list(report.resized) == ["pos_embed"]
        assert torch.equal(model.pos_embed[:, :2], state["v.pos_embed"][:, :2])
        assert torch.equal(model.pos_embed[:, 2:], expected.flatten(2).transpose(1, 2))


@pytest.mark.parametrize(
    ("num_patches", "grid"), [(850, (10, 85)), (657, (9, 73)), (512, (8, 64)), (60, (5, 12))]
)
def test_grid_of_a_file_is_found_by_its_patches(num_patches, grid, tmp_path):
    state = published(num_patches=num_patches)
    model = small()
    load_pretrained(model, saved(state, tmp_path))
    image = state["v.pos_embed"][:, 2:].transpose(1, 2).reshape(1, 24, *grid)
    row, column = grid[0] // 2 - 2, grid[1] // 2 - 6
    assert torch.equal(model.pos_embed[0, 2], image[0, :, row, column])


@pytest.mark.parametrize(
    ("num_patches", "grid", "named"),
    [
        (61, (5, 12), "61 patches.*this model, of 5 x 12, has as many.*one of \\(1, 61\\)"),
        (600, (5, 12), "600 patches.*\\(12, 50\\)"),  # 12 x 50 was cut as 5 x 120
        (576, (5, 12), "576 patches.*\\(12, 48\\)"),  # 12 x 48 was cut as 24 x 24
        (196, (5, 12), "196 patches.*\\(14, 14\\)"),
        (144, (6, 24), "12 x 12 in the published files and 6 x 24 in this model"),
    ],
)
def test_grid_that_cannot_be_told_is_refused(num_patches, grid, named, tmp_path):
    model = small(input_size=tuple(10 * length + 6 for length in grid))
    assert model.grid == grid
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=named):
        load_pretrained(model, saved(published(num_patches=num_patches), tmp_path))
    assert all(torch.equal(value, before[n]) for n, value in model.state_dict().items())


@pytest.mark.parametrize("stated", [(12, 50), (10, 60)])
@pytest.mark.parametrize("grid", [(5, 50), (5, 120)], ids=["fewer patches", "as many"])
def test_grid_that_is_stated_is_taken_and_named(stated, grid, tmp_path):
    state = published(num_patches=600)
    image = state["v.pos_embed"][:, 2:].transpose(1, 2).reshape(1, 24, *stated)
    if grid[1] > stated[1]:
        image = functional.interpolate(image, (stated[0], grid[1]), mode="bilinear")
    row, column = stated[0] // 2 - 2, image.shape[3] // 2 - grid[1] // 2
    expected = image[:, :, row : row + 5, column : column + grid[1]]
    model = small(input_size=tuple(10 * length + 6 for length in grid))
    report = load_pretrained(model, saved(state, tmp_path), source_grid=stated)
    assert torch.equal(model.pos_embed[:, 2:], expected.flatten(2).transpose(1, 2))
    said = f"grid {stated[0]} x {stated[1]}, as stated, fitted to the model's 5 x {grid[1]}"
    assert said in report.resized["pos_embed"]
    assert said in report.summary()


@pytest.mark.parametrize("stated", [(12, 51), (0, 600), (600,), (-12, -50)])
def test_stated_grid_of_another_number_is_refused(stated, tmp_path):
    with pytest.raises(CheckpointError, match="is not the grid of its 600 patches"):
        load_pretrained(small(), saved(published(num_patches=600), tmp_path), source_grid=stated)


@pytest.mark.parametrize(
    ("num_patches", "grid", "named"),
    [
        (1212, (12, 101), "grid 12 x 101, the published one of as many patches"),
        (60, (5, 12), "grid 5 x 12, the model's own, which has as many patches"),
    ],
)
def test_report_names_the_grid_that_was_read_without_resizing(num_patches, grid, named, tmp_path):
    state = published(num_patches=num_patches)
    model = small(input_size=tuple(10 * length + 6 for length in grid))
    report = load_pretrained(model, saved(state, tmp_path))
    assert torch.equal(model.pos_embed, state["v.pos_embed"])
    assert report.resized == {}
    assert report.read_as == {"pos_embed": named}
    assert f"read: pos_embed: {named}" in report.summary()


def test_head_for_other_classes_is_left_out_with_its_norm(tmp_path):
    model = small(num_classes=3)
    head = model.head.weight.clone()
    report = load_pretrained(model, saved(published(num_patches=60), tmp_path))
    assert set(report.missing) == {"head.weight", "head.bias", "head_norm.weight", "head_norm.bias"}
    assert "another number of classes" in report.skipped["mlp_head.0.weight"]
    assert report.skipped["head.weight"] == "for 5 classes, the model has 3"
    assert "ImageNet" in report.skipped["v.head_dist.weight"]
    assert torch.equal(model.head.weight, head)


def deit(num_patches):
    """A state in timm's names of distilled DeiT."""
    state = published(num_patches=num_patches)
    state["v.patch_embed.proj.weight"] = torch.randn(24, 3, 16, 16)
    return {
        name.removeprefix("v."): value
        for name, value in state.items()
        if not name.startswith("mlp_head")
    }


@pytest.mark.parametrize("num_patches", [196, 576])
def test_grid_of_deit_is_a_square(num_patches, tmp_path):
    side = int(num_patches**0.5)
    state = deit(num_patches)
    model = small(num_classes=5)
    report = load_pretrained(model, saved(state, tmp_path, prefix=""))
    image = state["pos_embed"][:, 2:].transpose(1, 2).reshape(1, 24, side, side)
    row, column = side // 2 - 2, side // 2 - 6
    assert torch.equal(model.pos_embed[0, 2], image[0, :, row, column])
    assert f"grid {side} x {side}, the square of an image model" in report.resized["pos_embed"]


def test_deit_of_no_square_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="which is no square, as an image model has"):
        load_pretrained(small(), saved(deit(60), tmp_path, prefix=""))


@pytest.mark.parametrize("num_channels", [1, 2])
def test_deit_starts_an_ast(num_channels, tmp_path):
    state = deit(196)
    model = ast_laptop(num_channels, (64, 128), 5, dim=24, depth=2)
    report = load_pretrained(model, saved({"model": state}, tmp_path, prefix=""))
    summed = state["patch_embed.proj.weight"].sum(dim=1, keepdim=True) / num_channels
    assert torch.equal(model.patch_embed.weight, summed.repeat(1, num_channels, 1, 1))
    assert torch.equal(model.blocks[1].mlp.fc2.weight, state["blocks.1.mlp.fc2.weight"])
    assert len(report.missing) == 4
    assert len(report.skipped) == 4
    assert list(report.resized) == ["pos_embed"]


def test_hugging_face_mirror_equals_the_authors_file(tmp_path):
    state = published(num_patches=60)
    ours, mirrored = small(), small()
    load_pretrained(ours, saved(state, tmp_path))
    report = load_pretrained(mirrored, saved(hugging_face(state), tmp_path, prefix=""))
    assert report.missing == ()
    assert report.skipped == {}
    for name, value in ours.state_dict().items():
        assert torch.equal(value, mirrored.state_dict()[name]), name


def hugging_face(state):
    """The names of transformers' `ASTForAudioClassification`, from those of the authors."""
    renamed = {}
    for name, value in state.items():
        if name.startswith(("v.head",)):
            continue
        if ".attn.qkv." in name:
            layer, kind = name.split(".")[2], name.split(".")[-1]
            for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                path = f"encoder.layer.{layer}.attention.attention.{part}.{kind}"
                renamed[f"audio_spectrogram_transformer.{path}"] = third
            continue
        for theirs, mirror in (
            ("v.cls_token", "embeddings.cls_token"),
            ("v.dist_token", "embeddings.distillation_token"),
            ("v.pos_embed", "embeddings.position_embeddings"),
            ("v.patch_embed.proj", "embeddings.patch_embeddings.projection"),
            ("v.blocks", "encoder.layer"),
            ("attn.proj", "attention.output.dense"),
            ("norm1", "layernorm_before"),
            ("norm2", "layernorm_after"),
            ("mlp.fc1", "intermediate.dense"),
            ("mlp.fc2", "output.dense"),
            ("v.norm", "layernorm"),
            ("mlp_head.0", "classifier.layernorm"),
            ("mlp_head.1", "classifier.dense"),
        ):
            name = name.replace(theirs, mirror)
        top = "" if name.startswith("classifier") else "audio_spectrogram_transformer."
        renamed[top + name] = value
    return renamed
