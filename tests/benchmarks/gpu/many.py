"""Laptop-size trials per hour on one device.

    python -m tests.benchmarks.gpu.many --device cuda --out DIR [--packs DIR]

A trial is the demo recipe on ESC-10 (`recipes.datar_laptop`, 12 epochs), end to end with its store,
on the pack in a folder, or on made-up sounds of its shape. Columns:

- processes, MPS: number that train at once, each after a trial of one epoch that is not counted;
  with NVIDIA's multi-process service where there is one, which this script starts and ends;
- trials per hour, s per trial: from the moment that all are ready to the end of the last;
- members, steps/s: instead of processes, one step that trains a block of members at once
  (`torch.func.stack_module_state`, `vmap`), an experiment outside the package; trials per hour are
  those of its steps alone, without evaluation and store, and so are those of the row with one
  member, which is the plain step;
- apart: the largest difference of the members' losses, after the block's steps, to the same members
  trained one by one; rounding: the same of one member whose batches are summed in reverse order.
"""

from __future__ import annotations

import contextlib
import copy
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.nn import functional

from models.registry import create
from orchestrator import recipes
from orchestrator.experiment.config import Component
from orchestrator.experiment.identity import CompletedExperiment
from orchestrator.experiment.overrides import override
from orchestrator.training.evaluate import build
from orchestrator.training.optimizers import clip_gradients
from tests.benchmarks.gpu import machine

PIPE = "CUDA_MPS_PIPE_DIRECTORY"
CONTROL = "nvidia-cuda-mps-control"
READY_S = 120
"""After these a process that is not ready will not be."""
STEPS_OF_A_TRIAL = 240
"""12 epochs of 320 clips, 16 at a time."""


def experiments(
    packs: Path, count: int, *, made_up: Component = machine.DATASET, **changes: Any
) -> list[CompletedExperiment]:
    """Return the demo recipe with as many seeds.

    Args:
        packs: Folder with a pack; made-up sounds are packed there otherwise.
        count: Number of seeds.
        made_up: Data set of the made-up sounds.
        **changes: Path -> value, with `__` for a dot.
    """
    paths = {path.replace("__", "."): value for path, value in changes.items()}
    base = override(
        recipes.datar_laptop(), {"dataset": machine.dataset(packs, made_up=made_up), **paths}
    )
    return [override(base, {"seed": seed}) for seed in range(count)]


def in_processes(
    wanted: Sequence[CompletedExperiment], packs: Path, folder: Path, *, device: str, pipe: str = ""
) -> float:
    """Train experiments at once, each in a process of its own; return the seconds.

    Args:
        wanted: One per process.
        packs: Folder of their pack.
        folder: New folder for the store.
        device: Device as PyTorch names it.
        pipe: Pipe directory of the multi-process service; empty for none.

    Raises:
        RuntimeError: A process failed, or was not ready in time.
    """
    store = machine.new_store(folder, packs).uri
    barrier = machine.PROCESSES.Barrier(len(wanted) + 1)
    running = [
        machine.PROCESSES.Process(target=_work, args=(store, own, device, pipe, barrier))
        for own in wanted
    ]
    for process in running:
        process.start()
    try:
        barrier.wait(READY_S)
    except Exception as error:  # a broken barrier: a process has failed
        for process in running:
            process.terminate()
        raise RuntimeError("a process failed before its trial; see its traceback") from error
    started = time.perf_counter()
    for process in running:
        process.join()
    seconds = time.perf_counter() - started
    if any(process.exitcode for process in running):
        raise RuntimeError(f"exit codes {[process.exitcode for process in running]}")
    return seconds


def _work(
    store: str, experiment: CompletedExperiment, device: str, pipe: str, barrier: Any
) -> None:
    if pipe:
        os.environ[PIPE] = pipe  # read when the device is first used
    try:
        first = override(experiment, {"epochs": 1, "seed": experiment.seed + 1000})
        machine.train(store, first, device)
        barrier.wait(READY_S)
    except BaseException:
        barrier.abort()
        raise
    machine.train(store, experiment, device)


@contextlib.contextmanager
def service() -> Iterator[str]:
    """Start NVIDIA's multi-process service of our own; yield its pipe directory, and end it."""
    with tempfile.TemporaryDirectory(prefix="mps-") as folder:
        # Its log beside its pipe, or it would write to the machine's.
        environment = os.environ | {PIPE: folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        # What it leaves running must not hold on to our output.
        quiet: Any = {"env": environment, "stdout": subprocess.DEVNULL, "timeout": 30}
        quiet["stderr"] = subprocess.DEVNULL
        subprocess.run([CONTROL, "-d"], check=True, **quiet)
        try:
            yield folder
        finally:
            subprocess.run([CONTROL], input=b"quit\n", **quiet)


class Stack:
    """Members of one shape whose weights are trained at once, at a constant learning rate.

    Attributes:
        weights: Name -> (members, ...) weights.
    """

    def __init__(self, experiment: CompletedExperiment, models: Sequence[nn.Module]) -> None:
        """Stack the weights of models on one device.

        Args:
            experiment: Their experiment, but for the seed.
            models: Members; they keep their weights.
        """
        self.weights, self._buffers = stack_module_state(list(models))
        self._shell = copy.deepcopy(models[0])
        self._clip_norm = experiment.clip_norm
        # By the shapes of a member, which decide what decays.
        self._optimizer = _optimizer(experiment, models[0])
        names = {parameter: name for name, parameter in models[0].named_parameters()}
        for group in self._optimizer.param_groups:
            group["params"] = [self.weights[names[parameter]] for parameter in group["params"]]
        self._gradients = vmap(grad_and_value(self._loss))

    def step(self, features: Tensor, labels: Tensor) -> Tensor:
        """Take a step of every member; return the losses before it.

        Args:
            features: (members, batch, channels, rows, frames).
            labels: (members, batch).
        """
        detached = {name: weight.detach() for name, weight in self.weights.items()}
        gradients, losses = self._gradients(detached, self._buffers, features, labels)
        squares = [gradient.flatten(1).double().square().sum(1) for gradient in gradients.values()]
        norm = torch.stack(squares).sum(0).sqrt().float()
        scale = (self._clip_norm / (norm + 1e-6)).clamp(max=1.0)
        for name, weight in self.weights.items():
            scaled = gradients[name] * scale.view(-1, *[1] * (weight.ndim - 1))
            weight.grad = scaled.contiguous()  # the fused optimizer takes it for laid out so
        self._optimizer.step()
        return losses

    def _loss(
        self, weights: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, labels: Tensor
    ) -> Tensor:
        made: Any = functional_call(self._shell, (weights, buffers), (x,))
        return functional.cross_entropy(made.clip_logits, labels)


class Plain:
    """One member, trained as the trainer does."""

    def __init__(self, experiment: CompletedExperiment, model: nn.Module) -> None:
        """Copy the model; it keeps its weights."""
        self._model = copy.deepcopy(model)
        self._clip_norm = experiment.clip_norm
        self._optimizer = _optimizer(experiment, self._model)

    def step(self, features: Tensor, labels: Tensor) -> Tensor:
        """Take a step on (1, batch, ...) features; return the loss before it, (1,)."""
        self._optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(self._model(features[0]).clip_logits, labels[0])
        loss.backward()
        clip_gradients(self._model.parameters(), self._clip_norm)
        self._optimizer.step()
        return loss.detach()[None]


def _optimizer(experiment: CompletedExperiment, model: nn.Module) -> torch.optim.Optimizer:
    component = experiment.optimizer
    return create(
        "optimizer", component.name, list(model.named_parameters()), **component.arguments
    )


def stacked(
    experiment: CompletedExperiment, *, members: int, steps: int, device: str
) -> Iterator[dict[str, Any]]:
    """Train members at once and one by one on the same noise; yield a row for one and for all.

    Args:
        experiment: Their experiment, but for the seed.
        members: How many.
        steps: Steps after which they are compared.
        device: Device as PyTorch names it.
    """
    chains = [
        build(override(experiment, {"seed": seed}), num_classes=10) for seed in range(members)
    ]
    models = [chain.model.to(device) for chain in chains]
    shape = (8, members, experiment.batch_size)
    generator = torch.Generator().manual_seed(0)
    # Eight batches again and again, with something to learn: a level per class.
    labels = torch.randint(10, shape, generator=generator)
    noise = torch.randn(*shape, 1, *chains[0].front.output_size, generator=generator)
    features = (noise + labels[..., None, None, None] / 5).to(device)
    labels = labels.to(device)

    def train(made: Stack | Plain, own: slice, *, reverse: bool = False) -> Tensor:
        losses = torch.zeros(0)
        for number in range(steps):
            x, y = features[number % 8, own], labels[number % 8, own]
            losses = made.step(*((x.flip(1), y.flip(1)) if reverse else (x, y)))
        return losses

    block, plain = Stack(experiment, models), Plain(experiment, models[0])
    together = train(block, slice(None))
    alone = torch.cat(
        [train(Plain(experiment, model), slice(n, n + 1)) for n, model in enumerate(models)]
    )
    back = train(plain, slice(0, 1), reverse=True)
    rows = []
    for count, made in ((1, plain), (members, block)):

        def step(made: Stack | Plain = made, count: int = count) -> Tensor:
            return made.step(features[0, :count], labels[0, :count])

        seconds = machine.median_s(step, device)
        rows.append(
            {
                "members": count,
                "steps/s": 1 / seconds,
                "trials per hour": 3600 * count / (STEPS_OF_A_TRIAL * seconds),
                "peak GB": machine.peak_gb(step, device),
            }
        )
    rows[1]["apart"] = float((together - alone).abs().max())
    rows[1]["rounding"] = float((back - alone[:1]).abs())
    yield from rows


def main() -> None:
    """Measure every way to train many, the most telling first."""
    arguments = machine.arguments(__doc__, packs="")
    machine.tidy_up_when_ended()  # the service, too
    device, cpu = arguments.device, arguments.device == "cpu"
    table = machine.Table(
        arguments.out / "many",
        "Many small trials",
        about="See `many.py` for the columns.",
        device=device,
    )
    has_service = not cpu and shutil.which(CONTROL) is not None
    configurations = [(count, mps) for count in (8, 16, 1, 4, 2) for mps in (False, has_service)]
    with tempfile.TemporaryDirectory() as scratch:
        packs = Path(arguments.packs or f"{scratch}/packs")
        wanted = experiments(packs, 16, **({"epochs": 1} if cpu else {}))
        if machine.begins(arguments, "stacked"):
            members, steps = (2, 3) if cpu else (16, 50)
            table.add_each(stacked(wanted[0], members=members, steps=steps, device=device))
        for number, (count, mps) in enumerate(
            [(1, False), (2, False)] if cpu else dict.fromkeys(configurations)
        ):
            if not machine.begins(arguments, f"{count} processes"):
                continue
            row: dict[str, Any] = {"processes": count, "MPS": "yes" if mps else "no"}
            try:
                with service() if mps else contextlib.nullcontext("") as pipe:
                    folder = Path(scratch) / str(number)
                    seconds = in_processes(wanted[:count], packs, folder, device=device, pipe=pipe)
                row |= {"trials per hour": 3600 * count / seconds, "s per trial": seconds / count}
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                row["failed"] = str(error).splitlines()[0]
            table.add(**row)


if __name__ == "__main__":
    main()
