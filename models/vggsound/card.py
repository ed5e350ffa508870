"""VGGSound (arXiv 2004.14368, hche11/VGGSound 9bbc749)."""

from models.card import SINGLE, Card, Paper, Weights, counts, results


def _weights(name: str, letter: str, **arguments: str) -> Weights:
    return Weights(
        name=f"vggsound_{name}_vggsound",
        model="vggsound_resnet18",
        arguments=arguments,
        num_classes=309,
        trained_on=("vggsound",),
        frontend=("log_spectrogram", {}),
        filename=f"{letter}.pth.tar",
        url=f"https://www.robots.ox.ac.uk/~vgg/data/vggsound/models/{letter}.pth.tar",
        page="https://github.com/hche11/VGGSound#pretrained-model-and-evaluation",
        license="CC-BY-4.0",
    )


_18 = dict(model="vggsound_resnet18")
_34 = dict(model="vggsound_resnet34")
_50 = dict(model="vggsound_resnet50")
_INPUT = dict(input_size=(257, 1004), num_classes=309)

_READ_ME = SINGLE | dict(
    paper="VGGSound",
    arxiv="2004.14368",
    place="hche11/VGGSound 9bbc749, read-me",
    sample_rate_hz=16_000,
    pretraining=(),
)
_OWN = _READ_ME | dict(dataset="vggsound", num_classes=309, protocol="official_split")
_BOTH = _READ_ME | dict(
    dataset="audioset_vggsound",
    remark="on the clips that are in both test sets (ASTest), after training on VGGSound",
)
_NETVLAD = _18 | dict(changes={"model.pooling": "netvlad"})

CARD = Card(
    rank=7,
    paper=Paper(
        name="VGGSound",
        title="VGGSound: A Large-Scale Audio-Visual Dataset",
        arxiv="2004.14368",
        code="hche11/VGGSound 9bbc749",
        license="CC-BY-4.0",
        num_classes=309,
    ),
    frontend=("log_spectrogram", {}),
    frontends={
        "vggsound_resnet_laptop": (
            "log_spectrogram",
            {"seconds": 5.0, "n_fft": 256, "hop_length": 640},
        )
    },
    weights=(_weights("resnet18", "H"), _weights("resnet18_netvlad", "I", pooling="netvlad")),
    counts=(
        *counts({"params": "11.33 M", "MACs": "9.45 G"}, _18, _INPUT, label="VGGSound ResNet18"),
        *counts({"params": "21.4 M", "MACs": "19.5 G"}, _34, _INPUT, label="VGGSound ResNet34"),
        *counts({"params": "24.1 M", "MACs": "21.8 G"}, _50, _INPUT, label="VGGSound ResNet50"),
        *counts(
            {"params": "13.7 M"},
            _18,
            _INPUT,
            label="VGGSound ResNet18 + NetVLAD",
            arguments={"pooling": "netvlad"},
        ),
    ),
    results=(
        *results({"map": 0.516, "auc": 0.968, "d_prime": 2.627}, _OWN, _18, form="H"),
        *results({"map": 0.512, "auc": 0.970, "d_prime": 2.660}, _OWN, _NETVLAD, form="I, NetVLAD"),
        *results({"map": 0.529, "auc": 0.972, "d_prime": 2.703}, _OWN, _34, form="K"),
        *results({"map": 0.532, "auc": 0.973, "d_prime": 2.735}, _OWN, _50, form="M"),
        *results({"map": 0.404, "auc": 0.944, "d_prime": 2.253}, _BOTH, _18, form="F"),
        *results(
            {"map": 0.434, "auc": 0.950, "d_prime": 2.327}, _BOTH, _NETVLAD, form="G, NetVLAD"
        ),
        *results({"map": 0.409, "auc": 0.947, "d_prime": 2.292}, _BOTH, _34, form="J"),
        *results({"map": 0.412, "auc": 0.949, "d_prime": 2.309}, _BOTH, _50, form="L"),
    ),
)
