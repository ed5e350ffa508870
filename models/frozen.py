"""An encoder that does not train, and small heads on its embeddings.

A chain whose front end is a `FrozenEncoder` maps waveforms to embeddings and embeddings to logits.
The encoder is pure: an embedding depends on the clip alone, so training computes it once per clip,
as it does a spectrogram.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.chain import Chain
from models.errors import ModelError
from models.layers.nearest import Nearest
from models.output import Output
from models.registry import create
from models.seeding import derive_seed

Head = Literal["linear", "mlp", "nearest"]


class FrozenEncoder(nn.Module):
    """A whole chain as a front end that returns embeddings (batch, 1, 1, dim).

    Attributes:
        chain: The chain up to its embedding, always in evaluation mode; its own head is not used.
        built_as: What decides its output, once `identify` has been called; None before.
    """

    is_pure = True
    num_channels = 1

    def __init__(self, chain: Chain, *, dim: int) -> None:
        """Freeze a chain whose embeddings are `dim` wide."""
        super().__init__()
        self.chain = chain.requires_grad_(False).eval()
        self.output_size = (1, dim)
        self.built_as: dict[str, Any] | None = None

    def train(self, mode: bool = True) -> FrozenEncoder:
        """Stay in evaluation mode."""
        super().train(False)
        return self

    def forward(self, waveform: Tensor) -> Tensor:
        """Return embeddings (batch, 1, 1, dim) of waveforms (batch, time)."""
        embedding = self.chain(waveform).embedding
        assert embedding is not None
        return embedding.float()[:, None, None]

    def identify(self) -> None:
        """State what decides the output: the chain's parts, its weights and its statistics."""
        digest = hashlib.sha256()
        for name, value in self.chain.state_dict().items():
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        parts = json.loads(json.dumps(self.chain.parts))
        self.built_as = {
            "name": "frozen",
            "arguments": {"chain": parts, "state": digest.hexdigest()},
        }


class LinearHead(nn.Module):
    """A linear layer on an embedding."""

    def __init__(self, dim: int, num_classes: int) -> None:
        """Initialize as PyTorch does."""
        super().__init__()
        self.head = nn.Linear(dim, num_classes)

    def forward(self, features: Tensor) -> Output:
        """Return logits (batch, classes) of embeddings (batch, 1, 1, dim)."""
        embedding = features[:, 0, 0]
        return Output(self.head(embedding), embedding=embedding)


class MlpHead(nn.Module):
    """A hidden layer of 512 with GELU, and a linear one, on an embedding."""

    def __init__(self, dim: int, num_classes: int) -> None:
        """Initialize as PyTorch does."""
        super().__init__()
        self.hidden = nn.Linear(dim, 512)
        self.head = nn.Linear(512, num_classes)

    def forward(self, features: Tensor) -> Output:
        """Return logits (batch, classes) of embeddings (batch, 1, 1, dim)."""
        embedding = functional.gelu(self.hidden(features[:, 0, 0]))
        return Output(self.head(embedding), embedding=embedding)


class NearestHead(Nearest):
    """The majority class of the five training clips with the most similar embeddings (cosine).

    Nothing is learned: in training, and without a support set, all classes are equally likely.
    """

    normalizes_input = True  # similarity is that of the embeddings as they are
    learns_nothing = True

    def __init__(self, dim: int, num_classes: int) -> None:
        """Start without a support set."""
        super().__init__()
        self.remember(dim, num_classes=num_classes, neighbours=5)
        # Training takes the gradient of a loss, which needs a parameter that the loss depends on.
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor) -> Output:
        """Return logits (batch, classes) of embeddings (batch, 1, 1, dim)."""
        embedding = functional.normalize(features[:, 0, 0])
        if self.training or not len(self.memory):
            even = embedding.new_zeros(len(embedding), self.num_classes) + 0 * self.unused
            return Output(even, embedding=embedding)
        return Output(self.votes(embedding), embedding=embedding)


HEADS: dict[Head, type[LinearHead | MlpHead | NearestHead]] = {
    "linear": LinearHead,
    "mlp": MlpHead,
    "nearest": NearestHead,
}


def freeze(chain: Chain, *, head: Head, num_classes: int, num_samples: int, seed: int) -> Chain:
    """Return a chain that trains a head on the embeddings of another one.

    Args:
        chain: The encoder, with its initial weights still to be loaded.
        head: Which head.
        num_classes: Number of classes.
        num_samples: Length of a clip that the chain accepts, to see how wide an embedding is.
        seed: Seed of the head's initial weights.

    Raises:
        ModelError: The chain returns no embedding.
    """
    device = next(chain.parameters()).device
    with torch.no_grad():
        embedding = chain.eval()(torch.zeros(1, num_samples, device=device)).embedding
    if embedding is None:
        raise ModelError("the model returns no embedding, on which a head could be trained")
    encoder = FrozenEncoder(chain, dim=embedding.shape[1])
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(seed, "head"))
        model = HEADS[head](embedding.shape[1], num_classes)
    made = Chain(
        frontend=encoder,
        augmentation=create("augmentation", "none"),
        transform=create("transform", "identity", 1),
        model=model,
    )
    made.num_classes = num_classes
    return made


def encoder_of(chain: Chain) -> FrozenEncoder | None:
    """Return the encoder of a chain that trains a head alone; None of any other chain."""
    return chain.frontend if isinstance(chain.frontend, FrozenEncoder) else None
