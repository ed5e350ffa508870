"""Makes weights in the published AST and PANNs formats, without any weights of others.

The names and shapes are those of YuanGongND/ast 31088be and qiuqiangkong/audioset_tagging_cnn
d2f4b8c: their models load these states with strict=True. The values are a formula of name and
place, so that they need no storage.
"""

import math
import zlib

import torch


def formula_state(shapes, *, gain=1.0):
    """Fill the parameters with noise of unit variance by fan-in: every one matters."""
    return {name: _formula(name, shape, gain) for name, shape in shapes.items()}


def _formula(name, shape, gain):
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.long)
    place = torch.arange(math.prod(shape), dtype=torch.float64)
    # The digits of a large sine look random and are the same everywhere.
    value = 43758.5453 * torch.sin(12.9898 * place + zlib.crc32(name.encode()) % 97)
    value = math.sqrt(12) * (value - value.floor() - 0.5)
    if len(shape) == 1:
        near_one = name.endswith(("weight", "running_var"))
        return ((1 if near_one else 0) + 0.1 * value).reshape(shape).float()
    if "token" not in name and "pos_embed" not in name:
        value = gain * value / math.sqrt(math.prod(shape[1:]))
    return value.reshape(shape).float()


def formula_features(batch_size, mels, frames):
    """Spectrograms (batch, 1, mels, frames) in [-1.2, 1.2] that look different everywhere."""
    place = torch.arange(batch_size * mels * frames, dtype=torch.float64)
    image = torch.sin(0.013 * place) * torch.cos(0.37 * place) + 0.2 * torch.sin(2.1 * place)
    return image.reshape(batch_size, 1, mels, frames).float()


def ast_shapes(*, dim, depth, num_patches, num_classes):
    """Name -> shape of an AST file, without `module.`."""
    shapes = {
        "v.cls_token": (1, 1, dim),
        "v.dist_token": (1, 1, dim),
        "v.pos_embed": (1, num_patches + 2, dim),
        "v.patch_embed.proj.weight": (dim, 1, 16, 16),
        "v.patch_embed.proj.bias": (dim,),
    }
    for i in range(depth):
        block = f"v.blocks.{i}"
        shapes |= _layer(f"{block}.norm1", dim) | _layer(f"{block}.norm2", dim)
        shapes |= _layer(f"{block}.attn.qkv", 3 * dim, dim)
        shapes |= _layer(f"{block}.attn.proj", dim, dim)
        shapes |= _layer(f"{block}.mlp.fc1", 4 * dim, dim)
        shapes |= _layer(f"{block}.mlp.fc2", dim, 4 * dim)
    shapes |= _layer("v.norm", dim)
    shapes |= _layer("v.head", 1000, dim) | _layer("v.head_dist", 1000, dim)
    shapes |= _layer("mlp_head.0", dim) | _layer("mlp_head.1", num_classes, dim)
    return shapes


def _layer(name, *shape):
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
