"""The names and shapes of published DAT++ files.

They are those of LeapLabTHU/DAT 32173fc: its DAT class loads such states with strict=True.
"""

KERNELS = (9, 7, 5, 3)
SMALL = dict(dims=(16, 32, 64, 128), depths=(2, 2, 2, 2), head_dim=16, groups=(1, 1, 2, 4))


def dat_pp_shapes(table_size, *, dims, depths, head_dim, groups, num_classes, neighbours=7):
    """Name -> shape of every entry, for square images of `table_size`."""
    shapes = _layer("patch_proj.0", dims[0] // 2, 3, 3, 3) | _norm("patch_proj.1", dims[0] // 2)
    shapes |= _layer("patch_proj.3", dims[0], dims[0] // 2, 3, 3) | _norm("patch_proj.4", dims[0])
    shapes |= _norm("cls_norm", dims[-1]) | _layer("cls_head", num_classes, dims[-1])
    for i in range(3):
        shapes[f"down_projs.{i}.0.weight"] = (dims[i + 1], dims[i], 3, 3)
        shapes |= _norm(f"down_projs.{i}.1", dims[i + 1])
    for i, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
        for j in range(2 * depth):
            shapes |= _norm(f"stages.{i}.layer_norms.{j}", dim)
        for j in range(depth):
            mlp, attention = f"stages.{i}.mlps.{j}", f"stages.{i}.attns.{j}"
            shapes |= _layer(f"stages.{i}.local_perception_units.{j}", dim, 1, 3, 3)
            shapes |= _layer(f"{mlp}.linear1.0", 4 * dim, dim, 1, 1)
            shapes |= _layer(f"{mlp}.linear2.0", dim, 4 * dim, 1, 1)
            shapes |= _layer(f"{mlp}.dwc", 4 * dim, 1, 3, 3)
            if i < 3 and (depth - j) % 2 == 0:
                shapes |= _layer(f"{attention}.qkv", 3 * dim, dim)
                shapes |= _layer(f"{attention}.proj", dim, dim)
                shapes[f"{attention}.rpb"] = (dim // head_dim, *2 * (2 * neighbours - 1,))
                continue
            group = dim // groups[i]
            for name in ("proj_q", "proj_k", "proj_v", "proj_out"):
                shapes |= _layer(f"{attention}.{name}", dim, dim, 1, 1)
            shapes |= _layer(f"{attention}.conv_offset.0", group, 1, KERNELS[i], KERNELS[i])
            shapes |= _norm(f"{attention}.conv_offset.1", group)
            shapes[f"{attention}.conv_offset.3.weight"] = (2, group, 1, 1)
            side = 2 * (table_size // (4 << i)) - 1
            shapes[f"{attention}.rpe_table"] = (dim // head_dim, side, side)
    return shapes


def _layer(name, *shape):
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _norm(name, dim):
    return _layer(f"{name}.norm", dim)
