"""Peak memory and time of a training step with and without activation checkpointing.

    export OMP_NUM_THREADS=1 MALLOC_MMAP_THRESHOLD_=65536
    python tests/benchmarks/models/activation_memory.py --device cpu

The second variable makes the C library hand back what is freed, which hides in the resident set
otherwise. Prints a Markdown table: the rise of the peak over what a model, its gradients and its
input take, and the least time of a forward and backward pass; compare numbers of one run only.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path

import torch
from peaks import peak_mib

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from models.registry import create
from orchestrator.training.activation_checkpointing import checkpoint_activations

SIZES = {
    "ast_laptop": (64, 128),
    "cnn6_laptop": (64, 128),
    "datar_laptop": (64, 128),
    "htsat_laptop": (64, 256),
    "ast_base": (128, 256),
    "cnn14": (64, 256),
    "datar_tiny": (128, 256),
    "htsat_tiny": (64, 256),
}
"""Model -> rows and frames of its input; a quarter of a clip for full sizes, for a CPU."""


def main() -> None:
    """Measure every model in both forms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--models", nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()
    print(f"{name}, torch {torch.__version__}, {torch.get_num_threads()} threads, float32,")
    print(f"batch {arguments.batch}\n")
    print("| model | plain MiB | again MiB | ratio | plain s | again s | ratio |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for model in arguments.models:
        plain, slow = measure(model, arguments, again=False)
        again, slower = measure(model, arguments, again=True)
        print(
            f"| {model} | {plain:.0f} | {again:.0f} | {again / plain:.2f} "
            f"| {slow:.2f} | {slower:.2f} | {slower / slow:.2f} |",
            flush=True,
        )


def measure(name: str, arguments: argparse.Namespace, *, again: bool) -> tuple[float, float]:
    """Return the rise of the peak in MiB and the time in seconds of a step."""
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    model = create("model", name, 1, SIZES[name], 527).to(device).train()
    if again:
        checkpoint_activations(model)
    features = torch.randn(arguments.batch, 1, *SIZES[name], device=device)
    times = []

    def step() -> None:
        started = time.perf_counter()
        model(features).clip_logits.float().logsumexp(dim=1).sum().backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)

    step()  # allocates the gradients
    peak = peak_mib(step, arguments.device)
    for _ in range(arguments.repeats - 2):
        step()
    return peak, min(times[1:])


if __name__ == "__main__":
    main()
