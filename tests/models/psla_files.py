"""Makes weights in the published PSLA and EfficientNet formats, without any weights of others.

The names and shapes are those of YuanGongND/psla 76aedd1 with efficientnet_pytorch 0.7.1: their
class loads these states with strict=True. The values are a formula of name and place.
"""

from published_weights import _batch_norm, _layer
from published_weights import formula_state as _formula_state

# Stem, (channels, kernel, expansion, blocks) of the stages, features: B0 with the factors 0.5 on
# channels and on blocks, as `psla_laptop` has them.
SMALL = (
    16,
    (
        *((8, 3, 1, 1), (16, 3, 6, 1), (24, 5, 6, 1), (40, 3, 6, 2)),
        *((56, 5, 6, 2), (96, 5, 6, 2), (160, 3, 6, 1)),
    ),
    640,
)


def efficientnet_shapes(*, stem, stages, features, num_channels=1):
    """Name -> shape of an EfficientNet without its classifier."""
    shapes = {"_conv_stem.weight": (stem, num_channels, 3, 3)} | _batch_norm("_bn0", stem)
    number, width = 0, stem
    for channels, kernel, expansion, blocks in stages:
        for _ in range(blocks):
            block, inner = f"_blocks.{number}", width * expansion
            if expansion > 1:
                shapes[f"{block}._expand_conv.weight"] = (inner, width, 1, 1)
                shapes |= _batch_norm(f"{block}._bn0", inner)
            shapes[f"{block}._depthwise_conv.weight"] = (inner, 1, kernel, kernel)
            shapes |= _batch_norm(f"{block}._bn1", inner)
            shapes |= _layer(f"{block}._se_reduce", max(1, width // 4), inner, 1, 1)
            shapes |= _layer(f"{block}._se_expand", inner, max(1, width // 4), 1, 1)
            shapes[f"{block}._project_conv.weight"] = (channels, inner, 1, 1)
            shapes |= _batch_norm(f"{block}._bn2", channels)
            number, width = number + 1, channels
    shapes["_conv_head.weight"] = (features, width, 1, 1)
    return shapes | _batch_norm("_bn1", features)


def psla_shapes(*, num_heads, num_classes, size=SMALL):
    """Name -> shape of a PSLA file, without `module.`."""
    stem, stages, features = size
    trunk = efficientnet_shapes(stem=stem, stages=stages, features=features)
    shapes = {f"effnet.{name}": shape for name, shape in trunk.items()}
    for layer in ("att", "cla") if num_heads else ("cla",):
        for head in range(num_heads) if num_heads > 1 else ("",):
            name = f"attention.{layer}.{head}".rstrip(".")
            shapes |= _layer(name, num_classes, features, 1, 1)
    return shapes | ({"attention.head_weight": (num_heads,)} if num_heads > 1 else {})


def formula_state(shapes):
    """Fill with a formula; the weights of the heads add up to about 1."""
    state = _formula_state(shapes, gain=1.65)
    for name, value in state.items():
        if name.endswith("head_weight"):
            state[name] = value / len(value)
        elif name.startswith("attention."):
            state[name] = 4 * value
    return state
