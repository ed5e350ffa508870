"""DATAR on DAT++ (arXiv 2309.01430, LeapLabTHU/DAT 32173fc)."""

from models.card import LAPTOP_FBANK, Card, Paper, results
from models.datar.card import ON_IMAGES

_READ_ME = ON_IMAGES | dict(
    paper="DAT++", arxiv="2309.01430", place="read-me of LeapLabTHU/DAT 32173fc"
)

CARD = Card(
    rank=2,
    paper=Paper(
        name="DATAR on DAT++",
        title="DAT++: Spatially Dynamic Vision Transformer with Deformable Attention",
        arxiv="2309.01430",
        code="LeapLabTHU/DAT 32173fc",
        license="Apache-2.0",
        num_classes=309,
    ),
    frontend=("kaldi_fbank", {"sample_rate": 43000}),
    frontends={"datar_pp_laptop": LAPTOP_FBANK},
    transform=("adaptor", {}),
    results=(
        *results({"top1": 83.9}, _READ_ME, model="datar_pp_tiny", form="DAT-T++"),
        *results({"top1": 84.6}, _READ_ME, model="datar_pp_small", form="DAT-S++"),
        *results({"top1": 84.9}, _READ_ME, model="datar_pp_base", form="DAT-B++"),
    ),
)
