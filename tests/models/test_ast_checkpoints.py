"""AST's three published formats, fitted to models of other sizes."""

import pytest
import torch
from published_weights import ast_shapes, formula_state
from torch.nn import functional

from models.audio_spectrogram_transformer import ast_laptop
from models.errors import CheckpointError
from models.pretrained import load_pretrained


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


def test_grid_that_cannot_be_told_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"pos_embed 1x63x24 -> 1x62x24"):
        load_pretrained(small(), saved(published(num_patches=61), tmp_path))


def test_head_for_other_classes_is_left_out_with_its_norm(tmp_path):
    model = small(num_classes=3)
    head = model.head.weight.clone()
    report = load_pretrained(model, saved(published(num_patches=60), tmp_path))
    assert set(report.missing) == {"head.weight", "head.bias", "head_norm.weight", "head_norm.bias"}
    assert "another number of classes" in report.skipped["mlp_head.0.weight"]
    assert report.skipped["head.weight"] == "for 5 classes, the model has 3"
    assert "ImageNet" in report.skipped["v.head_dist.weight"]
    assert torch.equal(model.head.weight, head)


@pytest.mark.parametrize("num_channels", [1, 2])
def test_deit_starts_an_ast(num_channels, tmp_path):
    state = published(num_patches=196)
    state["v.patch_embed.proj.weight"] = torch.randn(24, 3, 16, 16)
    state = {
        name.removeprefix("v."): value
        for name, value in state.items()
        if not name.startswith("mlp_head")
    }
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
