"""The authors' models beside ours, with the same weights, for the benchmark against them.

Their packages and modules have names of their own choice (`models`, `utils`), which are put aside
again after the import.
"""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import models
from models.registry import create

CLASSES = 527
COMMITS = {
    "dat": "LeapLabTHU/DAT 797f187",
    "htsat": "RetroCirce/HTS-Audio-Transformer 2e29471",
    "ast": "YuanGongND/ast 31088be",
    "panns": "qiuqiangkong/audioset_tagging_cnn d2f4b8c",
}
_HIDDEN = ("models", "model", "timm", "utils", "config", "pytorch_utils", "ast_models")
# Imported by the authors' modules, but not by what runs here.
_UNUSED = ("wget", "museval")
_LOG_MEL = dict(window_size=1024, hop_size=320, sample_rate=32000, mel_bins=64, fmin=50, fmax=14000)


@dataclass
class Pair:
    """Two modules of the same values, each with the input in its own layout.

    Attributes:
        authors: their module.
        ours: ours.
        inputs: what either is called with.
        outputs: turns the result of either into comparable tensors (theirs, ours).
    """

    authors: nn.Module
    ours: nn.Module
    inputs: tuple[Tensor, Tensor]
    outputs: tuple[Callable[[Any], Tensor], Callable[[Any], Tensor]]


@contextmanager
def _authors_code(*folders: Path) -> Iterator[None]:
    """Import from the folders first, whatever is loaded under the same names."""

    def hidden() -> list[str]:
        return [name for name in sys.modules if name.split(".")[0] in _HIDDEN]

    kept = {name: sys.modules.pop(name) for name in hidden()}
    path = sys.path.copy()
    sys.path[:0] = [str(folder) for folder in folders]
    for name in _UNUSED:
        sys.modules.setdefault(name, types.ModuleType(name))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in hidden():
            del sys.modules[name]
        sys.modules.update(kept)
        sys.path[:] = path


class _RectangleSize(tuple):
    """A map size that the authors' DAT can halve as it does its one side of a square."""

    def __floordiv__(self, divisor: int) -> _RectangleSize:
        return _RectangleSize(size // divisor for size in self)


def dat_pair(repo: Path, packages: Path, size: tuple[int, int], window: int, batch: int) -> Pair:
    """DAT-T on an image or on a spectrogram repeated in three channels."""
    with _authors_code(repo, packages):
        dat = importlib.import_module("models.dat").DAT(
            img_size=_RectangleSize(size),
            num_classes=CLASSES,
            window_sizes=[window] * 4,
            strides=[-1, -1, 1, 1],
            offset_range_factor=[-1, -1, 2, 2],
            stage_spec=[["L", "S"], ["L", "S"], ["L", "D"] * 3, ["L", "D"]],
            groups=[-1, -1, 3, 6],
            use_pes=[False, False, True, True],
        )
    ours = create("model", "datar_tiny", 3, size, CLASSES, window_size=window, drop_path_rate=0.0)
    _load(ours, dat.state_dict())
    x = torch.randn(batch, 3, *size)
    return Pair(dat, ours, (x, x), (lambda y: y[0], lambda y: y.clip_logits))


class _AuthorsBlock(nn.Module):
    """One block of the authors' DAT, which has them only by the stage."""

    def __init__(self, stage: Any, index: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = stage.layer_norms[2 * index : 2 * index + 2]
        self.attention, self.mlp = stage.attns[index], stage.mlps[index]

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention(self.norm1(x))[0] + x
        return self.mlp(self.norm2(x)) + x


def block_pair(pair: Pair, stage: int, index: int) -> Pair:
    """A block of DAT-T on a map as large as it meets."""
    theirs: Any = pair.authors
    ours: Any = pair.ours
    height, width = (size // (4 << stage) for size in pair.inputs[0].shape[2:])
    x = torch.randn(len(pair.inputs[0]), height, width, 96 << stage)
    return Pair(
        _AuthorsBlock(theirs.stages[stage], index),
        ours.stages[stage][index],
        (x.permute(0, 3, 1, 2).contiguous(), x),
        (lambda y: y.permute(0, 2, 3, 1), lambda y: y),
    )


def htsat_pair(repo: Path, packages: Path, batch: int) -> Pair:
    """HTS-AT from ten seconds of sound to the clip's probabilities, without augmentation."""
    config = types.SimpleNamespace(
        **_LOG_MEL,
        enable_tscam=True,
        htsat_attn_heatmap=False,
        loss_type="clip_bce",
        enable_repeat_mode=False,
    )
    with _authors_code(repo, packages):
        htsat = importlib.import_module("model.htsat").HTSAT_Swin_Transformer(
            num_classes=CLASSES, config=config, drop_path_rate=0.0
        )
    htsat.spec_augmenter = nn.Identity()
    ours = models.create_model("htsat_tiny", num_classes=CLASSES, drop_path_rate=0.0)
    return _waveform_pair(htsat, ours, batch)


def cnn14_pair(repo: Path, packages: Path, batch: int) -> Pair:
    """CNN14 from ten seconds of sound to the clip's probabilities; dropout as published."""
    with _authors_code(repo / "pytorch", packages):
        cnn14 = importlib.import_module("models").Cnn14(classes_num=CLASSES, **_LOG_MEL)
    cnn14.spec_augmenter = nn.Identity()
    ours = models.create_model("cnn14", num_classes=CLASSES)
    return _waveform_pair(cnn14, ours, batch)


def ast_pair(repo: Path, packages: Path, size: str, name: str, batch: int) -> Pair:
    """AST from a spectrogram of ten seconds to logits; their front end is in the data loader."""
    with _authors_code(repo / "src" / "models", packages):
        ast = importlib.import_module("ast_models").ASTModel(
            label_dim=CLASSES, imagenet_pretrain=False, model_size=size, verbose=False
        )
    ours = create("model", name, 1, (128, 1024), CLASSES)
    _load(ours, ast.state_dict())
    x = torch.randn(batch, 1, 128, 1024)
    frames_first = x[:, 0].transpose(1, 2).contiguous()
    return Pair(ast, ours, (frames_first, x), (lambda y: y, lambda y: y.clip_logits))


def _waveform_pair(theirs: nn.Module, ours: Any, batch: int) -> Pair:
    _load(ours.model, theirs.state_dict())
    x = 0.1 * torch.randn(batch, 320000)
    outputs = (lambda y: y["clipwise_output"], lambda y: y.clip_logits.sigmoid())
    return Pair(theirs, ours, (x, x), outputs)


def _load(ours: Any, state: dict[str, Tensor]) -> None:
    renamed = ours.rename_published(state)
    own = ours.state_dict()
    ours.load_state_dict({name: value for name, value in renamed.items() if name in own})
