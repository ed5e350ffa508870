"""Published weights as data: where each file is, what it fits, and under which licence.

`models.load_pretrained(model, name)` fetches a file of this list once and keeps it. Nothing heavy
is imported here, so that a sweep can name weights before anything is built.

Checksums are those that the publisher states (Zenodo's md5), that the file's name carries (the
first digits of the sha256, PyTorch's convention), or the sha256 of a file with the stated md5.
A file without one is checked by its length and by being readable. The tensors of the files
themselves were not at hand when this was written: names and shapes are from the authors' code.
"""

from __future__ import annotations

from collections.abc import Mapping

from models.zoo.weights.entry import Weights
from models.zoo.weights.keywords import KEYWORDS
from models.zoo.weights.panns import PANNS
from models.zoo.weights.spectrogram_nets import SPECTROGRAM_NETS
from models.zoo.weights.transformers import TRANSFORMERS

__all__ = ["WEIGHTS", "Weights", "weights_of"]

_ALL = (*TRANSFORMERS, *PANNS, *SPECTROGRAM_NETS, *KEYWORDS)

WEIGHTS: Mapping[str, Weights] = {weights.name: weights for weights in _ALL}
"""Every published file by name."""


def weights_of(model: str) -> tuple[Weights, ...]:
    """Return the published files that fit a registered model; empty for most laptop sizes."""
    return tuple(weights for weights in _ALL if weights.model == model)
