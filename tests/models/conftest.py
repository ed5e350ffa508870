"""Makes weights in the published DAT format, without any weights of others.

The names and shapes are those of LeapLabTHU/DAT 797f187: its DAT class loads these states with
strict=True. The values are a formula of name and place, so that they need no storage.
"""

import math
import zlib
from types import SimpleNamespace

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def dat_files():
    return SimpleNamespace(
        published_shapes=published_shapes, formula_state=formula_state, formula_input=formula_input
    )


def published_shapes(size, *, dims, depths, head_dim, groups, window, num_classes, num_channels=3):
    """Name -> shape of every entry, computed buffers included, for maps the window divides."""
    shapes = {
        "patch_proj.0.weight": (dims[0], num_channels, 4, 4),
        "patch_proj.0.bias": (dims[0],),
        "cls_norm.norm.weight": (dims[-1],),
        "cls_norm.norm.bias": (dims[-1],),
        "cls_head.weight": (num_classes, dims[-1]),
        "cls_head.bias": (num_classes,),
    }
    shapes |= _norm("patch_proj.1", dims[0])
    for i in range(3):
        shapes[f"down_projs.{i}.0.weight"] = (dims[i + 1], dims[i], 2, 2)
        shapes |= _norm(f"down_projs.{i}.1", dims[i + 1])
    for i, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
        height, width = (n // (4 << i) for n in size)
        for j in range(2 * depth):
            shapes |= _norm(f"stages.{i}.layer_norms.{j}", dim)
        for j in range(depth):
            mlp, attention = f"stages.{i}.mlps.{j}.chunk", f"stages.{i}.attns.{j}"
            shapes |= _layer(f"{mlp}.linear1", 4 * dim, dim) | _layer(
                f"{mlp}.linear2", dim, 4 * dim
            )
            if i >= 2 and (depth - j) % 2:
                group, kernel = dim // groups[i - 2], (9, 7, 5, 3)[i]
                for name in ("proj_q", "proj_k", "proj_v", "proj_out"):
                    shapes |= _layer(f"{attention}.{name}", dim, dim, 1, 1)
                shapes |= _layer(f"{attention}.conv_offset.0", group, 1, kernel, kernel)
                shapes |= _norm(f"{attention}.conv_offset.1", group)
                shapes[f"{attention}.conv_offset.3.weight"] = (2, group, 1, 1)
                table = (dim // head_dim, 2 * height - 1, 2 * width - 1)
                shapes[f"{attention}.rpe_table"] = table
                continue
            shapes |= _layer(f"{attention}.proj_qkv", 3 * dim, dim)
            shapes |= _layer(f"{attention}.proj_out", dim, dim)
            table = ((2 * window - 1) ** 2, dim // head_dim)
            shapes[f"{attention}.relative_position_bias_table"] = table
            shapes[f"{attention}.relative_position_index"] = (window**2, window**2)
            if i < 2 and j % 2:
                windows = (height // window) * (width // window)
                shapes[f"{attention}.attn_mask"] = (windows, window**2, window**2)
    return shapes


def formula_state(shapes):
    """Fill the parameters with sines of their place: large enough that every one matters."""
    state = {}
    for name, shape in shapes.items():
        if name.endswith(("relative_position_index", "attn_mask")):
            state[name] = torch.zeros(shape, dtype=torch.long if "index" in name else None)
            continue
        place = torch.arange(math.prod(shape), dtype=torch.float64)
        value = torch.sin(
            1.7 * place + 0.3 * torch.sin(0.9 * place) + zlib.crc32(name.encode()) % 97
        )
        if "norm.weight" in name:
            value = 1 + 0.1 * value
        elif not name.endswith(("_table", "rpb")):
            fan_in = math.prod(shape[1:]) if len(shape) > 1 else 16
            value = value / math.sqrt(fan_in)
        state[name] = value.reshape(shape).float()
    return state


def formula_input(batch_size, num_channels, size):
    """A batch of images in [-1, 1] that looks different everywhere."""
    place = torch.arange(batch_size * num_channels * math.prod(size), dtype=torch.float64)
    image = torch.sin(0.013 * place) * torch.cos(0.37 * place) + 0.2 * torch.sin(2.1 * place)
    return image.reshape(batch_size, num_channels, *size).float()


def _layer(name, *shape):
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _norm(name, dim):
    return _layer(f"{name}.norm", dim)
