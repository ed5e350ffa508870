"""Formats of an exported model: each is written, loaded again and compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from orchestrator.predict.exported import Exported, Logits, outputs_of, quiet, reasons, traced
from orchestrator.predict.huggingface import write_folder
from orchestrator.predict.loading import load_file

Writer = Callable[[Exported, Path], dict[str, float]]
"""Writes a model to a path; returns the largest difference on each kind of audio."""


def write_torch(exported: Exported, path: Path) -> dict[str, float]:
    """Write a program of `torch.export`, with what it is in `orchestrator.json`."""
    model = exported.choice.model
    module = Logits(model.chain)
    program = traced(module, exported.num_samples, source=model.source)
    facts = {"orchestrator.json": json.dumps(exported.facts)}
    with quiet():
        torch.export.save(program, path, extra_files=facts)
        loaded = torch.export.load(path).module()
    return exported.difference(lambda waveform: outputs_of(loaded(waveform)), module)


def write_onnx(exported: Exported, path: Path) -> dict[str, float]:
    """Write an ONNX file, with what it is in its metadata."""
    import onnxruntime

    model = exported.choice.model
    module = Logits(model.chain)
    program = traced(module, exported.num_samples, source=model.source)
    names = ["logits", "frame_logits"][
        : len(outputs_of(module(torch.zeros(1, exported.num_samples))))
    ]
    with quiet(), reasons(model.source, "the ONNX exporter"):
        attention = torch.ops.aten.scaled_dot_product_attention.default
        made = torch.onnx.export(
            program.run_decompositions({attention: _attention}),
            dynamo=True,
            verbose=False,
            output_names=names,
        )
        assert made is not None
        for key, value in exported.facts.items():
            made.model.metadata_props[key] = value if isinstance(value, str) else json.dumps(value)
        made.save(path)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(waveform: Tensor) -> list[Tensor]:
        values: Any = session.run(names, {"waveform": waveform.numpy()})
        return [torch.from_numpy(value) for value in values]

    return exported.difference(run, module)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Compute attention by matrix products: ONNX has it for four dimensions alone."""
    assert not (dropout_p or is_causal or enable_gqa)
    scores = query @ key.transpose(-1, -2) * (scale or query.shape[-1] ** -0.5)
    return (scores if mask is None else scores + mask).softmax(dim=-1) @ value


def write_huggingface(exported: Exported, path: Path) -> dict[str, float]:
    """Write a folder in the layout of the Hugging Face Hub."""
    write_folder(exported, path)
    loaded = Logits(load_file(path).chain)
    return exported.difference(
        lambda waveform: outputs_of(loaded(waveform)), Logits(exported.choice.model.chain)
    )


WRITERS: Mapping[str, Writer] = {
    "torch": write_torch,
    "onnx": write_onnx,
    "huggingface": write_huggingface,
}
