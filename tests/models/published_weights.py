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


def panns_shapes(*, blocks, dim, num_classes, n_mels=64, resnet=(), attention=False):
    """Name -> shape of a PANNs file; `blocks`: (name, in, out, kernel, convolutions)."""
    shapes = {
        "spectrogram_extractor.stft.conv_real.weight": (513, 1, 1024),
        "logmel_extractor.melW": (513, n_mels),
    }
    shapes |= _batch_norm("bn0", n_mels)
    for name, in_dim, out_dim, kernel, convs in blocks:
        for i in range(convs):
            width = out_dim if i else in_dim
            shapes[f"{name}.conv{i + 1}.weight"] = (out_dim, width, kernel, kernel)
            shapes |= _batch_norm(f"{name}.bn{i + 1}", out_dim)
    in_dim = blocks[0][2]
    for row, (out_dim, depth) in enumerate(resnet):
        for i in range(depth):
            block = f"resnet.layer{row + 1}.{i}"
            for j, width in enumerate((in_dim, out_dim)):
                shapes[f"{block}.conv{j + 1}.weight"] = (out_dim, width, 3, 3)
                shapes |= _batch_norm(f"{block}.bn{j + 1}", out_dim)
            if in_dim != out_dim:
                shapes[f"{block}.downsample.1.weight"] = (out_dim, in_dim, 1, 1)
                shapes |= _batch_norm(f"{block}.downsample.2", out_dim)
            in_dim = out_dim
    shapes |= _layer("fc1", dim, dim)
    if not attention:
        return shapes | _layer("fc_audioset", num_classes, dim)
    for name in ("att", "cla"):
        shapes |= _layer(f"att_block.{name}", num_classes, dim, 1)
    return shapes | _batch_norm("att_block.bn_att", num_classes)


def _batch_norm(name, dim):
    statistics = {f"{name}.{kind}": (dim,) for kind in ("running_mean", "running_var")}
    return _layer(name, dim) | statistics | {f"{name}.num_batches_tracked": ()}
