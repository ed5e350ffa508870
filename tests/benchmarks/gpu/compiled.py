"""Does every family's laptop size compile, and compute the same?

    python -m tests.benchmarks.gpu.compiled --device cuda --out DIR [--processes 8]

A forward and a backward pass in float32, as written and under `torch.compile`, on the same weights
and noise. Columns:

- outputs, gradients: largest difference as a share of the largest value;
- compile s: time of the first pass, with all processes compiling at once;
- eager, compiled ms: of later passes, with the others at work: what is left of them shows only that
  it runs; `steps.py --modes compiled,graphs` measures.

On a CPU the graphs are traced forward and backward but run as written (`aot_eager`).
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import torch
from torch import nn

import models
from orchestrator.training.arithmetic import arithmetic
from tests.benchmarks.gpu import machine
from tests.benchmarks.gpu.attention import difference

CLIPS = 4


def measure(name: str, *, device: str) -> dict[str, Any]:
    """Compare a model with itself compiled.

    Args:
        name: A model's.
        device: Device as PyTorch names it.
    """
    torch.set_num_threads(1)
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "2"  # read when the compiler is loaded
    torch.manual_seed(0)
    built = models.create_model(name, num_classes=10).eval()
    built.set_normalization(-4.0, 4.0)
    frontend: Any = built.frontend
    num_samples = int(1.1 * (frontend.num_frames or 400) * frontend.hop_length)
    with torch.no_grad():
        features = built.features(0.1 * torch.randn(CLIPS, num_samples)).to(device)
    model = built.model.to(device)
    for part in model.modules():
        if isinstance(part, nn.RNNBase):
            part.train()  # cuDNN has no backward pass for it in evaluation
    run: Any = torch.compile(model, backend="aot_eager" if device == "cpu" else "inductor")

    def pass_through(call: Any) -> tuple[torch.Tensor, list[torch.Tensor]]:
        model.zero_grad(set_to_none=True)
        logits = call(features).clip_logits
        logits.float().square().sum().backward()
        gradients = [parameter.grad for parameter in model.parameters()]
        return logits.detach(), [gradient for gradient in gradients if gradient is not None]

    with arithmetic("fp32", deterministic=False):
        expected, gradients = pass_through(model)
        started = time.perf_counter()
        logits, own = pass_through(run)
        machine.wait(device)
        compile_s = time.perf_counter() - started
        largest = max(float(gradient.abs().max()) for gradient in gradients)
        return {
            "outputs": difference(logits, expected),
            "gradients": max(
                float((one - other).abs().max()) for one, other in zip(own, gradients, strict=True)
            )
            / largest,
            "compile s": compile_s,
            "eager ms": 1e3 * machine.median_s(lambda: pass_through(model), device),
            "compiled ms": 1e3 * machine.median_s(lambda: pass_through(run), device),
        }


def main() -> None:
    """Measure every model and write the table as it grows."""
    arguments = machine.arguments(__doc__, processes=8)
    names = [name for name in models.list_models() if name.endswith("_laptop")]
    names = [name for name in names if arguments.only in name]
    if arguments.device == "cpu" and not arguments.only:
        names = ["datar_laptop", "kwt_laptop"]
    table = machine.Table(
        arguments.out / "compiled",
        "Laptop sizes compiled",
        about="See `compiled.py` for the columns.",
        device=arguments.device,
    )
    processes = 1 if arguments.device == "cpu" else arguments.processes
    with ProcessPoolExecutor(processes, machine.PROCESSES) as pool:
        jobs = {pool.submit(measure, name, device=arguments.device): name for name in names}
        for job in as_completed(jobs):
            table.add_each((job.result() for _ in range(1)), model=jobs[job])


if __name__ == "__main__":
    main()
