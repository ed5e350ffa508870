"""Names and shapes of the published files of TALNet, KWT and Res-15, for weights by formula.

Those of MaigoAkisame/cmu-thesis 7578dda, ARM-software/keyword-transformer 237e409, castorini/honk
c3aae75 and roman-vygon/triplet_loss_kws 0d92edd; see `published_weights.formula_state`.
"""


def layer(name, *shape):
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def statistics(name, dim):
    return {
        f"{name}.running_mean": (dim,),
        f"{name}.running_var": (dim,),
        f"{name}.num_batches_tracked": (),
    }


def talnet_shapes(*, dims, num_classes, n_mels=64):
    """Name -> shape of a TALNet file; `dims` are the widths of the pairs of convolutions."""
    shapes, in_dim = {}, 1
    for i, dim in enumerate(dim for dim in dims for _ in range(2)):
        block = f"conv{i + 1}"
        shapes |= layer(f"{block}.conv", dim, in_dim, 3, 3)
        shapes |= layer(f"{block}.bn", dim) | statistics(f"{block}.bn", dim)
        in_dim = dim
    size = in_dim * (n_mels >> len(dims))
    for end in ("", "_reverse"):
        shapes[f"gru.weight_ih_l0{end}"] = (3 * size // 2, size)
        shapes[f"gru.weight_hh_l0{end}"] = (3 * size // 2, size // 2)
        for kind in ("ih", "hh"):
            shapes[f"gru.bias_{kind}_l0{end}"] = (3 * size // 2,)
    return shapes | layer("fc_prob", num_classes, size)


def res15_shapes(*, dim, depth, num_classes=0):
    """Name -> shape of a Res-15 file; without classes, of an encoder."""
    shapes = {"conv0.weight": (dim, 1, 3, 3)}
    for i in range(depth):
        shapes[f"conv{i + 1}.weight"] = (dim, dim, 3, 3)
        shapes |= statistics(f"bn{i + 1}", dim)
    return shapes | (layer("output", num_classes, dim) if num_classes else {})
