"""Makes weights in the published Auditory SlowFast format, without any weights of others.

The names and shapes are those of ekazakos/auditory-slow-fast 6af3fd7: its class loads these states
with strict=True. The values are a formula of name and place.
"""

from published_weights import _batch_norm, _layer
from published_weights import formula_state as _formula_state

SMALL = dict(width=16, width_ratio=4, depths=(1, 1, 1, 1))
KERNELS = ((1, 1, 1, 3, 3), (5, 3, 3, 3, 3))


def slowfast_shapes(*, width, width_ratio, depths, heads, lateral_ratio=2):
    """Name -> shape of a file's entries."""
    shapes, dims = {}, [width, width // width_ratio]
    for stream in (0, 1):
        stem = f"s1.pathway{stream}_stem"
        shapes[f"{stem}.conv.weight"] = (dims[stream], 1, KERNELS[stream][0], 7)
        shapes |= _batch_norm(f"{stem}.bn", dims[stream])
    for i, depth in enumerate(depths):
        lateral = lateral_ratio * dims[1]
        shapes[f"s{i + 1}_fuse.conv_f2s.weight"] = (lateral, dims[1], 7, 1)
        shapes |= _batch_norm(f"s{i + 1}_fuse.bn", lateral)
        entering = [dims[0] + lateral, dims[1]]
        for stream in (0, 1):
            inner = (width if stream == 0 else width // width_ratio) << i
            dim = 4 * inner
            for j in range(depth):
                block, in_dim = f"s{i + 2}.pathway{stream}_res{j}", dim if j else entering[stream]
                if not j:
                    shapes[f"{block}.branch1.weight"] = (dim, in_dim, 1, 1)
                    shapes |= _batch_norm(f"{block}.branch1_bn", dim)
                for layer, shape in (
                    ("a", (inner, in_dim, KERNELS[stream][i + 1], 1)),
                    ("b", (inner, inner, 1, 3)),
                    ("c", (dim, inner, 1, 1)),
                ):
                    shapes[f"{block}.branch2.{layer}.weight"] = shape
                    shapes |= _batch_norm(f"{block}.branch2.{layer}_bn", shape[0])
            dims[stream] = dim
    names = ("",) if len(heads) == 1 else ("_verb", "_noun")
    for name, head in zip(names, heads, strict=True):
        shapes |= _layer(f"head.projection{name}", head, sum(dims))
    return shapes


def slowfast_content(*, heads=(5,)):
    """What `torch.load` finds in a published file of the small network."""
    state = _formula_state(slowfast_shapes(heads=heads, **SMALL))
    return {"epoch": 49, "model_state": state, "optimizer_state": {}, "cfg": "BN:\n"}
