"""Two early systems of AudioSet's tables: DeepRes, and the baseline of the data set itself.

**DeepRes**: Ford, Tang, Grondin, Glass, "A Deep Residual Network for Large-Scale Acoustic Scene
Analysis", Interspeech 2019. Public are its abstract (a residual network trained on AudioSet's
recordings themselves, jointly with an attention module, mAP 0.392, AUC 0.971) and its size in
HTS-AT's table, 26 M parameters. There is no code. What is open, and how it is here:

- the network: ResNet-50 with one input channel, which with two linear layers of 527 classes has
  25.66 M parameters;
- the attention module: every class has a softmax over time steps of scores of its own, which
  weighs the steps' probabilities; frequency is averaged before;
- the features: AST's filterbank, of the same laboratory.

**Baseline**: the 0.314 of HTS-AT's first row is from Gemmeke et al., "Audio Set: An Ontology and
Human-Labeled Dataset for Audio Events", ICASSP 2017: a shallow classifier on the embeddings of a
ResNet-50 (Hershey et al., arXiv 1609.09430) that was trained on videos which are not public, nor is
the network; VGGish, which is, is another. HTS-AT gives 2.6 M parameters, which are the classifier's
if its hidden layer has 1024 units (2.64 M). Here the embedding is trained with it, from scratch:
the numbers of that row cannot be reached without its data. Known is: patches of 96 frames of 10 ms
and 64 mels from 125 to 7500 Hz at 16 kHz, the first convolution without a stride, scores of patches
averaged over the clip. Open, and assumed: one hidden layer with ReLU, and decibels in place of
log(x + 0.01).
"""

from __future__ import annotations

from models.deepres.blocks import DeepRes, PatchBaseline
from models.registry import register


@register("model")
def deepres(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    depths: tuple[int, ...] = (3, 4, 6, 3),
    dims: tuple[int, ...] = (64, 128, 256, 512),
    bottleneck: bool = True,
) -> DeepRes:
    """DeepRes on ResNet-50: 25.7 M parameters with 527 classes.

    Arguments, shapes and errors as in `models.deepres.blocks.DeepRes`.
    """
    return DeepRes(
        num_channels,
        input_size,
        num_classes,
        depths=depths,
        dims=dims,
        bottleneck=bottleneck,
    )


@register("model")
def deepres_laptop(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    depths: tuple[int, ...] = (1, 1, 1, 1),
    dims: tuple[int, ...] = (16, 32, 64, 128),
    bottleneck: bool = False,
) -> DeepRes:
    """DeepRes for a laptop: four plain blocks of a quarter of the widths; not a published size.

    Arguments, shapes and errors as in `models.deepres.blocks.DeepRes`.
    """
    return DeepRes(
        num_channels,
        input_size,
        num_classes,
        depths=depths,
        dims=dims,
        bottleneck=bottleneck,
    )


@register("model")
def audioset_baseline(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    patch_frames: int = 96,
    hidden_dim: int = 1024,
    depths: tuple[int, ...] = (3, 4, 6, 3),
    dims: tuple[int, ...] = (64, 128, 256, 512),
    bottleneck: bool = True,
) -> PatchBaseline:
    """AudioSet's baseline: ResNet-50 on patches of 0.96 s and a classifier of 2.6 M parameters.

    Arguments, shapes and errors as in `models.deepres.blocks.PatchBaseline`.
    """
    return PatchBaseline(
        num_channels,
        input_size,
        num_classes,
        patch_frames=patch_frames,
        hidden_dim=hidden_dim,
        depths=depths,
        dims=dims,
        bottleneck=bottleneck,
    )


@register("model")
def audioset_baseline_laptop(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    patch_frames: int = 24,
    hidden_dim: int = 128,
    depths: tuple[int, ...] = (1, 1, 1, 1),
    dims: tuple[int, ...] = (16, 32, 64, 128),
    bottleneck: bool = False,
) -> PatchBaseline:
    """AudioSet's baseline for a laptop, on patches of 24 frames; not a published size.

    Arguments, shapes and errors as in `models.deepres.blocks.PatchBaseline`.
    """
    return PatchBaseline(
        num_channels,
        input_size,
        num_classes,
        patch_frames=patch_frames,
        hidden_dim=hidden_dim,
        depths=depths,
        dims=dims,
        bottleneck=bottleneck,
    )
