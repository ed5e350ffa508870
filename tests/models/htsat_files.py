"""Makes weights in the published HTS-AT and Swin formats, without any weights of others.

The names and shapes are those of RetroCirce/HTS-Audio-Transformer 2e29471, whose class has a state
dict of exactly these entries. The values are a formula of name and place.
"""

import math
import zlib

import torch

TINY = dict(image_size=256, embed_dim=96, depths=(2, 2, 6, 2), num_heads=(4, 8, 16, 32), window=8)
SMALL = dict(image_size=128, embed_dim=16, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8), window=4)
RE_IM = ("real", "imag")


def swin_shapes(*, image_size, embed_dim, depths, num_heads, window, num_channels, num_classes):
    """Name -> shape of a Swin file's entries, computed buffers included."""
    shapes = {"patch_embed.proj.weight": (embed_dim, num_channels, 4, 4)}
    shapes |= {"patch_embed.proj.bias": (embed_dim,)} | _norm("patch_embed.norm", embed_dim)
    for i, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
        dim, side = embed_dim << i, image_size // (4 << i)
        for j in range(depth):
            block = f"layers.{i}.blocks.{j}"
            for name, shape in (
                ("attn.qkv", (3 * dim, dim)),
                ("attn.proj", (dim, dim)),
                ("mlp.fc1", (4 * dim, dim)),
                ("mlp.fc2", (dim, 4 * dim)),
            ):
                shapes |= {f"{block}.{name}.weight": shape, f"{block}.{name}.bias": shape[:1]}
            shapes |= _norm(f"{block}.norm1", dim) | _norm(f"{block}.norm2", dim)
            shapes[f"{block}.attn.relative_position_bias_table"] = ((2 * window - 1) ** 2, heads)
            shapes[f"{block}.attn.relative_position_index"] = (window**2, window**2)
            if j % 2 and side > window:
                shapes[f"{block}.attn_mask"] = ((side // window) ** 2, window**2, window**2)
        if i < len(depths) - 1:
            shapes[f"layers.{i}.downsample.reduction.weight"] = (2 * dim, 4 * dim)
            shapes |= _norm(f"layers.{i}.downsample.norm", 4 * dim)
    dim = embed_dim << (len(depths) - 1)
    shapes |= _norm("norm", dim)
    return shapes | {"head.weight": (num_classes, dim), "head.bias": (num_classes,)}


def htsat_shapes(*, token_semantic, num_classes, mels=64, n_fft=1024, **size):
    """Name -> shape of an HTS-AT file's entries without the prefix."""
    shapes = swin_shapes(num_channels=1, num_classes=num_classes, **size)
    bins = n_fft // 2 + 1
    shapes |= {f"spectrogram_extractor.stft.conv_{x}.weight": (bins, 1, n_fft) for x in RE_IM}
    shapes |= {"logmel_extractor.melW": (bins, mels)} | _norm("bn0", mels)
    shapes |= {"bn0.running_mean": (mels,), "bn0.running_var": (mels,)}
    shapes["bn0.num_batches_tracked"] = ()
    if token_semantic:
        dim = shapes["norm.weight"][0]
        shapes["tscam_conv.weight"] = (num_classes, dim, mels // 32, 3)
        shapes["tscam_conv.bias"] = shapes["head.bias"]
        shapes["head.weight"] = (num_classes, num_classes)
    return shapes


def formula_state(shapes):
    """Fill the parameters with numbers that look random, large enough that every one matters."""
    state = {}
    for name, shape in shapes.items():
        if name.endswith(("relative_position_index", "num_batches_tracked")):
            state[name] = torch.zeros(shape, dtype=torch.long)
            continue
        value = _hashed(math.prod(shape), zlib.crc32(name.encode())).reshape(shape)
        if name == "bn0.running_mean":
            value = 5 * value - 20
        elif name == "bn0.running_var":
            value = 50 * value + 300
        elif name.endswith("weight") and len(shape) == 1:
            value = 1 + 0.1 * value
        elif "table" not in name:
            value = value * math.sqrt(3 / math.prod(shape[1:])) if len(shape) > 1 else 0.3 * value
        state[name] = value.float()
    return state


def _hashed(count, start):
    """Numbers in [-1, 1) by integer arithmetic, the same on every machine."""
    number = torch.arange(count) + start
    for factor, shift in ((0x9E3779B1, 15), (0x85EBCA77, 13)):
        number = (number * factor) & 0xFFFFFFFF
        number = number ^ (number >> shift)
    return number.double() / 2**31 - 1


def formula_clips(num_samples):
    """Two clips at 32 kHz: a rising tone that comes and goes in noise, and another.

    The noise keeps all filters well above rounding, which a logarithm would show.
    """
    second = torch.arange(num_samples, dtype=torch.float64) / 32000
    pitch = torch.tensor([[300.0], [1100.0]], dtype=torch.float64)
    tone = torch.sin(2 * math.pi * pitch * second * (1 + 0.2 * second))
    swell = torch.sin(2 * math.pi * second * torch.tensor([[0.7], [1.3]])).square()
    noise = _hashed(2 * num_samples, 1).reshape(2, num_samples)
    return (0.3 * tone * swell + 0.1 * noise).float()


def _norm(name, dim):
    return {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}
