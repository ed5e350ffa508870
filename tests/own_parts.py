"""Parts of a user's own, each but the first breaking the contract of its kind in one way."""

import fcntl
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.output import Output
from orchestrator.metrics import metric
from orchestrator.metrics.predictions import Predictions

HELD: list[Any] = []


class Sound(nn.Module):
    """Takes what any link is given and returns it."""

    num_channels, output_size = 1, (32, 32)

    def __init__(self, *context, **arguments):
        super().__init__()

    def forward(self, features, labels=None, *, clip_seeds=None, padding=None):
        return features


def returns(change: Callable[[Tensor], object], base: type[Sound] = Sound) -> type[Sound]:
    class Part(base):
        def forward(self, features, labels=None, *, clip_seeds=None, padding=None):
            return change(features)

    return Part


class Frontend(Sound):
    def forward(self, features, labels=None, *, clip_seeds=None, padding=None):
        return features[:, None, None, :1024].reshape(-1, 1, 32, 32)


class Model(Sound):
    def __init__(self, channels, size, num_classes):
        super().__init__()
        self.head = nn.Linear(size[0], num_classes)

    def forward(self, features, labels=None, *, clip_seeds=None, padding=None):
        return Output(self.logits(features))

    def logits(self, features):
        return self.head(features.mean(dim=(1, 3)))


class Alone(Model):
    """Runs out of memory beside another process, and waits for one that does, a minute at most."""

    def __init__(self, channels, size, num_classes, *, folder):
        super().__init__(channels, size, num_classes)
        self.folder = Path(folder)

    def logits(self, features):
        lock = (self.folder / "lock").open("w")
        HELD.append(lock)
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held until this process ends
        except OSError:
            (self.folder / "starved").touch()
            raise torch.OutOfMemoryError("made up: another process has the memory") from None
        for _ in range(600):
            if (self.folder / "starved").exists():
                break
            time.sleep(0.1)
        return super().logits(features)


class Doomed(Model):
    """Does what it is told: dies, takes its time, or raises or gives NaN in its second epoch."""

    def __init__(self, channels, size, num_classes, *, does, seconds=0.5):
        super().__init__(channels, size, num_classes)
        self.does, self.seconds = does, seconds
        self.epochs = 0

    def train(self, mode=True):
        self.epochs += mode
        return super().train(mode)

    def logits(self, features):
        made = super().logits(features)
        if self.does == "dies" and self.training:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.does == "dawdles" and self.training:
            time.sleep(self.seconds)
        if self.does == "raises" and self.training and self.epochs > 1:
            return made[:, {}["gain"]]
        return made * math.nan if self.does == "diverges" and self.epochs > 1 else made


class Bare(Model):
    def forward(self, features, labels=None, *, clip_seeds=None, padding=None):
        return self.logits(features)


class Short(Model):
    def logits(self, features):
        return super().logits(features)[:, :-1]


def per_clip(logits: Tensor) -> Tensor:
    return logits.logsumexp(dim=1)


Loss = returns(per_clip)
Mean = returns(lambda logits: per_clip(logits).mean())
Column = returns(lambda logits: per_clip(logits)[:, None])
Number = returns(lambda logits: per_clip(logits).mean().item())
Detached = returns(lambda logits: per_clip(logits).detach())
NotANumber = returns(lambda logits: per_clip(logits) * torch.nan)
Flat = returns(lambda features: features.flatten(1))
Double = returns(lambda features: features.double())
Halved = returns(lambda features: features[..., ::2])


class HalvedWaves(Sound):
    def forward(self, waveform, *, clip_seeds, num_samples):
        return waveform[:, ::2]


Infinite = returns(lambda features: features / 0)
FlatFrontend = returns(lambda waveform: waveform[:, :1024].reshape(-1, 32, 32), Frontend)
DoubleFrontend = returns(
    lambda waveform: waveform[:, :1024].reshape(-1, 1, 32, 32).double(), Frontend
)


class Sizeless(Frontend):
    output_size = 32


class Unseeded(nn.Module):
    def __init__(self, *context):
        super().__init__()

    def forward(self, features):
        return features


class Refuses(nn.Module):
    def __init__(self, *context):
        raise KeyError("gain")


def a_function(*context):
    return lambda features, **options: features


def sgd(parameters, *, learning_rate=0.01):
    return torch.optim.SGD([p for _, p in parameters], lr=learning_rate)


def no_optimizer(parameters):
    return list(parameters)


def of_another(parameters):
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)


def without_rate(parameters):
    return torch.optim.SGD([p for _, p in parameters], lr=float("nan"))


def flat(num_steps, peak):
    return lambda step: peak


def below_zero(num_steps, peak):
    return lambda step: peak * (1 - 2 * step / num_steps)


def a_list(num_steps, peak):
    return [peak] * (num_steps - 1)


def too_short(num_steps, peak):
    return ([peak] * (num_steps - 1)).__getitem__


def nothing(num_steps, peak):
    return lambda step: None


NOT_A_PART = 3


def dataset(root, *, fingerprint=""):
    return ["a.wav", "b.wav"]


@metric("margin of the true class", unit="nats")
def true_margin(made: Predictions) -> float:
    """How far the true class's logit lies above the mean of all."""
    own = made.logits[range(len(made)), made.labels]
    return float((own - made.logits.mean(axis=1)).mean())


@metric("slow margin", unit="nats", at_report=True)
def slow_margin(made: Predictions) -> float:
    return 2 * true_margin.compute(made)


@metric("failing")
def failing(made: Predictions) -> float:
    raise ValueError("no such class")


@metric("unbounded", bounds=(0, 1))
def unbounded(made: Predictions) -> float:
    return 7.0
