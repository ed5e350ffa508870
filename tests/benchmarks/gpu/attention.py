"""Deformable attention with its bias computed on the fly, beside the forms that make a table of it.

    python -m tests.benchmarks.gpu.attention --device cuda --out DIR

The package looks the bias up for every query and key before the product
(`models.datar.deformable.look_up_bias`): (B, h, H W, N) float32, and with `grid_sample` twice that
for the displacements. Here FlexAttention interpolates it inside the product, an experiment outside
the package. Columns:

- form: `table`, the package's with `--fast`; `dense`, its deterministic one; `on the fly`;
- ms, peak GB: of a forward and backward pass of one layer, or of the whole DATAR-T;
- values, gradients: largest difference to `table`, as a share of the largest value: of the outputs,
  and of the gradients of the input and every weight. In bf16 the package rounds the bias as well.

On a GPU FlexAttention is compiled; on a CPU it runs as written.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import flex_attention as flex

from models.datar import deformable
from models.datar.deformable import DeformableAttention, sample_map
from models.precision import full_precision
from orchestrator import recipes
from orchestrator.training.arithmetic import arithmetic
from orchestrator.training.evaluate import autocast, build
from tests.benchmarks.gpu import machine

FORMS = ("table", "dense", "on the fly")


@functools.cache
def _compiled() -> Callable[..., Any]:
    return torch.compile(flex.flex_attention, dynamic=False)


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Callable[..., Tensor]) -> Tensor:
    if q.is_cuda:
        return _compiled()(q, k, v, score_mod=bias)
    # PyTorch refuses the backward pass on a CPU, whose form is no kernel, but has one.
    with mock.patch.object(flex, "_validate_device", lambda *_: None):
        return flex.flex_attention(q, k, v, score_mod=bias)


class OnTheFly(DeformableAttention):
    """The same attention; no bias is ever stored."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        batch, height, width, dim = x.shape
        query = self.query(x)
        with full_precision(x):
            points = self.positions(query).flatten(2, 3)
            sampled = sample_map(x, points.expand(batch, -1, -1, -1))
        key, value = self.key_value(sampled).chunk(2, dim=2)
        q, k, v = (
            t.reshape(batch, -1, self.num_heads, dim // self.num_heads).transpose(1, 2).contiguous()
            for t in (query, key, value)
        )
        bias = self._bias(points.expand(batch, -1, -1, -1))
        x = _attend(q, k, v, bias)
        return self.out(x.transpose(1, 2).reshape(batch, height, width, dim))

    def _bias(self, points: Tensor) -> Callable[..., Tensor]:
        """Return the function that adds the bias of a pair to its score.

        Args:
            points: (B, g, N, 2), the keys' positions.
        """
        assert self.bias_table is not None
        heads, rows, columns = self.bias_table.shape
        per_group = heads // points.shape[1]
        # A border of zeros: what is further outside is held on it, and is 0 like there.
        table = functional.pad(self.bias_table.float(), (1, 2, 1, 2)).flatten()
        # FlexAttention takes the gradient of a tensor that it reads in one place only.
        corners = [table.clone() for _ in range(4)]
        stride, size = columns + 3, (rows + 3) * (columns + 3)
        grid = self.query_grid.flatten(0, 1)
        # Halved before the large difference, then in cells of the table, the border included.
        down, right = (t.contiguous() for t in (grid[:, 0] / 2, grid[:, 1] / 2))
        key_down, key_right = (points[..., 0] / 2).contiguous(), (points[..., 1] / 2).contiguous()

        def place(query: Tensor, key: Tensor, cells: int) -> tuple[Tensor, Tensor]:
            """Return the cell before a displacement, and the share of the cell after it."""
            at = ((query - key + 1) / 2 * (cells - 1) + 1).clamp(0, cells + 1)
            cell = at.detach().floor()
            return cell.to(torch.int64), at - cell

        def add(score: Tensor, b: Tensor, h: Tensor, i: Tensor, n: Tensor) -> Tensor:
            group = h // per_group
            row, lower = place(down[i], key_down[b, group, n], rows)
            column, righter = place(right[i], key_right[b, group, n], columns)
            at = h * size + row * stride + column
            offsets = (0, 1, stride, stride + 1)
            nw, ne, sw, se = (t[at + o] for t, o in zip(corners, offsets, strict=True))
            north, south = nw + (ne - nw) * righter, sw + (se - sw) * righter
            return score + north + (south - north) * lower

        return add


def layer(
    map_size: tuple[int, int], *, dim: int, groups: int, kernel_size: int, head_dim: int = 32
) -> DeformableAttention:
    """Build a layer as `models.datar.model` does, with a table and offsets that are not near 0."""
    torch.manual_seed(0)
    built = DeformableAttention(
        dim,
        map_size=map_size,
        num_heads=dim // head_dim,
        num_groups=groups,
        kernel_size=kernel_size,
        stride=1,
        offset_range_factor=2.0,
        deformable=True,
        relative_position_bias=True,
    )
    assert built.bias_table is not None and built.offset is not None
    nn.init.normal_(built.bias_table, std=0.5)
    nn.init.normal_(built.offset.project.weight, std=0.5)
    return built


def in_form(module: nn.Module, form: str) -> nn.Module:
    """Return a copy with every deformable attention in a form; see `run` for `dense`."""
    module = copy.deepcopy(module)
    for part in module.modules():
        if form == "on the fly" and isinstance(part, DeformableAttention):
            part.__class__ = OnTheFly
    return module


def run(module: nn.Module, x: Tensor, *, form: str, precision: str) -> tuple[Tensor, list[Tensor]]:
    """Return the output and the gradients of the input and of every weight that has one."""
    x = x.detach().requires_grad_()
    module.zero_grad(set_to_none=True)
    with mock.patch.object(deformable, "_choose", lambda dense, x: form == "dense"):
        with autocast(x.device, precision):
            made: Any = module(x)
            output = (made if isinstance(made, Tensor) else made.clip_logits).float()
        # Weights of no symmetry, so that no gradient cancels.
        weight = torch.linspace(-1, 1, output.numel(), device=x.device).view_as(output)
        (output * weight).sum().backward()
    gradients = [x.grad, *(parameter.grad for parameter in module.parameters())]
    return output.detach(), [gradient for gradient in gradients if gradient is not None]


def cases(device: str) -> dict[str, tuple[nn.Module, Tensor]]:
    """Return name -> (module, input): layers of DATAR-T, and the whole of it."""
    if device == "cpu":
        module = layer((4, 8), dim=64, groups=2, kernel_size=5, head_dim=16)
        return {"stage 3, 64x128, laptop": (module, torch.randn(2, 4, 8, 64))}
    found: dict[str, tuple[nn.Module, Tensor]] = {}
    for frames in (512, 1024):
        for stage, dim, groups, kernel_size in ((3, 384, 3, 5), (4, 768, 6, 3)):
            cells = (128 // (2 << stage), frames // (2 << stage))
            module = layer(cells, dim=dim, groups=groups, kernel_size=kernel_size)
            found[f"stage {stage}, 128x{frames}"] = (module, torch.randn(64, *cells, dim))
        base = recipes.datar_tiny()
        base = type(base)(**{**vars(base), "frontend": base.frontend.replace(num_frames=frames)})
        model = build(base, num_classes=10).model.eval()
        found[f"DATAR-T, 128x{frames}"] = (model, torch.randn(64, 1, 128, frames))
    return found


def measure(
    module: nn.Module, x: Tensor, *, precision: str, device: str
) -> Iterator[dict[str, Any]]:
    """Yield a row per form.

    Args:
        module: Layer or model.
        x: Its input.
        precision: `fp32` or `bf16`.
        device: Device as PyTorch names it.
    """
    torch.compiler.reset()  # it gives up after eight shapes
    expected = None
    x = x.to(device)
    for form in FORMS:
        made = in_form(module, form).to(device)

        def step(made: nn.Module = made, form: str = form) -> Any:
            return run(made, x, form=form, precision=precision)

        with arithmetic(precision, deterministic=False):
            output, gradients = step()
            expected = expected or (output, gradients)
            row = {"form": form, "precision": precision}
            row["ms"] = 1e3 * machine.median_s(step, device)
            row["peak GB"] = machine.peak_gb(step, device)
        row["values"] = difference(output, expected[0])
        pairs = zip(gradients, expected[1], strict=True)
        row["gradients"] = max(difference(one, other) for one, other in pairs)
        yield row
        del made, output, gradients


def difference(one: Tensor, other: Tensor) -> float:
    """Return the largest difference as a share of the largest value."""
    return float((one.float() - other.float()).abs().max() / other.float().abs().max())


def main() -> None:
    """Measure every case and write the table as it grows."""
    arguments = machine.arguments(__doc__)
    table = machine.Table(
        arguments.out / "attention",
        "Deformable attention with its bias on the fly",
        about="See `attention.py` for the columns.",
        device=arguments.device,
    )
    for precision in ("fp32",) if arguments.device == "cpu" else ("fp32", "bf16"):
        for name, (module, x) in cases(arguments.device).items():
            if machine.begins(arguments, name):
                rows = measure(module, x, precision=precision, device=arguments.device)
                table.add_each(rows, case=name)


if __name__ == "__main__":
    main()
