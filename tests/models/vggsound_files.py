"""Makes weights in the published VGGSound format, without any weights of others.

The names and shapes are those of hche11/VGGSound 9bbc749: its class loads these states with
strict=True. The values are a formula of name and place.
"""

from published_weights import _batch_norm, _layer
from published_weights import formula_state as _formula_state

SMALL = dict(depths=(1, 1, 1, 1), channels=(16, 32, 64, 128))


def vggsound_shapes(*, depths, channels, num_classes, netvlad, num_clusters=16):
    """Name -> shape of a file of a ResNet of basic blocks, without `audnet.`."""
    shapes = {"conv1.weight": (64, 1, 7, 7)} | _batch_norm("bn1", 64)
    width = 64
    for stage, (depth, dim) in enumerate(zip(depths, channels, strict=True)):
        for i in range(depth):
            block = f"layer{stage + 1}.{i}"
            for j, inner in enumerate((width, dim)):
                shapes[f"{block}.conv{j + 1}.weight"] = (dim, inner, 3, 3)
                shapes |= _batch_norm(f"{block}.bn{j + 1}", dim)
            if width != dim or (stage and not i):
                shapes[f"{block}.downsample.0.weight"] = (dim, width, 1, 1)
                shapes |= _batch_norm(f"{block}.downsample.1", dim)
            width = dim
    if not netvlad:
        return shapes | _layer("fc", num_classes, width)
    shapes |= _layer("avgpool.conv", num_clusters, width, 1, 1)
    shapes["avgpool.centroids"] = (num_clusters, width)
    return shapes | _layer("fc_", num_classes, num_clusters * width)


def formula_state(shapes):
    """Fill with a formula; clusters that share places and a head that tells them apart."""
    state = _formula_state(shapes, gain=1.4)
    for name, value in state.items():
        if name == "avgpool.conv.weight":
            state[name] = 20 * value
        elif name == "fc_.weight":
            state[name] = 40 * value
    return state


def vggsound_content(**shapes):
    """What `torch.load` finds in a published file."""
    state = formula_state(vggsound_shapes(num_classes=5, **shapes))
    named = {f"audnet.{name}": value for name, value in state.items()}
    return {"epoch": 40, "model_state_dict": named}
