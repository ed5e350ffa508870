"""Time and MACs of DATAR per clip: forward, and forward with backward.

    OMP_NUM_THREADS=1 python tests/benchmarks/models/bench_datar.py --device cpu

Medians over repeats of the time per clip; compare numbers of one run only.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time

import torch

from models import count_macs, list_models, num_params
from models.registry import create


def main() -> None:
    """Print one JSON line per model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--models", nargs="*", default=["datar_laptop", "datar_tiny"])
    parser.add_argument(
        "--size", nargs=2, type=int, default=[128, 1024], metavar=("MELS", "FRAMES")
    )
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bf16", action="store_true")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    gpu = torch.cuda.get_device_name() if device.type == "cuda" else None
    for name in arguments.models:
        if name not in list_models():
            parser.error(f"unknown model {name!r} (valid: {', '.join(list_models())})")
        size = tuple(arguments.size)
        model = create("model", name, 1, size, 527).to(device)
        features = torch.randn(arguments.batch, 1, *size, device=device)

        def forward(model=model, features=features) -> torch.Tensor:
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=arguments.bf16):
                return model(features).clip_logits

        def evaluate(forward=forward) -> None:
            with torch.no_grad():
                forward()

        def train(model=model, forward=forward) -> None:
            model.zero_grad()
            forward().float().logsumexp(dim=1).sum().backward()

        row = {
            "model": name,
            "size": size,
            "batch": arguments.batch,
            "device": gpu or platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "params": num_params(model),
            "macs": count_macs(model, features[:1]).__dict__,
            "forward_ms": _median_ms(evaluate, device, arguments),
            "forward_backward_ms": _median_ms(train, device, arguments),
        }
        print(json.dumps(row), flush=True)


def _median_ms(step, device: torch.device, arguments: argparse.Namespace) -> float:
    step()
    times = []
    for _ in range(arguments.repeats):
        _wait(device)
        start = time.perf_counter()
        step()
        _wait(device)
        times.append((time.perf_counter() - start) * 1e3 / arguments.batch)
    return round(statistics.median(times), 3)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
